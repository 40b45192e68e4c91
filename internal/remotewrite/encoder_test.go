// SPDX-License-Identifier: Apache-2.0

package remotewrite_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// series is a TimeSeries as text, the same for what goes in and for what comes out. Floats are their bits.
type series struct {
	Labels   string
	Metadata string
	Samples  []string
}

func bitsOf(v float64) string { return fmt.Sprintf("%x", math.Float64bits(v)) }

func allBits(values []float64) string {
	var out []string
	for _, v := range values {
		out = append(out, bitsOf(v))
	}
	return strings.Join(out, ",")
}

func floatText(st, t int64, v float64) string { return fmt.Sprintf("%d %d float %s", st, t, bitsOf(v)) }

func intText(st, t int64, h *histogram.Histogram) string {
	return fmt.Sprintf("%d %d int hint %d schema %d count %d sum %s zero %s %d neg %v %v pos %v %v custom %s", st, t, h.CounterResetHint, h.Schema, h.Count,
		bitsOf(h.Sum), bitsOf(h.ZeroThreshold), h.ZeroCount, h.NegativeSpans, h.NegativeBuckets, h.PositiveSpans, h.PositiveBuckets, allBits(h.CustomValues))
}

func fhText(st, t int64, h *histogram.FloatHistogram) string {
	return fmt.Sprintf("%d %d fh hint %d schema %d count %s sum %s zero %s %s neg %v %s pos %v %s custom %s", st, t, h.CounterResetHint, h.Schema, bitsOf(h.Count),
		bitsOf(h.Sum), bitsOf(h.ZeroThreshold), bitsOf(h.ZeroCount), h.NegativeSpans, allBits(h.NegativeBuckets), h.PositiveSpans, allBits(h.PositiveBuckets), allBits(h.CustomValues))
}

func exemplarText(l labels.Labels, v float64, t int64) string {
	return fmt.Sprintf("exemplar %s %s %d", l, bitsOf(v), t)
}

// want is what a receiver has to see.
func want(view *samplelog.View, samples []samplelog.Sample, p remotewrite.Protocol) []series {
	var out []series
	isHist := func(s samplelog.Sample) bool { return s.H != nil || s.FH != nil }
	for i := 0; i < len(samples); {
		end := i + 1
		for end < len(samples) && samples[end].Ref == samples[i].Ref && isHist(samples[end]) == isHist(samples[i]) {
			end++
		}
		one := series{Labels: view.PromLabels(samples[i].Ref).String()}
		if p == remotewrite.V2 {
			m := view.Metadata(samples[i].Ref)
			one.Metadata = fmt.Sprintf("%s %q %q", record.ToMetricType(m.Type), view.Text(m.Unit), view.Text(m.Help))
		}
		for j := i; j < end; j++ {
			s := samples[j]
			st := s.ST
			if p == remotewrite.V1 {
				st = 0
			}
			switch {
			case !remotewrite.Sendable(&samples[j], p):
			case s.H != nil:
				one.Samples = append(one.Samples, intText(st, s.T, s.H))
			case s.FH != nil:
				one.Samples = append(one.Samples, fhText(st, s.T, s.FH))
			default:
				one.Samples = append(one.Samples, floatText(st, s.T, s.V))
			}
		}
		if len(one.Samples) > 0 {
			for j := i; j < end; j++ {
				for _, x := range samples[j].Exemplars {
					t := x.Ts
					if !x.HasTs {
						t = samples[j].T
					}
					one.Samples = append(one.Samples, exemplarText(x.Labels, x.Value, t))
				}
			}
			out = append(out, one)
		}
		i = end
	}
	return out
}

// gotV1 is what Prometheus's own code reads.
func gotV1(t *testing.T, raw []byte) []series {
	t.Helper()
	var request prompb.WriteRequest
	require.NoError(t, request.Unmarshal(raw))
	assert.Empty(t, request.Metadata)
	b := labels.NewScratchBuilder(0)
	var out []series
	for _, ts := range request.Timeseries {
		one := series{Labels: ts.ToLabels(&b, nil).String()}
		assert.True(t, slices.IsSortedFunc(ts.Labels, func(a, b prompb.Label) int { return strings.Compare(a.Name, b.Name) }))
		assert.True(t, len(ts.Samples) == 0 || len(ts.Histograms) == 0, "samples and histograms in one TimeSeries")
		for _, s := range ts.Samples {
			one.Samples = append(one.Samples, floatText(0, s.Timestamp, s.Value))
		}
		for _, h := range ts.Histograms {
			if h.IsFloatHistogram() {
				one.Samples = append(one.Samples, fhText(0, h.Timestamp, h.ToFloatHistogram()))
				continue
			}
			one.Samples = append(one.Samples, intText(0, h.Timestamp, h.ToIntHistogram()))
		}
		for _, x := range ts.Exemplars {
			one.Samples = append(one.Samples, exemplarText(x.ToExemplar(&b, nil).Labels, x.Value, x.Timestamp))
		}
		out = append(out, one)
	}
	return out
}

// gotV2 is what Prometheus's own code reads.
func gotV2(t *testing.T, raw []byte) []series {
	t.Helper()
	var request writev2.Request
	require.NoError(t, request.Unmarshal(raw))
	require.NotEmpty(t, request.Symbols)
	assert.Empty(t, request.Symbols[0])
	unique := slices.Clone(request.Symbols)
	slices.Sort(unique)
	assert.Len(t, slices.Compact(unique), len(request.Symbols), "a symbol is there twice")
	b := labels.NewScratchBuilder(0)
	var out []series
	for _, ts := range request.Timeseries {
		l, err := ts.ToLabels(&b, request.Symbols)
		require.NoError(t, err)
		m, err := ts.ToMetadata(request.Symbols)
		require.NoError(t, err)
		one := series{Labels: l.String(), Metadata: fmt.Sprintf("%s %q %q", m.Type, m.Unit, m.Help)}
		for i := 2; i < len(ts.LabelsRefs); i += 2 {
			assert.Less(t, request.Symbols[ts.LabelsRefs[i-2]], request.Symbols[ts.LabelsRefs[i]], "labels are sorted")
		}
		assert.True(t, len(ts.Samples) == 0 || len(ts.Histograms) == 0, "samples and histograms in one TimeSeries")
		for _, s := range ts.Samples {
			one.Samples = append(one.Samples, floatText(s.StartTimestamp, s.Timestamp, s.Value))
		}
		for _, h := range ts.Histograms {
			if h.IsFloatHistogram() {
				one.Samples = append(one.Samples, fhText(h.StartTimestamp, h.Timestamp, h.ToFloatHistogram()))
				continue
			}
			one.Samples = append(one.Samples, intText(h.StartTimestamp, h.Timestamp, h.ToIntHistogram()))
		}
		for _, x := range ts.Exemplars {
			e, err := x.ToExemplar(&b, request.Symbols)
			require.NoError(t, err)
			one.Samples = append(one.Samples, exemplarText(e.Labels, x.Value, x.Timestamp))
		}
		out = append(out, one)
	}
	return out
}

// generator makes random series and samples.
type generator struct{ *rand.Rand }

var floats = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.1, math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64,
	math.Float64frombits(value.StaleNaN), math.Float64frombits(value.NormalNaN), math.Float64frombits(0xfff8000000000001),
}

func (g generator) float() float64 {
	if g.IntN(2) == 0 {
		return floats[g.IntN(len(floats))]
	}
	return g.NormFloat64() * 1e6
}

func (g generator) time() int64 {
	switch g.IntN(10) {
	case 0:
		return 0
	case 1:
		return -g.Int64N(1 << 40)
	case 2:
		return g.Int64()
	default:
		return 1_790_000_000_000 + g.Int64N(1e9)
	}
}

func (g generator) text() string {
	switch g.IntN(20) {
	case 0:
		return strings.Repeat("v", g.IntN(300))
	case 1:
		return strings.Repeat("long", g.IntN(6000))
	case 2:
		return "zürich/\"\\\n日本"
	default:
		return fmt.Sprintf("v%d", g.IntN(50))
	}
}

func (g generator) series(b *samplelog.Batch) samplelog.Ref {
	pairs := []string{"__name__", fmt.Sprintf("metric_%d", g.IntN(20))}
	for range g.IntN(20) {
		if v := g.text(); v != "" {
			pairs = append(pairs, fmt.Sprintf("label_%d", g.IntN(200)), v)
		}
	}
	return b.Series(intern(b, pairs), samplelog.Metadata{Type: uint8(g.IntN(8)), Unit: b.Symbol(g.text()), Help: b.Symbol(g.text())}) //nolint:gosec // below 8
}

func (g generator) spans() (spans []histogram.Span, buckets int) {
	for range g.IntN(4) {
		n := g.IntN(60)
		spans = append(spans, histogram.Span{Offset: int32(g.IntN(2000) - 1000), Length: uint32(n)}) //nolint:gosec // small
		buckets += n
	}
	return spans, buckets
}

func (g generator) floats(n int) []float64 {
	var out []float64
	for range n {
		out = append(out, g.float())
	}
	return out
}

func (g generator) deltas(n int) []int64 {
	var out []int64
	for range n {
		out = append(out, g.Int64()>>g.IntN(64)*int64(1-2*g.IntN(2)))
	}
	return out
}

func (g generator) sample(ref samplelog.Ref) samplelog.Sample {
	s := samplelog.Sample{Ref: ref, T: g.time()}
	if g.IntN(3) == 0 {
		s.ST = g.time()
	}
	schema, custom := int32(g.IntN(13)-4), []float64(nil) //nolint:gosec // small
	if g.IntN(3) == 0 {
		schema, custom = histogram.CustomBucketsSchema, g.floats(g.IntN(20))
	}
	neg, n := g.spans()
	pos, m := g.spans()
	hint := histogram.CounterResetHint(g.IntN(4)) //nolint:gosec // below 4
	switch g.IntN(6) {
	case 0:
		s.H = &histogram.Histogram{
			CounterResetHint: hint, Schema: schema, Count: g.Uint64() >> g.IntN(64), Sum: g.float(), ZeroThreshold: g.float(), ZeroCount: g.Uint64N(3),
			NegativeSpans: neg, NegativeBuckets: g.deltas(n), PositiveSpans: pos, PositiveBuckets: g.deltas(m), CustomValues: custom,
		}
	case 1:
		s.FH = &histogram.FloatHistogram{
			CounterResetHint: hint, Schema: schema, Count: g.float(), Sum: g.float(), ZeroThreshold: g.float(), ZeroCount: g.float(),
			NegativeSpans: neg, NegativeBuckets: g.floats(n), PositiveSpans: pos, PositiveBuckets: g.floats(m), CustomValues: custom,
		}
	default:
		s.V = g.float()
	}
	if g.IntN(8) == 0 {
		for range g.IntN(3) {
			l := labels.EmptyLabels()
			if g.IntN(4) > 0 {
				l = labels.FromStrings("trace_id", fmt.Sprint(g.Uint64()), "v1", fmt.Sprintf("v%d", g.IntN(50)))
			}
			// Prometheus reads a time of 0 as none.
			s.Exemplars = append(s.Exemplars, exemplar.Exemplar{Labels: l, Value: g.float(), Ts: g.time(), HasTs: g.IntN(4) > 0})
		}
	}
	return s
}

func (g generator) samples(refs []samplelog.Ref) []samplelog.Sample {
	var out []samplelog.Sample
	for range g.IntN(40) {
		ref := refs[g.IntN(len(refs))]
		for range 1 + g.IntN(3) {
			out = append(out, g.sample(ref))
		}
	}
	return out
}

// check encodes random requests one after the other with one encoder, and reads them with Prometheus's code.
func check(t *testing.T, seed uint64, requests int) {
	t.Helper()
	g := generator{rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // test data
	var reused remotewrite.Encoder
	write(t, func(b *samplelog.Batch) {
		var refs []samplelog.Ref
		for range requests {
			for range 1 + g.IntN(5) {
				refs = append(refs, g.series(b))
			}
			view := *b.View()
			samples := g.samples(refs)

			raw := slices.Clone(reused.V1(&view, samples))
			require.Equal(t, want(&view, samples, remotewrite.V1), gotV1(t, raw), "1.0, seed %d", seed)
			require.True(t, bytes.Equal(new(remotewrite.Encoder).V1(&view, samples), raw), "the same again, seed %d", seed)

			raw = slices.Clone(reused.V2(&view, samples))
			require.Equal(t, want(&view, samples, remotewrite.V2), gotV2(t, raw), "2.0, seed %d", seed)
			require.True(t, bytes.Equal(new(remotewrite.Encoder).V2(&view, samples), raw), "the same again, seed %d", seed)

			unpacked, err := snappy.Decode(nil, remotewrite.Compress(nil, raw))
			require.NoError(t, err)
			require.True(t, bytes.Equal(raw, unpacked))
		}
	})
}

func TestEncodeRandomRequests(t *testing.T) {
	for seed := range uint64(20) {
		check(t, seed, 10)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { check(t, seed, 2) })
}

// golden is a small request with everything in it. It is pinned: a request that was frozen by one version may be sent again by
// the next, after a restart.
func golden(t *testing.T) (*samplelog.View, []samplelog.Sample) {
	t.Helper()
	var view samplelog.View
	var samples []samplelog.Sample
	write(t, func(b *samplelog.Batch) {
		counter := samplelog.Metadata{Type: record.GetMetricType(model.MetricTypeCounter), Help: b.Symbol("Requests.")}
		a := b.Series(intern(b, []string{"__name__", "requests_total", "code", "200", "job", "kubiya-apps"}), counter)
		c := b.Series(intern(b, []string{"__name__", "requests_total", "code", "502", "job", "kubiya-apps"}), counter)
		h := b.Series(intern(b, []string{"__name__", "latency_seconds", "job", "kubiya-apps"}), samplelog.Metadata{
			Type: record.GetMetricType(model.MetricTypeHistogram), Unit: b.Symbol("seconds"),
		})
		samples = []samplelog.Sample{
			{Ref: a, ST: 1000, T: 61_000, V: 3, Exemplars: []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", "abc"), Value: 1, Ts: 60_500, HasTs: true}}},
			{Ref: c, T: 61_000, V: math.Float64frombits(value.StaleNaN)},
			{Ref: h, ST: 1000, T: 61_000, H: &histogram.Histogram{
				Schema: 1, ZeroThreshold: 0.5, ZeroCount: 1, Count: 3, Sum: 4.5, PositiveSpans: []histogram.Span{{Offset: -1, Length: 2}}, PositiveBuckets: []int64{1, 0},
			}},
			{Ref: h, T: 62_000, FH: &histogram.FloatHistogram{
				Schema: histogram.CustomBucketsSchema, Count: 2, Sum: 1, PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []float64{2}, CustomValues: []float64{1},
			}},
		}
		view = *b.View()
	})
	return &view, samples
}

const goldenV1 = "" +
	"0a6c0a1a0a085f5f6e616d655f5f120e72657175657374735f746f74616c0a0b0a04636f646512033230300a120a036a6f62120b6b75626979612d61" +
	"707073120d09000000000000084010c8dc031a1e0a0f0a0874726163655f6964120361626311000000000000f03f18d4d8030a4c0a1a0a085f5f6e61" +
	"6d655f5f120e72657175657374735f746f74616c0a0b0a04636f646512033530320a120a036a6f62120b6b75626979612d61707073120d0902000000" +
	"0000f07f10c8dc030a590a1b0a085f5f6e616d655f5f120f6c6174656e63795f7365636f6e64730a120a036a6f62120b6b75626979612d6170707322" +
	"260803190000000000001240200229000000000000e03f30015a04080110026202020078c8dc03"

const goldenV2 = "" +
	"220022085f5f6e616d655f5f220e72657175657374735f746f74616c2204636f6465220332303022036a6f62220b6b75626979612d61707073220952" +
	"657175657374732e2203353032220f6c6174656e63795f7365636f6e647322077365636f6e6473220874726163655f696422036162632a330a060102" +
	"03040506121009000000000000084010c8dc0318e80722110a020b0c11000000000000f03f18d4d8032a04080118072a1d0a06010203080506120d09" +
	"020000000000f07f10c8dc032a04080118072a740a04010905061a2a0803190000000000001240200229000000000000e03f30015a04080110026202" +
	"020078c8dc038801e8071a3a11000000000000004019000000000000f03f20693900000000000000005a0210016a08000000000000004078b0e40382" +
	"0108000000000000f03f2a040803200a"

func TestGoldenRequests(t *testing.T) {
	view, samples := golden(t)
	var e remotewrite.Encoder
	assert.Equal(t, goldenV1, hex.EncodeToString(e.V1(view, samples)))
	assert.Equal(t, goldenV2, hex.EncodeToString(e.V2(view, samples)))
}

func TestSendable(t *testing.T) {
	_, samples := golden(t)
	for i := range samples {
		assert.True(t, remotewrite.Sendable(&samples[i], remotewrite.V2))
		assert.Equal(t, i < 3, remotewrite.Sendable(&samples[i], remotewrite.V1), "only custom buckets cannot be sent over 1.0")
	}
}

func TestEncodeAllocatesNothing(t *testing.T) {
	view, samples := runner(t)
	var e remotewrite.Encoder
	var packed []byte
	for name, encode := range map[string]func() []byte{
		"1.0": func() []byte { return e.V1(view, samples) },
		"2.0": func() []byte { return e.V2(view, samples) },
	} {
		packed = remotewrite.Compress(packed, encode())
		assert.Zero(t, testing.AllocsPerRun(5, func() { packed = remotewrite.Compress(packed, encode()) }), name)
	}
}
