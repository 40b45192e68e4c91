// SPDX-License-Identifier: Apache-2.0

package remotewrite

import (
	"encoding/binary"
	"math"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// Protocol is a version of remote write.
type Protocol string

// The versions.
const (
	// V1 is remote write 1.0, message prometheus.WriteRequest.
	V1 Protocol = "1.0"
	// V2 is remote write 2.0, message io.prometheus.write.v2.Request.
	V2 Protocol = "2.0"
)

// Sendable says whether a protocol can carry a sample. Only 2.0 has native histograms with custom buckets: in 1.0 their bounds
// are "not part of the specification, DO NOT use in remote write clients" (prompb/types.proto).
func Sendable(s *samplelog.Sample, p Protocol) bool {
	return p == V2 || s.H == nil && s.FH == nil || !histogram.IsCustomBucketsSchema(schema(s))
}

// Encoder makes the messages of requests. Its buffers are reused; it is not safe for concurrent use. The same input gives the
// same bytes, also in another process: a request that a restart interrupted is sent again as it was.
//
// Consecutive samples of one series become one TimeSeries, or several where floats and histograms alternate, because a
// TimeSeries never has both.
type Encoder struct {
	buf    []byte
	labels []samplelog.Symbol // scratch

	// For 2.0.
	numbers []number          // by samplelog.Symbol
	stamp   uint32            // of this request
	next    uint32            // the number of the next symbol
	texts   map[string]uint32 // numbers of all symbols, where there are exemplars
}

// number is what a symbol of the segment is called in the request with that stamp.
type number struct{ stamp, number uint32 }

// V1 returns a prometheus.WriteRequest, uncompressed, valid until the next call. Samples that are not Sendable are left out;
// start timestamps and metadata have no place in it.
func (e *Encoder) V1(view *samplelog.View, samples []samplelog.Sample) []byte {
	b := e.buf[:0]
	for len(samples) > 0 {
		n := run(samples)
		b = e.appendSeriesV1(b, view, samples[:n])
		samples = samples[n:]
	}
	e.buf = b
	return b
}

// run returns how many of the first samples belong to one TimeSeries.
func run(samples []samplelog.Sample) int {
	first := &samples[0]
	n := 1
	for n < len(samples) && samples[n].Ref == first.Ref && isHistogram(&samples[n]) == isHistogram(first) {
		n++
	}
	return n
}

func isHistogram(s *samplelog.Sample) bool { return s.H != nil || s.FH != nil }

func (e *Encoder) appendSeriesV1(b []byte, view *samplelog.View, samples []samplelog.Sample) []byte {
	start := len(b)
	b, at := open(b, 1, 2) // nearly all series take 128 bytes to 16 KiB
	syms := view.AppendLabels(e.labels[:0], samples[0].Ref)
	e.labels = syms
	for i := 0; i+1 < len(syms); i += 2 {
		b = appendLabel(b, view.Text(syms[i]), view.Text(syms[i+1]))
	}
	empty := len(b)
	for i := range samples {
		s := &samples[i]
		switch {
		case !isHistogram(s):
			b = appendSample(b, s, 0)
		case Sendable(s, V1):
			b = appendHistogram(b, 4, s, 0)
		}
	}
	if len(b) == empty {
		return b[:start]
	}
	for i := range samples {
		for _, x := range samples[i].Exemplars {
			b = appendExemplarV1(b, x, samples[i].T)
		}
	}
	return closed(b, at, 2)
}

// appendLabel appends a label as field 1, which it is in a TimeSeries and in an Exemplar.
func appendLabel(b []byte, name, value string) []byte {
	if n := len(name) + len(value) + 4; n < 0x80 { // all lengths take one byte
		b = append(b, 1<<3|wireBytes, byte(n), 1<<3|wireBytes, byte(len(name))) //nolint:gosec // below 128, as is the next
		b = append(b, name...)
		b = append(b, 2<<3|wireBytes, byte(len(value))) //nolint:gosec // see above
		return append(b, value...)
	}
	size := 1 + uvarintSize(uint64(len(name))) + len(name) + 1 + uvarintSize(uint64(len(value))) + len(value)
	b = append(b, 1<<3|wireBytes)
	b = appendUvarint(b, uint64(size)) //nolint:gosec // a length
	b = append(b, 1<<3|wireBytes)
	b = appendUvarint(b, uint64(len(name)))
	b = append(b, name...)
	b = append(b, 2<<3|wireBytes)
	b = appendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

// appendSample appends a float sample as field 2, which it is in both versions. st is left out where it is 0.
func appendSample(b []byte, s *samplelog.Sample, st int64) []byte {
	b = append(b, 2<<3|wireBytes, 0)
	start := len(b)
	if x := math.Float64bits(s.V); x != 0 { // not s.V != 0, which is false for negative zero
		b = append(b, 1<<3|wireFixed64)
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	b = appendInt(b, 2, s.T)
	b = appendInt(b, 3, st)
	b[start-1] = byte(len(b) - start) //nolint:gosec // at most 31
	return b
}

func appendExemplarV1(b []byte, x exemplar.Exemplar, t int64) []byte {
	b, at := open(b, 3, 1)
	x.Labels.Range(func(l labels.Label) { b = appendLabel(b, l.Name, l.Value) })
	b = appendDouble(b, 2, x.Value)
	b = appendInt(b, 3, exemplarTime(x, t))
	return closed(b, at, 1)
}

// exemplarTime is the time of an exemplar, or of its sample where it has none: receivers want one.
func exemplarTime(x exemplar.Exemplar, t int64) int64 {
	if !x.HasTs {
		return t
	}
	return x.Ts
}
