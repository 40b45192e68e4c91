// SPDX-License-Identifier: Apache-2.0

package remotewrite

import (
	"encoding/binary"
	"math"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// appendHistogram appends a native histogram as the given field. The message is the same in both versions, but for the custom
// buckets and the start, which only 2.0 has.
func appendHistogram(b []byte, field int, s *samplelog.Sample, st int64) []byte {
	b, at := open(b, field, 1)
	if s.H != nil {
		b = appendIntCounts(b, s.H)
	} else {
		b = appendFloatCounts(b, s.FH)
	}
	b = appendInt(b, 15, s.T)
	b = appendDoubles(b, 16, customValues(s))
	b = appendInt(b, 17, st)
	return closed(b, at, 1)
}

func appendIntCounts(b []byte, h *histogram.Histogram) []byte {
	// Counts are a oneof, which is written where it is zero too: it says which kind of histogram this is.
	b = appendUvarint(appendTag(b, 1, wireVarint), h.Count)
	b = appendDouble(b, 3, h.Sum)
	b = appendSchema(b, h.Schema)
	b = appendDouble(b, 5, h.ZeroThreshold)
	b = appendUvarint(appendTag(b, 6, wireVarint), h.ZeroCount)
	b = appendSpans(b, 8, h.NegativeSpans)
	b = appendDeltas(b, 9, h.NegativeBuckets)
	b = appendSpans(b, 11, h.PositiveSpans)
	b = appendDeltas(b, 12, h.PositiveBuckets)
	return appendInt(b, 14, int64(h.CounterResetHint))
}

func appendFloatCounts(b []byte, h *histogram.FloatHistogram) []byte {
	b = binary.LittleEndian.AppendUint64(appendTag(b, 2, wireFixed64), math.Float64bits(h.Count))
	b = appendDouble(b, 3, h.Sum)
	b = appendSchema(b, h.Schema)
	b = appendDouble(b, 5, h.ZeroThreshold)
	b = binary.LittleEndian.AppendUint64(appendTag(b, 7, wireFixed64), math.Float64bits(h.ZeroCount))
	b = appendSpans(b, 8, h.NegativeSpans)
	b = appendDoubles(b, 10, h.NegativeBuckets)
	b = appendSpans(b, 11, h.PositiveSpans)
	b = appendDoubles(b, 13, h.PositiveBuckets)
	return appendInt(b, 14, int64(h.CounterResetHint))
}

func appendSchema(b []byte, schema int32) []byte {
	if schema == 0 {
		return b
	}
	return appendUvarint(appendTag(b, 4, wireVarint), zigzag(int64(schema)))
}

func appendSpans(b []byte, field int, spans []histogram.Span) []byte {
	for _, s := range spans {
		var at int
		b, at = open(b, field, 1)
		if s.Offset != 0 {
			b = appendUvarint(appendTag(b, 1, wireVarint), zigzag(int64(s.Offset)))
		}
		if s.Length != 0 {
			b = appendUvarint(appendTag(b, 2, wireVarint), uint64(s.Length))
		}
		b = closed(b, at, 1)
	}
	return b
}

func appendDeltas(b []byte, field int, deltas []int64) []byte {
	if len(deltas) == 0 {
		return b
	}
	b, at := open(b, field, 1)
	for _, d := range deltas {
		b = appendUvarint(b, zigzag(d))
	}
	return closed(b, at, 1)
}

func appendDoubles(b []byte, field int, values []float64) []byte {
	if len(values) == 0 {
		return b
	}
	b = appendUvarint(appendTag(b, field, wireBytes), uint64(len(values))*8)
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

func customValues(s *samplelog.Sample) []float64 {
	if s.H != nil {
		return s.H.CustomValues
	}
	return s.FH.CustomValues
}

func schema(s *samplelog.Sample) int32 {
	if s.H != nil {
		return s.H.Schema
	}
	return s.FH.Schema
}
