// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// otlpZeroThreshold is what Prometheus's OTLP endpoint takes for a zero threshold of 0, which OTLP has where it is not set.
const otlpZeroThreshold = 1e-128

// smallGap is the number of empty buckets up to which a span goes on, as in client_golang.
const smallGap = 2

func (t *Translator) nativeHistograms(metric uint32, points pmetric.ExponentialHistogramDataPointSlice) {
	prev := uint32(0)
	scraped := t.metrics[metric].kind.scraped
	for i := range points.Len() {
		dp := points.At(i)
		h, why := nativeHistogram(dp, scraped)
		at := millis(dp.Timestamp())
		if at == 0 {
			why = ReasonTimestamp
		}
		id, fresh := uint32(0), false
		if why == accepted {
			id, fresh, why = t.findPoint(metric, dp.Attributes(), 0, prev)
		}
		if why != accepted {
			t.result.Refused[why]++
			continue
		}
		prev = id
		if fresh {
			t.setLabels(id)
			m := &t.metrics[metric]
			t.refs = append(t.refs, t.series(metric, t.suffixed(m, &m.value, ""), label{}))
		}
		ref := t.refs[t.entries[id].refs]
		t.batch.Histogram(ref, startOf(dp.StartTimestamp(), at), at, h)
		t.result.Samples++
		if dp.Exemplars().Len() > 0 {
			t.exemplars(ref, dp.Exemplars(), scraped)
		}
	}
}

// nativeHistogram converts an exponential histogram. What was scraped gets back the zero threshold that it had. The counter
// reset hint stays unknown, which is always safe.
func nativeHistogram(dp pmetric.ExponentialHistogramDataPoint, scraped bool) (*histogram.Histogram, Reason) {
	if dp.Flags().NoRecordedValue() {
		return &histogram.Histogram{Sum: staleMarker}, accepted
	}
	h := &histogram.Histogram{
		Schema: dp.Scale(), Count: dp.Count(), Sum: dp.Sum(), ZeroCount: dp.ZeroCount(), ZeroThreshold: dp.ZeroThreshold(),
	}
	if !scraped && h.ZeroThreshold == 0 {
		h.ZeroThreshold = otlpZeroThreshold
	}
	shift := int32(0)
	if h.Schema > histogram.ExponentialSchemaMax {
		shift = h.Schema - histogram.ExponentialSchemaMax
		h.Schema = histogram.ExponentialSchemaMax
	}
	if h.Schema < histogram.ExponentialSchemaMin || shift > math.MaxUint8 {
		return nil, ReasonNativeHistogram
	}
	var ok [2]bool
	h.PositiveSpans, h.PositiveBuckets, ok[0] = spansOf(dp.Positive(), shift)
	h.NegativeSpans, h.NegativeBuckets, ok[1] = spansOf(dp.Negative(), shift)
	threshold := h.ZeroThreshold >= 0 && !math.IsInf(h.ZeroThreshold, 1)
	if !ok[0] || !ok[1] || !threshold || h.Validate() != nil {
		return nil, ReasonNativeHistogram
	}
	return h, accepted
}

// spansOf converts buckets: 2^shift of them become one. OTLP counts them by their lower bound, Prometheus by the upper one. It
// reports whether the numbers of buckets and the counts fit.
func spansOf(b pmetric.ExponentialHistogramDataPointBuckets, shift int32) (spans []histogram.Span, deltas []int64, ok bool) {
	counts := b.BucketCounts()
	var (
		next int64 // the bucket behind the last one that was written
		prev int64 // its count
	)
	write := func(count int64) {
		spans[len(spans)-1].Length++
		deltas = append(deltas, count-prev)
		prev = count
		next++
	}
	for i := 0; i < counts.Len(); {
		at := (int64(b.Offset()) + int64(i)) >> shift
		sum := uint64(0)
		for ; i < counts.Len() && (int64(b.Offset())+int64(i))>>shift == at; i++ {
			if counts.At(i) > math.MaxInt64-sum {
				return nil, nil, false
			}
			sum += counts.At(i)
		}
		if sum == 0 {
			continue
		}
		at++
		if at < math.MinInt32 || at > math.MaxInt32 {
			return nil, nil, false
		}
		if gap := at - next; spans == nil || gap > smallGap {
			if gap < math.MinInt32 || gap > math.MaxInt32 {
				return nil, nil, false
			}
			spans = append(spans, histogram.Span{Offset: int32(gap)})
			next = at
		} else {
			for range gap {
				write(0)
			}
		}
		write(int64(sum))
	}
	return spans, deltas, true
}
