// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/kubiyabot/otelcol-runner/processors/runnerprocessor/internal/metadata"
)

// reason is why a data point was kept or dropped. Every incoming point is counted under exactly one.
type reason uint8

const (
	keptScope reason = iota
	keptAlways
	droppedNamespace
	droppedObjectNamespace
	droppedComponent
	droppedMetric
	droppedSecret
	droppedLabelCount
	droppedLabelNameLength
	droppedLabelValueLength
	droppedSeriesLimit
	droppedMetricSeriesLimit
	droppedComponentSeriesLimit
	droppedCollision
	droppedStale
	numReasons
)

var reasonNames = [numReasons]string{
	keptScope:                   "scope",
	keptAlways:                  "always",
	droppedNamespace:            "namespace",
	droppedObjectNamespace:      "object_namespace",
	droppedComponent:            "component",
	droppedMetric:               "metric",
	droppedSecret:               "secret",
	droppedLabelCount:           "label_count",
	droppedLabelNameLength:      "label_name_length",
	droppedLabelValueLength:     "label_value_length",
	droppedSeriesLimit:          "series_limit",
	droppedMetricSeriesLimit:    "metric_series_limit",
	droppedComponentSeriesLimit: "component_series_limit",
	droppedCollision:            "collision",
	droppedStale:                "stale",
}

func (r reason) kept() bool { return r <= keptAlways }

func (r reason) decision() string {
	if r.kept() {
		return "kept"
	}
	return "dropped"
}

const (
	// otherComponent is what is counted for a component that is unknown, out of scope, or one too many.
	otherComponent = "other"
	// maxComponents bounds the attribute `component` where scope::components is a broad regexp.
	maxComponents = 200
)

// componentStats counts what became of one component's points. The counters are read while batches are processed.
type componentStats struct {
	name     string
	points   [numReasons]atomic.Int64
	redacted []atomic.Int64 // by index of the secret pattern
	samples  atomic.Int64
	live     atomic.Int64 // series
}

// cutOff reports whether a limit has cut off series of the component: then a stale marker may be of one that was never let through.
func (c *componentStats) cutOff() bool {
	return c.points[droppedSeriesLimit].Load()+c.points[droppedMetricSeriesLimit].Load()+c.points[droppedComponentSeriesLimit].Load() > 0
}

// stats holds the counters of all components.
type stats struct {
	patterns []string // names of the secret patterns
	other    *componentStats

	mu         sync.RWMutex // guards components
	components map[string]*componentStats
}

func newStats(patterns []string) *stats {
	s := &stats{patterns: patterns, components: map[string]*componentStats{}}
	s.other = s.add(otherComponent)
	return s
}

func (s *stats) add(name string) *componentStats {
	c := &componentStats{name: name, redacted: make([]atomic.Int64, len(s.patterns))}
	s.components[name] = c
	return c
}

// component returns the counters of a component that is in scope.
func (s *stats) component(name string) *componentStats {
	s.mu.RLock()
	c, ok := s.components[name]
	s.mu.RUnlock()
	if ok {
		return c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.components) >= maxComponents {
		return s.other
	}
	return s.add(name)
}

func (s *stats) all() []*componentStats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*componentStats, 0, len(s.components))
	for _, c := range s.components {
		out = append(out, c)
	}
	return out
}

// observe makes the collector's meter read the counters.
func (p *runnerProcessor) observe(b *metadata.TelemetryBuilder) error {
	points := func(_ context.Context, o metric.Int64Observer) error {
		for _, c := range p.stats.all() {
			for r := range numReasons {
				if n := c.points[r].Load(); n > 0 {
					o.Observe(n, metric.WithAttributes(
						attribute.String("decision", r.decision()), attribute.String("reason", reasonNames[r]), attribute.String("component", c.name)))
				}
			}
		}
		return nil
	}
	redacted := func(_ context.Context, o metric.Int64Observer) error {
		for _, c := range p.stats.all() {
			for i := range c.redacted {
				if n := c.redacted[i].Load(); n > 0 {
					o.Observe(n, metric.WithAttributes(attribute.String("pattern", p.stats.patterns[i]), attribute.String("component", c.name)))
				}
			}
		}
		return nil
	}
	samples := func(_ context.Context, o metric.Int64Observer) error {
		for _, c := range p.stats.all() {
			if n := c.samples.Load(); n > 0 {
				o.Observe(n, metric.WithAttributes(attribute.String("component", c.name)))
			}
		}
		return nil
	}
	series := func(_ context.Context, o metric.Int64Observer) error {
		p.expire()
		for _, c := range p.stats.all() {
			if c.samples.Load() > 0 {
				o.Observe(c.live.Load(), metric.WithAttributes(attribute.String("component", c.name)))
			}
		}
		return nil
	}
	limits := func(_ context.Context, o metric.Int64Observer) error {
		for name, n := range map[string]int{
			"series": p.cfg.Limits.Series, "series_per_metric": p.cfg.Limits.SeriesPerMetric, "series_per_component": p.cfg.Limits.SeriesPerComponent,
		} {
			if n > 0 {
				o.Observe(int64(n), metric.WithAttributes(attribute.String("limit", name)))
			}
		}
		return nil
	}
	collisions := func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(p.collisions())
		return nil
	}
	for _, register := range []func() error{
		func() error { return b.RegisterProcessorRunnerPointsCallback(points) },
		func() error { return b.RegisterProcessorRunnerRedactedPointsCallback(redacted) },
		func() error { return b.RegisterProcessorRunnerSamplesCallback(samples) },
		func() error { return b.RegisterProcessorRunnerSeriesCallback(series) },
		func() error { return b.RegisterProcessorRunnerSeriesLimitCallback(limits) },
		func() error { return b.RegisterProcessorRunnerInstanceCollisionsCallback(collisions) },
	} {
		if err := register(); err != nil {
			return err
		}
	}
	return nil
}

func (s *stats) patternIndex(name string) int { return slices.Index(s.patterns, name) }
