// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

//go:embed config
var configFiles embed.FS

const (
	targetCount, seriesPerTarget = 10, 50
	clientCount, seriesPerClient = 4, 40

	// runTimeout ends a run that hangs.
	runTimeout = 8 * time.Minute
	// drainPatience is how long the backend may take in nothing new, while something owed is missing, before it is lost.
	drainPatience = 20 * time.Second
	// drainQuiet is how long it takes in nothing new before the end, when nothing is missing.
	drainQuiet = 3 * time.Second
	// printed is how many findings of a kind are printed.
	printed = 10
)

// outcome is what a run found.
type outcome struct {
	verdict   delivery.Verdict
	traffic   delivery.Traffic
	balance   delivery.Balance
	balanced  bool // the exporter keeps a balance
	collector int  // kills
	backend   int
	scrapes   []scrape
	fates     []fate
	values    delivery.Values
	kills     map[string]kill
}

// kill is the end of a life of the collector.
type kill struct {
	number int
	strike strike
	at     time.Time
}

// run is one run of the test.
type run struct {
	exporter string
	seed     uint64
	steps    []step
	out      io.Writer

	bench   *delivery.Bench
	clients *clients
	killed  map[string]kill // lives of the collector that ended with one
	current strike
	outcome outcome
}

func (r *run) say(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format+"\n", args...) } // progress only

// do runs the test in dir.
func (r *run) do(ctx context.Context, dir, binary string) (result outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()

	values, ledger := delivery.NewValues(), &delivery.Ledger{}
	pages := newTargets(targetCount, seriesPerTarget, values)
	address, stopPages, err := serve(pages)
	if err != nil {
		return result, err
	}
	defer stopPages()
	discovery := filepath.Join(dir, "targets.json")
	if err := pages.writeDiscovery(discovery, address); err != nil {
		return result, err
	}
	configs, err := readConfigs(r.exporter)
	if err != nil {
		return result, err
	}
	if r.bench, err = delivery.NewBench(dir, binary, configs, "TARGETS="+discovery); err != nil {
		return result, err
	}
	defer r.bench.Discard()
	if err := errors.Join(r.bench.StartBackend(), r.bench.StartCollector()); err != nil {
		return result, err
	}
	if err := errors.Join(r.bench.AwaitBackend(ctx), r.bench.AwaitCollector(ctx)); err != nil {
		return result, err
	}

	pusher := delivery.NewPusher(r.bench.OTLP)
	defer pusher.Close()
	r.clients = startClients(ctx, pusher, ledger, values, clientCount, seriesPerClient)
	striking := r.strikeAll(ctx)
	if striking != nil {
		cancel() // a collector that is gone acknowledges nothing
	}
	pushes, again, err := r.clients.end()
	if err := errors.Join(striking, err); err != nil {
		return result, err
	}
	pages.close()
	r.say("%d pushes acknowledged, %d of them when they were repeated; %d scrapes served; draining", pushes, again, len(pages.all()))
	if err := r.drain(ctx, ledger, pages); err != nil {
		return result, err
	}
	if r.outcome.balance, r.outcome.balanced, err = r.bench.ReadBalance(ctx); err != nil {
		return result, err
	}
	if err := errors.Join(r.bench.Collector.Stop(), r.bench.Backend.Stop()); err != nil {
		return result, err
	}
	err = r.judge(ctx, ledger, pages, values)
	return r.outcome, err
}

// readConfigs returns the configuration of the test and that of the exporter.
func readConfigs(exporter string) ([][]byte, error) {
	var configs [][]byte
	for _, name := range []string{"collector", exporter} {
		text, err := configFiles.ReadFile("config/" + name + ".yaml")
		if err != nil {
			return nil, fmt.Errorf("there is no configuration for the exporter %q: test/crash/config has one for each that is known", exporter)
		}
		configs = append(configs, text)
	}
	return configs, nil
}

func (r *run) strikeAll(ctx context.Context) error {
	r.killed = map[string]kill{}
	for i, s := range r.steps {
		if err := sleep(ctx, s.before); err != nil {
			return err
		}
		r.current = s.strike
		note, err := r.strike(ctx, s)
		if err != nil {
			return fmt.Errorf("kill %d of %d, %s: %w", i+1, len(r.steps), s, err)
		}
		r.say("%2d/%d  %-44s %s", i+1, len(r.steps), s.strike, note)
	}
	return sleep(ctx, 2*scrapeInterval)
}

// strike makes one step, and waits until the collector takes samples again.
func (r *run) strike(ctx context.Context, s step) (note string, err error) {
	switch s.strike {
	case anywhere:
		return "", r.bounce(ctx, func() error { return nil })
	case atCut:
		return r.strikeAt(ctx, "segment-", fsnotify.Create, s.delay)
	case atCheckpoint:
		return r.strikeAt(ctx, "CHECKPOINT", fsnotify.Write, s.delay)
	case atAck:
		release := r.clients.hold()
		err := r.killCollector()
		release()
		if err != nil {
			return "", err
		}
		return "", r.startCollector(ctx)
	case atStart:
		return s.delay.Round(time.Millisecond).String() + " after it was started", r.bounce(ctx, func() error {
			if err := errors.Join(r.bench.StartCollector(), sleep(ctx, s.delay)); err != nil {
				return err
			}
			return r.killCollector()
		})
	case paused:
		if err := errors.Join(r.bench.Backend.Pause(), sleep(ctx, s.delay)); err != nil {
			return "", err
		}
		err := r.bounce(ctx, func() error { return nil })
		return "after " + s.delay.Round(time.Millisecond).String(), errors.Join(err, r.bench.Backend.Resume())
	}
	return r.strikeBackend(ctx, s)
}

// strikeBackend makes a step that kills the backend.
func (r *run) strikeBackend(ctx context.Context, s step) (note string, err error) {
	if s.strike == both || s.strike == inRequest {
		if _, err := awaitWrite(ctx, r.bench.Journal()); err != nil {
			return "", err
		}
	}
	if s.strike == both {
		// At once: neither is there to see that the other is gone.
		killed := make(chan error, 1)
		go func() { killed <- r.killBackend() }()
		if err := errors.Join(r.killCollector(), <-killed); err != nil {
			return "", err
		}
	} else if err := r.killBackend(); err != nil {
		return "", err
	}
	revive := func() error {
		if err := errors.Join(sleep(ctx, s.outage), r.bench.StartBackend()); err != nil {
			return err
		}
		return r.bench.AwaitBackend(ctx)
	}
	note = "away for " + s.outage.String()
	switch s.strike {
	case both:
		return note, errors.Join(revive(), r.startCollector(ctx))
	case inDrain:
		if err := revive(); err != nil {
			return "", err
		}
		if _, err := awaitWrite(ctx, r.bench.Journal()); err != nil {
			return "", err
		}
		if err := sleep(ctx, s.delay); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s, collector killed %s into the drain", note, s.delay.Round(time.Millisecond)),
			r.bounce(ctx, func() error { return nil })
	case away:
		if err := sleep(ctx, s.delay); err != nil {
			return "", err
		}
		return note, errors.Join(r.bounce(ctx, func() error { return nil }), revive())
	}
	return note, revive()
}

// strikeAt kills the collector when something happens to a file in the folder of its log.
func (r *run) strikeAt(ctx context.Context, file string, op fsnotify.Op, delay time.Duration) (note string, err error) {
	seen, err := awaitFile(ctx, r.bench.LogDirectory(), file, op)
	if err != nil {
		return "", err
	}
	note = fmt.Sprintf("%s after %s of %s...", delay.Round(time.Microsecond), op, file)
	if !seen {
		note = fmt.Sprintf("at any moment: no %s of %s... within %s", op, file, aimPatience)
	}
	time.Sleep(delay) // at most two milliseconds
	return note, r.bounce(ctx, func() error { return nil })
}

// bounce kills the collector, does something, and starts it.
func (r *run) bounce(ctx context.Context, between func() error) error {
	if err := r.killCollector(); err != nil {
		return err
	}
	if err := between(); err != nil {
		return err
	}
	return r.startCollector(ctx)
}

func (r *run) startCollector(ctx context.Context) error {
	if err := r.bench.StartCollector(); err != nil {
		return err
	}
	return r.bench.AwaitCollector(ctx)
}

func (r *run) killCollector() error {
	at := time.Now()
	if err := r.bench.Collector.Kill(); err != nil {
		return err
	}
	r.outcome.collector++
	r.killed[r.bench.Life()] = kill{r.outcome.collector, r.current, at}
	return nil
}

func (r *run) killBackend() error {
	if err := r.bench.Backend.Kill(); err != nil {
		return err
	}
	r.outcome.backend++
	return nil
}

// drain waits until the backend has what is owed, and nothing comes any more.
func (r *run) drain(ctx context.Context, ledger *delivery.Ledger, pages *targets) error {
	// Of the scrapes, all are awaited that cannot have been in flight: more may come.
	want := ledger.Owed()
	for _, f := range settle(pages.all(), r.killed, nil) {
		if f == owed {
			want += seriesPerTarget
		}
	}
	var have float64
	changed := time.Now()
	for {
		if err := errors.Join(r.bench.Collector.Running(), r.bench.Backend.Running()); err != nil {
			return err
		}
		stored, err := r.bench.Query(ctx, fmt.Sprintf(`sum(count_over_time({%s!=""}[30m]))`, delivery.IDLabel), time.Now())
		if err != nil {
			return err
		}
		if stored != have {
			have, changed = stored, time.Now()
			r.say("stored %.0f, owed at least %d", have, want)
		}
		quiet := time.Since(changed)
		if quiet > drainPatience || quiet > drainQuiet && have >= float64(want) {
			return nil
		}
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}

// judge compares what was given to the collector with what the backend has.
func (r *run) judge(ctx context.Context, ledger *delivery.Ledger, pages *targets, values delivery.Values) (err error) {
	store, err := r.bench.Stored()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	reports, err := readReports(ctx, store)
	if err != nil {
		return err
	}
	r.outcome.scrapes, r.outcome.values, r.outcome.kills = pages.all(), values, r.killed
	r.outcome.fates = settle(r.outcome.scrapes, r.killed, reports)
	addScrapes(ledger, values, r.outcome.scrapes, r.outcome.fates)
	if r.outcome.verdict, err = delivery.Compare(ledger, delivery.All(ctx, store)); err != nil {
		return err
	}
	r.outcome.traffic, err = r.bench.Traffic()
	return err
}

// readReports reads what the collector reported about its scrapes.
func readReports(ctx context.Context, store *prombackend.Backend) (map[string][]report, error) {
	reports := map[string][]report{}
	up := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "up")
	for series, err := range store.Series(ctx, 0, time.Now().UnixMilli(), up) {
		if err != nil {
			return nil, err
		}
		target := series.Labels.Get(model.InstanceLabel)
		for _, s := range series.Samples {
			reports[target] = append(reports[target], report{s.T, s.F == 1})
		}
	}
	return reports, nil
}

// addScrapes adds the scrapes to the ledger, but not those that failed.
func addScrapes(ledger *delivery.Ledger, values delivery.Values, scrapes []scrape, fates []fate) {
	for i, s := range scrapes {
		if fates[i] == failed {
			continue
		}
		first, width := s.window()
		for series := range seriesPerTarget {
			id := seriesID(s.target, series)
			ledger.Add(id, delivery.Exposure{T: first, Width: width, Owed: fates[i] == owed, V: values.Value(id, s.number)})
		}
	}
}

// serve serves the handler on a free port of the loopback interface.
func serve(handler http.Handler) (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("opening a port for the targets: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = server.Serve(listener) }() // returns when closed
	return listener.Addr().String(), func() { _ = server.Close() }, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
