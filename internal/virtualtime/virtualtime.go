// SPDX-License-Identifier: Apache-2.0

// Package virtualtime runs code on a clock of its own, so that minutes of scraping take milliseconds and every run is the same.
//
// The clock is testing/synctest's: within a bubble time stands still while any goroutine has something to do, and jumps to the
// next timer when none has. Nothing that runs there has to know. synctest is made for tests and wants a *testing.T, which Main
// provides outside of `go test`, by testing.Main, which is exported for programs that are not go test.
//
// What runs in a bubble must not wait for the outside in a way that lasts: while a connection is being read from, time stands
// still. A request that is answered at once, on a connection that the answer closes, is fine; a watch is not.
package virtualtime

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"testing"
	"testing/synctest"
)

// Clock makes bubbles. It is safe for concurrent use: each bubble has its own time.
type Clock struct{ t *testing.T }

// FromTest returns the clock of a test.
func FromTest(t *testing.T) Clock { return Clock{t} }

// Main runs the program f and ends the process with its exit code. It never returns.
func Main(f func(Clock) int) {
	// testing reads its flags from the command line, which is ours.
	testing.Init()
	if err := flag.CommandLine.Parse(nil); err != nil {
		panic(err) // no arguments cannot be wrong
	}
	match := func(string, string) (bool, error) { return true, nil }
	testing.Main(match, []testing.InternalTest{{Name: "main", F: func(t *testing.T) { os.Exit(f(Clock{t})) }}}, nil, nil)
}

// Run runs f in a new bubble and returns when f and every goroutine that it started have ended. A panic of f, and goroutines
// that would wait for ever, are errors; a panic in another goroutine ends the process, as anywhere.
func (c Clock) Run(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("virtual time: %v", r)
		}
	}()
	synctest.Test(c.t, func(*testing.T) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("virtual time: %v\n%s", r, debug.Stack())
			}
		}()
		f()
	})
	return err
}

// Settle waits, within a bubble, until all goroutines of it wait for time or for each other.
func Settle() { synctest.Wait() }
