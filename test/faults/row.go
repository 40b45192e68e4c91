// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// row is one fault.
type row struct {
	name string
	// fault is what is injected, for people.
	fault string
	// inject does it: it starts a collector, pushes samples, makes the fault and takes it away. What is expected in between it checks
	// itself; what is expected at the end is in want.
	inject func(r *rig)
	want   want
	// alone says that the row measures time that other rows would take.
	alone bool
}

// want is what is expected when the fault is over and the backlog has been delivered. Whatever is not named here must not have happened:
// nothing is lost, quarantined, dropped or expired.
type want struct {
	// quarantined and dropped are samples by reason; some stands for a number that differs from run to run.
	quarantined, dropped map[string]int
	expired              int
	// answers are how often, at least, each status came, as the exporter counts them ("error": no answer).
	answers map[string]int
	// counted are other values, exactly: the name behind otelcol_exporter_durable_remote_write_, with its labels.
	counted map[string]int
	// log are texts that the collector's log has.
	log []string
	// notKept says that there was no room to keep what was not sent.
	notKept bool
	// ended says that the row leaves no collector to look at, and has looked at everything itself.
	ended bool
}

// some is a number that is not known before: above zero.
const some = -1

// result is what became of a row.
type result struct {
	name     string
	outcome  string
	failures []string
	took     time.Duration
}

// selected returns the rows whose name matches.
func selected(rows []row, only *regexp.Regexp) []row {
	var found []row
	for _, x := range rows {
		if only.MatchString(x.name) {
			found = append(found, x)
		}
	}
	return found
}

func list(w io.Writer, rows []row) {
	for _, x := range rows {
		_, _ = fmt.Fprintf(w, "%-34s %s\n", x.name, x.fault) // progress only
	}
}

// runRows runs rows, several at a time, those that want it alone before all others. done gets the results, one at a time.
func runRows(ctx context.Context, rows []row, parallel int, run func(row) result, done func(result)) {
	var shared []row
	for _, x := range rows {
		if !x.alone {
			shared = append(shared, x)
		} else if ctx.Err() == nil {
			done(run(x))
		}
	}
	var mu sync.Mutex // guards done
	var workers sync.WaitGroup
	next := make(chan row)
	for range max(1, parallel) {
		workers.Go(func() {
			for x := range next {
				res := run(x)
				mu.Lock()
				done(res)
				mu.Unlock()
			}
		})
	}
	for _, x := range shared {
		if ctx.Err() == nil {
			next <- x
		}
	}
	close(next)
	workers.Wait()
}

// rowTimeout ends a row that hangs.
const rowTimeout = 60 * time.Second

var unsafeInName = regexp.MustCompile(`[^a-z0-9]+`)

// runRow runs a row in a folder of its own.
func runRow(ctx context.Context, x row, binary, base string, ports *atomic.Int32) result {
	ctx, cancel := context.WithTimeout(ctx, rowTimeout)
	defer cancel()
	began := time.Now()
	res := result{name: x.name}
	dir := filepath.Join(base, strings.Trim(unsafeInName.ReplaceAllString(strings.ToLower(x.name), "-"), "-"))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		res.failures = []string{err.Error()}
		return res
	}
	r := &rig{ctx: ctx, dir: dir, binary: binary, ports: ports, logDir: filepath.Join(dir, "log"), truth: newTruth()}
	ended := make(chan struct{})
	go func() { // what goes wrong unwinds it
		defer close(ended)
		defer r.close()
		r.open()
		x.inject(r)
		if !x.want.ended {
			r.finish(x.want)
		}
	}()
	<-ended
	res.failures, res.outcome, res.took = r.failures, r.outcome, time.Since(began)
	return res
}

// printer writes results as they come.
type printer struct {
	out         io.Writer
	done, total int
}

func newPrinter(out io.Writer, total int) *printer { return &printer{out: out, total: total} }

func (p *printer) print(r result) {
	p.done++
	verdict := "PASS"
	if len(r.failures) > 0 {
		verdict = "FAIL"
	}
	_, _ = fmt.Fprintf(p.out, "%2d/%d %s  %-34s %5.1f s  %s\n", p.done, p.total, verdict, r.name, r.took.Seconds(), r.outcome) // progress only
	for _, f := range r.failures {
		_, _ = fmt.Fprintf(p.out, "        %s\n", strings.ReplaceAll(strings.TrimSpace(f), "\n", "\n        ")) // progress only
	}
}
