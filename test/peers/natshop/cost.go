// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/procfs"
)

const (
	mib = 1 << 20
	// maxShortfall is how far a path may be from what is exposed while it is measured: batches at both ends are in it or not.
	maxShortfall = 0.1
	rssEvery     = time.Second
)

// cost is what a path took while it was measured, all its processes together.
type cost struct {
	Samples    int64              `json:"samples"`
	CPU        float64            `json:"cpu_us"` // a sample
	RSS        float64            `json:"rss_mib"`
	Wire       float64            `json:"wire_bytes"` // a sample, on all connections behind the collector
	Disk       float64            `json:"disk_bytes"` // a sample
	P50        int                `json:"freshness_p50_ms"`
	P99        int                `json:"freshness_p99_ms"`
	Processes  int                `json:"processes"`
	PerProcess map[string]float64 `json:"cpu_us_by_process"`
}

func (c cost) bytes() float64 { return c.Wire + c.Disk }

// measureCosts runs all paths at the same time, and measures them over the same window.
func measureCosts(ctx context.Context, o options, dir string) (costs map[string]cost, err error) {
	routes := o.series / routeSeries
	t, stop, err := serveTargets(ctx, o.targets, func(_ string, scrape int) string { return routesPage(routes, scrape) })
	if err != nil {
		return nil, err
	}
	defer stop()
	paths, err := startAll(ctx, dir, t, settings{Interval: o.interval, MaxWait: o.maxWait})
	defer func() {
		for _, p := range paths {
			p.discard()
		}
	}()
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "costs: %s of warming up, %s of measuring\n", o.warmUp, o.measure)
	if err := sleep(ctx, o.warmUp); err != nil {
		return nil, err
	}
	costs = map[string]cost{}
	var mu sync.Mutex // guards costs
	err = each(paths, func(p *path) error {
		c, err := p.measure(ctx, o.measure)
		mu.Lock()
		defer mu.Unlock()
		costs[p.name] = c
		return err
	})
	want := float64(o.targets*(routes*routeSeries+reportSeries)) * o.measure.Seconds() / o.interval.Seconds()
	for name, c := range costs {
		if math.Abs(float64(c.Samples)-want) > maxShortfall*want {
			err = errors.Join(err, fmt.Errorf("%s delivered %d samples of the %.0f that are exposed while it was measured", name, c.Samples, want))
		}
	}
	return costs, err
}

// startAll starts all paths, in folders below dir. It returns what has been started also with an error.
func startAll(ctx context.Context, dir string, t *targets, s settings) ([]*path, error) {
	var paths []*path
	for _, name := range pathNames {
		p, err := newPath(name, filepath.Join(dir, name), t, s)
		if err != nil {
			return paths, err
		}
		paths = append(paths, p)
	}
	return paths, each(paths, func(p *path) error { return p.start(ctx) })
}

// each does the same with all paths at once.
func each(paths []*path, do func(*path) error) error {
	errs := make([]error, len(paths))
	var running sync.WaitGroup
	for i, p := range paths {
		running.Go(func() {
			if err := do(p); err != nil {
				errs[i] = fmt.Errorf("%s: %w", p.name, err)
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// meters is what the path has used since it was started.
type meters struct {
	cpu  map[string]float64 // seconds by part
	disk float64
	nats float64 // bytes in and out of the server
	arrivals
}

func (p *path) read(ctx context.Context) (m meters, err error) {
	m.cpu = map[string]float64{}
	for _, part := range p.parts() {
		proc, err := procfs.NewProc(part.PID())
		if err != nil {
			return m, err
		}
		stat, err := proc.Stat()
		if err != nil {
			return m, err
		}
		io, err := proc.IO()
		if err != nil {
			return m, err
		}
		m.cpu[part.name] = stat.CPUTime()
		m.disk += float64(io.WriteBytes)
	}
	if p.server != nil {
		body, err := get(ctx, "http://"+p.monitor+"/varz")
		if err != nil {
			return m, err
		}
		var varz struct {
			In  float64 `json:"in_bytes"`
			Out float64 `json:"out_bytes"`
		}
		if err := json.Unmarshal(body, &varz); err != nil {
			return m, err
		}
		m.nats = varz.In + varz.Out
	}
	m.arrivals, err = p.arrivals(ctx)
	return m, err
}

// measure measures the path over d.
func (p *path) measure(ctx context.Context, d time.Duration) (c cost, err error) {
	before, err := p.read(ctx)
	if err != nil {
		return c, err
	}
	var memory []float64
	for began := time.Now(); time.Since(began) < d; {
		if err := sleep(ctx, min(rssEvery, d-time.Since(began))); err != nil {
			return c, err
		}
		total := 0.0
		for _, part := range p.parts() {
			resident, err := part.Memory()
			if err != nil {
				return c, err
			}
			total += float64(resident) / mib
		}
		memory = append(memory, total)
	}
	after, err := p.read(ctx)
	if err != nil {
		return c, err
	}
	window := after.since(before.arrivals)
	samples := float64(window.Samples)
	c = cost{
		Samples: window.Samples, RSS: mean(memory), Processes: len(p.parts()),
		Wire: (float64(window.Bytes) + after.nats - before.nats) / samples, Disk: (after.disk - before.disk) / samples,
		P50: percentile(window.Late, 0.50), P99: percentile(window.Late, 0.99), PerProcess: map[string]float64{},
	}
	for name, seconds := range after.cpu {
		used := (seconds - before.cpu[name]) * 1e6 / samples
		c.PerProcess[name] = used
		c.CPU += used
	}
	return c, nil
}

// percentile is the least number of milliseconds within which the share of all samples came.
func percentile(late map[int]int64, share float64) int {
	total := int64(0)
	for _, n := range late {
		total += n
	}
	need := int64(math.Ceil(float64(total) * share))
	for _, ms := range slices.Sorted(maps.Keys(late)) {
		if need -= late[ms]; need <= 0 {
			return ms
		}
	}
	return 0
}

func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
