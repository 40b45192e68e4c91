// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/delivery"
	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
	bench "github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

const (
	startPatience  = 20 * time.Second
	settlePatience = 20 * time.Second
	// shown is how many differing samples a failure names.
	shown = 5
)

// base is the configuration of all rows: everything fast, so that a row takes a second or three.
const base = `
receivers:
  otlp: {protocols: {http: {endpoint: "%s"}}}
exporters:
  durable_remote_write:
    endpoint: %q
    timeout: 2s
    shutdown_timeout: 3s
    log: {directory: %q, sync_interval: 5ms}
    batch: {max_wait: 200ms}
    retry: {initial_interval: 50ms, max_interval: 500ms}
service:
  pipelines: {metrics: {receivers: [otlp], exporters: [durable_remote_write]}}
  telemetry:
    logs: {encoding: console}
    metrics:
      readers:
        - pull: {exporter: {prometheus: {host: 127.0.0.1, port: %s, without_scope_info: true, without_type_suffix: false, without_units: false}}}
`

// rig is what a row has: a backend, the front before it, and a collector. It is a require.TestingT, whose FailNow ends the row.
type rig struct {
	ctx    context.Context
	dir    string
	binary string
	ports  *atomic.Int32
	logDir string // of the exporter
	truth  *truth
	front  *front
	store  *prombackend.Backend

	overlays  []string // YAML that is laid over base
	otlp      string
	telemetry string
	collector *bench.Process
	pusher    *bench.Pusher
	clock     int64   // of the next round, milliseconds
	value     float64 // of the last sample
	pushed    int     // samples that were acknowledged
	offended  int     // of them, those that the receiver has to refuse, which are not in truth
	lives     int
	cleanups  []func() error

	mu       sync.Mutex // guards failures: some rows push from a goroutine of their own
	failures []string
	outcome  string
	note     string // for the outcome
}

// Errorf implements require.TestingT.
func (r *rig) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// failedSoFar says whether something has gone wrong so far.
func (r *rig) failedSoFar() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failures) > 0
}

// FailNow implements require.TestingT.
func (r *rig) FailNow() { panic(failed{}) }

// failed unwinds a row.
type failed struct{}

// open starts the backend and the front.
func (r *rig) open() {
	var err error
	r.store, err = prombackend.Open(filepath.Join(r.dir, "backend"), prombackend.Options{})
	require.NoError(r, err)
	r.cleanup(r.store.Close)
	r.front = &front{backend: r.store.Handler(), address: r.address(), arrived: make(chan struct{})}
	r.cleanup(r.front.close)
	require.NoError(r, r.front.serve())
	r.clock = time.Now().Add(-time.Minute).Truncate(time.Second).UnixMilli()
}

// cleanup is called at the end of the row, the last one first.
func (r *rig) cleanup(f func() error) { r.cleanups = append(r.cleanups, f) }

// close ends everything that the row has started.
func (r *rig) close() {
	if p := recover(); p != nil {
		if _, ok := p.(failed); !ok {
			r.Errorf("panic: %v", p)
		}
	}
	if r.pusher != nil {
		r.pusher.Close()
	}
	if r.collector != nil {
		r.collector.Discard()
	}
	for _, f := range slices.Backward(r.cleanups) {
		if err := f(); err != nil {
			r.Errorf("cleaning up: %v", err)
		}
	}
}

// endpoint is the receiver's address as the exporter is told, unless an overlay says otherwise.
func (r *rig) endpoint() string { return "http://" + r.front.address + "/api/v1/write" }

// configure lays settings of the exporter over the base: what is within the braces of a YAML mapping.
func (r *rig) configure(settings string) {
	r.overlay("exporters: {durable_remote_write: {" + settings + "}}\n")
}

// overlay lays a configuration over the base.
func (r *rig) overlay(yaml string) { r.overlays = append(r.overlays, yaml) }

// arguments writes the configuration, with ports of its own, and returns the collector's arguments.
func (r *rig) arguments() (args []string, otlp, telemetry string) {
	otlp, telemetry = r.address(), r.address()
	_, port, err := net.SplitHostPort(telemetry)
	require.NoError(r, err)
	texts := append([]string{fmt.Sprintf(base, otlp, r.endpoint(), r.logDir, port)}, r.overlays...)
	r.lives++
	for i, text := range texts {
		path := filepath.Join(r.dir, fmt.Sprintf("config-%d-%d.yaml", r.lives, i))
		require.NoError(r, os.WriteFile(path, []byte(text), 0o600))
		args = append(args, "--config="+path)
	}
	return args, otlp, telemetry
}

// address returns an address that nobody else has: the network is this program's own, and its clients have ports from 32768 on.
func (r *rig) address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(r.ports.Add(1))))
}

// start starts the collector and waits until it takes samples.
func (r *rig) start() {
	args, otlp, telemetry := r.arguments()
	r.otlp, r.telemetry = otlp, telemetry
	var err error
	r.collector, err = bench.Start("collector", r.binary, args, nil, r.logPath())
	require.NoError(r, err)
	require.NoError(r, bench.Await(r.ctx, "the collector", startPatience, func(ctx context.Context) (bool, error) {
		var dialer net.Dialer
		c, err := dialer.DialContext(ctx, "tcp", r.otlp)
		if err != nil {
			return false, err
		}
		return true, c.Close()
	}, r.collector))
	if r.pusher != nil {
		r.pusher.Close()
	}
	r.pusher = bench.NewPusher(r.otlp)
}

// stop ends the collector as Kubernetes does.
func (r *rig) stop() {
	require.NoError(r, r.collector.Stop())
	r.collector = nil
}

// kill ends the collector as kill -9 does.
func (r *rig) kill() {
	require.NoError(r, r.collector.Kill())
	r.collector = nil
}

func (r *rig) logPath() string { return filepath.Join(r.dir, "collector.log") }

// logText is what the collector has logged so far, in all its lives.
func (r *rig) logText() string {
	text, err := os.ReadFile(r.logPath())
	require.NoError(r, err)
	return string(text)
}

// awaitLog waits until the collector has logged a text.
func (r *rig) awaitLog(text string) {
	r.await("the log to say "+strconv.Quote(text), func() bool { return strings.Contains(r.logText(), text) })
}

// await waits for something that cannot be waited for.
func (r *rig) await(what string, done func() bool) {
	require.NoError(r, bench.Await(r.ctx, what, settlePatience, func(context.Context) (bool, error) { return done(), nil }))
}

// push pushes a batch until it is acknowledged. What it brings is owed from then on. It returns how many attempts it took.
func (r *rig) push(b *batch) int {
	attempts, err := r.pusher.Push(r.ctx, b.metrics)
	require.NoError(r, err)
	r.pushed += len(b.samples)
	r.truth.add(b.samples...)
	return attempts
}

// offend pushes a batch that the receiver refuses as a whole.
func (r *rig) offend(b *batch) {
	_, err := r.pusher.Push(r.ctx, b.metrics)
	require.NoError(r, err)
	r.pushed += len(b.samples)
	r.offended += len(b.samples)
}

// next returns a batch of the next second with a sample of each of the first n series.
func (r *rig) next(n int) *batch {
	b := newBatch()
	for i := range n {
		r.value++
		b.gauge(seriesName(i), r.clock, r.value)
	}
	r.clock += time.Second.Milliseconds()
	return b
}

// rounds pushes batches of n series, one after the other.
func (r *rig) rounds(count, n int) {
	for range count {
		r.push(r.next(n))
	}
}

// account reads what the exporter counts. It has to balance at any time.
func (r *rig) account() account {
	a, err := readAccount(r.ctx, r.telemetry)
	require.NoError(r, err)
	require.Zero(r, a.open(), "the account does not balance: %s", a)
	return a
}

// settle waits until nothing is left to deliver.
func (r *rig) settle() account {
	var a account
	err := bench.Await(r.ctx, "the backlog to be delivered", settlePatience, func(context.Context) (bool, error) {
		a = r.account()
		return a.backlog() == 0 && a.accepted() >= r.pushed, errors.New(a.String())
	}, r.collector)
	require.NoError(r, err)
	return a
}

// calls waits for a number of requests, and returns all that have come.
func (r *rig) calls(n int) []*call {
	for {
		r.front.mu.Lock()
		arrived := r.front.arrived
		r.front.mu.Unlock()
		if calls := r.front.all(); len(calls) >= n {
			return calls
		}
		select {
		case <-arrived:
		case <-time.After(settlePatience):
			require.Fail(r, fmt.Sprintf("%d requests within %s, waiting for %d", len(r.front.all()), settlePatience, n))
		case <-r.ctx.Done():
			require.NoError(r, r.ctx.Err())
		}
	}
}

// finish waits until everything is delivered, and compares what is there with what is wanted.
func (r *rig) finish(w want) {
	if r.collector == nil {
		r.start()
	}
	a := r.settle()
	r.stop()
	d, err := r.truth.compare(r.ctx, r.store)
	require.NoError(r, err)
	r.outcome = fmt.Sprintf("lost %d; %s", len(d.missing), a)
	if r.note != "" {
		r.outcome += ", " + r.note
	}
	r.judge(w, a, d)
}

// judge compares the account, the stored samples and the log with what is wanted.
func (r *rig) judge(w want, a account, d difference) {
	if a.accepted() != r.pushed {
		r.Errorf("accepted %d samples, %d were acknowledged to the client", a.accepted(), r.pushed)
	}
	if lost := a.notStored() - r.offended; len(d.missing) != lost {
		r.Errorf("%d samples are not stored, the account says %d: %s", len(d.missing), lost, firstOf(d.missing))
	}
	if len(d.wrong) > 0 {
		r.Errorf("%d samples are stored that should not be: %s", len(d.wrong), firstOf(d.wrong))
	}
	r.compareCounts("quarantined", w.quarantined, a.by("quarantined_samples_total"))
	r.compareCounts("dropped", w.dropped, a.by("dropped_samples_total"))
	if got := a["expired_samples_total"]; got != w.expired {
		r.Errorf("expired %d, wanted %d", got, w.expired)
	}
	for folder, n := range map[string]int{delivery.QuarantineFolder: a.sum("quarantined_samples_total"), delivery.ExpiredFolder: a["expired_samples_total"]} {
		if kept := r.keptAside(folder); kept != n && !w.notKept {
			r.Errorf("%d samples are kept in %s/, %d are counted", kept, folder, n)
		}
	}
	for status, n := range w.answers {
		if got := a["requests_total{"+status+"}"]; got < n {
			r.Errorf("requests_total{status=%q} is %d, wanted at least %d", status, got, n)
		}
	}
	for name, n := range w.counted {
		if got := a[name]; got != n && (n != some || got <= 0) {
			r.Errorf("%s is %d, wanted %s", name, got, number(n))
		}
	}
	text := r.logText()
	for _, l := range w.log {
		if !strings.Contains(text, l) {
			r.Errorf("the log does not say %q", l)
		}
	}
}

// keptAside is how many samples are kept in a folder of the log.
func (r *rig) keptAside(folder string) int {
	if _, err := os.Stat(filepath.Join(r.logDir, folder)); errors.Is(err, os.ErrNotExist) {
		return 0
	}
	return len(r.setAside(folder))
}

func (r *rig) compareCounts(what string, wanted, got map[string]int) {
	for reason, n := range wanted {
		if v := got[reason]; v != n && (n != some || v <= 0) {
			r.Errorf("%s as %s: %d, wanted %s", what, reason, v, number(n))
		}
	}
	for reason, n := range got {
		if _, expected := wanted[reason]; !expected {
			r.Errorf("%s as %s: %d, wanted none", what, reason, n)
		}
	}
}

func number(n int) string {
	if n == some {
		return "some"
	}
	return strconv.Itoa(n)
}

func firstOf(list []string) string {
	text := strings.Join(list[:min(len(list), shown)], "; ")
	if len(list) > shown {
		text += fmt.Sprintf("; and %d more", len(list)-shown)
	}
	return text
}
