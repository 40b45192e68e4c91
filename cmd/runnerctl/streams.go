// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

// streams are what a command has of the process: where it writes and what it may write there, and the clock for virtual time.
type streams struct {
	// in is where keys come from; nil: there are none.
	in       *os.File
	out, err io.Writer
	// outTTY and errTTY say that the stream is a terminal that can redraw.
	outTTY, errTTY bool
	// color is false when the user has set NO_COLOR (https://no-color.org).
	color bool
	clock virtualtime.Clock
}

func newStreams() streams {
	dumb := os.Getenv("TERM") == "dumb"
	return streams{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		outTTY: !dumb && isTerminal(os.Stdout), errTTY: !dumb && isTerminal(os.Stderr),
		color: os.Getenv("NO_COLOR") == "",
	}
}

func isTerminal(f *os.File) bool {
	return term.IsTerminal(int(f.Fd()))
}
