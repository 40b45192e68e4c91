// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/receiver"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"

	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

// Followed is the way of some series of one scrape of one target through one pipeline.
type Followed struct {
	// Pipeline is its name: metrics/2.
	Pipeline string
	// Received is what the receiver made of the scrape.
	Received pmetric.Metrics
	// Processors are those that were run, in order.
	Processors []Processed
	// Exporter is the one whose translation Delivered is of; empty where the pipeline has none for Prometheus.
	Exporter string
	// Nowhere says that it delivers nothing, since it has no exporter for Prometheus and another pipeline has.
	Nowhere bool
	// Delivered are the series at the end.
	Delivered []Series
}

// Processed is what a processor made of what came to it.
type Processed struct {
	// ID is its name: runner, metrics_transform/names.
	ID string
	// Skipped says why it was not run; empty where it was.
	Skipped string
	// Out is what it passed on.
	Out pmetric.Metrics
	// Points are what a runner processor counted, by decision and reason.
	Points map[Decision]int64
}

// Decision is how a runner processor counts a point.
type Decision struct{ Decision, Reason string }

// Follow scrapes one target once, with nothing of its page but the given series (labels as they are after all rules; nil for the whole
// page), and returns what each part of each pipeline made of them. What a processor decides by looking at other series, such as a limit, is not to be
// seen in this; a run of everything shows it.
func (e *Engine) Follow(ctx context.Context, c *Config, s *scene.Scene, at time.Duration, target *Target, only []labels.Labels) ([]Followed, error) {
	r, err := e.prepare(ctx, c, momentOf(s, at))
	if err != nil {
		return nil, err
	}
	defer r.proxy.close()
	key := jobKey{target.Receiver, target.Job}
	r.found[0] = found{key: groupOf(r.found[0][key], target, r.jobs)}
	var (
		followed []Followed
		failed   error
	)
	if err := e.clock.Run(func() { followed, failed = r.follow(ctx, key, onlyRule(only)) }); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	for i := range followed {
		f := &followed[i]
		last := f.Received
		for _, p := range f.Processors {
			if p.Skipped == "" {
				last = p.Out
			}
		}
		if err := r.deliver(ctx, f, last); err != nil {
			return nil, fmt.Errorf("service::pipelines::%s: %w", f.Pipeline, err)
		}
	}
	return followed, nil
}

// groupOf returns the group that a target is from, with nothing else in it.
func groupOf(groups []*targetgroup.Group, target *Target, jobs []Job) []*targetgroup.Group {
	for _, group := range groups {
		for _, own := range group.Targets {
			one := &targetgroup.Group{Source: group.Source, Labels: group.Labels, Targets: []model.LabelSet{own}}
			found := targetsOf(jobs, found{{target.Receiver, target.Job}: {one}})
			if slices.ContainsFunc(found, func(t Target) bool { return labels.Equal(t.Discovered, target.Discovered) && t.Job == target.Job }) {
				return []*targetgroup.Group{one}
			}
		}
	}
	return nil
}

// separator stands between the values of labels in onlyRule: a picture of the control character for that, which YAML refuses.
const separator = "␟"

// quote writes a text as a regular expression that goes through YAML and the collector's ${} unchanged.
func quote(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < 0x80 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '_') {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, `\x{%x}`, r)
	}
	return b.String()
}

// onlyRule keeps the given series and no other; all of them for nil.
func onlyRule(only []labels.Labels) []*relabel.Config {
	if only == nil {
		return nil
	}
	names := map[string]bool{}
	for _, ls := range only {
		ls.Range(func(l labels.Label) { names[l.Name] = true })
	}
	rule := relabel.DefaultRelabelConfig
	rule.Action, rule.Separator, rule.NameValidationScheme = relabel.Keep, separator, model.UTF8Validation
	rule.SourceLabels = model.LabelNames{}
	for name := range names {
		rule.SourceLabels = append(rule.SourceLabels, model.LabelName(name))
	}
	slices.Sort(rule.SourceLabels)
	wanted := make([]string, 0, len(only))
	for _, ls := range only {
		values := make([]string, len(rule.SourceLabels))
		for i, name := range rule.SourceLabels {
			values[i] = ls.Get(string(name))
		}
		wanted = append(wanted, quote(strings.Join(values, separator)))
	}
	if len(only) == 0 { // matches nothing
		rule.SourceLabels, wanted = model.LabelNames{model.MetricNameLabel}, []string{`[^\x00-\x{10FFFF}]`}
	}
	rule.Regex = relabel.MustNewRegexp(strings.Join(wanted, "|"))
	return []*relabel.Config{&rule}
}

// holdBack is longer than a processor such as batch holds back what it has got, and no longer than until the next scrape.
const holdBack = 900 * time.Millisecond

// follow runs receivers and processors for one scrape. It runs in a bubble.
func (r *run) follow(outside context.Context, key jobKey, only []*relabel.Config) (all []Followed, err error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(outside))
	defer cancel()
	time.Sleep(time.Until(r.scene.Start.Add(-reloadInterval)))
	running := &running{feeds: map[jobKey]*feed{}, reader: metric.NewManualReader()}
	defer func() { err = errors.Join(err, running.stop()) }()
	var (
		heads   []consumer.Metrics
		taps    [][]*tap
		readers [][]*metric.ManualReader
	)
	for i := range r.config.pipelines {
		p := &r.config.pipelines[i]
		f := Followed{Pipeline: p.id}
		if !slices.ContainsFunc(p.receivers, func(id component.ID) bool { return id.String() == key.receiver }) {
			continue
		}
		head, ofPipeline, ofReaders, err := r.tapped(ctx, running, p, &f)
		if err != nil {
			return nil, err
		}
		all, heads, taps, readers = append(all, f), append(heads, head), append(taps, ofPipeline), append(readers, ofReaders)
	}
	if err := r.startOnly(ctx, running, key, only, fanOut(heads)); err != nil {
		return nil, err
	}
	r.publish(ctx, running, 0)
	time.Sleep(time.Until(r.scene.Start))
	virtualtime.Settle()
	time.Sleep(holdBack)
	virtualtime.Settle()
	for i := range all {
		all[i].Received = taps[i][0].take()
		for j := range all[i].Processors {
			p := &all[i].Processors[j]
			p.Out = taps[i][j+1].take()
			if p.Skipped != "" {
				continue
			}
			if p.Points, err = points(ctx, readers[i][j]); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// tapped makes the processors of a pipeline with a tap before each and one at the end.
func (r *run) tapped(ctx context.Context, running *running, p *pipeline, f *Followed) (consumer.Metrics, []*tap, []*metric.ManualReader, error) {
	taps := make([]*tap, len(p.processors)+1)
	readers := make([]*metric.ManualReader, len(p.processors))
	f.Processors = make([]Processed, len(p.processors))
	taps[len(p.processors)] = newTap(nil)
	next := consumer.Metrics(taps[len(p.processors)])
	for i, id := range slices.Backward(p.processors) {
		f.Processors[i].ID = id.String()
		readers[i] = metric.NewManualReader()
		if why, left := notRun[id.Type().String()]; left {
			f.Processors[i].Skipped = why
		} else {
			factory, cfg, err := r.config.processor(id)
			if err != nil {
				return nil, nil, nil, err
			}
			telemetry := component.TelemetrySettings{
				Logger: zap.NewNop(), MeterProvider: metric.NewMeterProvider(metric.WithReader(readers[i])), TracerProvider: nooptrace.NewTracerProvider(),
			}
			made, err := factory.CreateMetrics(ctx, processor.Settings{ID: component.NewIDWithName(factory.Type(), id.Name()), TelemetrySettings: telemetry, BuildInfo: buildInfo}, cfg, next)
			if err != nil {
				return nil, nil, nil, fmt.Errorf("processors::%s: %w", id, err)
			}
			if err := running.start(ctx, made); err != nil {
				return nil, nil, nil, fmt.Errorf("processors::%s: %w", id, err)
			}
			next = made
		}
		taps[i] = newTap(next)
		next = taps[i]
	}
	return next, taps, readers, nil
}

// startOnly starts the receiver of one job with a rule behind those of the job.
func (r *run) startOnly(ctx context.Context, running *running, key jobKey, only []*relabel.Config, next consumer.Metrics) error {
	var id component.ID
	if err := id.UnmarshalText([]byte(key.receiver)); err != nil {
		return err
	}
	cfg, err := r.config.receiver(id)
	if err != nil {
		return err
	}
	if err := r.divert(id, cfg, running.feeds); err != nil {
		return err
	}
	for _, sc := range (*promconfig.Config)(cfg.PrometheusConfig).ScrapeConfigs {
		sc.MetricRelabelConfigs = append(slices.Clone(sc.MetricRelabelConfigs), only...)
	}
	telemetry := component.TelemetrySettings{Logger: zap.NewNop(), MeterProvider: noopmetric.NewMeterProvider(), TracerProvider: nooptrace.NewTracerProvider()}
	rcv, err := prometheusreceiver.NewFactory().CreateMetrics(ctx, receiver.Settings{ID: id, TelemetrySettings: telemetry, BuildInfo: buildInfo}, cfg, next)
	if err != nil {
		return fmt.Errorf("receivers::%s: %w", id, err)
	}
	if err := running.start(ctx, rcv); err != nil {
		return fmt.Errorf("receivers::%s: %w", id, err)
	}
	return nil
}

// tap keeps a copy of what passes.
type tap struct {
	next consumer.Metrics // nil at the end

	mu      sync.Mutex // guards metrics
	metrics pmetric.Metrics
}

func newTap(next consumer.Metrics) *tap { return &tap{next: next, metrics: pmetric.NewMetrics()} }

// Capabilities implements consumer.Metrics.
func (*tap) Capabilities() consumer.Capabilities { return consumer.Capabilities{MutatesData: true} }

// ConsumeMetrics implements consumer.Metrics.
func (t *tap) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	own := pmetric.NewMetrics()
	md.CopyTo(own)
	t.mu.Lock()
	own.ResourceMetrics().MoveAndAppendTo(t.metrics.ResourceMetrics())
	t.mu.Unlock()
	if t.next == nil {
		return nil
	}
	return t.next.ConsumeMetrics(ctx, md)
}

// take returns what has passed.
func (t *tap) take() pmetric.Metrics {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.metrics
}

// deliver translates what has come to the end of a pipeline.
func (r *run) deliver(ctx context.Context, f *Followed, md pmetric.Metrics) (err error) {
	i := slices.IndexFunc(r.config.pipelines, func(p pipeline) bool { return p.id == f.Pipeline })
	p := &r.config.pipelines[i]
	for _, id := range p.exporters {
		if id.Type().String() != debugType {
			f.Exporter = id.String()
			break
		}
	}
	f.Nowhere = f.Exporter == "" && r.config.delivers()
	var delivered collection
	translation, err := r.config.newTranslation(p, &delivered)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, translation.release()) }()
	if err := translation.open(ctx); err != nil {
		return err
	}
	// An exporter may change what it is given, which would show as the work of the processor before it.
	own := pmetric.NewMetrics()
	md.CopyTo(own)
	if err := errors.Join(translation.add(ctx, []pmetric.Metrics{own}), translation.close()); err != nil {
		return err
	}
	f.Delivered = delivered.sorted(math.MaxInt64)
	return nil
}
