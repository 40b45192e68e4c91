// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/procfs"
)

const (
	mib = 1 << 20
	// reportSeries is what a scrape adds to what a target exposes: up and four scrape_* series.
	reportSeries = 5
	// maxShortfall is how far a side may be from what is exposed while it is measured: the requests at both ends of the window
	// are in it or not, and some hold a second's samples.
	maxShortfall = 0.1
	rssEvery     = time.Second
	warmingUp    = "warming up"
)

// options are the flags.
type options struct {
	rounds, targets, series   int
	warmUp, measure, interval time.Duration
	only                      []string
	exporter                  bool
	profile                   string
}

// exposed is the number of series of all targets.
func (o options) exposed() int { return o.targets * (o.series + reportSeries) }

// samplesPerSecond is what the targets expose.
func (o options) samplesPerSecond() float64 { return float64(o.exposed()) / o.interval.Seconds() }

// measurement is one side in one round.
type measurement struct {
	cpu     float64 // microseconds a sample
	rss     float64 // MiB, the mean over the window
	peak    float64 // MiB, since the start
	bytes   float64 // on the wire, a sample
	rate    float64 // samples a second
	request float64 // samples a request
	labels  float64 // a series, with its name
	// series, fingerprint and names are of everything since the start.
	series      int
	fingerprint uint64
	names       []string
}

// bench is what all measurements share.
type bench struct {
	options
	targets, sink *child
	pages         []exposed
	dir           string
}

// run measures one side: started anew, with targets and sink as they were at the start of every other side.
func (b *bench) run(ctx context.Context, side string, round int, progress func(string)) (m measurement, err error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("%s-%d", side, round))
	if err := os.Mkdir(dir, 0o750); err != nil {
		return m, err
	}
	if err := errors.Join(b.targets.post(ctx, resetPath), b.sink.post(ctx, resetPath)); err != nil {
		return m, fmt.Errorf("resetting targets and sink: %w", err)
	}
	s, err := settings{
		Dir: dir, URL: "http://" + b.sink.addresses[0] + writePath, Interval: b.interval, Targets: b.pages, Limit: 2 * b.exposed(),
	}.withAddresses(side, b.profile != "")
	if err != nil {
		return m, err
	}
	progress(warmingUp)
	warm := time.Now().Add(b.warmUp)
	p, err := start(ctx, side, s)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, p.stop(), os.RemoveAll(dir)) }()
	if err := wait(ctx, time.Until(warm)); err != nil {
		return m, err
	}
	progress("measuring")
	if s.Profile != "" {
		profiled := make(chan error, 1)
		go func() {
			profiled <- saveProfiles(ctx, s.Profile, fmt.Sprintf("%s-%s-%d", b.profile, side, round), b.measure)
		}()
		defer func() { err = errors.Join(err, <-profiled) }()
	}
	if m, err = b.window(ctx, p); err != nil {
		return m, fmt.Errorf("measuring %s: %w\n%s", side, err, p.tail())
	}
	return m, nil
}

func (b *bench) window(ctx context.Context, p *process) (measurement, error) {
	before, err := readUsage(p.cmd.Process.Pid)
	if err != nil {
		return measurement{}, err
	}
	first, err := b.stats(ctx)
	if err != nil {
		return measurement{}, err
	}
	began := time.Now()
	var rss []float64
	for left := b.measure; left > 0; left = b.measure - time.Since(began) {
		if err := wait(ctx, min(left, rssEvery)); err != nil {
			return measurement{}, err
		}
		u, err := readUsage(p.cmd.Process.Pid)
		if err != nil {
			return measurement{}, err
		}
		rss = append(rss, u.rss)
	}
	after, err := readUsage(p.cmd.Process.Pid)
	if err != nil {
		return measurement{}, err
	}
	last, err := b.stats(ctx)
	if err != nil {
		return measurement{}, err
	}
	received := last.since(&first)
	samples := float64(received.Samples)
	m := measurement{
		cpu:     (after.cpu - before.cpu).Seconds() * 1e6 / samples,
		rss:     mean(rss),
		peak:    after.peak,
		bytes:   float64(received.Bytes) / samples,
		rate:    samples / time.Since(began).Seconds(),
		request: samples / float64(received.Requests),
		labels:  float64(received.Labels) / float64(received.TimeSeries),
		series:  last.Series, fingerprint: last.Fingerprint, names: last.LabelNames,
	}
	return m, b.check(last, m.rate)
}

// check says what makes a measurement worthless.
func (b *bench) check(c counts, rate float64) error {
	if c.Invalid != "" {
		return fmt.Errorf("the sink got a request that is wrong: %s", c.Invalid)
	}
	if c.Verified == 0 {
		return errors.New("the sink verified no request")
	}
	if want := b.samplesPerSecond(); math.Abs(rate-want) > maxShortfall*want {
		return fmt.Errorf("%.0f samples a second were delivered of the %.0f that are exposed", rate, want)
	}
	if want := b.exposed(); c.Series != want {
		return fmt.Errorf("%d series were delivered of the %d that are exposed", c.Series, want)
	}
	return nil
}

// stats asks the sink.
func (b *bench) stats(ctx context.Context) (counts, error) {
	var c counts
	body, err := get(ctx, "http://"+b.sink.addresses[0]+statsPath, headersLimit)
	if err != nil {
		return c, fmt.Errorf("asking the sink: %w", err)
	}
	return c, json.Unmarshal(body, &c)
}

func get(ctx context.Context, url string, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return body, err
}

// saveProfiles writes PREFIX.cpu.pprof, taken over d, and PREFIX.heap.pprof, taken after it.
func saveProfiles(ctx context.Context, address, prefix string, d time.Duration) error {
	for _, kind := range []struct{ name, path string }{
		{"cpu", fmt.Sprintf("profile?seconds=%.0f", d.Seconds())}, {"heap", "heap"},
	} {
		profile, err := get(ctx, "http://"+address+"/debug/pprof/"+kind.path, d+headersLimit)
		if err != nil {
			return fmt.Errorf("taking a profile: %w", err)
		}
		if err := os.WriteFile(prefix+"."+kind.name+".pprof", profile, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// usage is what a process has used.
type usage struct {
	cpu       time.Duration // user and system time of all threads, since the start
	rss, peak float64       // MiB
}

// readUsage reads /proc/PID/stat and /proc/PID/status.
func readUsage(pid int) (usage, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return usage{}, fmt.Errorf("the process has ended: %w", err)
	}
	stat, err := proc.Stat()
	if err != nil {
		return usage{}, err
	}
	status, err := proc.NewStatus()
	if err != nil {
		return usage{}, err
	}
	return usage{
		cpu:  time.Duration(stat.CPUTime() * float64(time.Second)),
		rss:  float64(status.VmRSS) / mib,
		peak: float64(status.VmHWM) / mib,
	}, nil
}

func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
