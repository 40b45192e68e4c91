// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"
	"go.uber.org/zap"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
	"github.com/kubiyabot/otelcol-runner/internal/secrets"
	"github.com/kubiyabot/otelcol-runner/processors/runnerprocessor/internal/metadata"
)

const (
	// unusedAfter is how long a rule may match nothing before the operator is told: a few of the longest scrape intervals.
	unusedAfter = 10 * time.Minute
	// maxWarnings bounds what is remembered of warnings already given.
	maxWarnings = 256
)

// runnerProcessor implements the processor. See the package comment for the way of a batch.
type runnerProcessor struct {
	cfg       *Config
	logger    *zap.Logger
	settings  component.TelemetrySettings
	telemetry *metadata.TelemetryBuilder
	now       func() time.Time
	stats     *stats

	namespaces, components, labelDrop, labelKeep *scope.Matcher
	metrics                                      *scope.Metrics
	replacements                                 []string // by index of the secret pattern; empty when secrets are off

	// mu guards all that follows, while a batch is judged. Batches wait for each other; the consumer is called without it.
	mu             sync.Mutex
	identity       *identity
	labelNamer     otlptranslator.LabelNamer
	tracker        *tracker
	hash           *hasher
	metricVerdicts map[metricName]metricVerdict
	values         map[seriesKey]int // label values that have been looked at: the pattern that they match, or -1
	labelDrops     map[string]bool   // label names that have been looked at: whether scope::labels drops them
	texts          texts
	warned         map[warning]struct{}
	started        time.Time
	usageReported  bool

	// Scratch of the batch at hand, kept for its capacity.
	pushed    bool   // it came over the network, and may say of itself what it likes
	batch     uint64 // its number
	target    target
	last      *series // the live series before the point at hand, in its metric
	contexts  []metricContext
	points    []pointVerdict
	pending   []pendingPoint
	ended     map[seriesKey]ending // series that a stale marker ended, by what they go out as
	plan      plan
	conflicts []int
	jobLabels [1]label
}

// pointVerdict is what becomes of one point.
type pointVerdict struct {
	why     reason
	samples int32
	stats   *componentStats
	series  *series // nil if dropped
}

// pendingPoint is a point of a series that is not live, waiting to be judged.
type pendingPoint struct {
	point
	key     seriesKey
	context int // index in contexts
	index   int // index in points
}

// ending is the stale marker that ended a series.
type ending struct {
	timestamp pcommon.Timestamp
	index     int // in points
}

func newRunnerProcessor(set processor.Settings, cfg *Config) (*runnerProcessor, error) {
	p := &runnerProcessor{
		cfg:            cfg,
		logger:         set.Logger,
		settings:       set.TelemetrySettings,
		now:            time.Now,
		identity:       newIdentity(cfg.Metadata),
		tracker:        newTracker(cfg.Limits, cfg.Instance == instanceOrganization),
		hash:           newHasher(),
		texts:          texts{off: cfg.Scope.Secrets == secretsOff},
		metricVerdicts: map[metricName]metricVerdict{},
		values:         map[seriesKey]int{},
		labelDrops:     map[string]bool{},
		ended:          map[seriesKey]ending{},
		warned:         map[warning]struct{}{},
	}
	for _, list := range []struct {
		key  string
		from []scope.Pattern
		to   **scope.Matcher
	}{
		{"namespaces", cfg.Scope.Namespaces, &p.namespaces},
		{"components", cfg.Scope.Components, &p.components},
		{"labels::drop", cfg.Scope.Labels.Drop, &p.labelDrop},
		{"labels::keep", cfg.Scope.Labels.Keep, &p.labelKeep},
	} {
		m, err := scope.NewMatcher(list.from)
		if err != nil {
			return nil, fmt.Errorf("scope::%s%w", list.key, err)
		}
		*list.to = m
	}
	metrics, err := scope.NewMetrics(cfg.Scope.Metrics.Profile, cfg.Scope.Metrics.Include, cfg.Scope.Metrics.Exclude)
	if err != nil {
		return nil, fmt.Errorf("scope::metrics::%w", err)
	}
	p.metrics = metrics
	var patterns []string
	if cfg.Scope.Secrets != secretsOff {
		for _, s := range secrets.Patterns() {
			patterns = append(patterns, s.Name)
			p.replacements = append(p.replacements, "<redacted:"+s.Name+">")
		}
	}
	p.stats = newStats(patterns)
	return p, nil
}

func (p *runnerProcessor) start(context.Context, component.Host) error {
	telemetry, err := metadata.NewTelemetryBuilder(p.settings)
	if err != nil {
		return err
	}
	p.telemetry = telemetry
	p.mu.Lock()
	p.started = p.now()
	p.mu.Unlock()
	for _, name := range p.metrics.Redundant() {
		p.logger.Warn("scope::metrics::include names a metric that the profile has already: remove it",
			zap.String("include", string(name)), zap.String("profile", p.cfg.Scope.Metrics.Profile))
	}
	return p.observe(telemetry)
}

func (p *runnerProcessor) shutdown(context.Context) error {
	if p.telemetry != nil {
		p.telemetry.Shutdown()
	}
	return nil
}

// expire frees series that have run out of time, for readers between batches.
func (p *runnerProcessor) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep(p.now())
}

func (p *runnerProcessor) collisions() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(p.tracker.colliding)
}

func (p *runnerProcessor) sweep(now time.Time) {
	if !p.tracker.sweep(now) || p.usageReported || now.Sub(p.started) < unusedAfter {
		return
	}
	p.usageReported = true
	p.reportUnused()
}

func (p *runnerProcessor) processMetrics(ctx context.Context, md pmetric.Metrics) (pmetric.Metrics, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.sweep(now)
	p.batch++
	// Only a receiver that listens knows a peer (configgrpc, confighttp). What is pushed can bring an `up` of its own.
	p.pushed = client.FromContext(ctx).Addr != nil
	md.ResourceMetrics().RemoveIf(func(rm pmetric.ResourceMetrics) bool {
		return !p.processResource(rm, now.UnixNano())
	})
	if md.ResourceMetrics().Len() == 0 {
		return md, processorhelper.ErrSkipProcessingData
	}
	return md, nil
}

// processResource takes one resource all the way, and reports whether anything of it is kept.
func (p *runnerProcessor) processResource(rm pmetric.ResourceMetrics, now int64) bool {
	labelled := restore(rm, p.pushed)
	p.target = p.inspect(rm)
	p.target.ordered = p.target.scraped && !labelled
	p.contexts, p.points, p.pending = p.contexts[:0], p.points[:0], p.pending[:0]
	clear(p.ended)

	needsApply := p.lookUp(rm, now)
	if p.judgePending(now) {
		needsApply = true
	}
	p.count()
	if needsApply {
		p.apply(rm)
	}
	rm.ScopeMetrics().RemoveIf(func(sm pmetric.ScopeMetrics) bool { return sm.Metrics().Len() == 0 })
	if rm.ScopeMetrics().Len() == 0 {
		return false
	}
	attrs := rm.Resource().Attributes()
	p.identity.stamp(attrs)
	if p.tracker.legacy {
		attrs.PutStr(attrInstance, p.cfg.Metadata["organization"])
	}
	return true
}

// lookUp removes the metrics that are out of scope by name, and decides the points of live series. It reports whether points
// have to be looked at again.
func (p *runnerProcessor) lookUp(rm pmetric.ResourceMetrics, now int64) (needsApply bool) {
	for i := range rm.ScopeMetrics().Len() {
		rm.ScopeMetrics().At(i).Metrics().RemoveIf(func(m pmetric.Metric) bool {
			kind := kindOf(m)
			verdict := p.judgeMetric(m.Name(), kind != single)
			if why := p.judgeWhole(verdict); !why.kept() {
				p.target.stats.points[why].Add(int64(countPoints(m)))
				return true
			}
			p.texts.redact(m)
			p.contexts = append(p.contexts, metricContext{
				target: &p.target, metricVerdict: verdict, name: m.Name(), kind: kind,
			})
			p.hash.begin(p.target.resource, verdict.stored, kind)
			p.last = nil
			eachPoint(m, func(pt point) {
				if p.lookUpPoint(pt, now) || pt.hasExemplars() {
					needsApply = true
				}
			})
			return countPoints(m) == 0
		})
	}
	return needsApply
}

// judgeWhole decides about all points of a metric at once, where their target or the metric's name is enough.
func (p *runnerProcessor) judgeWhole(m metricVerdict) reason {
	switch t := &p.target; {
	case t.foreign:
		return droppedNamespace
	case t.collector, m.health && t.scraped:
		return keptAlways
	case !t.why.kept():
		return t.why
	case !m.listed:
		return droppedMetric
	}
	return keptScope
}

// lookUpPoint decides about a point if its series is live, else puts it off. It reports whether its labels are to be rewritten.
func (p *runnerProcessor) lookUpPoint(pt point, now int64) bool {
	key := p.hash.series(pt.attrs, p.target.ordered)
	s := p.tracker.findAfter(p.last, key)
	// A live series is never cut off, but a histogram that gets more buckets than there is room for is judged anew.
	if s != nil && !pt.stale && pt.samples > int(s.samples) && s.why != keptAlways &&
		!p.tracker.room(s.metric.metric, s.metric.component, pt.samples-int(s.samples)).kept() {
		p.tracker.free(s)
		s = nil
	}
	if s == nil {
		p.pending = append(p.pending, pendingPoint{point: pt, key: key, context: len(p.contexts) - 1, index: len(p.points)})
		p.points = append(p.points, pointVerdict{samples: int32(pt.samples)}) //nolint:gosec // a point has no 2^31 buckets
		return false
	}
	verdict := pointVerdict{samples: int32(pt.samples)} //nolint:gosec // as above
	// The stale marker of a histogram has no sum in OTLP, and becomes that of the sum too, as in Prometheus.
	if pt.stale {
		verdict.samples = max(verdict.samples, s.samples)
	}
	verdict.why, verdict.stats, verdict.series = p.judgeLive(s, pt, len(p.points), now)
	p.points = append(p.points, verdict)
	if verdict.series == nil {
		return true
	}
	if !pt.stale {
		p.last = s
	}
	return s.rewritten
}

// judgeLive decides about a point of a live series, by its index in points: it passes, and ends the series if it is a stale marker.
func (p *runnerProcessor) judgeLive(s *series, pt point, index int, now int64) (reason, *componentStats, *series) {
	switch {
	case pt.stale:
		p.tracker.free(s)
		p.ended[s.out()] = ending{pt.timestamp, index}
	case s.repeats(p.batch, pt):
		return droppedCollision, s.metric.component, nil
	default:
		p.tracker.touch(s, now, p.batch, pt)
	}
	return s.why, s.metric.component, s
}

// judgePending judges the points whose series are not live. It reports whether any is dropped or rewritten.
func (p *runnerProcessor) judgePending(now int64) (needsApply bool) {
	if len(p.pending) == 0 {
		return false
	}
	p.orderPending()
	before := p.tracker.admitted
	for i := range p.pending {
		pt := &p.pending[i]
		verdict := &p.points[pt.index]
		var s *series
		if p.tracker.admitted != before { // the same series may have come before in this batch
			s = p.tracker.find(pt.key)
		}
		if s == nil {
			verdict.why, verdict.stats, verdict.series = p.judgeNew(&p.contexts[pt.context], pt.point, pt.key, now)
			if verdict.why.kept() && p.goesOn(verdict.series, pt.point) {
				needsApply = true
			}
		} else {
			verdict.why, verdict.stats, verdict.series = p.judgeLive(s, pt.point, pt.index, now)
		}
		if !verdict.why.kept() || verdict.series.rewritten {
			needsApply = true
		}
	}
	clear(p.pending) // let go of the batch
	return needsApply
}

// goesOn drops the stale marker of the series that a new one takes the place of, and reports whether there is one. Without the labels
// that are dropped the two are one series: kube_pod_info has another pod_ip once the pod has an address. A backend has a value
// and a stale marker of the same time for a conflict, where Prometheus, relabelling itself, keeps the value.
func (p *runnerProcessor) goesOn(s *series, pt point) bool {
	e, ok := p.ended[s.out()]
	if !ok || e.timestamp != pt.timestamp || pt.stale {
		return false
	}
	p.points[e.index].why, p.points[e.index].series = droppedStale, nil
	return true
}

// orderPending makes who gets the last places independent of the order of metrics in a batch, which the receiver takes from a
// map: by name, and within a metric as the target exposes them. Without contention any order gives the same.
func (p *runnerProcessor) orderPending() {
	samples := 0
	for i := range p.pending {
		samples += p.pending[i].samples
	}
	stats := p.target.stats
	if p.target.scraped && (p.tracker.room("", stats, samples).kept() || !p.tracker.room("", stats, 1).kept()) {
		return
	}
	slices.SortStableFunc(p.pending, func(a, b pendingPoint) int {
		return strings.Compare(p.contexts[a.context].name, p.contexts[b.context].name)
	})
}
