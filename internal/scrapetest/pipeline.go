// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/receiver"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
)

// processorPoints is the runner processor's count of points, by decision and reason.
const processorPoints = "otelcol_processor_runner_points"

// running is what has been started, and has to be stopped: receivers first.
type running struct {
	feeds      map[jobKey]*feed
	components []component.Component
	reader     *metric.ManualReader
}

// build makes and starts receivers and pipelines. What it returns has to be stopped, with an error as well.
func (r *run) build(ctx context.Context) (*running, error) {
	all := &running{feeds: map[jobKey]*feed{}, reader: metric.NewManualReader()}
	telemetry := component.TelemetrySettings{
		Logger: zap.NewNop(), MeterProvider: metric.NewMeterProvider(metric.WithReader(all.reader)), TracerProvider: nooptrace.NewTracerProvider(),
	}
	heads := map[component.ID][]consumer.Metrics{}
	for i := range r.config.pipelines {
		p := &r.config.pipelines[i]
		head, err := r.buildPipeline(ctx, all, i, telemetry)
		if err != nil {
			return all, err
		}
		for _, id := range p.receivers {
			heads[id] = append(heads[id], head)
		}
	}
	// The receiver counts nothing that is of interest here.
	telemetry.MeterProvider = noopmetric.NewMeterProvider()
	factory := prometheusreceiver.NewFactory()
	for id, next := range heads {
		cfg, err := r.config.receiver(id)
		if err != nil {
			return all, err
		}
		if err := r.divert(id, cfg, all.feeds); err != nil {
			return all, fmt.Errorf("receivers::%s: %w", id, err)
		}
		rcv, err := factory.CreateMetrics(ctx, receiver.Settings{ID: id, TelemetrySettings: telemetry, BuildInfo: buildInfo}, cfg, fanOut(next))
		if err != nil {
			return all, fmt.Errorf("receivers::%s: %w", id, err)
		}
		if err := all.start(ctx, rcv); err != nil {
			return all, fmt.Errorf("receivers::%s: %w", id, err)
		}
	}
	return all, nil
}

var buildInfo = component.BuildInfo{Command: "otelcol-runner", Version: "runnerctl"}

// buildPipeline makes the processors of a pipeline, and returns the first of them.
func (r *run) buildPipeline(ctx context.Context, all *running, index int, telemetry component.TelemetrySettings) (consumer.Metrics, error) {
	next := consumer.Metrics(r.sinks[index])
	for _, id := range slices.Backward(r.config.pipelines[index].processors) {
		if _, left := notRun[id.Type().String()]; left {
			continue
		}
		factory, cfg, err := r.config.processor(id)
		if err != nil {
			return nil, err
		}
		p, err := factory.CreateMetrics(ctx, processor.Settings{ID: component.NewIDWithName(factory.Type(), id.Name()), TelemetrySettings: telemetry, BuildInfo: buildInfo}, cfg, next)
		if err != nil {
			return nil, fmt.Errorf("processors::%s: %w", id, err)
		}
		if err := all.start(ctx, p); err != nil {
			return nil, fmt.Errorf("processors::%s: %w", id, err)
		}
		next = p
	}
	return next, nil
}

func (a *running) start(ctx context.Context, c component.Component) error {
	if err := c.Start(ctx, host{}); err != nil {
		return err
	}
	a.components = append(a.components, c)
	return nil
}

// stop ends everything, receivers first, then the processors in the order of the data.
func (a *running) stop() error {
	var errs []error
	for _, c := range slices.Backward(a.components) {
		errs = append(errs, c.Shutdown(context.Background()))
	}
	for _, f := range a.feeds {
		f.close()
	}
	return errors.Join(errs...)
}

// drops are the points that runner processors have dropped so far, by reason.
func (a *running) drops(ctx context.Context) (map[string]int64, error) {
	all, err := points(ctx, a.reader)
	if err != nil {
		return nil, err
	}
	drops := map[string]int64{}
	for d, n := range all {
		if d.Decision == "dropped" {
			drops[d.Reason] += n
		}
	}
	return drops, nil
}

// points are what runner processors have counted.
func points(ctx context.Context, reader *metric.ManualReader) (map[Decision]int64, error) {
	var data metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &data); err != nil {
		return nil, err
	}
	all := map[Decision]int64{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || m.Name != processorPoints {
				continue
			}
			for _, point := range sum.DataPoints {
				decision, _ := point.Attributes.Value("decision")
				reason, _ := point.Attributes.Value("reason")
				all[Decision{decision.AsString(), reason.AsString()}] += point.Value
			}
		}
	}
	return all, nil
}

// host has no extensions.
type host struct{}

// GetExtensions implements component.Host.
func (host) GetExtensions() map[component.ID]component.Component { return nil }

// flushPoints is how many points wait to be translated at most: as pdata they take the most memory of all.
const flushPoints = 20_000

// sink takes what a pipeline delivers.
type sink struct {
	pipeline    string
	translation translation

	mu      sync.Mutex // guards all below
	waiting []pmetric.Metrics
	points  int
	err     error // the first one
}

// Capabilities implements consumer.Metrics. It keeps what it is given.
func (*sink) Capabilities() consumer.Capabilities { return consumer.Capabilities{MutatesData: true} }

// ConsumeMetrics implements consumer.Metrics.
func (s *sink) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, md)
	if s.points += md.DataPointCount(); s.points > flushPoints {
		s.flush(ctx)
	}
	return nil
}

// flush translates what waits. After an error nothing is, which is for the run to report.
func (s *sink) flush(ctx context.Context) {
	if s.err == nil && len(s.waiting) > 0 {
		if err := s.translation.add(context.WithoutCancel(ctx), s.waiting); err != nil {
			s.err = fmt.Errorf("service::pipelines::%s: %w", s.pipeline, err)
		}
	}
	s.waiting, s.points = nil, 0
}

// finish translates the rest and returns the first error there was, unless it has been reported.
func (s *sink) finish(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.err
	s.flush(ctx)
	if before != nil {
		return s.translation.close()
	}
	return errors.Join(s.err, s.translation.close())
}

func (s *sink) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fanOut gives each pipeline its own copy, as the collector's service does for pipelines that change data.
func fanOut(all []consumer.Metrics) consumer.Metrics {
	if len(all) == 1 {
		return all[0]
	}
	return copies(all)
}

type copies []consumer.Metrics

// Capabilities implements consumer.Metrics.
func (copies) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// ConsumeMetrics implements consumer.Metrics.
func (all copies) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	var errs []error
	for _, next := range all {
		own := pmetric.NewMetrics()
		md.CopyTo(own)
		errs = append(errs, next.ConsumeMetrics(ctx, own))
	}
	return errors.Join(errs...)
}
