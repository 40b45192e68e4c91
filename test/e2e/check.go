// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"sync"
	"time"
)

// check is one thing that was promised, and what was seen instead or as well.
type check struct {
	Scenario string `json:"scenario"`
	Name     string `json:"name"`
	Expected string `json:"expected"`
	Seen     string `json:"seen"`
	Passed   bool   `json:"passed"`
}

// checks is the record of a run. A check that fails is written down and the run goes on: one run shows all that is broken.
type checks struct {
	log   io.Writer
	began time.Time

	mu       sync.Mutex // guards what follows
	scenario string
	list     []check
}

func newChecks(log io.Writer) *checks { return &checks{log: log, began: time.Now()} }

// say writes a line of progress with the time since the start.
func (c *checks) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.print(fmt.Sprintf(format, args...))
}

// print is called with mu held.
func (c *checks) print(line string) {
	elapsed := time.Since(c.began).Round(time.Second)
	_, _ = fmt.Fprintf(c.log, "%3d:%02d  %s\n", int(elapsed.Minutes()), int(elapsed.Seconds())%60, line) // progress only
}

// begin starts a scenario: what is checked from now on belongs to it.
func (c *checks) begin(scenario string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scenario = scenario
	c.print("== " + scenario)
}

// that records whether something holds.
func (c *checks) that(holds bool, name, expected, seen string, args ...any) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	done := check{c.scenario, name, expected, fmt.Sprintf(seen, args...), holds}
	c.list = append(c.list, done)
	if holds {
		c.print("ok    " + name)
		return true
	}
	c.print(fmt.Sprintf("FAIL  %s\n        expected: %s\n        seen:     %s", name, done.Expected, done.Seen))
	return false
}

// equal records whether got is want.
func (c *checks) equal(name string, want, got any) bool {
	return c.that(reflect.DeepEqual(want, got), name, fmt.Sprint(want), "%v", got)
}

// none records whether a list of offences is empty. Of a long one the first are shown.
func none[T any](c *checks, name string, offences []T) bool {
	const shown = 5
	seen := fmt.Sprintf("%d: %v", len(offences), offences[:min(shown, len(offences))])
	return c.that(len(offences) == 0, name, "none", "%s", seen)
}

// matches records whether a text has something in it.
func (c *checks) matches(name, pattern, text string) bool {
	return c.that(regexp.MustCompile(pattern).MatchString(text), name, "text that matches "+pattern, "%s", tail(text, 600))
}

// pollEvery is how often something is asked for that has no event to wait for.
const pollEvery = 250 * time.Millisecond

// eventually records whether something becomes true before patience runs out. What probe says last is what was seen. An
// error of probe is something that was seen: in a cluster that is being upset on purpose most of them pass.
func (c *checks) eventually(ctx context.Context, name string, patience time.Duration, expected string, probe func(context.Context) (holds bool, seen string, err error)) bool {
	began := time.Now()
	holds, seen := await(ctx, patience, probe)
	took := time.Since(began).Round(100 * time.Millisecond)
	return c.that(holds, name, fmt.Sprintf("%s, within %s", expected, patience), "%s, after %s", seen, took)
}

// await asks probe until it says yes, patience runs out or ctx ends, and returns what it said last.
func await(ctx context.Context, patience time.Duration, probe func(context.Context) (holds bool, seen string, err error)) (holds bool, seen string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		holds, now, err := probe(ctx)
		if err == nil {
			seen = now
		} else if ctx.Err() == nil || seen == "" {
			// What a probe says that was cut short by the end of the time is not worth more than what it said before.
			seen = err.Error()
		}
		if holds && err == nil {
			return true, seen
		}
		select {
		case <-ctx.Done():
			return false, seen
		case <-time.After(pollEvery):
		}
	}
}

// failed are the checks that did not hold.
func (c *checks) failed() []check {
	c.mu.Lock()
	defer c.mu.Unlock()
	var failed []check
	for _, one := range c.list {
		if !one.Passed {
			failed = append(failed, one)
		}
	}
	return failed
}

// count is how many checks there were, and how many of them held.
func (c *checks) count() (all, passed int) {
	failed := len(c.failed())
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.list), len(c.list) - failed
}

// tail is the end of a text.
func tail(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return "..." + text[len(text)-most:]
}
