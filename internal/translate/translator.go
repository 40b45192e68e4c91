// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"hash/maphash"

	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// Settings configure a Translator.
type Settings struct {
	// ResourceLabels are the names of resource attributes that become labels of every series.
	ResourceLabels []string
	// EscapeNames replaces by underscores what metric and label names could not have before UTF-8 was allowed.
	EscapeNames bool
}

// Translator translates batches for one log. It is not safe for concurrent use.
type Translator struct {
	settings     Settings
	seed, second maphash.Seed
	cache
	newest map[seriesKey]newest // exemplars

	// Of the batch, resource and scope at hand.
	batch    *samplelog.Batch
	again    bool
	result   Result
	resource uint32
	scope    uint32
	scoped   bool // scope has been looked up
	scopeIs  pmetric.ScopeMetrics

	// Scratch, kept for its capacity.
	labels  []label
	symbols []samplelog.Symbol
	others  []samplelog.Symbol
	bounds  []float64
	strings []string
	own     map[samplelog.Ref]struct{}
	pending []exemplarOf
}

// New returns a Translator.
func New(s Settings) *Translator {
	return &Translator{
		settings: s, seed: maphash.MakeSeed(), second: maphash.MakeSeed(), newest: map[seriesKey]newest{},
		own: map[samplelog.Ref]struct{}{}, cache: cache{renewed: map[string]struct{}{}},
	}
}

// Translate puts the samples of md into b. again says that md has been translated before, into a batch that was lost: then
// exemplars are written although they are known.
func (t *Translator) Translate(b *samplelog.Batch, md pmetric.Metrics, again bool) Result {
	t.batch, t.again, t.result = b, again, Result{}
	if t.view != b.View() { // another segment: all symbols and references are void
		t.open()
	}
	for i := range md.ResourceMetrics().Len() {
		rm := md.ResourceMetrics().At(i)
		why := t.findResource(rm.Resource().Attributes())
		for j := range rm.ScopeMetrics().Len() {
			t.scopeIs, t.scoped = rm.ScopeMetrics().At(j), false
			metrics := t.scopeIs.Metrics()
			for k := range metrics.Len() {
				m := metrics.At(k)
				if why != accepted {
					t.result.Refused[why] += samplesOf(m)
					continue
				}
				t.metric(m)
			}
		}
	}
	if t.size() > maxEntries {
		b.Renew()
	}
	t.batch, t.scopeIs = nil, pmetric.ScopeMetrics{} // let go of the batch
	return t.result
}

func (t *Translator) metric(m pmetric.Metric) {
	kind, why := kindOf(m)
	if why == accepted {
		var id uint32
		if id, why = t.findMetric(m, kind); why == accepted {
			t.points(id, m)
			return
		}
	}
	t.result.Refused[why] += samplesOf(m)
}

func (t *Translator) points(id uint32, m pmetric.Metric) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		t.numbers(id, m.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		t.numbers(id, m.Sum().DataPoints())
	case pmetric.MetricTypeHistogram:
		t.histograms(id, m.Histogram().DataPoints())
	case pmetric.MetricTypeExponentialHistogram:
		t.nativeHistograms(id, m.ExponentialHistogram().DataPoints())
	case pmetric.MetricTypeSummary:
		t.summaries(id, m.Summary().DataPoints())
	default: // kindOf refuses it
	}
}

// metricKind is what the translation of a metric depends on, apart from its name.
type metricKind struct {
	data      pmetric.MetricType
	scraped   bool
	monotonic bool
	prom      promType
}

// promType is a Prometheus metric type.
type promType uint8

const (
	promUnknown promType = iota
	promCounter
	promGauge
	promHistogram
	promGaugeHistogram
	promSummary
	promInfo
	promStateset
)

var modelTypes = [...]model.MetricType{
	model.MetricTypeUnknown, model.MetricTypeCounter, model.MetricTypeGauge, model.MetricTypeHistogram,
	model.MetricTypeGaugeHistogram, model.MetricTypeSummary, model.MetricTypeInfo, model.MetricTypeStateset,
}

// metadataType is where the receiver leaves the Prometheus type (contrib pkg/translator/prometheus/constants.go).
const metadataType = "prometheus.type"

func kindOf(m pmetric.Metric) (metricKind, Reason) {
	k := metricKind{data: m.Type()}
	cumulative := true
	switch k.data {
	case pmetric.MetricTypeGauge:
		k.prom = promGauge
	case pmetric.MetricTypeSum:
		k.monotonic = m.Sum().IsMonotonic()
		k.prom = promGauge
		if k.monotonic {
			k.prom = promCounter
		}
		cumulative = m.Sum().AggregationTemporality() == pmetric.AggregationTemporalityCumulative
	case pmetric.MetricTypeHistogram:
		k.prom = promHistogram
		cumulative = m.Histogram().AggregationTemporality() == pmetric.AggregationTemporalityCumulative
	case pmetric.MetricTypeExponentialHistogram:
		k.prom = promHistogram
		cumulative = m.ExponentialHistogram().AggregationTemporality() == pmetric.AggregationTemporalityCumulative
	case pmetric.MetricTypeSummary:
		k.prom = promSummary
	default:
		return k, ReasonType
	}
	if !cumulative {
		return k, ReasonTemporality
	}
	if v, found := m.Metadata().Get(metadataType); found {
		k.scraped, k.prom = true, promUnknown
		for i, name := range modelTypes {
			if v.Str() == string(name) {
				k.prom = promType(i)
			}
		}
	}
	return k, accepted
}

// Samples counts the samples that metrics would become, without translating them.
func Samples(md pmetric.Metrics) int {
	n := 0
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				n += samplesOf(m)
			}
		}
	}
	return n
}

// samplesOf counts the samples that a metric's points would become.
func samplesOf(m pmetric.Metric) int {
	n := 0
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		n = m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeSum:
		n = m.Sum().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		n = m.ExponentialHistogram().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		for i := range m.Histogram().DataPoints().Len() {
			n += samplesOfHistogram(m.Histogram().DataPoints().At(i))
		}
	case pmetric.MetricTypeSummary:
		for i := range m.Summary().DataPoints().Len() {
			n += samplesOfSummary(m.Summary().DataPoints().At(i))
		}
	default:
	}
	return n
}

// samplesOfHistogram counts buckets, the one of +Inf, count and sum.
func samplesOfHistogram(dp pmetric.HistogramDataPoint) int { return dp.ExplicitBounds().Len() + 3 }

// samplesOfSummary counts quantiles, count and sum.
func samplesOfSummary(dp pmetric.SummaryDataPoint) int { return dp.QuantileValues().Len() + 2 }

func get(attrs pcommon.Map, name string) (string, bool) {
	v, found := attrs.Get(name)
	if !found {
		return "", false
	}
	return asString(v), true
}

// asString is AsString without its cost for strings, which nearly all are.
func asString(v pcommon.Value) string {
	if s := v.Str(); s != "" || v.Type() == pcommon.ValueTypeStr {
		return s
	}
	return v.AsString()
}
