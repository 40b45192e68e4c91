// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// appender keeps the native histogram that Prometheus's converter makes.
type appender struct {
	storage.AppenderV2
	h *histogram.Histogram
}

func (a *appender) Append(_ storage.SeriesRef, _ labels.Labels, _, _ int64, _ float64, h *histogram.Histogram, _ *histogram.FloatHistogram, _ storage.AppendV2Options) (storage.SeriesRef, error) {
	if h != nil {
		a.h = h
	}
	return 1, nil
}

// TestNativeHistogramsAsPrometheus compares with the OTLP endpoint of Prometheus.
func TestNativeHistogramsAsPrometheus(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // test data
	converted := 0
	for range 3000 {
		md := pmetric.NewMetrics()
		m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName("n")
		dp := native(m)
		dp.SetScale(r.Int32N(20) - 6)
		dp.SetZeroCount(r.Uint64N(3))
		total := dp.ZeroCount()
		for _, b := range []pmetric.ExponentialHistogramDataPointBuckets{dp.Positive(), dp.Negative()} {
			b.SetOffset(r.Int32N(200) - 100)
			for range r.IntN(30) {
				count := max(0, r.Int64N(8)-4)
				b.BucketCounts().Append(uint64(count))
				total += uint64(count)
			}
		}
		dp.SetCount(total + r.Uint64N(50)/49)
		dp.SetSum(3.5)

		var want appender
		_, err := prometheusremotewrite.NewPrometheusConverter(&want).FromMetrics(context.Background(), md, prometheusremotewrite.Settings{AllowUTF8: true})
		got, why := nativeHistogram(dp, false)
		if err != nil || want.h.Validate() != nil {
			require.Equal(t, ReasonNativeHistogram, why)
			continue
		}
		require.Equal(t, accepted, why)
		converted++
		require.Equal(t, countsOf(dp.Positive(), dp.Scale()-got.Schema), bucketsOf(got.PositiveSpans, got.PositiveBuckets))
		require.Equal(t, countsOf(dp.Negative(), dp.Scale()-got.Schema), bucketsOf(got.NegativeSpans, got.NegativeBuckets))
		// Prometheus's converter puts counts into the bucket before theirs where it merges buckets and a merged one is empty.
		if dp.Scale() <= histogram.ExponentialSchemaMax {
			require.True(t, want.h.Compact(0).Equals(got.Compact(0)), "want %s, got %s", want.h, got)
		}
	}
	require.Greater(t, converted, 1000)
}

// countsOf adds up buckets by the definition of their indexes.
func countsOf(b pmetric.ExponentialHistogramDataPointBuckets, shift int32) map[int32]int64 {
	counts := map[int32]int64{}
	for i, c := range b.BucketCounts().AsRaw() {
		if c > 0 {
			counts[(b.Offset()+int32(i))>>shift+1] += int64(c) //nolint:gosec // small
		}
	}
	return counts
}

func bucketsOf(spans []histogram.Span, deltas []int64) map[int32]int64 {
	counts := map[int32]int64{}
	at, count, i := int32(0), int64(0), 0
	for _, s := range spans {
		at += s.Offset
		for range s.Length {
			count += deltas[i]
			if count != 0 {
				counts[at] = count
			}
			at++
			i++
		}
	}
	return counts
}
