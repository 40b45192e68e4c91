// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/logtool"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// Chaos lets a collector live for this long after it has answered for the first time.
const (
	shortestLife = 2 * time.Second
	longestLife  = 6 * time.Second
)

// chaos says whether it is time to kill the collector.
func (r *run) chaos() bool {
	if !r.opts.Chaos || r.answered.Equal(r.collector.started) {
		return false
	}
	now := time.Now()
	if r.nextKill.IsZero() {
		r.nextKill = now.Add(shortestLife + rand.N(longestLife-shortestLife)) //nolint:gosec // no secret
		return false
	}
	return now.After(r.nextKill)
}

// kill ends the collector as a crash does, and starts it again at once.
//
// What it had kept is what it had accepted, which its log says: a batch is in the log before the exporter accepts it, and what was
// still on its way to the log was a scrape in flight. That the log has everything that the collector said it had accepted is
// checked too: what was said counts where it is more, and shows as lost then.
func (r *run) kill(ctx context.Context) error {
	if c, err := readCounters(ctx, r.client, r.telemetry); err == nil { // one that is not up yet tells nothing
		r.seen = c
	}
	if err := r.collector.kill(); err != nil {
		return fmt.Errorf("killing the collector: %w", err)
	}
	accepted, err := acceptedIn(r.logDir)
	if err != nil {
		return err
	}
	total := r.seen
	total.add(r.earlier)
	total.KeptSamples = max(accepted, r.seen.Log.Accepted)
	r.earlier, r.seen = total, counters{}
	r.cpu, r.used = r.cpu+r.used.CPU, usage{}

	c, err := r.launch()
	if err != nil {
		return err
	}
	r.collector, r.answered, r.nextKill = c, c.started, time.Time{}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Result.Kills++
	r.state.Result.KeptSamples = total.KeptSamples
	return nil
}

// acceptedIn is how many samples a log has accepted. One that was not begun has accepted none.
func acceptedIn(dir string) (int64, error) {
	s, err := statOf(dir)
	return int64(s.Accepted), err //nolint:gosec // samples
}

func statOf(dir string) (logtool.Stat, error) {
	logs, err := logtool.Open(dir)
	if errors.Is(err, samplelog.ErrNoLog) || errors.Is(err, fs.ErrNotExist) {
		return logtool.Stat{}, nil
	}
	if err != nil {
		return logtool.Stat{}, fmt.Errorf("the collector's log cannot be read: %w", err)
	}
	s, err := logs.Stat(0)
	if err != nil {
		return s, fmt.Errorf("the collector's log cannot be read: %w", err)
	}
	return s, nil
}

// readLog reads what has become of the log's samples when the collector has ended.
func (r *run) readLog() error {
	s, err := statOf(r.logDir)
	if err != nil {
		return err
	}
	sum := func(counts map[string]uint64) (n uint64) {
		for _, x := range counts {
			n += x
		}
		return n
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	//nolint:gosec // samples
	r.state.Result.Log = Log{
		Accepted: int64(s.Accepted), Acknowledged: int64(s.Acknowledged), Expired: int64(s.Expired),
		Quarantined: int64(sum(s.Quarantined)), Dropped: int64(sum(s.Dropped)), Backlog: int64(s.Backlog), Bytes: s.Bytes,
	}
	return nil
}
