// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

//go:embed config
var configFiles embed.FS

const (
	// idleTime is how long the collector runs without a sample before its memory is taken as that at rest.
	idleTime = 5 * time.Second
	// freshTime is how long samples keep coming in real time after the drain.
	freshTime = 5 * time.Second
	// printed is how many findings of a kind are printed.
	printed = 10
)

// The phases in which memory is watched.
const (
	resting  = "rest"
	outage   = "outage"
	draining = "drain"
)

// run is one run of the test.
type run struct {
	exporter string
	duration time.Duration
	interval time.Duration
	series   int
	// patience is how long filling the log, and draining it, may take.
	patience time.Duration
	out      io.Writer

	bench  *delivery.Bench
	memory *memory
}

// outcome is what a run found.
type outcome struct {
	verdict     delivery.Verdict
	traffic     delivery.Traffic
	balance     delivery.Balance
	outage      time.Duration // from the first sample that could not be delivered to the return of the backend
	drain       time.Duration // zero when it did not end
	restarts    int
	rest        int64 // memory in bytes
	peakOutage  int64
	peakDrain   int64
	backlogSize int64 // bytes in the log folder when the backend returns
}

func (r *run) say(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format+"\n", args...) } // progress only

// do runs the test in dir.
func (r *run) do(ctx context.Context, dir, binary string) (o outcome, err error) {
	configs, err := readConfigs(r.exporter)
	if err != nil {
		return o, err
	}
	if r.bench, err = delivery.NewBench(dir, binary, configs); err != nil {
		return o, err
	}
	defer r.bench.Discard()
	r.memory = watchMemory()
	defer r.memory.end()
	if err := r.startCollector(ctx, resting); err != nil {
		return o, err
	}
	if err := sleep(ctx, idleTime); err != nil {
		return o, err
	}
	o.rest = r.memory.latest()

	pusher, ledger := delivery.NewPusher(r.bench.OTLP), &delivery.Ledger{}
	defer pusher.Close()
	now := time.Now().Truncate(time.Millisecond)
	c := newClient(pusher, ledger, r.series, now.Add(-r.duration), now, r.interval)
	next, err := r.fill(ctx, c, &o)
	if err != nil {
		return o, err
	}
	if o.backlogSize, err = folderSize(r.bench.LogDirectory()); err != nil {
		return o, err
	}
	if err := r.drain(ctx, c, next, &o); err != nil {
		return o, err
	}
	o.peakOutage, o.peakDrain = r.memory.peak(outage), r.memory.peak(draining)
	if o.balance, _, err = r.bench.ReadBalance(ctx); err != nil {
		return o, err
	}
	if err := errors.Join(r.bench.Collector.Stop(), r.bench.Backend.Stop()); err != nil {
		return o, err
	}
	return o, r.judge(ctx, ledger, &o)
}

// readConfigs returns the configuration of the test and that of the exporter.
func readConfigs(exporter string) ([][]byte, error) {
	var configs [][]byte
	for _, name := range []string{"collector", exporter} {
		text, err := configFiles.ReadFile("config/" + name + ".yaml")
		if err != nil {
			return nil, fmt.Errorf("there is no configuration for the exporter %q: test/outage/config has one for each that is known", exporter)
		}
		configs = append(configs, text)
	}
	return configs, nil
}

func (r *run) startCollector(ctx context.Context, phase string) error {
	if err := r.bench.StartCollector(); err != nil {
		return err
	}
	r.memory.follow(r.bench.Collector, phase)
	return r.bench.AwaitCollector(ctx)
}

// fill pushes what was measured while the backend is away, with two restarts of the collector among it, and returns the
// next round.
func (r *run) fill(ctx context.Context, c *client, o *outcome) (next int, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	began := time.Now()
	r.memory.follow(r.bench.Collector, outage)
	// A push is under way at each restart: its client repeats it until the next life acknowledges it.
	for i, restart := range []struct {
		name string
		end  func(*delivery.Process) error
	}{{"SIGTERM", (*delivery.Process).Stop}, {"kill -9", (*delivery.Process).Kill}} {
		until := (i + 1) * c.past / 3
		if err := r.pushAcross(ctx, c, next, until, restart.end); err != nil {
			return 0, fmt.Errorf("%s in the outage: %w", restart.name, err)
		}
		next = until
		o.restarts++
		r.say("%s after round %d of %d", restart.name, next, c.past)
	}
	// More rounds become due in the meantime.
	for next < c.due(time.Now()) {
		until := c.due(time.Now())
		if err := c.push(ctx, next, until); err != nil {
			return 0, err
		}
		next = until
	}
	r.say("%d rounds of %d series acknowledged in %s, up to now", next, r.series, time.Since(began).Round(100*time.Millisecond))
	return next, nil
}

// pushAcross pushes rounds and restarts the collector in the midst of the last of them.
func (r *run) pushAcross(ctx context.Context, c *client, first, end int, stop func(*delivery.Process) error) error {
	before := max(first, end-roundsPerPush)
	if err := c.push(ctx, first, before); err != nil {
		return err
	}
	pushed := make(chan error, 1)
	go func() { pushed <- c.push(ctx, before, end) }()
	err := stop(r.bench.Collector)
	if err == nil {
		err = r.startCollector(ctx, outage)
	}
	if err != nil {
		r.bench.Discard() // nothing acknowledges the push any more
		return err
	}
	return <-pushed
}

// drain starts the backend and waits until it has what was acknowledged before, while fresh samples keep coming.
func (r *run) drain(ctx context.Context, c *client, next int, o *outcome) error {
	r.memory.follow(r.bench.Collector, draining)
	if err := r.bench.StartBackend(); err != nil {
		return err
	}
	if err := r.bench.AwaitBackend(ctx); err != nil {
		return err
	}
	back := time.Now()
	o.outage = back.Sub(c.start)

	running, stop := context.WithCancel(ctx)
	defer stop()
	pushing := make(chan error, 1)
	go func() {
		var err error
		next, err = r.pushLive(ctx, running, c, next)
		pushing <- err
	}()
	drained := r.awaitRound(ctx, c, next-1)
	if drained == nil {
		o.drain = time.Since(back)
		r.say("drained in %s", o.drain.Round(10*time.Millisecond))
		drained = sleep(ctx, freshTime)
	} else {
		r.say("%v", drained)
		drained = ctx.Err()
	}
	stop()
	if err := errors.Join(<-pushing, drained); err != nil {
		return err
	}
	if o.drain == 0 {
		return nil
	}
	return r.awaitRound(ctx, c, next-1)
}

// pushLive pushes rounds as they become due, until running ends, and returns the next round.
func (r *run) pushLive(ctx, running context.Context, c *client, next int) (int, error) {
	for {
		if until := c.due(time.Now()); next < until {
			if err := c.push(ctx, next, until); err != nil {
				return next, err
			}
			next = until
		}
		if sleep(running, min(time.Until(c.at(next)), time.Second)) != nil {
			return next, nil
		}
	}
}

// awaitRound waits until the backend has the round of every series. The exporter sends in order, so it has those before
// as well; whether that is so is judged later.
func (r *run) awaitRound(ctx context.Context, c *client, round int) error {
	at := c.at(round)
	query := fmt.Sprintf(`count(timestamp({%s!=""}) == %.3f)`, delivery.IDLabel, float64(at.UnixMilli())/1000)
	reported := time.Now()
	return delivery.Await(ctx, fmt.Sprintf("round %d in the backend", round), r.patience, func(ctx context.Context) (bool, error) {
		n, err := r.bench.Query(ctx, query, at)
		if err == nil && time.Since(reported) > 5*time.Second {
			reported = time.Now()
			r.sayProgress(ctx)
		}
		return int(n) == r.series, err
	}, r.bench.Collector, r.bench.Backend)
}

// sayProgress says how far the backend is.
func (r *run) sayProgress(ctx context.Context) {
	stored, err := r.bench.Query(ctx, fmt.Sprintf(`sum(count_over_time({%s!=""}[%s]))`, delivery.IDLabel, r.duration+time.Hour), time.Now())
	if err == nil {
		r.say("stored %.0f samples", stored)
	}
}

// judge compares what was acknowledged with what the backend has.
func (r *run) judge(ctx context.Context, ledger *delivery.Ledger, o *outcome) (err error) {
	store, err := r.bench.Stored()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if o.verdict, err = delivery.Compare(ledger, delivery.All(ctx, store)); err != nil {
		return err
	}
	o.traffic, err = r.bench.Traffic()
	return err
}

// folderSize is how many bytes the files below a folder have.
func folderSize(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
