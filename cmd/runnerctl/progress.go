// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress shows on standard error how far a long command has come: a bar that replaces itself on a terminal, a line now and then
// elsewhere. A write that fails is not reported: the work matters.
type progress struct {
	unit  string // what is counted: samples
	out   io.Writer
	tty   bool
	last  time.Time
	drawn bool
}

func newProgress(s streams, unit string) *progress {
	p := &progress{unit: unit, out: s.err, tty: s.errTTY}
	if !p.tty {
		p.last = time.Now() // what takes no time needs no line
	}
	return p
}

const (
	barWidth = 30
	barEvery = 100 * time.Millisecond
	// lineEvery is how often there is a line where there is no terminal.
	lineEvery = 5 * time.Second
)

// show shows how far it is, now and then.
func (p *progress) show(what string, done, all uint64, more string) {
	every := lineEvery
	if p.tty {
		every = barEvery
	}
	if time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	if !p.tty {
		_, _ = fmt.Fprintln(p.out, strings.TrimRight(fmt.Sprintf("%s: %d of %d %s %s", what, done, all, p.unit, more), " "))
		return
	}
	p.drawn = true
	_, _ = fmt.Fprintf(p.out, "\r\x1b[K%s %s %3.0f%% %s", what, bar(done, all), percentOf(done, all), more)
}

// end takes the bar away.
func (p *progress) end() {
	if p.drawn {
		_, _ = io.WriteString(p.out, "\r\x1b[K")
		p.drawn = false
	}
}

func bar(done, all uint64) string {
	n := int(percentOf(done, all) / 100 * barWidth)
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", barWidth-n) + "]"
}

func percentOf(done, all uint64) float64 {
	if all == 0 {
		return 100
	}
	return min(100, 100*float64(done)/float64(all))
}
