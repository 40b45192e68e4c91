// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

const (
	// The load of a small runner: 75 samples a second, so that a batch of 512 takes 7 seconds.
	faultTargets, faultSeries = 10, 10
	faultInterval             = 2 * time.Second

	// outage is ten minutes, compressed by 30. So is what the old path gives up after (config/*.yaml, Compressed).
	outage = 20 * time.Second
	// bounce is how long the NATS server is away when it is restarted.
	bounce = time.Second
	// strikes is how often a fault strikes that takes no time.
	strikes = 3
	// betweenStrikes lets a batch become old and large.
	betweenStrikes = 6 * time.Second
	// peace is how long nothing happens before a fault: what was scraped before it is stored when the fault strikes.
	peace = 10 * time.Second
	// inFlight is how long before a kill a page may have been served without being owed: the collector was at work on it.
	inFlight = time.Second
	// edge is how many samples may be counted as missing only because a window does not begin and end with a scrape: two pages of each target.
	edge = 2 * faultTargets * faultSeries
	// diskBytes is the size of the disk that is filled.
	diskBytes = 16 << 20
)

// fault is something that happens to a path. A part that a path does not have takes no harm.
type fault struct {
	name   string
	strike func(ctx context.Context, p *path) error
}

var faults = []fault{
	{"none", func(context.Context, *path) error { return nil }},
	{"nats_server_restart", repeated(func(ctx context.Context, p *path) error {
		if p.server == nil {
			return nil
		}
		return errors.Join(p.server.Stop(), sleep(ctx, bounce), p.server.start(ctx))
	})},
	{"backend_outage", func(ctx context.Context, p *path) error {
		return errors.Join(p.backend.Kill(), sleep(ctx, outage), p.backend.start(ctx))
	}},
	{"collector_killed", repeated(func(ctx context.Context, p *path) error { return p.kill(ctx, p.collector) })},
	{"connector_killed", repeated(func(ctx context.Context, p *path) error {
		if p.connector == nil {
			return nil
		}
		return p.kill(ctx, p.connector)
	})},
	{"everything_killed", repeated(func(ctx context.Context, p *path) error { return p.kill(ctx, p.parts()...) })},
	{"slow_consumer", func(ctx context.Context, p *path) error {
		// Who takes the samples hangs. Without a connector that is the backend.
		slow := p.connector
		if slow == nil {
			slow = p.backend
		}
		return errors.Join(slow.Pause(), sleep(ctx, outage), slow.Resume())
	}},
	{"disk_full", func(ctx context.Context, p *path) error {
		ballast := filepath.Join(p.state, "ballast")
		if err := fill(ballast); err != nil {
			return err
		}
		if err := errors.Join(sleep(ctx, outage), os.Remove(ballast)); err != nil {
			return err
		}
		if p.name != jetstream {
			return nil
		}
		// The server switches JetStream off when its disk is full: somebody has to restart it.
		return errors.Join(p.server.Stop(), p.server.start(ctx))
	}},
}

// repeated strikes several times, each time at another age of a batch.
func repeated(strike func(context.Context, *path) error) func(context.Context, *path) error {
	return func(ctx context.Context, p *path) error {
		for i := range strikes {
			if i > 0 {
				if err := sleep(ctx, betweenStrikes+time.Duration(i)*time.Second); err != nil {
					return err
				}
			}
			if err := strike(ctx, p); err != nil {
				return err
			}
		}
		return nil
	}
}

// fill writes the file until there is no room.
func fill(ballast string) (err error) {
	file, err := os.Create(ballast) //nolint:gosec // a file of our own
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	block := make([]byte, 4096)
	for {
		if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// kill ends the parts at the same moment, as kill -9 does, and starts them again.
func (p *path) kill(ctx context.Context, parts ...*part) error {
	for _, part := range parts {
		if part == p.collector {
			p.killed = append(p.killed, time.Now())
		}
	}
	errs := make([]error, len(parts))
	var running sync.WaitGroup
	for i, part := range parts {
		running.Go(func() { errs[i] = part.Kill() })
	}
	running.Wait()
	for _, part := range parts {
		errs = append(errs, part.start(ctx))
	}
	return errors.Join(errs...)
}

// loss is what a path lost of what it was given.
type loss struct {
	Owed int `json:"owed"`
	Lost int `json:"lost"`
	// Refused are samples that the exporter did not take, told the receiver so, and counted. They are not lost, but missing.
	Refused int `json:"refused"`
	// Faults are the lost samples by fault. Missing are those that nobody can query, whether they were lost, refused or never scraped.
	Faults  map[string]int `json:"faults"`
	Missing map[string]int `json:"missing"`
}

// injectFaults lets each fault strike all paths at the same time, one fault after the other.
func injectFaults(ctx context.Context, dir string) (losses map[string]loss, err error) {
	values := delivery.NewValues()
	t, stop, err := serveTargets(ctx, faultTargets, func(target string, scrape int) string { return countersPage(values, target, scrape) })
	if err != nil {
		return nil, err
	}
	defer stop()
	for _, name := range pathNames {
		unmount, err := mountDisk(filepath.Join(dir, name, "state"))
		if err != nil {
			return nil, err
		}
		defer unmount()
	}
	paths, err := startAll(ctx, dir, t, settings{Interval: faultInterval, Compressed: true})
	defer func() {
		for _, p := range paths {
			p.discard()
		}
	}()
	if err != nil {
		return nil, err
	}
	began := make(map[string][]time.Time, len(paths))
	for i, f := range faults {
		fmt.Fprintf(os.Stderr, "fault %d of %d: %s\n", i+1, len(faults), f.name)
		for _, p := range paths {
			began[p.name] = append(began[p.name], time.Now())
		}
		if err := each(paths, func(p *path) error {
			if err := errors.Join(sleep(ctx, peace), f.strike(ctx, p)); err != nil {
				return err
			}
			return p.awaitSince(ctx, time.Now())
		}); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	t.close()
	closed := time.Now()
	refused := map[string]int{}
	for _, p := range paths {
		if refused[p.name], err = p.refused(ctx); err != nil {
			return nil, err
		}
	}
	if err := each(paths, func(p *path) error { return p.finish(ctx) }); err != nil {
		return nil, err
	}
	losses = map[string]loss{}
	for _, p := range paths {
		if losses[p.name], err = p.account(ctx, values, t.of(p.name), append(began[p.name], closed), refused[p.name]); err != nil {
			return nil, err
		}
	}
	return losses, nil
}

// idLabel names a series, whatever other labels it is stored with.
const idLabel = delivery.IDLabel

func seriesID(target string, series int) string { return fmt.Sprintf("%s/%02d", target, series) }

// countersPage is a page on which every series of every scrape has a value of its own.
func countersPage(values delivery.Values, target string, scrape int) string {
	var out strings.Builder
	out.WriteString("# TYPE scraped_total counter\n")
	for series := range faultSeries {
		id := seriesID(target, series)
		fmt.Fprintf(&out, "scraped_total{%s=%q} %v\n", idLabel, id, values.Value(id, scrape))
	}
	return out.String()
}

// account compares what the path was given with what is stored. A page is owed when it was served whole, and not so shortly before the
// collector was killed that it may have been at work on it. Between the times, one fault after the other was going on.
func (p *path) account(ctx context.Context, values delivery.Values, scrapes []scrape, times []time.Time, refused int) (l loss, err error) {
	stored, err := p.stored(ctx)
	if err != nil {
		return l, err
	}
	l = loss{Refused: refused, Faults: map[string]int{}, Missing: map[string]int{}}
	for i := range len(times) - 1 {
		name := faults[i].name
		l.Faults[name] = 0
		l.Missing[name] = int(times[i+1].Sub(times[i])/faultInterval) * faultTargets * faultSeries
	}
	for _, s := range scrapes {
		if !s.written {
			continue
		}
		during := 0
		for during+2 < len(times) && !s.at.Before(times[during+1]) {
			during++
		}
		name := faults[during].name
		owed := !p.inFlight(s.at) && times[len(times)-1].Sub(s.at) >= inFlight
		for series := range faultSeries {
			id := seriesID(s.target, series)
			_, found := stored[id][math.Float64bits(values.Value(id, s.number))]
			if owed {
				l.Owed++
			}
			switch {
			case found:
				l.Missing[name]--
			case owed:
				l.Faults[name]++
			}
		}
	}
	if l.Owed == 0 {
		return l, errors.New("nothing was scraped")
	}
	// The last fault is the only one that lets an exporter refuse anything, and its collector has not been started again.
	last := faults[len(times)-2].name
	l.Faults[last] -= min(refused, l.Faults[last])
	for name := range l.Faults {
		l.Lost += l.Faults[name]
		if l.Missing[name] < edge {
			l.Missing[name] = 0
		}
	}
	return l, nil
}

// refusals are the counters of what an exporter did not take, ours and that of the collector's own exporters.
var refusals = []string{"otelcol_exporter_durable_remote_write_refused_samples_total", "otelcol_exporter_enqueue_failed_metric_points"}

// refused is how many samples of the pages the exporter has not taken since the collector was started.
func (p *path) refused(ctx context.Context) (int, error) {
	body, err := get(ctx, "http://"+p.telemetry+"/metrics")
	if err != nil {
		return 0, fmt.Errorf("the collector's own metrics: %w", err)
	}
	total := 0.0
	for line := range strings.Lines(string(body)) {
		if !slices.ContainsFunc(refusals, func(name string) bool { return strings.HasPrefix(line, name) }) {
			continue
		}
		fields := strings.Fields(line)
		n, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			return 0, fmt.Errorf("the collector's own metrics: %w", err)
		}
		total += n
	}
	return int(total) * faultSeries / (faultSeries + reportSeries), nil
}

func (p *path) inFlight(at time.Time) bool {
	for _, killed := range p.killed {
		if before := killed.Sub(at); before >= 0 && before < inFlight {
			return true
		}
	}
	return false
}

// stored are the values of each series by its ID.
func (p *path) stored(ctx context.Context) (map[string]map[uint64]struct{}, error) {
	all, err := p.series(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]map[uint64]struct{}{}
	for _, series := range all {
		id := series.labels.Get(idLabel)
		if out[id] == nil {
			out[id] = map[uint64]struct{}{}
		}
		for _, bits := range series.values {
			out[id][bits] = struct{}{}
		}
	}
	return out, nil
}
