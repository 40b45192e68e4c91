// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin

package main

import (
	"errors"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
)

// answers is a terminal: keys, times without one, and an error at the end.
type answers struct {
	keys string
	end  error
}

func (a *answers) Read(p []byte) (int, error) {
	if a.keys == "" {
		return 0, a.end
	}
	key := a.keys[0]
	a.keys = a.keys[1:]
	if key == ' ' {
		return 0, io.EOF // no key within a tenth of a second
	}
	p[0] = key
	return 1, nil
}

func TestReadKeys(t *testing.T) {
	got := ""
	readKeys(&answers{keys: "k x k", end: errors.New("the terminal is gone")}, func(key byte) { got += string(key) }, make(chan struct{}))
	assert.Equal(t, "kxk", got)

	ended := make(chan struct{})
	close(ended)
	readKeys(&answers{end: io.EOF}, func(byte) { t.Error("there is no key") }, ended)
}

func TestNoKeysWithoutATerminal(t *testing.T) {
	r, w, err := os.Pipe()
	assert.NoError(t, err)
	defer func() { assert.NoError(t, errors.Join(r.Close(), w.Close())) }()
	for _, in := range []*os.File{nil, r} {
		stop, watching := watchKeys(in, func(byte) {})
		assert.False(t, watching)
		stop()
	}
}
