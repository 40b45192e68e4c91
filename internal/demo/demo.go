// SPDX-License-Identifier: Apache-2.0

// Package demo runs the real collector with the reference pipeline against a sample runner and an embedded
// Prometheus, all on loopback, and counts whether the promises hold: nothing lost, nothing foreign in the store.
package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/demo/sample"
	"github.com/kubiyabot/otelcol-runner/internal/demo/web"
	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

const (
	tick = 500 * time.Millisecond
	// silence is how long the collector may fail to answer for its numbers; a first start on a busy machine is slow.
	silence = 30 * time.Second
	// settled is how long nothing may change before the counts are final. The stale markers of a target that is gone
	// come 2.1 scrape intervals after its last scrape.
	settled = 4 * time.Second
	// checkDeadline is how long the counts may take to settle. Discovery passes an emptied list on within 10 s.
	checkDeadline = 60 * time.Second
)

// run is one demo.
type run struct {
	opts      Options
	screen    *screen
	backend   *prombackend.Backend
	collector *collector
	launch    func() (*collector, error)
	logDir    string // of the exporter's log
	discovery discovery
	telemetry string
	client    *http.Client

	started   time.Time     // when the first collector was
	answered  time.Time     // when the collector last told its numbers
	nextKill  time.Time     // for chaos; zero: not decided
	seen      counters      // what this collector told last
	earlier   counters      // what those before it have counted
	cpu       time.Duration // that those before it took
	used      usage         // of this one
	nextAudit time.Time
	audit     audit

	mu    sync.Mutex // guards what follows, which the page and the backend's handler use as well
	state State
	first time.Time // when the first sample was stored
}

// Run runs the demo until opts.Duration is over or ctx is done, then checks the counts, and returns them. The error
// tells why the demo could not run, or why the collector ended; promises that were broken are in the Result.
// Nothing that it started is left behind, in either case.
func Run(ctx context.Context, opts Options) (result Result, err error) {
	if err := checkBinary(opts.Collector); err != nil {
		return Result{}, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opts.Listen)
	if err != nil {
		return Result{}, fmt.Errorf("the page cannot be served: --listen %q: %w; choose another port, or 127.0.0.1:0 for a free one", opts.Listen, err)
	}
	dir, tidy, err := workFolder(opts.Dir)
	if err != nil {
		return Result{}, errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, tidy()) }()

	r := &run{opts: opts, screen: newScreen(opts), client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}}
	defer r.client.CloseIdleConnections()
	r.state = State{
		Phase: Starting, Started: time.Now(), Planned: opts.Duration.Seconds(), Page: "http://" + listener.Addr().String() + "/",
		Identity: map[string]string{
			"organization": organization, "runner": runnerName, "kubiya_type": runnerType, "namespace": namespace,
		},
		Claimed:        map[string]string{"organization": sample.SpoofedOrganization, "runner": sample.SpoofedRunner},
		ComponentLimit: componentLimit,
		Result:         Result{Dropped: map[string]int64{}, Broken: []string{}},
	}

	r.backend, err = prombackend.Open(filepath.Join(dir, "store"), prombackend.Options{})
	if err != nil {
		return Result{}, errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, r.backend.Close()) }()

	page := serve(listener, web.Handler(func() any { return r.snapshot() }, r.backend.Handler()))
	defer func() { err = errors.Join(err, page()) }()

	stop, err := r.start(ctx, dir)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return Result{}, err
	}

	if err := r.scrape(ctx); err != nil {
		return r.snapshot().Result, err
	}
	interrupted := ctx.Err() != nil
	// The check has to go on although ctx is done: it is what Ctrl-C asks for.
	verified, err := r.check(context.WithoutCancel(ctx))
	if err != nil {
		return r.snapshot().Result, err
	}
	stopErr := errors.Join(r.stopCollector(), r.readLog())
	if err := r.auditNow(context.WithoutCancel(ctx)); err != nil {
		return r.snapshot().Result, err
	}
	r.mu.Lock()
	r.state.Phase = Done
	r.state.Result.Verified = verified
	r.state.Result.judge(r.audit, interrupted)
	if stopErr != nil {
		r.state.Result.Broken = append(r.state.Result.Broken, stopErr.Error())
	}
	r.mu.Unlock()
	r.screen.finish(r.snapshot())
	return r.snapshot().Result, nil
}

// stopCollector ends the collector. One that has never answered does not listen to signals yet: SIGTERM would end it
// too, but look like a crash.
func (r *run) stopCollector() error {
	if r.answered.Equal(r.collector.started) {
		return r.collector.kill()
	}
	return r.collector.stop()
}

// start starts the store's server, the sample runner and the collector. The function that it returns, also with an
// error, ends what was started.
func (r *run) start(ctx context.Context, dir string) (func() error, error) {
	var ends []func() error
	stop := func() error {
		var errs []error
		for i := len(ends) - 1; i >= 0; i-- {
			errs = append(errs, ends[i]())
		}
		return errors.Join(errs...)
	}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return stop, fmt.Errorf("the metrics backend cannot listen: %w", err)
	}
	ends = append(ends, serve(listener, r.noteFirstSample(r.backend.Handler())))

	runner, err := sample.Start(namespace)
	if err != nil {
		return stop, err
	}
	ends = append(ends, runner.Close)

	ports, err := freePorts(1)
	if err != nil {
		return stop, err
	}
	self := sample.Target{
		Job: collectorJob, Address: fmt.Sprintf("127.0.0.1:%d", ports[0]),
		Labels: map[string]string{
			"app": collectorComponent, "exporter": collectorComponent, "kubernetes_namespace": namespace,
		},
	}
	r.telemetry = "http://" + self.Address + "/metrics"
	r.discovery = discovery{dir: dir, targets: append(runner.Targets(), self)}
	if err := r.discovery.publish(); err != nil {
		return stop, err
	}
	configs, err := writeConfigs(dir, r.opts.Config, r.discovery, ports[0])
	if err != nil {
		return stop, err
	}
	r.logDir = filepath.Join(dir, "log")
	r.launch = func() (*collector, error) {
		return startCollector(r.opts.Collector, configs,
			environment("http://"+listener.Addr().String()+"/api/v1/write", r.logDir), filepath.Join(dir, "collector.log"))
	}
	r.collector, err = r.launch()
	if err != nil {
		return stop, err
	}
	r.started, r.answered = r.collector.started, r.collector.started
	ends = append(ends, func() error {
		select {
		case <-r.collector.exited:
			return nil // its end was reported where it was noticed
		default:
			return r.collector.kill()
		}
	})
	return stop, nil
}

func writeConfigs(dir string, reference []byte, d discovery, telemetryPort int) ([]string, error) {
	laid, err := overlay(d.jobs(), d.dir, telemetryPort)
	if err != nil {
		return nil, err
	}
	paths := []string{filepath.Join(dir, "collector.yaml"), filepath.Join(dir, "overlay.yaml")}
	for i, content := range [][]byte{reference, laid} {
		if err := os.WriteFile(paths[i], content, 0o600); err != nil {
			return nil, fmt.Errorf("the collector's configuration cannot be written: %w", err)
		}
	}
	return paths, nil
}

// serve serves handler until the returned function is called, which returns when nothing of it is left.
func serve(listener net.Listener, handler http.Handler) func() error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	return func() error {
		// Requests in flight use the store, so they have to end before it is closed.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err := server.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, server.Close())
		}
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}
}

// noteFirstSample remembers when the first sample was in the store.
func (r *run) noteFirstSample(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		next.ServeHTTP(w, request)
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.first.IsZero() {
			return
		}
		if stats, err := r.backend.Stats(); err == nil && stats.SamplesAppended() > 0 {
			r.first = time.Now()
		}
	})
}

// scrape lets the collector work until the duration is over or ctx is done.
func (r *run) scrape(ctx context.Context) error {
	r.setPhase(Running)
	if r.opts.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.opts.Duration)
		defer cancel()
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.collector.exited:
			return r.collector.early()
		case <-r.opts.Kill:
			if err := r.kill(context.WithoutCancel(ctx)); err != nil {
				return err
			}
		case <-ticker.C:
		}
		if err := r.observe(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		if r.chaos() {
			if err := r.kill(context.WithoutCancel(ctx)); err != nil {
				return err
			}
		}
		if time.Since(r.answered) > silence {
			return fmt.Errorf("the collector has not told its numbers at %s for %s; its last log lines:\n%s", r.telemetry, silence, r.collector.log)
		}
	}
}

// check takes the targets away, so that scraping ends, and waits until everything that was kept is in the store.
// It reports false when it was skipped.
func (r *run) check(ctx context.Context) (bool, error) {
	r.setPhase(Checking)
	r.screen.notice("Taking the targets away, then checking that every kept sample is in the store (Ctrl-C skips this).")
	if err := r.discovery.withdraw(); err != nil {
		return false, err
	}
	deadline := time.After(checkDeadline)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	changed := time.Now()
	var before Result
	for {
		select {
		case <-r.opts.Skip:
			return false, nil
		case <-deadline:
			return true, nil // whatever is missing now is lost
		case <-r.collector.exited:
			return false, r.collector.early()
		case <-ticker.C:
		}
		r.nextAudit = time.Time{}
		if err := r.observe(ctx); err != nil {
			return false, err
		}
		now := r.snapshot().Result
		if now.Scraped != before.Scraped || now.KeptSamples != before.KeptSamples || now.Queryable != before.Queryable {
			before, changed = now, time.Now()
			continue
		}
		if now.Lost == 0 && time.Since(changed) > settled && time.Since(r.answered) < settled {
			return true, nil
		}
	}
}

// observe reads every count once and shows it.
func (r *run) observe(ctx context.Context) error {
	// An error here is a collector that is not up yet, or busy: scrape gives up when it lasts.
	c, err := readCounters(ctx, r.client, r.telemetry)
	if err == nil {
		r.answered, r.seen = time.Now(), c
		c.add(r.earlier)
		r.mu.Lock()
		r.state.Components = c.ByComponent
		result := &r.state.Result
		result.Log = c.Log
		result.Kept, result.Scraped, result.Dropped, result.KeptSamples = c.Kept, c.Kept+c.Dropped, c.ByReason, c.KeptSamples
		result.Lost = result.KeptSamples - result.Queryable
		r.mu.Unlock()
	}
	if now := time.Now(); now.After(r.nextAudit) {
		if err := r.auditNow(ctx); err != nil {
			return err
		}
		// Reading the store may take a twentieth of the time at most, however full it is.
		r.nextAudit = time.Now().Add(max(tick, 20*time.Since(now)))
	}
	r.measure()
	r.screen.draw(r.snapshot())
	return nil
}

func (r *run) auditNow(ctx context.Context) error {
	a, err := auditStore(ctx, r.backend)
	if err != nil {
		return err
	}
	stats, err := r.backend.Stats()
	if err != nil {
		return err
	}
	r.audit = a
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Spoofed = a.SpoofExample
	result := &r.state.Result
	result.Delivered, result.Rejected, result.BytesSent = stats.SamplesAppended(), stats.RejectedSamples, stats.BodyBytes
	result.Requests = 0
	for _, n := range stats.Requests {
		result.Requests += n
	}
	result.Queryable, result.Series, result.NativeHistogramSamples = a.Samples, a.Series, a.Native
	result.ForeignSeries, result.SpoofedSeries, result.SpoofedIdentities, result.SecretSeries = a.Foreign, a.Spoofed, a.Escaped, a.Leaked
	result.Lost = result.KeptSamples - result.Queryable
	if !r.first.IsZero() {
		result.SecondsToFirstSample = round(r.first.Sub(r.started).Seconds())
	}
	return nil
}

// measure reads the collector's CPU and memory, and adds a moment to the charts once a second.
func (r *run) measure() {
	r.used = r.collector.use()
	r.mu.Lock()
	defer r.mu.Unlock()
	result := &r.state.Result
	result.CPUSeconds, result.RSSMiB = round((r.cpu + r.used.CPU).Seconds()), round(float64(r.used.RSS)/(1<<20))
	result.Seconds = round(time.Since(r.started).Seconds())

	now := float64(time.Now().UnixMilli()) / 1000
	if n := len(r.state.History); n > 0 && now-r.state.History[n-1].Time < 0.9 {
		return
	}
	r.state.History = append(r.state.History, Moment{
		Time: now, Scraped: result.Scraped, Kept: result.Kept, Dropped: result.Scraped - result.Kept,
		Delivered: result.Delivered, Queryable: result.Queryable, Bytes: result.BytesSent, CPU: result.CPUSeconds,
		Backlog: result.Log.Backlog, LogBytes: result.Log.Bytes, Age: round(result.Log.Age), Kills: result.Kills,
	})
	if len(r.state.History) > maxHistory {
		r.state.History = r.state.History[1:]
	}
}

// maxHistory is a quarter of an hour at one moment a second.
const maxHistory = 900

func (r *run) setPhase(p Phase) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Phase = p
}

// snapshot is the state now. Its maps are replaced, never changed, by later observations; its history is a copy.
func (r *run) snapshot() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.state
	s.History = append([]Moment(nil), s.History...)
	return s
}

// round keeps milliseconds: more digits would only be noise in the output.
func round(x float64) float64 { return float64(int64(x*1000+0.5)) / 1000 }
