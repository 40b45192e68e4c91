// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/prometheus/model/value"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// protobufTargets returns the targets whose pages are in the protobuf format, the only one with native histograms.
func protobufTargets(base time.Time) ([]target, error) {
	b := pageBuilder{base: base}
	targets := []target{
		{job: "default", name: "protobuf", pages: b.everyType()},
		{job: "native-only", name: "exponential", pages: b.exponential()},
		{job: "native-only", name: "layouts", pages: b.layouts()},
		{job: "native-only", name: "float", pages: b.float()},
		{job: "native-only", name: "zero_threshold", pages: b.zeroThreshold()},
		{job: "native-only", name: "gauge_histogram", pages: b.gaugeHistogram()},
		{job: "default", name: "classic_gauge_histogram", pages: b.classicGaugeHistogram()},
		{job: "native-only", name: "exemplars", pages: b.nativeExemplars()},
		{job: "default", name: "native_and_classic", pages: b.nativeAndClassic()},
		{job: "native-only", name: "native_and_classic", pages: b.nativeAndClassic()},
		{job: "classic-only", name: "native_and_classic", pages: b.nativeAndClassic()},
	}
	if b.err != nil {
		return nil, fmt.Errorf("encoding the protobuf pages: %w", b.err)
	}
	return targets, nil
}

type pageBuilder struct {
	base time.Time
	err  error
}

// page encodes the families as one scrape's answer.
func (b *pageBuilder) page(families ...*dto.MetricFamily) page {
	var body bytes.Buffer
	format := expfmt.NewFormat(expfmt.TypeProtoDelim)
	encoder := expfmt.NewEncoder(&body, format)
	for _, f := range families {
		if err := encoder.Encode(f); err != nil && b.err == nil {
			b.err = err
		}
	}
	return page{contentType: string(format), body: body.Bytes()}
}

func (b *pageBuilder) at(offset time.Duration) *timestamppb.Timestamp {
	return timestamppb.New(b.base.Add(offset))
}

func family(name string, kind dto.MetricType, metrics ...*dto.Metric) *dto.MetricFamily {
	return &dto.MetricFamily{Name: proto.String(name), Type: kind.Enum(), Metric: metrics}
}

func histogramFamily(name string, histograms ...*dto.Histogram) *dto.MetricFamily {
	f := family(name, dto.MetricType_HISTOGRAM)
	for _, h := range histograms {
		f.Metric = append(f.Metric, &dto.Metric{Histogram: h})
	}
	return f
}

func label(name, value string) *dto.LabelPair {
	return &dto.LabelPair{Name: proto.String(name), Value: proto.String(value)}
}

func span(offset int32, length uint32) *dto.BucketSpan {
	return &dto.BucketSpan{Offset: proto.Int32(offset), Length: proto.Uint32(length)}
}

func bucket(bound float64, count uint64) *dto.Bucket {
	return &dto.Bucket{UpperBound: proto.Float64(bound), CumulativeCount: proto.Uint64(count)}
}

// native returns a native histogram of schema 3 with the default zero threshold of client_golang.
func native(count uint64, sum float64, spans []*dto.BucketSpan, deltas ...int64) *dto.Histogram {
	return &dto.Histogram{
		SampleCount: proto.Uint64(count), SampleSum: proto.Float64(sum), Schema: proto.Int32(3),
		ZeroThreshold: proto.Float64(math.Ldexp(1, -128)), ZeroCount: proto.Uint64(0),
		PositiveSpan: spans, PositiveDelta: deltas,
	}
}

func (b *pageBuilder) everyType() []page {
	families := func(n float64, at time.Duration) []*dto.MetricFamily {
		count := uint64(n)
		exemplar := &dto.Exemplar{Label: []*dto.LabelPair{label("trace_id", "0af7651916cd43dd8448eb211c80319c")}, Value: proto.Float64(0.3), Timestamp: b.at(at)}
		withExemplar := bucket(1, count)
		withExemplar.Exemplar = exemplar
		return []*dto.MetricFamily{
			family("pb_requests_total", dto.MetricType_COUNTER, &dto.Metric{
				Label:   []*dto.LabelPair{label("code", "200")},
				Counter: &dto.Counter{Value: proto.Float64(n), Exemplar: exemplar, CreatedTimestamp: b.at(-time.Hour)},
			}),
			family("pb_plain", dto.MetricType_COUNTER, &dto.Metric{Counter: &dto.Counter{Value: proto.Float64(n)}}),
			family("pb_gauge", dto.MetricType_GAUGE, &dto.Metric{Gauge: &dto.Gauge{Value: proto.Float64(math.NaN())}}),
			family("pb_nan", dto.MetricType_GAUGE,
				&dto.Metric{Label: []*dto.LabelPair{label("payload", "unusual")}, Gauge: &dto.Gauge{Value: proto.Float64(math.Float64frombits(0x7ff80000000c0ffe))}},
				&dto.Metric{Label: []*dto.LabelPair{label("payload", "of a stale marker")}, Gauge: &dto.Gauge{Value: proto.Float64(math.Float64frombits(value.StaleNaN))}},
			),
			family("pb_untyped", dto.MetricType_UNTYPED, &dto.Metric{Untyped: &dto.Untyped{Value: proto.Float64(-n)}}),
			family("pb_timed", dto.MetricType_GAUGE, &dto.Metric{
				Gauge: &dto.Gauge{Value: proto.Float64(n)}, TimestampMs: proto.Int64(b.base.Add(at).UnixMilli()),
			}),
			family("pb_summary", dto.MetricType_SUMMARY, &dto.Metric{Summary: &dto.Summary{
				SampleCount: proto.Uint64(count), SampleSum: proto.Float64(n / 3), CreatedTimestamp: b.at(-time.Hour),
				Quantile: []*dto.Quantile{
					{Quantile: proto.Float64(0.5), Value: proto.Float64(math.NaN())},
					{Quantile: proto.Float64(1), Value: proto.Float64(n)},
				},
			}}),
			family("pb_histogram", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: &dto.Histogram{
				SampleCount: proto.Uint64(count + 1), SampleSum: proto.Float64(n / 7), CreatedTimestamp: b.at(-time.Hour),
				Bucket: []*dto.Bucket{bucket(0.25, 0), withExemplar, bucket(math.Inf(1), count+1)},
			}}),
		}
	}
	return []page{
		b.page(families(1, -60*time.Second)...),
		b.page(families(2, -30*time.Second)...),
		b.page(families(0, -15*time.Second)[:2]...),
	}
}

func (b *pageBuilder) exponential() []page {
	full := func(count uint64, sum float64, deltas ...int64) *dto.Histogram {
		h := native(count, sum, []*dto.BucketSpan{span(-2, 2), span(3, 1)}, deltas...)
		h.ZeroCount = proto.Uint64(1)
		h.NegativeSpan = []*dto.BucketSpan{span(1, 1)}
		h.NegativeDelta = []int64{1}
		return h
	}
	return []page{
		b.page(histogramFamily("rpc_seconds", full(6, 4.5, 1, 1, -1)), histogramFamily("idle_seconds", native(0, 0, []*dto.BucketSpan{span(0, 0)}))),
		b.page(histogramFamily("rpc_seconds", full(9, 7.25, 2, 1, -1)), histogramFamily("idle_seconds", native(1, 0.5, []*dto.BucketSpan{span(-8, 1)}, 1))),
		b.page(histogramFamily("rpc_seconds", full(5, 1, 1, 0, 0))), // the process restarted
		b.page(histogramFamily("rpc_seconds", full(5, math.NaN(), 1, 0, 0))),
		b.page(histogramFamily("other_seconds", native(1, 1, []*dto.BucketSpan{span(0, 1)}, 1))), // the others vanish
	}
}

func (b *pageBuilder) layouts() []page {
	resolution := func(schema int32) *dto.Histogram {
		h := native(7, 10, []*dto.BucketSpan{span(0, 3)}, 1, 1, 2)
		h.Schema = proto.Int32(schema)
		return h
	}
	laidOut := b.page(
		histogramFamily("wide_gap_seconds", native(2, 100, []*dto.BucketSpan{span(-100, 1), span(500, 1)}, 1, 0)),
		histogramFamily("small_gaps_seconds", native(4, 3, []*dto.BucketSpan{span(0, 1), span(1, 1), span(2, 1), span(3, 1)}, 1, 0, 0, 0)),
		histogramFamily("with_empty_buckets_seconds", native(2, 3, []*dto.BucketSpan{span(0, 5)}, 0, 1, -1, 0, 1)),
		histogramFamily("coarsest_seconds", resolution(-4)),
		histogramFamily("finest_seconds", resolution(8)),
		histogramFamily("middle_seconds", resolution(0)),
	)
	return []page{laidOut, laidOut}
}

func (b *pageBuilder) float() []page {
	float := func(count float64) *dto.Histogram {
		return &dto.Histogram{
			SampleCountFloat: proto.Float64(count + 0.5), SampleSum: proto.Float64(3), Schema: proto.Int32(0),
			ZeroThreshold: proto.Float64(0.001), ZeroCountFloat: proto.Float64(0.5),
			PositiveSpan: []*dto.BucketSpan{span(0, 2)}, PositiveCount: []float64{count / 2, count / 2},
		}
	}
	return []page{
		b.page(histogramFamily("weighted_seconds", float(1.5))),
		b.page(histogramFamily("weighted_seconds", float(2.5))),
		b.page(histogramFamily("other_seconds", native(1, 1, []*dto.BucketSpan{span(0, 1)}, 1))),
	}
}

func (b *pageBuilder) zeroThreshold() []page {
	threshold := func(threshold float64, zeroCount uint64) *dto.Histogram {
		h := native(1+zeroCount, 1, []*dto.BucketSpan{span(0, 1)}, 1)
		h.ZeroThreshold = proto.Float64(threshold)
		h.ZeroCount = proto.Uint64(zeroCount)
		return h
	}
	return []page{
		b.page(histogramFamily("wide_zero_seconds", threshold(0.01, 3)), histogramFamily("exact_zero_seconds", threshold(0, 2))),
		b.page(histogramFamily("wide_zero_seconds", threshold(0.01, 4)), histogramFamily("exact_zero_seconds", threshold(0, 3))),
	}
}

func (b *pageBuilder) gaugeHistogram() []page {
	gauge := func(count uint64, deltas ...int64) *dto.MetricFamily {
		f := histogramFamily("backlog_seconds", native(count, 2, []*dto.BucketSpan{span(0, 2)}, deltas...))
		f.Type = dto.MetricType_GAUGE_HISTOGRAM.Enum()
		return f
	}
	return []page{
		b.page(gauge(3, 1, 1)),
		b.page(gauge(2, 1, 0)), // a gauge may go down
		b.page(histogramFamily("other_seconds", native(1, 1, []*dto.BucketSpan{span(0, 1)}, 1))),
	}
}

func (b *pageBuilder) classicGaugeHistogram() []page {
	gauge := func(count uint64) *dto.MetricFamily {
		f := histogramFamily("pending_seconds", &dto.Histogram{
			SampleCount: proto.Uint64(count), SampleSum: proto.Float64(2.5),
			Bucket: []*dto.Bucket{bucket(0.5, 1), bucket(math.Inf(1), count)},
		})
		f.Type = dto.MetricType_GAUGE_HISTOGRAM.Enum()
		return f
	}
	return []page{
		b.page(gauge(3)),
		b.page(gauge(2)),
		b.page(histogramFamily("other_seconds", native(1, 1, []*dto.BucketSpan{span(0, 1)}, 1))),
	}
}

func (b *pageBuilder) nativeExemplars() []page {
	with := func(count uint64, at time.Duration) *dto.MetricFamily {
		h := native(count, 2, []*dto.BucketSpan{span(0, 1)}, int64(count)) //nolint:gosec // a handful
		h.Exemplars = []*dto.Exemplar{
			{Label: []*dto.LabelPair{label("trace_id", "1af7651916cd43dd8448eb211c80319c")}, Value: proto.Float64(0.9), Timestamp: b.at(at)},
			{Label: []*dto.LabelPair{label("user", "u1")}, Value: proto.Float64(1), Timestamp: b.at(at + time.Second)},
			{Label: []*dto.LabelPair{label("user", "without a time")}, Value: proto.Float64(1)},
		}
		return histogramFamily("traced_seconds", h)
	}
	return []page{b.page(with(1, -60*time.Second)), b.page(with(2, -30*time.Second))}
}

func (b *pageBuilder) nativeAndClassic() []page {
	both := func(count uint64) *dto.MetricFamily {
		h := native(count, 2, []*dto.BucketSpan{span(0, 1)}, int64(count)) //nolint:gosec // a handful
		h.Bucket = []*dto.Bucket{bucket(0.5, 0), bucket(2, count), bucket(math.Inf(1), count)}
		return histogramFamily("both_seconds", h)
	}
	return []page{
		b.page(both(1)),
		b.page(both(2)),
		b.page(histogramFamily("other_seconds", native(1, 1, []*dto.BucketSpan{span(0, 1)}, 1))),
	}
}
