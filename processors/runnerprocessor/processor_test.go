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
	"go.opentelemetry.io/collector/processor/processortest"
)

func TestMetadataIsWrittenToTheResourceOnly(t *testing.T) {
	h := newHarness(t)
	got := h.scrape(toolManager(), `http_requests_total{code="200"}`)
	assert.Equal(t, []string{`http_requests_total{app="tool-manager", code="200", namespace="runner"}`}, got)
	assert.Equal(t, map[string]any{
		"organization": "acme", "runner": "r1", "kubiya_type": "customers-runners", "namespace": "runner",
		"service.name": "runner", "service.instance.id": "10.0.0.1:3001", "k8s.namespace.name": "runner",
	}, h.resource())
}

func TestIdentityCannotBeSpoofed(t *testing.T) {
	spoof := func(want, exposed string) {
		t.Helper()
		h := newHarness(t)
		got := h.scrape(source{
			resource: map[string]string{"service.name": "runner", "k8s.namespace.name": "runner", "app": "tool-manager"},
		}, exposed)
		assert.Equal(t, []string{want}, got)
		assert.Equal(t, "r1", h.resource()["runner"])
	}
	spoof(`cpu_usage{exported_runner="r2"}`, `cpu_usage{runner="r2"}`)
	spoof(`cpu_usage{exported_organization="evil", exported_runner="r2"}`, `cpu_usage{runner="r2", organization="evil"}`)
	// Prometheus's rule where exported_runner is exposed too.
	spoof(`cpu_usage{exported_exported_runner="r2", exported_runner="r3"}`, `cpu_usage{runner="r2", exported_runner="r3"}`)
	spoof(`cpu_usage{exported_runner="r3"}`, `cpu_usage{exported_runner="r3"}`)
	// Our own value under our own name says nothing new.
	spoof(`cpu_usage{runner="r1"}`, `cpu_usage{runner="r1"}`)
	// Labels that are ours once an exporter has sanitised them, in each way in which one may.
	spoof(`cpu_usage{exported_kubiya_type="x"}`, `cpu_usage{"kubiya.type"="x"}`)
	spoof(`cpu_usage{exported_kubiya_type="customers-runners"}`, `cpu_usage{"kubiya.type"="customers-runners"}`)
	spoof(`cpu_usage{exported_kubiya_type="x"}`, `cpu_usage{kubiya__type="x"}`)
	spoof(`cpu_usage{exported_exported_kubiya_type="y", exported_kubiya_type="x"}`, `cpu_usage{"kubiya.type"="x", kubiya_type="y"}`)
	// What the exporter sets itself.
	spoof(`cpu_usage{exported_instance="i", exported_job="j"}`, `cpu_usage{job="j", instance="i"}`)
}

func TestSpoofedResourceAttributes(t *testing.T) {
	h := newHarness(t)
	h.scrape(toolManager().from("runner", "r2").from("kubiya.type", "x").from("exported_runner", "r3"), `cpu_usage`)
	res := h.resource()
	assert.Equal(t, "r1", res["runner"])
	assert.Equal(t, "r3", res["exported_runner"])
	assert.Equal(t, "r2", res["exported_exported_runner"])
	assert.Equal(t, "x", res["exported_kubiya_type"])
	assert.NotContains(t, res, "kubiya.type")
}

func TestInstanceOrganizationCountsCollisions(t *testing.T) {
	h := newHarness(t, `instance: organization`)
	one, two := toolManager(), toolManager().from("service.instance.id", "10.0.0.2:3001").from("k8s.pod.name", "b")
	h.scrape(one, `cpu_usage`, `memory_usage{pod="a"}`)
	assert.Equal(t, map[string]int64{"": 0}, h.metric("instance_collisions"))
	h.scrape(two, `cpu_usage`, `memory_usage{pod="b"}`)
	assert.Equal(t, "acme", h.resource()["service.instance.id"])
	// cpu_usage and up are told apart by instance only.
	assert.Equal(t, map[string]int64{"": 4}, h.metric("instance_collisions"))
	h.scrape(two, `cpu_usage stale`)
	assert.Equal(t, map[string]int64{"": 2}, h.metric("instance_collisions"))
}

func TestScopeByNamespace(t *testing.T) {
	drops := func(s source, reason string) {
		t.Helper()
		h := newHarness(t)
		assert.Empty(t, h.scrape(s, `cpu_usage`))
		assert.Contains(t, h.decisions(), "dropped/"+reason)
	}
	passes := func(s source) {
		t.Helper()
		h := newHarness(t)
		assert.Len(t, h.scrape(s, `cpu_usage`), 1)
		h.decisions()
	}
	passes(toolManager())
	passes(toolManager().without("namespace")) // discovery says it
	passes(toolManager().without("namespace").with("kubernetes_namespace", "runner").from("k8s.namespace.name", ""))
	drops(toolManager().with("namespace", "other"), "namespace")
	drops(toolManager().from("k8s.namespace.name", "other"), "namespace")
	drops(toolManager().with("kubernetes_namespace", "other"), "namespace")
	drops(toolManager().without("namespace").from("k8s.namespace.name", ""), "namespace") // unknown
	drops(toolManager().with("app", "other"), "component")
	drops(toolManager().without("app"), "component") // unknown

	pushed := source{resource: map[string]string{"service.name": "sdk", "k8s.namespace.name": "runner", "app": "tool-manager"}}
	passes(pushed)
	drops(source{resource: map[string]string{"app": "tool-manager"}}, "namespace")
	drops(source{resource: map[string]string{"k8s.namespace.name": "runner"}}, "component")
	drops(source{resource: map[string]string{"k8s.namespace.name": "other", "app": "tool-manager"}}, "namespace")
}

// A target without the target labels that scope reads cannot lend itself some by exposing them.
func TestScopeCannotBeClaimedByATarget(t *testing.T) {
	h := newHarness(t)
	nobody := source{resource: map[string]string{"service.name": "x", "service.instance.id": "y"}, labels: map[string]string{}}
	got := h.scrape(nobody, `cpu_usage{app="tool-manager", namespace="runner"}`, `up{app="tool-manager", namespace="runner", exporter="otel-collector", exposed="1"}`)
	assert.Equal(t, []string{"up"}, got, "only Prometheus's own")
	assert.Equal(t, map[string]int64{"kept/always": 1, "dropped/namespace": 2}, h.decisions())
}

func TestPointsOfPushedDataSpeakWhereTheResourceIsSilent(t *testing.T) {
	h := newHarness(t)
	got := h.scrape(source{},
		`cpu_usage{app="tool-manager", namespace="runner"}`, `cpu_usage{app="tool-manager", namespace="other"}`,
		`cpu_usage{app="other", namespace="runner"}`, `cpu_usage{namespace="runner"}`, `cpu_usage{app="tool-manager"}`)
	assert.Equal(t, []string{`cpu_usage{app="tool-manager", namespace="runner"}`}, got)
	assert.Equal(t, map[string]int64{"kept/scope": 1, "dropped/namespace": 2, "dropped/component": 2}, h.decisions())
}

func TestScopeByMetric(t *testing.T) {
	h := newHarness(t, `scope: {metrics: {include: [sdk_runs_total, "custom_.*"], exclude: [memory_usage, ".*_highr_seconds_sum"]}}`)
	got := h.scrape(toolManager(), `cpu_usage`, `memory_usage`, `sdk_runs_total`, `sdk_runs`, `custom_a`, `not_custom_a`, `kube_hpa_x{namespace="runner"}`,
		`histogram:http_request_duration_highr_seconds`, `summary:go_gc_duration_seconds`, `histogram:other_seconds`)
	var names []string
	for _, l := range got {
		names = append(names, l[:strings.IndexByte(l, '{')])
	}
	assert.Equal(t, []string{"cpu_usage", "custom_a", "go_gc_duration_seconds", "kube_hpa_x", "sdk_runs_total"}, names)
	assert.Equal(t, map[string]int64{"kept/scope": 5, "kept/always": 1, "dropped/metric": 5}, h.decisions())
}

func TestHealthAndOwnMetricsAlwaysPass(t *testing.T) {
	h := newHarness(t)
	unknown := source{resource: map[string]string{"service.name": "x"}, labels: map[string]string{"team": "a"}}
	assert.Equal(t, []string{`up{team="a"}`}, h.scrape(unknown))
	assert.Equal(t, []string{`scrape_duration_seconds{team="a"}`}, h.scrape(unknown, `scrape_duration_seconds`, `scrape_duration_seconds{x="1"}`, `cpu_usage`))

	collector := toolManager().with("app", "otel-collector").with("exporter", "otel-collector")
	assert.Len(t, h.scrape(collector, `otelcol_process_uptime`, `anything`), 2)
	h.decisions()

	// Not even health is reported of a target that is known to be somebody else's.
	assert.Empty(t, h.scrape(toolManager().with("namespace", "other")))
	assert.Contains(t, h.decisions(), "dropped/namespace")
}

func TestObjectNamespace(t *testing.T) {
	ksm := source{
		resource: map[string]string{"service.name": "kube-state-metrics", "k8s.namespace.name": "runner"},
		labels:   map[string]string{"app": "kube-state-metrics", "exporter": "kube-state-metrics"},
	}
	keep := func(want bool, s source, line string) {
		t.Helper()
		h := newHarness(t, `scope: {metrics: {include: ["kube_.*", "go_.*"]}}`)
		got := h.scrape(s, line)
		assert.Len(t, got, map[bool]int{true: 1, false: 0}[want], "%s: %v", line, h.decisions())
		if !want {
			assert.Contains(t, h.decisions(), "dropped/object_namespace")
		}
	}
	keep(true, ksm, `kube_pod_info{namespace="runner"}`)
	keep(false, ksm, `kube_pod_info{namespace="other"}`)
	keep(false, ksm, `kube_pod_info`)
	keep(false, ksm, `kube_node_info{node="n"}`)
	keep(false, ksm, `kube_namespace_labels{namespace="other"}`)
	keep(true, ksm, `go_goroutines`)
	keep(true, ksm, `kube_state_metrics_list_total`)

	// The target has a label `namespace` as well: the object's is exported_namespace.
	labelled := ksm.with("namespace", "runner")
	keep(true, labelled, `kube_pod_info{namespace="runner"}`)
	keep(false, labelled, `kube_pod_info{namespace="other"}`)
	keep(false, labelled, `kube_node_info{node="n"}`)
	keep(false, labelled, `kube_customresource_info{x="y"}`)
	// Any target may expose kube_*: then it speaks about objects.
	keep(false, toolManager(), `kube_pod_info{namespace="other"}`)
}

func TestLabelScope(t *testing.T) {
	h := newHarness(t, `scope: {labels: {drop: [pod_ip, "uid|id_.*"]}}`)
	assert.Equal(t, []string{`cpu_usage{app="tool-manager", namespace="runner", pod="p"}`},
		h.scrape(toolManager(), `cpu_usage{pod_ip="1.2.3.4", pod="p", uid="u", id_1="x"}`))

	h = newHarness(t, `scope: {labels: {keep: [app, pod]}}`)
	for range 2 { // as a new series and as a live one
		assert.Equal(t, []string{`cpu_usage{app="tool-manager", pod="p"}`}, h.scrape(toolManager(), `cpu_usage{pod_ip="1.2.3.4", pod="p"}`))
	}
}

// Two series that become one would be two samples with one timestamp, for which a backend rejects the request.
func TestSeriesThatBecomeOneAreCounted(t *testing.T) {
	h := newHarness(t, `scope: {labels: {drop: [pod_ip]}}`)
	for range 2 {
		assert.Len(t, h.scrape(toolManager(), `cpu_usage{pod_ip="1"}`, `cpu_usage{pod_ip="2"}`, `cpu_usage`), 1)
	}
	assert.Equal(t, map[string]int64{"kept/scope": 2, "kept/always": 2, "dropped/collision": 4}, h.decisions())
	assert.Len(t, h.scrape(toolManager(), `cpu_usage{pod_ip="1"} stale`), 1)
	assert.Len(t, h.scrape(toolManager(), `cpu_usage{pod_ip="2"}`), 1, "the place is free")
	h = newHarness(t, `scope: {labels: {drop: [pod_ip]}}`)
	assert.Len(t, h.scrape(toolManager(), `cpu_usage`, `cpu_usage{pod_ip="2"}`), 1)
}

// kube_pod_info before and after the pod has an address: without pod_ip it is one series, which must not end where it goes on.
func TestASeriesThatGoesOnUnderTheSameLabelsDoesNotEnd(t *testing.T) {
	h := newHarness(t, `scope: {labels: {drop: [pod_ip], keep: [app, i]}}`)
	require.Len(t, h.scrape(toolManager(), `cpu_usage{i="1"}`, `cpu_usage{i="2",pod_ip="1"}`, `cpu_usage{i="3"}`), 3)

	got := h.scrape(toolManager(), `cpu_usage{i="1",pod_ip="1"}`, `cpu_usage{i="2",pod_ip="2"}`,
		`cpu_usage{i="1"} stale`, `cpu_usage{i="2",pod_ip="1"} stale`, `cpu_usage{i="3"} stale`)

	assert.Equal(t, []string{
		`cpu_usage{app="tool-manager", i="1"}`, `cpu_usage{app="tool-manager", i="2"}`, `cpu_usage{app="tool-manager", i="3"} stale`,
	}, got)
	assert.Equal(t, int64(2), h.decisions()["dropped/stale"])
	assert.Equal(t, []string{`cpu_usage{app="tool-manager", i="1"} stale`}, h.scrape(toolManager(), `cpu_usage{i="1",pod_ip="1"} stale`),
		"it ends when it does")
}

// A stale marker of an earlier time is of a series that did end.
func TestASeriesThatComesBackLaterDidEnd(t *testing.T) {
	h := newHarness(t, `scope: {labels: {drop: [pod_ip]}}`)
	require.Len(t, h.scrape(toolManager(), `cpu_usage`), 1)

	md := h.build(toolManager(), `cpu_usage stale`, `cpu_usage{pod_ip="1"}`)
	points := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints()
	points.At(1).SetTimestamp(points.At(0).Timestamp() + 1)
	h.sink.Reset()
	require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))

	h.in += md.DataPointCount()
	assert.Equal(t, 2, points.Len())
	assert.NotContains(t, h.decisions(), "dropped/stale")
}

func fakeJWT() string {
	return "eyJ" + strings.Repeat("a1", 10) + "." + "eyJ" + strings.Repeat("b2", 10) + "." + strings.Repeat("c3", 10)
}

func TestSecrets(t *testing.T) {
	line := `cpu_usage{auth="` + fakeJWT() + `", user="u"}`
	h := newHarness(t)
	for range 2 {
		assert.Equal(t, []string{`cpu_usage{app="tool-manager", auth="<redacted:jwt>", namespace="runner", user="u"}`}, h.scrape(toolManager(), line))
	}
	assert.Equal(t, map[string]int64{"tool-manager/jwt": 2}, h.metric("redacted_points"))
	require.Equal(t, 1, h.logs.Len(), "told once")
	entry := h.logs.All()[0]
	assert.Equal(t, "A label value looks like a secret: mend the component that exposes it", entry.Message)
	assert.Equal(t, "auth", entry.ContextMap()["label"])
	for _, f := range entry.Context {
		assert.NotContains(t, f.String, fakeJWT())
	}

	h = newHarness(t, `scope: {secrets: drop}`)
	for range 2 {
		assert.Empty(t, h.scrape(toolManager(), line))
	}
	assert.Equal(t, map[string]int64{"kept/always": 2, "dropped/secret": 2}, h.decisions())

	h = newHarness(t, `scope: {secrets: off}`)
	assert.Contains(t, h.scrape(toolManager(), line)[0], fakeJWT())
}

func TestSecretsInExemplars(t *testing.T) {
	send := func(mode string) (exemplars, redacted int) {
		t.Helper()
		h := newHarness(t, `scope: {secrets: `+mode+`}`)
		md := h.build(toolManager(), `cpu_usage`)
		dp := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0)
		dp.Exemplars().AppendEmpty().FilteredAttributes().PutStr("token", fakeJWT())
		dp.Exemplars().AppendEmpty().FilteredAttributes().PutStr("trace", "abc")
		require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
		got := h.sink.AllMetrics()[0].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).Exemplars()
		for i := range got.Len() {
			if v, ok := got.At(i).FilteredAttributes().Get("token"); ok {
				require.Equal(t, "<redacted:jwt>", v.Str())
				redacted++
			}
		}
		return got.Len(), redacted
	}
	n, redacted := send("redact")
	assert.Equal(t, []int{2, 1}, []int{n, redacted})
	n, redacted = send("drop")
	assert.Equal(t, []int{1, 0}, []int{n, redacted})
}

func TestSeriesLimits(t *testing.T) {
	limit := func(config, reason string, want int64) {
		t.Helper()
		h := newHarness(t, config)
		for range 2 { // the same ones stay
			got := h.scrape(toolManager(), seriesLines("cpu_usage", 0, 10)...)
			require.Len(t, got, 3, "%v", got)
			assert.Contains(t, got[2], `i="2"`)
		}
		assert.Equal(t, int64(14), h.decisions()["dropped/"+reason])
		assert.Equal(t, want, h.live())
	}
	limit(`limits: {series: 3}`, "series_limit", 4) // and up, which always passes
	limit(`limits: {series_per_metric: 3}`, "metric_series_limit", 4)
	limit(`limits: {series_per_component: 3}`, "component_series_limit", 4)
}

func TestALimitOfOneTakesNothingFromOthers(t *testing.T) {
	h := newHarness(t, `limits: {series_per_component: 20, series_per_metric: 12}`)
	agent := toolManager().with("app", "agent-manager").from("service.instance.id", "10.0.0.9:8080")
	assert.Len(t, h.scrape(toolManager(), append(seriesLines("cpu_usage", 0, 100), seriesLines("memory_usage", 0, 5)...)...), 17)
	assert.Len(t, h.scrape(agent, seriesLines("memory_usage", 5, 12)...), 7)
	assert.Len(t, h.scrape(agent, seriesLines("cpu_usage", 0, 12)...), 12, "nor of the metric that the other has too many of")
}

func TestLiveSeriesAreAccountedExactly(t *testing.T) {
	h := newHarness(t, `limits: {series: 7}`)
	assert.Len(t, h.scrape(toolManager(), seriesLines("cpu_usage", 0, 8)...), 7)
	assert.Equal(t, int64(8), h.live())

	// A rejected series has no stale marker; that of a live one frees its place, which the first to come takes.
	got := h.scrape(toolManager(), `cpu_usage{i="7"} stale`, `cpu_usage{i="0"} stale`, `cpu_usage{i="1"} stale`, `cpu_usage{i="9"}`)
	assert.Len(t, got, 3)
	assert.Equal(t, int64(1), h.decisions()["dropped/stale"])
	assert.Equal(t, int64(7), h.live())

	// A histogram is all its series: here 3 buckets, sum and count.
	assert.Empty(t, h.scrape(toolManager(), `histogram:http_request_duration_highr_seconds`))
	h.scrape(toolManager(), `cpu_usage{i="2"} stale`, `cpu_usage{i="3"} stale`, `cpu_usage{i="4"} stale`, `cpu_usage{i="5"} stale`, `cpu_usage{i="6"} stale`)
	assert.Equal(t, int64(2), h.live())
	assert.Len(t, h.scrape(toolManager(), `histogram:http_request_duration_highr_seconds`), 1)
	assert.Equal(t, int64(7), h.live())
	h.decisions()
}

// Prometheus stores a stale marker of a series that it has never seen. As long as nothing has been cut off, so do we.
func TestAStaleMarkerCanBeginASeries(t *testing.T) {
	h := newHarness(t, `limits: {series: 3}`)
	assert.Len(t, h.scrape(toolManager(), `cpu_usage{i="0"} stale`), 1)
	assert.Equal(t, int64(2), h.live(), "it takes a place")
	assert.Len(t, h.scrape(toolManager(), `cpu_usage{i="0"} stale`), 1)
	assert.Equal(t, int64(1), h.live(), "the next one frees it")
	assert.Len(t, h.scrape(toolManager(), `cpu_usage{i="0"} stale`, `cpu_usage{i="1"} stale`, `cpu_usage{i="2"} stale`), 2)
	assert.Empty(t, h.scrape(toolManager(), `cpu_usage{i="3"} stale`), "of a series that may have been cut off")
	decisions := h.decisions()
	assert.Equal(t, int64(1), decisions["dropped/series_limit"])
	assert.Equal(t, int64(1), decisions["dropped/stale"])
}

func TestTTLFreesAPlace(t *testing.T) {
	p, err := newRunnerProcessor(processortest.NewNopSettings(processortest.NopType), load(t, `limits: {series: 2, ttl: 5m}`))
	require.NoError(t, err)
	h := &harness{t: t}
	now := time.Unix(1700000000, 0)
	p.now = func() time.Time { return now }
	ctx := client.NewContext(t.Context(), client.Info{Addr: &net.TCPAddr{}})
	send := func(lines ...string) int {
		md, err := p.processMetrics(ctx, h.build(source{resource: map[string]string{"app": "tool-manager", "k8s.namespace.name": "runner"}}, lines...))
		if err != nil {
			return 0
		}
		return md.DataPointCount()
	}
	assert.Equal(t, 2, send(seriesLines("cpu_usage", 0, 3)...))
	now = now.Add(4 * time.Minute)
	assert.Equal(t, 1, send(`cpu_usage{i="1"}`))
	assert.Equal(t, 0, send(`cpu_usage{i="2"}`), "still live")
	now = now.Add(2 * time.Minute)
	assert.Equal(t, 1, send(`cpu_usage{i="2"}`), "0 has run out")
	assert.Equal(t, 1, send(`cpu_usage{i="1"}`), "1 has not")
	assert.Equal(t, 0, send(`cpu_usage{i="0"}`))
}

// The receiver takes metrics from a map: their order in a batch is random.
func TestTwoRunsKeepTheSameSeries(t *testing.T) {
	cpu, memory, threads := seriesLines("cpu_usage", 0, 5), seriesLines("memory_usage", 0, 5), seriesLines("go_threads", 0, 5)
	first := newHarness(t, `limits: {series: 7}`).scrape(toolManager(), slices.Concat(cpu, memory, threads)...)
	require.Len(t, first, 7)
	assert.Equal(t, first, newHarness(t, `limits: {series: 7}`).scrape(toolManager(), slices.Concat(threads, memory, cpu)...))
	assert.Equal(t, first, newHarness(t, `limits: {series: 7}`).scrape(toolManager(), slices.Concat(memory, threads, cpu)...))
}

func TestLabelLimits(t *testing.T) {
	drops := func(config, line, reason string) {
		t.Helper()
		h := newHarness(t, config)
		assert.Empty(t, h.scrape(toolManager(), line))
		assert.Equal(t, map[string]int64{"kept/always": 1, "dropped/" + reason: 1}, h.decisions())
	}
	// app, a, name, job, instance and four of metadata, of which namespace is a target label as well
	assert.Len(t, newHarness(t, `limits: {label_count: 9}`).scrape(toolManager(), `cpu_usage{a="1"}`), 1)
	drops(`limits: {label_count: 8}`, `cpu_usage{a="1"}`, "label_count")
	assert.Len(t, newHarness(t, `limits: {label_count: 9}`).scrape(toolManager(), `summary:go_gc_duration_seconds`), 1, "and quantile")
	drops(`limits: {label_count: 8}`, `summary:go_gc_duration_seconds`, "label_count")
	drops(`limits: {label_name_length: 9}`, `cpu_usage{abcdefghij="1"}`, "label_name_length")
	drops(`limits: {label_value_length: 12}`, `cpu_usage{a="abcdefghijklm"}`, "label_value_length")
}

func TestOperatorIsTold(t *testing.T) {
	h := newHarness(t, `scope: {metrics: {include: [cpu_usage]}}`)
	require.Equal(t, 1, h.logs.Len())
	assert.Equal(t, "scope::metrics::include names a metric that the profile has already: remove it", h.logs.All()[0].Message)

	h = newHarness(t, `limits: {series_per_metric: 1}`)
	for range 3 {
		h.scrape(toolManager(), seriesLines("cpu_usage", 0, 4)...)
	}
	require.Equal(t, 1, h.logs.Len())
	assert.Equal(t, "A limit of live series is reached: new series are dropped and counted", h.logs.All()[0].Message)
	assert.Equal(t, "metric_series_limit", h.logs.All()[0].ContextMap()["reason"])
}

func TestSamplesCounted(t *testing.T) {
	h := newHarness(t)
	h.scrape(toolManager(), `cpu_usage`, `histogram:http_request_duration_highr_seconds`, `summary:go_gc_duration_seconds`)
	assert.Equal(t, map[string]int64{"tool-manager": 1 + 1 + 5 + 3}, h.metric("samples"))
	assert.Equal(t, map[string]int64{"series": 50000, "series_per_metric": 10000, "series_per_component": 20000}, h.metric("series_limit"))

	// The receiver leaves the sum out of the stale marker of a histogram, and the exporter puts it in again.
	h.scrape(toolManager(), `histogram:http_request_duration_highr_seconds stale`, `summary:go_gc_duration_seconds stale`)
	assert.Equal(t, map[string]int64{"tool-manager": 10 + 5 + 3 + 1}, h.metric("samples"))
}

// Names that all become kubiya_type, as many as a point may have: each gets a name of its own, and that does not take long.
func TestManyForgedNames(t *testing.T) {
	forged := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"kubiya%stype"="x",`, strings.Repeat("_", i+2))
		}
		return `cpu_usage{` + b.String() + `}`
	}
	h := newHarness(t, `limits: {label_count: 0, label_name_length: 0}`)
	got := h.scrape(toolManager(), forged(1000))
	require.Len(t, got, 1)
	assert.Equal(t, 1000, strings.Count(got[0], `="x"`))
	assert.NotContains(t, got[0], "kubiya__type")

	assert.Empty(t, h.scrape(toolManager(), forged(1100)), "no backend takes more than 1024 labels")
	assert.Equal(t, int64(1), h.decisions()["dropped/label_count"])
}

// With honor_labels a target can give a series the name and the number of labels of a health series, but not its labels.
func TestHealthIsToldByItsLabels(t *testing.T) {
	h := newHarness(t)
	md := h.build(toolManager().with("app", "other"), "scrape_series_added")
	dp := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0)
	dp.Attributes().PutStr("app", "forged")
	h.in += md.DataPointCount()
	require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, map[string]int64{"kept/always": 1, "dropped/component": 1}, h.decisions())
}

// Help texts leave the cluster as metadata.
func TestSecretsInHelpTexts(t *testing.T) {
	for mode, want := range map[string]string{"redact": "<redacted:jwt>", "drop": "<redacted:jwt>", "off": "Use " + fakeJWT()} {
		h := newHarness(t, `scope: {secrets: `+mode+`}`)
		for range 2 {
			md := h.build(toolManager(), `cpu_usage`)
			md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).SetDescription("Use " + fakeJWT())
			require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
			all := h.sink.AllMetrics()
			got := all[len(all)-1].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
			require.Equal(t, want, got.Description(), mode)
		}
	}
}
