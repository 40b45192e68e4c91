// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// pushed is a source that sends OTLP.
func pushed() source {
	return source{resource: map[string]string{"service.name": "sdk", "k8s.namespace.name": "runner", "app": "tool-manager"}}
}

// What is pushed can bring an `up` series, with whatever labels: it speaks for nobody.
func TestPushedUpProvesNothing(t *testing.T) {
	h := newHarness(t)
	got := h.scrape(source{resource: map[string]string{}},
		`up{namespace="runner", app="tool-manager", exporter="otel-collector"}`, `stolen{app="foreign"}`, `cpu_usage`, `scrape_series_added`)
	assert.Empty(t, got)
	assert.Zero(t, h.live())
	assert.Empty(t, h.decisions()["kept/always"])
}

// honor_labels lets a target put other labels on its `up`, even fewer. Then it is told by what all its `up` series have in common.
func TestExposedUpWithHonoredLabels(t *testing.T) {
	exposed := func(name, value string) map[string]int64 {
		t.Helper()
		h := newHarness(t)
		md := h.build(toolManager().with("exporter", "x"), `up{exposed="1"}`, `unlisted`)
		up := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).Attributes()
		up.Remove("exposed")
		up.Remove(name)
		if value != "" {
			up.PutStr(name, value)
		}
		h.in += md.DataPointCount()
		require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
		return h.decisions()
	}
	assert.Equal(t, map[string]int64{"dropped/metric": 3}, exposed("exporter", "otel-collector"))
	assert.Equal(t, int64(2), exposed("app", "")["dropped/component"], "all but what has nothing else to it")
}

// A target that exposes `up` as a family of several parts makes the receiver lose Prometheus's own: it must not pass for the collector
// by what it says itself.
func TestExposedUpThatHidesPrometheuss(t *testing.T) {
	for _, kind := range []string{"histogram", "summary"} {
		h := newHarness(t)
		md := h.build(toolManager(), kind+`:up{exporter="otel-collector"}`, `unlisted{exporter="otel-collector"}`, `cpu_usage`)
		md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().RemoveIf(func(m pmetric.Metric) bool {
			return m.Name() == metricUp && m.Type() == pmetric.MetricTypeGauge
		})
		h.in += md.DataPointCount()
		require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
		assert.Equal(t, map[string]int64{"dropped/metric": 2, "kept/scope": 1}, h.decisions(), kind)
	}
}

func TestHonoredComponentHasToBeInScopeToo(t *testing.T) {
	h := newHarness(t)
	md := h.build(toolManager(), `cpu_usage`)
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).Attributes().PutStr("app", "foreign")
	h.in += md.DataPointCount()
	require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, map[string]int64{"kept/always": 1, "dropped/component": 1}, h.decisions())
}

func TestNamespacesOfPushedData(t *testing.T) {
	h := newHarness(t)
	assert.Empty(t, h.scrape(pushed().from("k8s.namespace.name", "other"), `cpu_usage{namespace="runner"}`), "the resource goes before the point")
	assert.Empty(t, h.scrape(pushed(), `kube_pod_info{exported_namespace="other", namespace="runner"}`))
	assert.Len(t, h.scrape(pushed(), `kube_pod_info{namespace="runner"}`), 1)
	assert.Equal(t, map[string]int64{"tool-manager": 1}, h.metric("samples"))
	h.decisions()
}

func TestObjectsUnderOtherNames(t *testing.T) {
	drops := func(s source, line string) {
		t.Helper()
		h := newHarness(t)
		assert.Empty(t, h.scrape(s, line))
		assert.Contains(t, h.decisions(), "dropped/object_namespace")
	}
	// An exporter makes kube_pod_info of it.
	drops(toolManager(), `{"kube.pod_info", namespace="other"}`)
	drops(pushed(), `{"kube.pod_info", namespace="other"}`)
	// One namespace in scope does not make up for one that is not.
	ksm := toolManager().with("app", "kube-state-metrics").without("namespace")
	drops(ksm, `kube_pod_info{namespace="other", exported_namespace="runner"}`)
	drops(ksm, `kube_pod_info{namespace="runner", exported_namespace="other"}`)
	// Whatever kube-state-metrics says of an object, under whatever name.
	drops(ksm, `go_goroutines{namespace="other"}`)
	drops(ksm.with("app", "tool-manager").with("exporter", "kube-state-metrics"), `go_goroutines{namespace="other"}`)
}

// Only Prometheus's own health series pass always, and none of them is a histogram.
func TestHistogramWithAHealthName(t *testing.T) {
	h := newHarness(t)
	assert.Empty(t, h.scrape(toolManager(), `histogram:scrape_timeout_seconds`))
	assert.Equal(t, map[string]int64{"kept/always": 1, "dropped/metric": 1}, h.decisions())
}

// A histogram that grows is not a way around a limit.
func TestGrowingHistogram(t *testing.T) {
	h := newHarness(t, `limits: {series: 10}`)
	line := `histogram:http_request_duration_highr_seconds`
	assert.Len(t, h.scrape(toolManager(), line), 1)
	grown := func(bounds int) int {
		md := h.build(toolManager(), line)
		dp := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Histogram().DataPoints().At(0)
		dp.ExplicitBounds().FromRaw(make([]float64, bounds))
		h.in += md.DataPointCount()
		h.sink.Reset()
		require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
		return h.sink.AllMetrics()[0].DataPointCount() - 1 // less up
	}
	assert.Equal(t, 1, grown(5))
	assert.Equal(t, int64(1+5+3), h.live())
	dying := h.build(toolManager(), line+" stale")
	dying.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Histogram().DataPoints().At(0).ExplicitBounds().FromRaw(make([]float64, 1000))
	h.in += dying.DataPointCount()
	require.NoError(t, h.processor.ConsumeMetrics(t.Context(), dying))
	assert.Equal(t, int64(1), h.live(), "a stale marker needs no room")
	assert.NotContains(t, h.decisions(), "dropped/stale")
	assert.Equal(t, 1, grown(5))
	assert.Equal(t, 0, grown(1000))
	assert.Equal(t, int64(1), h.decisions()["dropped/series_limit"])
	assert.Equal(t, int64(1), h.live())
}

// What the receiver made of labels otel_scope_* are labels again before anything is judged.
func TestScopeOfATarget(t *testing.T) {
	h := newHarness(t, `scope: {metrics: {include: [x]}, secrets: redact, labels: {drop: [otel_scope_color]}}`)
	send := func(version, token string) []string {
		md := h.build(toolManager(), `x`)
		scopes := md.ResourceMetrics().At(0).ScopeMetrics()
		for i := range scopes.At(0).Metrics().Len() {
			scopes.At(0).Metrics().At(i).Metadata().PutStr(metadataType, "gauge")
		}
		scopes.At(0).Scope().SetName(receiverScope)
		other := scopes.AppendEmpty()
		scopes.At(0).CopyTo(other)
		other.Metrics().RemoveIf(func(m pmetric.Metric) bool { return m.Name() == metricUp })
		other.Scope().SetName("lib")
		other.Scope().SetVersion(version)
		other.Scope().Attributes().PutStr("token", token)
		other.Scope().Attributes().PutStr("color", "red")
		h.in += md.DataPointCount()
		h.sink.Reset()
		require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
		got := render(h.sink.AllMetrics()[0])
		slices.Sort(got)
		return slices.DeleteFunc(got, func(l string) bool { return strings.HasPrefix(l, "up{") })
	}
	for range 2 {
		assert.Equal(t, []string{
			`x{app="tool-manager", namespace="runner", otel_scope_name="lib", otel_scope_token="<redacted:jwt>", otel_scope_version="1"}`,
			`x{app="tool-manager", namespace="runner"}`,
		}, send("1", fakeJWT()))
	}
	assert.Len(t, send("2", "plain"), 2)
	assert.Equal(t, int64(1+1+2), h.live())
	assert.Equal(t, map[string]int64{"kept/always": 3, "kept/scope": 6}, h.decisions())
}

// What is pushed has no scope, whatever it says of itself.
func TestScopeOfPushedData(t *testing.T) {
	h := newHarness(t)
	md := h.build(pushed(), `cpu_usage`)
	sm := md.ResourceMetrics().At(0).ScopeMetrics().At(0)
	sm.Metrics().At(0).Metadata().PutStr(metadataType, "gauge")
	sm.Scope().SetName("lib")
	sm.Scope().Attributes().PutStr("token", fakeJWT())
	sm.SetSchemaUrl("u")
	h.in += md.DataPointCount()
	ctx := client.NewContext(t.Context(), client.Info{Addr: &net.TCPAddr{}})
	require.NoError(t, h.processor.ConsumeMetrics(ctx, md))
	out := h.sink.AllMetrics()[0].ResourceMetrics().At(0).ScopeMetrics().At(0)
	assert.Equal(t, receiverScope, out.Scope().Name())
	assert.Zero(t, out.Scope().Attributes().Len())
	assert.Empty(t, out.SchemaUrl())
	assert.Equal(t, []string{`cpu_usage`}, render(h.sink.AllMetrics()[0]))
	h.decisions()
}

func TestInfoMetricOfATarget(t *testing.T) {
	h := newHarness(t, `scope: {metrics: {include: [build_info]}}`)
	md := h.build(toolManager(), `build{version="1"}`)
	m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
	dp := pmetric.NewNumberDataPoint()
	m.Gauge().DataPoints().At(0).CopyTo(dp)
	dp.CopyTo(m.SetEmptySum().DataPoints().AppendEmpty())
	m.Metadata().PutStr(metadataType, typeInfo)
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Scope().SetName(receiverScope)
	h.in += md.DataPointCount()
	require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
	assert.Contains(t, render(h.sink.AllMetrics()[0]), `build_info{app="tool-manager", namespace="runner", version="1"}`)
	h.decisions()
}

// Two scopes give one series twice with one timestamp, once the exporter has left the scopes out.
func TestOneSeriesInTwoScopes(t *testing.T) {
	h := newHarness(t)
	for range 2 { // as a new series and as a live one
		md := h.build(toolManager(), `cpu_usage`)
		scopes := md.ResourceMetrics().At(0).ScopeMetrics()
		scopes.At(0).CopyTo(scopes.AppendEmpty())
		h.in += md.DataPointCount()
		require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
	}
	assert.Equal(t, map[string]int64{"kept/always": 2, "kept/scope": 2, "dropped/collision": 4}, h.decisions())
}

// An OTLP batch may hold several samples of a series, and its end.
func TestSeveralSamplesOfASeriesInABatch(t *testing.T) {
	h := newHarness(t)
	md := h.build(pushed(), `cpu_usage`, `cpu_usage`, `cpu_usage`, `cpu_usage stale`)
	dps := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints()
	for i, ts := range []int{1, 2, 2, 3} {
		dps.At(i).SetTimestamp(pcommon.NewTimestampFromTime(time.Unix(int64(ts), 0)))
	}
	h.in += md.DataPointCount()
	require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, map[string]int64{"kept/scope": 3, "dropped/collision": 1}, h.decisions())
	assert.Zero(t, h.live())
}

func TestOrderOfPushedAttributesDoesNotMatter(t *testing.T) {
	h := newHarness(t)
	send := func(names ...string) string {
		md := h.build(pushed(), `cpu_usage`)
		dp := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0)
		for _, name := range names {
			dp.Attributes().PutStr(name, name)
		}
		h.in += md.DataPointCount()
		h.sink.Reset()
		require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
		return render(h.sink.AllMetrics()[0])[0]
	}
	first := send("kubiya.type", "kubiya-type", "z")
	assert.Equal(t, first, send("z", "kubiya-type", "kubiya.type"))
	assert.Equal(t, int64(1), h.live())
}

func TestKindsAndLengthsTellSeriesApart(t *testing.T) {
	h := newHarness(t, `scope: {metrics: {include: ["x"]}}`)
	assert.Len(t, h.scrape(toolManager(), `x{a="bc"}`, `x{ab="c"}`, `histogram:x{a="bc"}`), 3)
	assert.Equal(t, int64(1+1+1+5), h.live())
}

// A freed series is not found by the guess that it follows another.
func TestAFreedSeriesComesBackAsANewOne(t *testing.T) {
	h := newHarness(t, `limits: {series_per_metric: 2}`)
	a, b, c := `cpu_usage{i="a"}`, `cpu_usage{i="b"}`, `cpu_usage{i="c"}`
	for range 2 {
		assert.Len(t, h.scrape(toolManager(), a, b), 2)
	}
	assert.Len(t, h.scrape(toolManager(), a, b+" stale"), 2)
	assert.Equal(t, int64(2), h.live())
	assert.Len(t, h.scrape(toolManager(), a, b), 2)
	assert.Equal(t, int64(3), h.live())
	assert.Len(t, h.scrape(toolManager(), a, c, b), 2)
	h.decisions()
}

func TestSecretsInJobAndInstance(t *testing.T) {
	for _, mode := range []string{"redact", "drop"} {
		h := newHarness(t, `scope: {secrets: `+mode+`}`)
		assert.Len(t, h.scrape(pushed().from("service.name", fakeJWT()), `cpu_usage`), 1)
		assert.Equal(t, "<redacted:jwt>", h.resource()["service.name"])
		assert.Equal(t, map[string]int64{"tool-manager/jwt": 1}, h.metric("redacted_points"))
	}
	h := newHarness(t)
	assert.Empty(t, h.scrape(pushed().from("service.name", strings.Repeat("x", 2000)), `cpu_usage`))
	assert.Equal(t, map[string]int64{"dropped/label_value_length": 1}, h.decisions())
}

func TestRedactedPointsCountsPoints(t *testing.T) {
	h := newHarness(t)
	h.scrape(toolManager(), `cpu_usage{a="`+fakeJWT()+`", b="`+fakeJWT()+`"}`)
	assert.Equal(t, map[string]int64{"tool-manager/jwt": 1}, h.metric("redacted_points"))
	assert.Equal(t, 2, h.logs.Len(), "each label is named")
}

func TestLabelScopeKnowsSanitisedNames(t *testing.T) {
	h := newHarness(t, `scope: {labels: {drop: [pod_ip]}}`)
	assert.Equal(t, []string{`cpu_usage{app="tool-manager", namespace="runner"}`}, h.scrape(toolManager(), `cpu_usage{"pod.ip"="1.2.3.4"}`))
	h = newHarness(t, `scope: {labels: {keep: [app, pod_name]}}`)
	assert.Equal(t, []string{`cpu_usage{app="tool-manager", "pod.name"="p"}`}, h.scrape(toolManager(), `cpu_usage{"pod.name"="p"}`))
}

// What is dropped for its size is not searched for secrets, which would take long each time it comes again.
func TestLargeValuesAreNotSearched(t *testing.T) {
	h := newHarness(t)
	long := strings.Repeat("password= token= ", 5000)
	assert.Empty(t, h.scrape(toolManager(), `cpu_usage{a="short", b="`+long+`"}`))
	assert.Equal(t, int64(1), h.decisions()["dropped/label_value_length"])
	for _, value := range []string{"short", long} {
		assert.NotContains(t, h.inner.values, h.inner.hash.text(value), "it was searched")
	}
}

func TestCachesAreBounded(t *testing.T) {
	h := newHarness(t, `scope: {labels: {drop: ["drop_.*"]}, metrics: {include: [".*"]}}
limits: {series: 0, series_per_metric: 0, series_per_component: 0}`)
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("app", "tool-manager")
	rm.Resource().Attributes().PutStr("k8s.namespace.name", "runner")
	list := rm.ScopeMetrics().AppendEmpty().Metrics()
	for i := range maxCachedNames + 10 {
		m := list.AppendEmpty()
		m.SetName(fmt.Sprintf("metric_%d", i))
		m.SetEmptyGauge().DataPoints().AppendEmpty().Attributes().PutStr(fmt.Sprintf("name_%d", i), fmt.Sprintf("value_%d", i))
	}
	require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
	for _, n := range []int{len(h.inner.metricVerdicts), len(h.inner.labelDrops), len(h.inner.values), len(h.inner.identity.collisions)} {
		assert.NotZero(t, n)
		assert.LessOrEqual(t, n, maxCachedNames)
	}
}

// In the steady state a point allocates nothing: not for its key, not for its verdict.
func TestNoAllocationForALivePoint(t *testing.T) {
	h := newHarness(t)
	lines := seriesLines("cpu_usage", 0, 500)
	h.scrape(toolManager(), lines...)
	batches := make([]pmetric.Metrics, 6) // one to warm up, and some to measure
	for i := range batches {
		batches[i] = h.build(toolManager(), lines...)
	}
	next := 0
	allocations := testing.AllocsPerRun(len(batches)-1, func() {
		_, err := h.inner.processMetrics(t.Context(), batches[next])
		require.NoError(t, err)
		next++
	})
	assert.Less(t, allocations, 50.0, "those of the batch: its resource attributes")
}
