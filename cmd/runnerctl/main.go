// SPDX-License-Identifier: Apache-2.0

// Runnerctl is the command line of otelcol-runner: it shows, checks and explains what a runner's collector does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

// Exit codes.
const (
	exitFine   = 0 // all is well
	exitBroken = 1 // the command ran and found something: a promise that does not hold
	exitFailed = 2 // the command could not run, or not to its end
)

func main() {
	// What computes a delivery runs in virtual time, which is only to be had below this.
	virtualtime.Main(func(clock virtualtime.Clock) int {
		s := newStreams()
		s.clock = clock
		return execute(context.Background(), s, os.Args[1:])
	})
}

// errBroken is a finding that the command has already shown: it sets the exit code and prints nothing.
var errBroken = errors.New("a promise does not hold")

// execute runs the command line and returns the exit code.
func execute(ctx context.Context, s streams, args []string) int {
	root := newCmdRoot(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, errBroken):
		return exitBroken
	}
	_, _ = fmt.Fprintf(s.err, "runnerctl: %s\n", strings.TrimRight(err.Error(), "\n")) // nowhere left to report to
	return exitFailed
}
