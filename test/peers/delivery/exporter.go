// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/components/durableremotewriteexporter"
)

const (
	// capturedScrapes of each target are pushed in turn, so that values change as they do from scrape to scrape.
	capturedScrapes = 2
	captureInterval = time.Second
	captureLimit    = 30 * time.Second
	// exporterWarmUp is in scrapes: all series are known and every buffer has its size.
	exporterWarmUp = 3
	stampRounds    = 20
)

// share is what the exporter alone takes.
type share struct {
	Microseconds float64 `json:"microseconds"` // of CPU, a sample
	Allocations  float64 `json:"allocations"`  // a sample
	Stamping     float64 `json:"stamping"`     // microseconds a sample that setting timestamps took; not in the above
	Samples      int64   `json:"samples"`      // pushed, with the warm-up
}

// wholeAllocations leaves out what is the push's or the request's and not the sample's: net/http makes about 90 allocations for a
// request of 10,000 samples, the pipeline about 10 for a push of 2,500. An allocation for one sample in twenty would show.
func (s share) wholeAllocations() float64 { return math.Floor(s.Allocations*20) / 20 }

// exporterTask is what the process that measures the exporter is told.
type exporterTask struct {
	Settings settings
	Measure  time.Duration
	// Samples of all targets, a scrape.
	Samples int
}

// exporterShare measures the exporter in a process of its own, against the same sink.
func (b *bench) exporterShare(ctx context.Context) (s share, err error) {
	if err := errors.Join(b.targets.post(ctx, resetPath), b.sink.post(ctx, resetPath)); err != nil {
		return s, fmt.Errorf("resetting targets and sink: %w", err)
	}
	dir := filepath.Join(b.dir, roleExporter)
	if err := os.Mkdir(dir, 0o750); err != nil {
		return s, err
	}
	task, err := json.Marshal(exporterTask{Measure: b.measure, Samples: b.exposed(), Settings: settings{
		Dir: dir, URL: "http://" + b.sink.addresses[0] + writePath, Interval: b.interval, Targets: b.pages, Protocol: "1.0",
	}})
	if err != nil {
		return s, err
	}
	self, err := os.Executable()
	if err != nil {
		return s, err
	}
	cmd := exec.CommandContext(ctx, self, roleExporter, string(task)) //nolint:gosec // this very program
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return s, fmt.Errorf("measuring the exporter alone: %w", err)
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return s, fmt.Errorf("measuring the exporter alone: %w", err)
	}
	received, err := b.stats(ctx)
	switch {
	case err != nil:
		return s, err
	case received.Invalid != "":
		return s, fmt.Errorf("the sink got a request that is wrong: %s", received.Invalid)
	case received.Samples != s.Samples:
		return s, fmt.Errorf("the exporter was given %d samples, the sink got %d", s.Samples, received.Samples)
	}
	return s, nil
}

// measureExporter is what the process of its own does.
func measureExporter(task string) error {
	var t exporterTask
	if err := json.Unmarshal([]byte(task), &t); err != nil {
		return err
	}
	ctx := context.Background()
	scrapes, err := capture(ctx, t.Settings)
	if err != nil {
		return fmt.Errorf("scraping the targets: %w", err)
	}
	s, err := t.run(ctx, scrapes)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// run pushes at the pace of the scrapes: each target once in an interval, evenly spread, each from a goroutine of its own as the
// receiver does, because a push waits for the log's fsync.
func (t exporterTask) run(ctx context.Context, scrapes [][]pmetric.Metrics) (share, error) {
	stamping := t.stamping(scrapes)
	exp, err := t.newExporter(ctx)
	if err != nil {
		return share{}, err
	}
	var pushes pushes
	before := processUsage{}
	ticker := time.NewTicker(t.Settings.Interval / time.Duration(len(scrapes)))
	defer ticker.Stop()
	warmUp := exporterWarmUp * len(scrapes)
	window := int(t.Measure/t.Settings.Interval) * len(scrapes)
	for i := range warmUp + window {
		if i == warmUp {
			before = readProcess()
		}
		<-ticker.C
		md := scrapes[i%len(scrapes)][i/len(scrapes)%capturedScrapes]
		stamp(md, pcommon.NewTimestampFromTime(time.Now()))
		pushes.start(func() error { return exp.ConsumeMetrics(ctx, md) })
	}
	after := readProcess()
	err = pushes.wait()
	err = errors.Join(err, exp.Shutdown(ctx))
	used := after.since(before, t.Samples*int(t.Measure/t.Settings.Interval))
	return share{
		Microseconds: used.Microseconds - stamping.Microseconds,
		Allocations:  used.Allocations - stamping.Allocations,
		Stamping:     stamping.Microseconds,
		Samples:      int64(t.Samples) * int64((warmUp+window)/len(scrapes)),
	}, err
}

func (t exporterTask) newExporter(ctx context.Context) (interface {
	component.Component
	consumer.Metrics
}, error) {
	factory := durableremotewriteexporter.NewFactory()
	cfg := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(map[string]any{
		"endpoint": t.Settings.URL, "receiver": "prometheus", "protocol": t.Settings.Protocol,
		"log": map[string]any{"directory": filepath.Join(t.Settings.Dir, "log")},
	}).Unmarshal(cfg); err != nil {
		return nil, err
	}
	exp, err := factory.CreateMetrics(ctx, exportertest.NewNopSettings(factory.Type()), cfg)
	if err != nil {
		return nil, err
	}
	return exp, exp.Start(ctx, componenttest.NewNopHost())
}

// pushes are calls that go on at the same time.
type pushes struct {
	wg    sync.WaitGroup
	mu    sync.Mutex // guards first
	first error
}

func (p *pushes) start(push func() error) {
	p.wg.Go(func() {
		if err := push(); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.first = err
		}
	})
}

func (p *pushes) wait() error {
	p.wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.first
}

// stamping measures what is not the exporter's.
func (t exporterTask) stamping(scrapes [][]pmetric.Metrics) share {
	before := readProcess()
	for range stampRounds {
		for _, target := range scrapes {
			stamp(target[0], pcommon.NewTimestampFromTime(time.Now()))
		}
	}
	return readProcess().since(before, stampRounds*t.Samples)
}

// stamp gives all points the time.
func stamp(md pmetric.Metrics, at pcommon.Timestamp) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				var numbers pmetric.NumberDataPointSlice
				switch m.Type() {
				case pmetric.MetricTypeHistogram:
					for _, p := range m.Histogram().DataPoints().All() {
						p.SetTimestamp(at)
					}
					continue
				case pmetric.MetricTypeSum:
					numbers = m.Sum().DataPoints()
				case pmetric.MetricTypeGauge:
					numbers = m.Gauge().DataPoints()
				default: // the pages have no other
					continue
				}
				for _, p := range numbers.All() {
					p.SetTimestamp(at)
				}
			}
		}
	}
}

// capture scrapes all targets with the collector's own receiver and adds the identity as the runner processor does.
func capture(ctx context.Context, s settings) ([][]pmetric.Metrics, error) {
	s.Interval = captureInterval
	text, err := render("scrape.yaml", s)
	if err != nil {
		return nil, err
	}
	var scrape map[string]any
	if err := yaml.Unmarshal([]byte(text), &scrape); err != nil {
		return nil, err
	}
	factory := prometheusreceiver.NewFactory()
	cfg := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(map[string]any{"config": scrape, "discovery_reload_on_startup": true}).Unmarshal(cfg); err != nil {
		return nil, err
	}
	c := &captured{byInstance: map[string][]pmetric.Metrics{}, targets: len(s.Targets), done: make(chan struct{})}
	next, err := consumer.NewMetrics(c.consume)
	if err != nil {
		return nil, err
	}
	settings := receiver.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings(), BuildInfo: component.NewDefaultBuildInfo()}
	r, err := factory.CreateMetrics(ctx, settings, cfg, next)
	if err != nil {
		return nil, err
	}
	if err := r.Start(ctx, componenttest.NewNopHost()); err != nil {
		return nil, err
	}
	select {
	case <-c.done:
	case <-time.After(captureLimit):
		err = fmt.Errorf("not all targets were scraped twice within %s", captureLimit)
	}
	if err := errors.Join(err, r.Shutdown(ctx)); err != nil {
		return nil, err
	}
	return c.scrapes(), nil
}

// captured collects the first scrapes of each target.
type captured struct {
	mu         sync.Mutex // guards what follows
	byInstance map[string][]pmetric.Metrics
	targets    int
	complete   int // targets
	done       chan struct{}
}

func (c *captured) consume(_ context.Context, md pmetric.Metrics) error {
	attributes := md.ResourceMetrics().At(0).Resource().Attributes()
	instance, _ := attributes.Get("service.instance.id")
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.byInstance[instance.Str()]; len(have) < capturedScrapes {
		attributes.PutStr("organization", organization)
		attributes.PutStr("runner", runner)
		attributes.PutStr("kubiya_type", kubiyaType)
		attributes.PutStr("namespace", namespace)
		c.byInstance[instance.Str()] = append(have, md)
		if len(have)+1 == capturedScrapes {
			c.complete++
			if c.complete == c.targets {
				close(c.done)
			}
		}
	}
	return nil
}

func (c *captured) scrapes() [][]pmetric.Metrics {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out [][]pmetric.Metrics
	for _, scrapes := range c.byInstance {
		out = append(out, scrapes)
	}
	return out
}

// processUsage is what this process has used.
type processUsage struct {
	cpu     time.Duration
	mallocs uint64
}

func readProcess() processUsage {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic("getrusage of this very process: " + err.Error()) // it has no way to fail
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return processUsage{cpu: time.Duration(r.Utime.Nano() + r.Stime.Nano()), mallocs: m.Mallocs}
}

// since returns what was used since before, a sample.
func (u processUsage) since(before processUsage, samples int) share {
	return share{
		Microseconds: (u.cpu - before.cpu).Seconds() * 1e6 / float64(samples),
		Allocations:  float64(u.mallocs-before.mallocs) / float64(samples),
	}
}

func (s share) String() string {
	return "CPU of a process that holds nothing but the exporter (getrusage, all threads), pushing scrapes that the receiver made of the same pages, at their pace: " +
		"ConsumeMetrics, log with fsync, requests of remote write 1.0 over HTTP to the sink; without the " +
		strconv.FormatFloat(s.Stamping, 'f', 3, 64) + " us a sample that giving them new timestamps takes"
}
