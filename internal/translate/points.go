// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"math"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// Every point has its series in cache.refs in this order: those that it is about (one; or the buckets with the one of +Inf
// last; or the quantiles), then count and sum of a histogram or summary, then the start as a series of its own.
const (
	afterCount   = 0
	afterSum     = 1
	afterCreated = 2
)

var staleMarker = math.Float64frombits(value.StaleNaN)

// millis is a time as Prometheus has it. What the receiver got from before 1970 is negative.
func millis(ts pcommon.Timestamp) int64 { return int64(ts) / 1e6 } //nolint:gosec // the sign is meant

// startOf is the start timestamp of a cumulative point, 0 where it is unknown.
func startOf(start pcommon.Timestamp, at int64) int64 {
	if st := millis(start); st > 0 && st < at {
		return st
	}
	return 0
}

// numbers translates the points of a gauge or a sum.
func (t *Translator) numbers(metric uint32, points pmetric.NumberDataPointSlice) {
	prev := uint32(0)
	kind := t.metrics[metric].kind
	withStart := kind.monotonic
	withCreated := kind.scraped && kind.prom == promCounter
	for i := range points.Len() {
		dp := points.At(i)
		at := millis(dp.Timestamp())
		v, why := numberValue(dp)
		if at == 0 {
			why = ReasonTimestamp
		}
		if why != accepted {
			t.result.Refused[why]++
			continue
		}
		id, fresh, why := t.findPoint(metric, dp.Attributes(), 0, prev)
		if fresh {
			t.addNumber(metric, id, withCreated)
		}
		if why != accepted {
			t.result.Refused[why]++
			continue
		}
		prev = id
		if t.refs[t.entries[id].refs] == unset {
			t.gaugeHistogram(id, dp, at)
			continue
		}
		ref := t.refs[t.entries[id].refs]
		st := int64(0)
		if start := dp.StartTimestamp(); start != 0 && withStart {
			st = startOf(start, at)
			if withCreated {
				t.created(id, 1, start, at)
			}
		}
		t.sample(ref, st, at, v)
		if dp.Exemplars().Len() > 0 && (kind.scraped || kind.data == pmetric.MetricTypeSum) {
			t.exemplars(ref, dp.Exemplars(), kind.scraped)
		}
	}
}

// numberValue returns the value of a point. What has none was never measured.
func numberValue(dp pmetric.NumberDataPoint) (float64, Reason) {
	if dp.Flags().NoRecordedValue() {
		return staleMarker, accepted
	}
	switch dp.ValueType() {
	case pmetric.NumberDataPointValueTypeDouble:
		return dp.DoubleValue(), accepted
	case pmetric.NumberDataPointValueTypeInt:
		return float64(dp.IntValue()), accepted
	default:
		return 0, ReasonValue
	}
}

func (t *Translator) addNumber(metric, id uint32, withCreated bool) {
	t.setLabels(id)
	ref := unset
	if name, ok := t.numberName(&t.metrics[metric]); ok {
		ref = t.series(metric, name, label{})
	}
	t.refs = append(t.refs, ref)
	if withCreated {
		t.refs = append(t.refs, unset)
	}
}

// gaugeHistogram translates a point of a gauge histogram that is no bucket. A stale one may be what the receiver makes of the stale
// marker of a native histogram (contrib receiver/prometheusreceiver/internal/transaction.go, detectAndStoreNativeHistogramStaleness):
// it is, where there is such a series. Any other is the count or the sum of a classic one, and nothing says which.
func (t *Translator) gaugeHistogram(id uint32, dp pmetric.NumberDataPoint, at int64) {
	m := t.entries[id].metric
	if dp.Flags().NoRecordedValue() {
		t.setLabels(id)
		t.setSeries(t.suffixed(&t.metrics[m], &t.metrics[m].value, ""), label{})
		if ref, found := t.findSeries(hashSymbols(t.symbols)); found {
			t.sample(ref, 0, at, staleMarker)
			return
		}
	}
	t.result.Refused[ReasonGaugeHistogram]++
}

func (t *Translator) sample(ref samplelog.Ref, st, at int64, v float64) {
	t.batch.Sample(ref, st, at, v)
	t.result.Samples++
}

// staleStart is what the receiver makes of the stale marker of a _created series
// (contrib receiver/prometheusreceiver/internal/util.go, timestampFromFloat64) on amd64. On arm64 it is 0.
const staleStart = pcommon.Timestamp(1 << 63)

// created writes the series _created, which the receiver made the start timestamp of. Only scraped points have it: the receiver
// sets no other starts, unless its feature gate EnableCreatedTimestampZeroIngestion is on. slot is its place in the point's series.
func (t *Translator) created(id, slot uint32, start pcommon.Timestamp, at int64) {
	ref := &t.refs[t.entries[id].refs+slot]
	if *ref == unset {
		m := t.entries[id].metric
		t.setLabels(id)
		*ref = t.series(m, t.suffixed(&t.metrics[m], &t.metrics[m].create, suffixCreated), label{})
	}
	v := staleMarker
	if start != staleStart {
		// The receiver cut off less than a nanosecond, which is less than what floats of this size differ by.
		v = float64(start/1e9) + float64(start%1e9)/1e9
	}
	t.sample(*ref, 0, at, v)
}

// histograms translates the points of a histogram with explicit bounds to the series of a classic histogram.
func (t *Translator) histograms(metric uint32, points pmetric.HistogramDataPointSlice) {
	prev := uint32(0)
	for i := range points.Len() {
		dp := points.At(i)
		why := t.setBounds(dp)
		if dp.Timestamp() == 0 {
			why = ReasonTimestamp
		}
		id, fresh := uint32(0), false
		if why == accepted {
			id, fresh, why = t.findPointWithFloats(metric, dp.Attributes(), prev)
		}
		if why != accepted {
			t.result.Refused[why] += samplesOfHistogram(dp)
			continue
		}
		prev = id
		if fresh {
			t.setLabels(id)
			m := &t.metrics[metric]
			name := t.suffixed(m, &m.bucket, suffixBucket)
			t.addAll(metric, name, t.names.le, t.bounds)
			inf := t.series(metric, name, label{t.names.le, t.batch.Symbol("+Inf")})
			t.refs = append(t.refs, t.unlessRepeated(inf), t.series(metric, t.suffixed(m, &m.count, suffixCount), label{}), unset, unset)
		}
		t.histogram(id, dp, fresh)
	}
}

// setBounds sets t.bounds to the bounds of a point.
func (t *Translator) setBounds(dp pmetric.HistogramDataPoint) Reason {
	bounds := dp.ExplicitBounds()
	n := bounds.Len()
	t.bounds = t.bounds[:0]
	last := math.Inf(-1)
	for i := range n {
		b := bounds.At(i)
		if !(b >= last) { // NaN too. Equal ones come from pages, where the first wins.
			return ReasonBuckets
		}
		last = b
		t.bounds = append(t.bounds, b)
	}
	counts := dp.BucketCounts().Len()
	if counts != n+1 && (n > 0 || counts > 0) && !dp.Flags().NoRecordedValue() {
		return ReasonBuckets
	}
	return accepted
}

// addAll adds the series that differ by a float in a label.
func (t *Translator) addAll(metric uint32, name, own samplelog.Symbol, floats []float64) {
	clear(t.own)
	for _, f := range floats {
		ref := t.series(metric, name, label{own, t.batch.Symbol(labels.FormatOpenMetricsFloat(f))})
		t.refs = append(t.refs, t.unlessRepeated(ref))
	}
}

// unlessRepeated returns ref, or repeated where the point has it already: bounds may be equal, and the last may be +Inf.
func (t *Translator) unlessRepeated(ref samplelog.Ref) samplelog.Ref {
	if _, again := t.own[ref]; again {
		return repeated
	}
	t.own[ref] = struct{}{}
	return ref
}

func (t *Translator) histogram(id uint32, dp pmetric.HistogramDataPoint, fresh bool) {
	at := millis(dp.Timestamp())
	st := startOf(dp.StartTimestamp(), at)
	stale := dp.Flags().NoRecordedValue()
	n := len(t.bounds)
	own := t.refs[t.entries[id].refs:][:n+4]
	counts := dp.BucketCounts()
	cumulative := uint64(0)
	for i := range n {
		v := staleMarker
		if !stale {
			cumulative += counts.At(i)
			v = float64(cumulative)
		}
		if own[i] != repeated {
			t.sample(own[i], st, at, v)
		}
	}
	count := staleMarker
	if !stale {
		count = float64(dp.Count())
	}
	if own[n] != repeated {
		t.sample(own[n], st, at, count)
	}
	t.sample(own[n+1+afterCount], st, at, count)
	switch {
	case stale:
		t.sum(id, n+1, st, at, staleMarker, !fresh)
	case dp.HasSum():
		t.sum(id, n+1, st, at, dp.Sum(), false)
	}
	kind := t.metrics[t.entries[id].metric].kind
	if start := dp.StartTimestamp(); start != 0 && kind.scraped {
		t.created(id, uint32(n+1+afterCreated), start, at) //nolint:gosec // a length
	}
	if dp.Exemplars().Len() > 0 {
		t.bucketExemplars(id, dp.Exemplars(), kind.scraped)
	}
}

// sum writes the sum of a histogram or summary, of which count, sum and start are at from. Where known is true, a series that
// there never was gets none.
func (t *Translator) sum(id uint32, from int, st, at int64, v float64, known bool) {
	ref := &t.refs[int(t.entries[id].refs)+from+afterSum]
	if *ref == unset {
		if known {
			return
		}
		m := t.entries[id].metric
		t.setLabels(id)
		*ref = t.series(m, t.suffixed(&t.metrics[m], &t.metrics[m].sum, suffixSum), label{})
	}
	t.sample(*ref, st, at, v)
}

// summaries translates the points of a summary.
func (t *Translator) summaries(metric uint32, points pmetric.SummaryDataPointSlice) {
	prev := uint32(0)
	for i := range points.Len() {
		dp := points.At(i)
		quantiles := dp.QuantileValues()
		t.bounds = t.bounds[:0]
		for j := range quantiles.Len() {
			t.bounds = append(t.bounds, quantiles.At(j).Quantile())
		}
		why := accepted
		if dp.Timestamp() == 0 {
			why = ReasonTimestamp
		}
		id, fresh := uint32(0), false
		if why == accepted {
			id, fresh, why = t.findPointWithFloats(metric, dp.Attributes(), prev)
		}
		if why != accepted {
			t.result.Refused[why] += samplesOfSummary(dp)
			continue
		}
		prev = id
		if fresh {
			t.setLabels(id)
			m := &t.metrics[metric]
			t.addAll(metric, t.suffixed(m, &m.value, ""), t.names.quantile, t.bounds)
			t.refs = append(t.refs, t.series(metric, t.suffixed(m, &m.count, suffixCount), label{}), unset, unset)
		}
		t.summary(id, dp)
	}
}

func (t *Translator) summary(id uint32, dp pmetric.SummaryDataPoint) {
	at := millis(dp.Timestamp())
	st := startOf(dp.StartTimestamp(), at)
	stale := dp.Flags().NoRecordedValue()
	quantiles := dp.QuantileValues()
	n := quantiles.Len()
	own := t.refs[t.entries[id].refs:][:n+3]
	for i := range n {
		v := staleMarker
		if !stale {
			v = quantiles.At(i).Value()
		}
		if own[i] != repeated {
			t.sample(own[i], 0, at, v)
		}
	}
	count, sum := staleMarker, staleMarker
	if !stale {
		count, sum = float64(dp.Count()), dp.Sum()
	}
	t.sample(own[n+afterCount], st, at, count)
	t.sum(id, n, st, at, sum, false)
	if start := dp.StartTimestamp(); start != 0 && t.metrics[t.entries[id].metric].kind.scraped {
		t.created(id, uint32(n+afterCreated), start, at) //nolint:gosec // a length
	}
}
