// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin

package main

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// watchKeys lets a terminal give each key at once and without an echo, and calls pressed with each. Ctrl-C stays what it is. The
// function that it returns puts the terminal back and returns when nothing reads it any more. Where in is no terminal, nothing is
// read from it, and the second result is false.
func watchKeys(in *os.File, pressed func(key byte)) (stop func(), watching bool) {
	if in == nil || !isTerminal(in) {
		return func() {}, false
	}
	fd := int(in.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return func() {}, false
	}
	keys := *before
	keys.Lflag &^= unix.ICANON | unix.ECHO
	// A read returns after a tenth of a second at the latest, so that there is an end to it.
	keys.Cc[unix.VMIN], keys.Cc[unix.VTIME] = 0, 1
	if err := unix.IoctlSetTermios(fd, setTermios, &keys); err != nil {
		return func() {}, false
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		readKeys(in, pressed, end)
	}()
	return func() {
		close(end)
		<-ended
		_ = unix.IoctlSetTermios(fd, setTermios, before) // the terminal may be gone
	}, true
}

// keyPause is how long to wait where a terminal that is gone answers at once.
const keyPause = 50 * time.Millisecond

func readKeys(in io.Reader, pressed func(key byte), end <-chan struct{}) {
	var key [1]byte
	for {
		n, err := in.Read(key[:])
		if n == 1 {
			pressed(key[0])
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return
		}
		select {
		case <-end:
			return
		case <-time.After(keyPause):
		}
	}
}
