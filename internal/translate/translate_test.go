// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

func TestScrapedMetrics(t *testing.T) {
	for name, tc := range map[string]struct {
		fill    func(pmetric.MetricSlice)
		want    []string
		refused map[Reason]int
	}{
		"gauge": {
			fill: func(ms pmetric.MetricSlice) {
				points := scraped(ms, "temperature", "gauge").SetEmptyGauge().DataPoints()
				number(points, 21.5, "room", "a", "empty", "", "Upper", "x")
				number(points, 1, "room", "b").SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
			},
			want: []string{
				`{Upper="x", __name__="temperature", instance="i", job="j", room="a"} 21.5 @1700000000000`,
				`{__name__="temperature", instance="i", job="j", room="b"} stale @1700000000000`,
			},
		},
		"names and labels in UTF-8, or of underscores": {
			fill: func(ms pmetric.MetricSlice) {
				number(scraped(ms, "http.température", "gauge").SetEmptyGauge().DataPoints(), 1, "http.route", "/a", "_", "4", "c__d", "1")
			},
			want: []string{`{_="4", __name__="http.température", c__d="1", "http.route"="/a", instance="i", job="j"} 1 @1700000000000`},
		},
		"counter with a start": {
			fill: func(ms pmetric.MetricSlice) {
				points := cumulativeSum(scraped(ms, "jobs_total", "counter"), true)
				number(points, 3, "q", "a").SetStartTimestamp(pcommon.Timestamp(1_600_000_000_123_000_000))
				dp := number(points, 0, "q", "b")
				dp.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
				dp.SetStartTimestamp(staleStart)
			},
			want: []string{
				`{__name__="jobs_created", instance="i", job="j", q="a"} 1.600000000123e+09 @1700000000000`,
				`{__name__="jobs_total", instance="i", job="j", q="a"} 3 @1700000000000 since 1600000000123`,
				`{__name__="jobs_created", instance="i", job="j", q="b"} stale @1700000000000`,
				`{__name__="jobs_total", instance="i", job="j", q="b"} stale @1700000000000`,
			},
		},
		"classic histogram": {
			fill: func(ms pmetric.MetricSlice) {
				m := scraped(ms, "latency", "histogram")
				dp := classic(m, []float64{0.5, 1, 1e6, 1e21}, []uint64{1, 2, 0, 0, 1}, 7.5)
				dp.SetStartTimestamp(pcommon.Timestamp(1_600_000_000_000_000_000))
				for _, v := range []float64{0.7, 0.5, math.Inf(1)} {
					e := dp.Exemplars().AppendEmpty()
					e.SetTimestamp(at)
					e.SetDoubleValue(v)
					e.SetTraceID(pcommon.TraceID{1})
					e.FilteredAttributes().PutStr("a", "b")
				}
			},
			want: []string{
				`{__name__="latency_bucket", instance="i", job="j", le="0.5"} 1 @1700000000000 since 1600000000000 # {a="b", trace_id="01000000000000000000000000000000"} 0.5 @1700000000000`,
				`{__name__="latency_bucket", instance="i", job="j", le="1.0"} 3 @1700000000000 since 1600000000000 # {a="b", trace_id="01000000000000000000000000000000"} 0.7 @1700000000000`,
				`{__name__="latency_bucket", instance="i", job="j", le="1e+06"} 3 @1700000000000 since 1600000000000`,
				`{__name__="latency_bucket", instance="i", job="j", le="1e+21"} 3 @1700000000000 since 1600000000000`,
				`{__name__="latency_bucket", instance="i", job="j", le="+Inf"} 4 @1700000000000 since 1600000000000 # {a="b", trace_id="01000000000000000000000000000000"} +Inf @1700000000000`,
				`{__name__="latency_count", instance="i", job="j"} 4 @1700000000000 since 1600000000000`,
				`{__name__="latency_sum", instance="i", job="j"} 7.5 @1700000000000 since 1600000000000`,
				`{__name__="latency_created", instance="i", job="j"} 1.6e+09 @1700000000000`,
			},
		},
		"classic histogram without a sum, with bounds that are equal": {
			fill: func(ms pmetric.MetricSlice) {
				classic(scraped(ms, "x", "histogram"), []float64{0, math.Copysign(0, -1), math.Inf(1)}, []uint64{1, 1, 1, 0}, 0).RemoveSum()
			},
			want: []string{
				`{__name__="x_bucket", instance="i", job="j", le="0.0"} 1 @1700000000000`,
				`{__name__="x_bucket", instance="i", job="j", le="+Inf"} 3 @1700000000000`,
				`{__name__="x_count", instance="i", job="j"} 3 @1700000000000`,
			},
		},
		"a stale classic histogram that is not known": {
			fill: func(ms pmetric.MetricSlice) {
				dp := classic(scraped(ms, "x", "histogram"), []float64{1}, []uint64{0, 0}, 0)
				dp.RemoveSum()
				dp.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
			},
			want: []string{
				`{__name__="x_bucket", instance="i", job="j", le="1.0"} stale @1700000000000`,
				`{__name__="x_bucket", instance="i", job="j", le="+Inf"} stale @1700000000000`,
				`{__name__="x_count", instance="i", job="j"} stale @1700000000000`,
				`{__name__="x_sum", instance="i", job="j"} stale @1700000000000`,
			},
		},
		"summary": {
			fill: func(ms pmetric.MetricSlice) {
				dp := scraped(ms, "gc", "summary").SetEmptySummary().DataPoints().AppendEmpty()
				dp.SetTimestamp(at)
				dp.SetCount(3)
				dp.SetSum(1.5)
				for _, q := range []float64{0, 0.99, 1, 1} {
					v := dp.QuantileValues().AppendEmpty()
					v.SetQuantile(q)
					v.SetValue(math.NaN())
				}
			},
			want: []string{
				`{__name__="gc", instance="i", job="j", quantile="0.0"} NaN @1700000000000`,
				`{__name__="gc", instance="i", job="j", quantile="0.99"} NaN @1700000000000`,
				`{__name__="gc", instance="i", job="j", quantile="1.0"} NaN @1700000000000`,
				`{__name__="gc_count", instance="i", job="j"} 3 @1700000000000`,
				`{__name__="gc_sum", instance="i", job="j"} 1.5 @1700000000000`,
			},
		},
		"info, stateset, gauge histogram": {
			fill: func(ms pmetric.MetricSlice) {
				number(cumulativeSum(scraped(ms, "build", "info"), false), 1, "version", "1")
				number(cumulativeSum(scraped(ms, "other_info", "info"), false), 1)
				number(cumulativeSum(scraped(ms, "phase", "stateset"), false), 1, "phase", "Running")
				backlog := scraped(ms, "backlog", "gaugehistogram").SetEmptyGauge().DataPoints()
				number(backlog, 3, "le", "0.25")
				number(backlog, 4)
				number(backlog, 5)
				number(backlog, 5).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
				native(scraped(ms, "native", "histogram"))
				stale := scraped(ms, "native", "gaugehistogram").SetEmptyGauge().DataPoints()
				number(stale, 5).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
			},
			want: []string{
				`{__name__="build_info", instance="i", job="j", version="1"} 1 @1700000000000`,
				`{__name__="other_info", instance="i", job="j"} 1 @1700000000000`,
				`{__name__="phase", instance="i", job="j", phase="Running"} 1 @1700000000000`,
				`{__name__="backlog_bucket", instance="i", job="j", le="0.25"} 3 @1700000000000`,
				`{__name__="native", instance="i", job="j"} {count:0, sum:0} zero=0 schema=0 @1700000000000`,
				`{__name__="native", instance="i", job="j"} stale @1700000000000`,
			},
			refused: map[Reason]int{ReasonGaugeHistogram: 3},
		},
		"native histogram": {
			fill: func(ms pmetric.MetricSlice) {
				m := scraped(ms, "n", "histogram")
				dp := native(m)
				dp.SetScale(2)
				dp.SetZeroThreshold(0)
				dp.SetZeroCount(1)
				dp.SetCount(7)
				dp.SetSum(3)
				dp.Positive().SetOffset(-1)
				dp.Positive().BucketCounts().FromRaw([]uint64{1, 0, 0, 2, 0, 0, 0, 3})
				native(m).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
				native(m).SetCount(2) // in no bucket
			},
			want: []string{
				`{__name__="n", instance="i", job="j"} {count:7, sum:3, [-0,0]:1, (0.8408964152537144,1]:1, (1.414213562373095,1.6817928305074288]:2, (2.82842712474619,3.3635856610148576]:3} zero=0 schema=2 @1700000000000`,
				`{__name__="n", instance="i", job="j"} stale histogram @1700000000000`,
			},
			refused: map[Reason]int{ReasonNativeHistogram: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPipeline(t, Settings{})
			md, ms := page()
			tc.fill(ms)
			got, result := p.translate(md)
			require.ElementsMatch(t, tc.want, got)
			var refused [NumReasons]int
			for why, n := range tc.refused {
				refused[why] = n
			}
			require.Equal(t, refused, result.Refused)
			again, _ := p.collect(func(b *samplelog.Batch) Result { return p.trans.Translate(b, md, true) })
			require.Equal(t, got, again, "the second time from the cache")
		})
	}
}

func TestScopeLabelsComeBack(t *testing.T) {
	p := newPipeline(t, Settings{})
	md, ms := page()
	number(scraped(ms, "a", "gauge").SetEmptyGauge().DataPoints(), 1)
	sm := md.ResourceMetrics().At(0).ScopeMetrics().AppendEmpty()
	sm.Scope().SetName("lib")
	sm.SetSchemaUrl("u")
	sm.Scope().Attributes().PutStr("x", "y")
	number(scraped(sm.Metrics(), "a", "gauge").SetEmptyGauge().DataPoints(), 2)
	pushed := sm.Metrics().AppendEmpty()
	pushed.SetName("pushed")
	number(pushed.SetEmptyGauge().DataPoints(), 3)
	for range 2 {
		got, _ := p.translate(md)
		require.Equal(t, []string{
			`{__name__="a", instance="i", job="j"} 1 @1700000000000`,
			`{__name__="a", instance="i", job="j", otel_scope_name="lib", otel_scope_schema_url="u", otel_scope_x="y"} 2 @1700000000000`,
			`{__name__="pushed", instance="i", job="j"} 3 @1700000000000`,
		}, got)
	}
}

func TestOTLP(t *testing.T) {
	p := newPipeline(t, Settings{ResourceLabels: []string{"organization", "app", "missing"}})
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	put(rm.Resource().Attributes(), "service.namespace", "ns", "service.name", "j", "organization", "acme", "app", "resource", "other", "x")
	ms := rm.ScopeMetrics().AppendEmpty().Metrics()
	add := func(name string) pmetric.Metric {
		m := ms.AppendEmpty()
		m.SetName(name)
		return m
	}
	dp := number(add("gauge").SetEmptyGauge().DataPoints(), 0, "app", "point", "job", "point", "instance", "point", "__name__", "other")
	dp.SetIntValue(7)
	dp.Attributes().PutInt("code", 200)
	dp.Attributes().PutBool("ok", true)
	number(cumulativeSum(add("sum.total"), true), 1).SetStartTimestamp(at - 5e6)
	number(cumulativeSum(add("sum.total.2"), true), 1).SetStartTimestamp(at)
	delta := add("delta").SetEmptySum()
	delta.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	number(delta.DataPoints(), 1)
	number(delta.DataPoints(), 1)
	classic(add("hist"), nil, nil, 0).SetCount(3)
	classic(add("bad bounds"), []float64{2, 1}, []uint64{0, 0, 0}, 0)
	classic(add("bad counts"), []float64{1, 2}, []uint64{0, 0}, 0)
	h := native(add("exp"))
	h.SetScale(10)
	h.SetCount(10)
	h.Negative().SetOffset(5)
	h.Negative().BucketCounts().FromRaw([]uint64{1, 2, 3, 4})
	native(add("coarse")).SetScale(-5)
	add("none").SetEmptyGauge().DataPoints().AppendEmpty().SetTimestamp(at)
	add("no time").SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(1)
	number(add("").SetEmptyGauge().DataPoints(), 1)
	number(add("\xff").SetEmptyGauge().DataPoints(), 1)
	number(add("label").SetEmptyGauge().DataPoints(), 1, "", "x")
	number(add("label").SetEmptyGauge().DataPoints(), 1, "x", "\xff")
	add("empty")
	e := number(cumulativeSum(add("exemplars"), true), 1).Exemplars()
	long := make([]byte, 200)
	for i := range long {
		long[i] = 'x'
	}
	e.AppendEmpty().SetIntValue(1)
	e.At(0).SetSpanID(pcommon.SpanID{1})
	e.At(0).FilteredAttributes().PutStr("long", string(long))
	e.AppendEmpty()
	for range 2 {
		got, result := p.collect(func(b *samplelog.Batch) Result { return p.trans.Translate(b, md, true) })
		require.ElementsMatch(t, []string{
			`{__name__="gauge", app="point", code="200", instance="point", job="ns/j", ok="true", organization="acme"} 7 @1700000000000`,
			`{__name__="sum.total", app="resource", job="ns/j", organization="acme"} 1 @1700000000000 since 1699999999995`,
			`{__name__="sum.total.2", app="resource", job="ns/j", organization="acme"} 1 @1700000000000`,
			`{__name__="hist_bucket", app="resource", job="ns/j", le="+Inf", organization="acme"} 3 @1700000000000`,
			`{__name__="hist_count", app="resource", job="ns/j", organization="acme"} 3 @1700000000000`,
			`{__name__="hist_sum", app="resource", job="ns/j", organization="acme"} 0 @1700000000000`,
			`{__name__="exp", app="resource", job="ns/j", organization="acme"} {count:10, sum:0, [-1.0081558981184175,-1.0054299011128027):4, [-1.0054299011128027,-1.0027112750502025):6} zero=1e-128 schema=8 @1700000000000`,
			`{__name__="exemplars", app="resource", job="ns/j", organization="acme"} 1 @1700000000000 # {span_id="0100000000000000"} 1 @0`,
		}, got)
		require.Equal(t, [NumReasons]int{
			ReasonTemporality: 2, ReasonBuckets: 10, ReasonNativeHistogram: 1, ReasonValue: 1, ReasonTimestamp: 1,
			ReasonName: 2, ReasonLabel: 2,
		}, result.Refused)
		require.Equal(t, 1, result.RefusedExemplars)
	}
}

func TestEscapedNames(t *testing.T) {
	p := newPipeline(t, Settings{EscapeNames: true, ResourceLabels: []string{"kubiya.type"}})
	md, ms := page()
	md.ResourceMetrics().At(0).Resource().Attributes().PutStr("kubiya.type", "r")
	m := ms.AppendEmpty()
	m.SetName("http.latency")
	number(m.SetEmptyGauge().DataPoints(), 1, "b.c", "2", "b_c", "3", "b:c", "1", "0é", "4")
	legacy := ms.AppendEmpty()
	legacy.SetName("a:b__c")
	number(legacy.SetEmptyGauge().DataPoints(), 1, "c__d", "1")
	for range 2 {
		got, _ := p.translate(md)
		require.Equal(t, []string{
			`{__="4", __name__="http_latency", b_c="2;1;3", instance="i", job="j", kubiya_type="r"} 1 @1700000000000`,
			`{__name__="a:b__c", c__d="1", instance="i", job="j", kubiya_type="r"} 1 @1700000000000`,
		}, got)
	}
}

func TestAttributeTwice(t *testing.T) {
	// Only what comes over the wire can have it: a gauge `m` whose point has the attribute `a` twice.
	attribute := "\x3a\x08\x0a\x01a\x12\x03\x0a\x01x"
	point := attribute + attribute + "\x19\x00\x00\x00\x00\x00\x00\x00\x01\x21\x00\x00\x00\x00\x00\x00\x00\x00"
	field := func(tag byte, s string) string { return string([]byte{tag, byte(len(s))}) + s } //nolint:gosec // short
	data := field(0x0a, field(0x12, field(0x12, field(0x0a, "m")+field(0x2a, field(0x0a, point)))))
	unmarshaler := pmetric.ProtoUnmarshaler{}
	md, err := unmarshaler.UnmarshalMetrics([]byte(data))
	require.NoError(t, err)
	require.Equal(t, 1, md.DataPointCount())
	p := newPipeline(t, Settings{})
	got, result := p.translate(md)
	require.Empty(t, got)
	require.Equal(t, 1, result.Refused[ReasonLabel])
}

func TestExemplarsAreWrittenOnce(t *testing.T) {
	p := newPipeline(t, Settings{})
	f := func(again bool, exemplars []string, want ...string) {
		t.Helper()
		md, ms := page()
		dp := native(scraped(ms, "n", "histogram"))
		for i, e := range exemplars {
			x := dp.Exemplars().AppendEmpty()
			at, user, _ := strings.Cut(e, " ")
			seconds, err := strconv.Atoi(at)
			require.NoError(t, err)
			x.SetTimestamp(pcommon.Timestamp(seconds * 1e9)) //nolint:gosec // small
			x.SetDoubleValue(float64(i))
			x.FilteredAttributes().PutStr("user", user)
		}
		got, _ := p.collect(func(b *samplelog.Batch) Result { return p.trans.Translate(b, md, again) })
		_, text, _ := strings.Cut(got[0], " # ")
		require.Equal(t, strings.Join(want, " # "), text)
	}
	f(false, []string{"2 a", "1 b"}, `{user="b"} 1 @1000`, `{user="a"} 0 @2000`)
	f(false, []string{"2 a", "1 b"})
	f(false, []string{"2 a", "1 b", "2 c"}, `{user="c"} 2 @2000`)
	f(true, []string{"2 a", "1 b", "2 c"}, `{user="b"} 1 @1000`, `{user="a"} 0 @2000`, `{user="c"} 2 @2000`)
	f(false, []string{"2 a"})
	p.trans.view = nil // another segment
	f(false, []string{"2 a", "3 d"}, `{user="d"} 1 @3000`)
}

func TestStaleHistogramWithoutSum(t *testing.T) {
	p := newPipeline(t, Settings{})
	md, ms := page()
	dp := classic(scraped(ms, "x", "histogram"), []float64{1}, []uint64{0, 0}, 0)
	dp.RemoveSum()
	p.translate(md)
	dp.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	got, _ := p.translate(md)
	require.Len(t, got, 3, "a known histogram without a sum gets no stale marker for it")
}

func TestMetadata(t *testing.T) {
	p := newPipeline(t, Settings{})
	md, ms := page()
	f := func(m pmetric.Metric, unit, help string) pmetric.NumberDataPointSlice {
		m.SetUnit(unit)
		m.SetDescription(help)
		return m.SetEmptyGauge().DataPoints()
	}
	number(f(scraped(ms, "a", "unknown"), "s", "A."), 1)
	number(f(scraped(ms, "b", "stateset"), "1", "\xff"), 1)
	m := ms.AppendEmpty()
	m.SetName("c")
	number(f(m, "By/s", ""), 1)
	p.translate(md)
	series := func(name string) labels.Labels {
		return labels.FromStrings("__name__", name, "instance", "i", "job", "j")
	}
	require.Equal(t, `unknown "seconds" "A."`, p.metadataOf(series("a")))
	require.Equal(t, `stateset "ratio" "`+"\uFFFD"+`"`, p.metadataOf(series("b")))
	require.Equal(t, `gauge "bytes_per_second" ""`, p.metadataOf(series("c")))
}

func TestNewMetadataNeedsASegment(t *testing.T) {
	p := newPipeline(t, Settings{})
	md, ms := page()
	m := scraped(ms, "a", "gauge")
	number(m.SetEmptyGauge().DataPoints(), 1)
	ls := labels.FromStrings("__name__", "a", "instance", "i", "job", "j")
	describe := func(help string) string {
		m.SetDescription(help)
		p.translate(md)
		p.now = p.now.Add(2 * time.Minute)
		p.translate(md)
		return p.metadataOf(ls)
	}
	require.Equal(t, `gauge "" "one"`, describe("one"))
	require.Equal(t, `gauge "" "two"`, describe("two"))
	require.Equal(t, `gauge "" "two"`, describe("three"), "the second change waits for the next segment")

	other, ms := page()
	cumulativeSum(scraped(ms, "b", "counter"), true)
	number(ms.At(0).Sum().DataPoints(), 1)
	p.translate(other)
	ms.At(0).Metadata().PutStr(metadataType, "unknown")
	p.translate(other)
	p.now = p.now.Add(2 * time.Minute)
	p.translate(other)
	require.Equal(t, `unknown "" ""`, p.metadataOf(labels.FromStrings("__name__", "b", "instance", "i", "job", "j")), "another type")
	p.translate(md)
	require.Equal(t, `gauge "" "three"`, p.metadataOf(ls))
}

func TestEqualSeriesAreOne(t *testing.T) {
	p := newPipeline(t, Settings{})
	md, ms := page()
	number(scraped(ms, "x_count", "gauge").SetEmptyGauge().DataPoints(), 1)
	classic(scraped(ms, "x", "histogram"), nil, []uint64{2}, 0)
	other := md.ResourceMetrics().AppendEmpty()
	md.ResourceMetrics().At(0).CopyTo(other)
	other.Resource().Attributes().PutStr("server.port", "80")
	got, _ := p.translate(md) // checks that no series is there twice
	require.Len(t, got, 8)
}
