// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// vocabulary is small, so that series repeat, collide and differ in one thing only.
var vocabulary = struct{ names, values, metrics, types []string }{
	names:   []string{"a", "b", "a.b", "a_b", "a:b", "job", "instance", "__name__", "..name..", "le", "quantile", "organization", "otel_scope_name", "", "_", "é", "1", "\xff"},
	values:  []string{"x", "y", "", "1", "true", "\xff", "é"},
	metrics: []string{"m", "m_count", "m_sum", "m_bucket", "m_info", "m_total", "m.x", "m_x", "", "é", "\xff"},
	types:   []string{"gauge", "counter", "histogram", "summary", "info", "stateset", "gaugehistogram", "unknown", "?"},
}

type generator struct{ *rand.Rand }

func (g generator) pick(from []string) string { return from[g.IntN(len(from))] }

func (g generator) float() float64 {
	return []float64{0, math.Copysign(0, -1), 1, 2, 0.5, math.NaN(), math.Inf(1), math.Inf(-1)}[g.IntN(8)]
}

// attributes are mostly of few kinds, so that the cache has something to confuse.
func (g generator) attributes(m pcommon.Map) {
	if g.IntN(4) > 0 {
		put(m, "a", g.pick(vocabulary.values[:3]), "b", g.pick(vocabulary.values[:2]))
		return
	}
	for range g.IntN(4) {
		name := g.pick(vocabulary.names)
		switch g.IntN(8) {
		case 0:
			m.PutInt(name, g.Int64N(3))
		case 1:
			m.PutBool(name, true)
		case 2:
			m.PutEmpty(name)
		case 3:
			m.PutDouble(name, g.float())
		default:
			m.PutStr(name, g.pick(vocabulary.values))
		}
	}
}

func (g generator) exemplars(es pmetric.ExemplarSlice) {
	for range max(0, g.IntN(4)-2) {
		e := es.AppendEmpty()
		e.SetTimestamp(at)
		e.SetDoubleValue(g.float())
		g.attributes(e.FilteredAttributes())
	}
}

func (g generator) flags() pmetric.DataPointFlags {
	return pmetric.DefaultDataPointFlags.WithNoRecordedValue(g.IntN(4) == 0)
}

func (g generator) start() pcommon.Timestamp {
	return []pcommon.Timestamp{0, 0, at - 1e9, at, staleStart, 1}[g.IntN(6)]
}

func (g generator) metrics(step int) pmetric.Metrics {
	md := pmetric.NewMetrics()
	now := at + pcommon.Timestamp(step*1e9) //nolint:gosec // small
	for range g.IntN(3) + 1 {
		rm := md.ResourceMetrics().AppendEmpty()
		attrs := rm.Resource().Attributes()
		put(attrs, "service.name", g.pick([]string{"j1", "j2"}))
		if g.IntN(4) == 0 {
			put(attrs, "service.namespace", g.pick(vocabulary.values[:3]))
		}
		if g.IntN(4) == 0 {
			g.attributes(attrs)
		}
		for range g.IntN(3) {
			sm := rm.ScopeMetrics().AppendEmpty()
			sm.Scope().SetName(g.pick([]string{receiverScope, "lib", ""}))
			if g.IntN(4) == 0 {
				g.attributes(sm.Scope().Attributes())
			}
			for range g.IntN(6) {
				m := sm.Metrics().AppendEmpty()
				m.SetName(g.pick(vocabulary.metrics[:g.IntN(len(vocabulary.metrics))+1]))
				m.SetDescription(g.pick(vocabulary.values))
				if g.IntN(2) == 0 {
					m.Metadata().PutStr(metadataType, g.pick(vocabulary.types))
				}
				g.points(m, now)
			}
		}
	}
	return md
}

func (g generator) points(m pmetric.Metric, now pcommon.Timestamp) {
	temporality := pmetric.AggregationTemporalityCumulative
	if g.IntN(8) == 0 {
		temporality = pmetric.AggregationTemporalityDelta
	}
	n := g.IntN(6)
	switch g.IntN(6) {
	case 0:
		points := m.SetEmptyGauge().DataPoints()
		for range n {
			g.number(points, now)
		}
	case 1:
		s := m.SetEmptySum()
		s.SetAggregationTemporality(temporality)
		s.SetIsMonotonic(g.IntN(2) == 0)
		for range n {
			g.number(s.DataPoints(), now)
		}
	case 2:
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(temporality)
		for range n {
			dp := h.DataPoints().AppendEmpty()
			dp.SetTimestamp(now)
			dp.SetStartTimestamp(g.start())
			dp.SetFlags(g.flags())
			dp.SetCount(g.Uint64N(5))
			if g.IntN(2) == 0 {
				dp.SetSum(g.float())
			}
			for range g.IntN(4) {
				dp.ExplicitBounds().Append(g.float())
				dp.BucketCounts().Append(g.Uint64N(3))
			}
			if bounds := dp.ExplicitBounds().AsRaw(); g.IntN(8) > 0 {
				slices.Sort(bounds)
				dp.ExplicitBounds().FromRaw(bounds)
			}
			if g.IntN(8) > 0 {
				dp.BucketCounts().Append(g.Uint64())
			}
			g.attributes(dp.Attributes())
			g.exemplars(dp.Exemplars())
		}
	case 3:
		h := m.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(temporality)
		for range n {
			dp := h.DataPoints().AppendEmpty()
			dp.SetTimestamp(now)
			dp.SetFlags(g.flags())
			dp.SetScale(g.Int32N(400) - 10)
			dp.SetZeroThreshold(g.float())
			dp.Positive().SetOffset(g.Int32() - math.MaxInt32/2)
			for range g.IntN(3) {
				dp.Positive().BucketCounts().Append(g.Uint64N(2))
				dp.SetCount(dp.Count() + dp.Positive().BucketCounts().At(0))
			}
			g.attributes(dp.Attributes())
			g.exemplars(dp.Exemplars())
		}
	case 4:
		s := m.SetEmptySummary()
		for range n {
			dp := s.DataPoints().AppendEmpty()
			dp.SetTimestamp(now)
			dp.SetStartTimestamp(g.start())
			dp.SetFlags(g.flags())
			dp.SetSum(g.float())
			for range g.IntN(4) {
				dp.QuantileValues().AppendEmpty().SetQuantile(g.float())
			}
			g.attributes(dp.Attributes())
		}
	default:
	}
}

func (g generator) number(points pmetric.NumberDataPointSlice, now pcommon.Timestamp) {
	dp := points.AppendEmpty()
	dp.SetTimestamp(now)
	dp.SetStartTimestamp(g.start())
	dp.SetFlags(g.flags())
	if g.IntN(8) > 0 {
		dp.SetDoubleValue(g.float())
	}
	g.attributes(dp.Attributes())
	g.exemplars(dp.Exemplars())
}

// twice translates with a cache that lasts, and each point on its own without a cache, and compares.
type twice struct{ warm, cold *pipeline }

func newTwice(t testing.TB, escape bool) twice {
	s := Settings{EscapeNames: escape, ResourceLabels: []string{"organization", "a.b"}}
	return twice{newPipeline(t, s), newPipeline(t, s)}
}

func (w twice) check(t testing.TB, md pmetric.Metrics) (samples int) {
	t.Helper()
	for range 2 {
		cold, coldResult := w.cold.collect(func(b *samplelog.Batch) (sum Result) {
			for i := range md.DataPointCount() {
				r := New(w.cold.trans.settings).Translate(b, onlyPoint(md, i), true)
				sum.Samples += r.Samples
				sum.Exemplars += r.Exemplars
				sum.RefusedExemplars += r.RefusedExemplars
				for why, n := range r.Refused {
					sum.Refused[why] += n
				}
			}
			return sum
		})
		warm, warmResult := w.warm.collect(func(b *samplelog.Batch) Result { return w.warm.trans.Translate(b, md, true) })
		samples += len(warm)
		require.Equal(t, withoutStaleSums(cold), withoutStaleSums(warm))
		warmResult.Samples = coldResult.Samples // stale sums
		require.Equal(t, coldResult, warmResult)
	}
	return samples
}

// onlyPoint returns a copy with one point only.
func onlyPoint(md pmetric.Metrics, number int) pmetric.Metrics {
	out := pmetric.NewMetrics()
	md.CopyTo(out)
	at := -1
	drop := func() bool {
		at++
		return at != number
	}
	for i := range out.ResourceMetrics().Len() {
		for j := range out.ResourceMetrics().At(i).ScopeMetrics().Len() {
			out.ResourceMetrics().At(i).ScopeMetrics().At(j).Metrics().RemoveIf(func(m pmetric.Metric) bool {
				before := at
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					m.Gauge().DataPoints().RemoveIf(func(pmetric.NumberDataPoint) bool { return drop() })
				case pmetric.MetricTypeSum:
					m.Sum().DataPoints().RemoveIf(func(pmetric.NumberDataPoint) bool { return drop() })
				case pmetric.MetricTypeHistogram:
					m.Histogram().DataPoints().RemoveIf(func(pmetric.HistogramDataPoint) bool { return drop() })
				case pmetric.MetricTypeExponentialHistogram:
					m.ExponentialHistogram().DataPoints().RemoveIf(func(pmetric.ExponentialHistogramDataPoint) bool { return drop() })
				case pmetric.MetricTypeSummary:
					m.Summary().DataPoints().RemoveIf(func(pmetric.SummaryDataPoint) bool { return drop() })
				default:
				}
				return number <= before || number > at
			})
		}
	}
	return out
}

// withoutStaleSums leaves out what only a cache knows: whether a stale histogram had a sum.
func withoutStaleSums(samples []string) []string {
	return slices.DeleteFunc(slices.Clone(samples), func(s string) bool {
		return strings.Contains(s, "_sum\"") && strings.Contains(s, "} stale @")
	})
}

func TestRandomBatches(t *testing.T) {
	seed := rand.Uint64() //nolint:gosec // test data
	t.Logf("seed %d", seed)
	g := generator{rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // test data
	samples := 0
	for i := range 4 {
		w := newTwice(t, i%2 == 0)
		for step := range 25 {
			samples += w.check(t, g.metrics(step))
		}
	}
	require.Greater(t, samples, 1000)
}

// FuzzTranslate takes arbitrary OTLP, and arbitrary seeds of the generator.
func FuzzTranslate(f *testing.F) {
	marshaler := pmetric.ProtoMarshaler{}
	for seed := range uint64(20) {
		g := generator{rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // test data
		data, err := marshaler.MarshalMetrics(g.metrics(0))
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newTwice(t, len(data)%2 == 0)
		unmarshaler := pmetric.ProtoUnmarshaler{}
		if md, err := unmarshaler.UnmarshalMetrics(data); err == nil {
			w.check(t, md)
		}
		if len(data) >= 8 {
			g := generator{rand.New(rand.NewPCG(binary.LittleEndian.Uint64(data), 2))} //nolint:gosec // test data
			w.check(t, g.metrics(0))
			w.check(t, g.metrics(1))
		}
	})
}
