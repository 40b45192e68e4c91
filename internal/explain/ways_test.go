// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

const histogramPage = "# TYPE took_seconds histogram\ntook_seconds_bucket{le=\"1\"} 1\ntook_seconds_bucket{le=\"+Inf\"} 2\ntook_seconds_sum 3\ntook_seconds_count 2\nother 1\n"

func of(t *testing.T, config, page string, o Options) *Explanation {
	t.Helper()
	file, err := configfile.Parse("a.yaml", []byte(config))
	require.NoError(t, err)
	c, err := scrapetest.Load(file, nil)
	require.NoError(t, err)
	spec := scene.Spec{Pages: map[string]scene.PageSpec{"10.0.0.1:80/metrics": {Text: page}}}
	s, err := spec.Load(t.TempDir())
	require.NoError(t, err)
	e, err := Run(context.Background(), scrapetest.New(virtualtime.FromTest(t)), c, s, o)
	require.NoError(t, err)
	return e
}

func way(t *testing.T, config, page string, o Options) *Way {
	t.Helper()
	e := of(t, config, page, o)
	require.Len(t, e.Ways, 1, e.Nearest)
	return &e.Ways[0]
}

func TestHistogramWithoutCountIsLostInTheReceiver(t *testing.T) {
	w := way(t, `
- job_name: a
  static_configs: [{targets: ["10.0.0.1:80"]}]
  metric_relabel_configs: [{source_labels: [__name__], regex: took_seconds_count, action: drop}]
`, histogramPage, Options{Series: `took_seconds_bucket{le="1.0"}`})
	assert.Equal(t, Dropped, w.Outcome)
	last := w.Steps[len(w.Steps)-1]
	assert.Equal(t, StageReceiver, last.Stage)
	assert.Contains(t, last.Why, "it needs _count")
}

func TestLimitThatFailsTheScrape(t *testing.T) {
	const config = `
- job_name: a
  static_configs: [{targets: ["10.0.0.1:80"]}]
  sample_limit: 2
`
	w := way(t, config, histogramPage, Options{Series: "other"})
	assert.Equal(t, Dropped, w.Outcome)
	assert.Equal(t, "The whole scrape fails: sample limit exceeded.", w.Reason)
	assert.Equal(t, Failed, way(t, config, histogramPage, Options{Target: "10.0.0.1"}).Outcome)
}

func TestSeveralPipelines(t *testing.T) {
	w := way(t, `
receivers:
  prometheus: {config: {scrape_configs: [{job_name: a, static_configs: [{targets: ["10.0.0.1:80"]}]}]}}
processors:
  metrics_transform: {transforms: [{include: other, action: update, new_name: renamed}]}
  batch: {timeout: 200ms}
exporters: {debug: {}}
service:
  pipelines:
    metrics/1: {receivers: [prometheus], processors: [batch], exporters: [debug]}
    metrics/2: {receivers: [prometheus], processors: [metrics_transform, batch], exporters: [debug]}
`, histogramPage, Options{Series: "other"})
	assert.Equal(t, Delivered, w.Outcome)
	var renamed []Step
	for _, s := range w.Steps {
		if s.Pipeline == "metrics/2" && len(s.Changes) > 0 && s.Changes[0].Label == model.MetricNameLabel {
			renamed = append(renamed, s)
		}
	}
	require.Len(t, renamed, 1)
	assert.Equal(t, "metrics_transform", renamed[0].Name)
	assert.Equal(t, Change{Op: "~", Label: "__name__", Before: "other", After: "renamed"}, renamed[0].Changes[0])
	assert.Contains(t, w.Steps[len(w.Steps)-1].Labels, Label{"__name__", "renamed"})
}

func TestNamesOfAnyKind(t *testing.T) {
	w := way(t, `[{job_name: a, static_configs: [{targets: ["10.0.0.1:80"]}]}]`, `{"http.requests","a-b"="$1 ${x} \" \\ é"} 1`+"\n", Options{Series: `{"http.requests"}`})
	assert.Equal(t, `{"http.requests", "a-b"="$1 ${x} \" \\ é"}`, w.Name)
	assert.Equal(t, Delivered, w.Outcome, w.Reason)
}

func TestManyMatchesAreBounded(t *testing.T) {
	var page string
	for i := range 40 {
		page += fmt.Sprintf("m{i=\"%d\"} 1\n", i)
	}
	e := of(t, `[{job_name: a, static_configs: [{targets: ["10.0.0.1:80"]}]}]`, page, Options{Series: "m"})
	assert.Len(t, e.Ways, maxWays)
	assert.Len(t, e.Others, maxOthers)
	assert.Equal(t, 40-maxWays-maxOthers, e.MoreOthers)
}

func TestSilentTargetsAreNamedWhereNothingMatches(t *testing.T) {
	e := of(t, `[{job_name: a, static_configs: [{targets: ["10.0.0.1:80", "10.0.0.9:80"]}]}]`, "m 1\n", Options{Series: "n"})
	assert.Empty(t, e.Ways)
	assert.Equal(t, []string{"m"}, e.Nearest)
	require.Len(t, e.Notes, 1)
	assert.Contains(t, e.Notes[0], "10.0.0.9:80 of the job a has no page to look in")
}

func TestTargetsThatGotFurthestComeFirst(t *testing.T) {
	e := of(t, `
- {job_name: none, static_configs: [{targets: ["10.0.0.1:80"]}], relabel_configs: [{source_labels: [job], regex: none, action: drop}]}
- {job_name: silent, static_configs: [{targets: ["10.0.0.1:81"]}]}
- {job_name: later, static_configs: [{targets: ["10.0.0.1:80"]}], relabel_configs: [{target_label: a, replacement: b}, {source_labels: [a], regex: b, action: drop}]}
- {job_name: good, static_configs: [{targets: ["10.0.0.1:80"]}]}
`, "m 1\n", Options{Target: "10.0.0.1"})
	var jobs []string
	for _, w := range e.Ways {
		jobs = append(jobs, w.Job)
	}
	assert.Equal(t, []string{"good", "silent", "later", "none"}, jobs)
}

func TestLabelsThatComeLaterAreMatchedAtTheEnd(t *testing.T) {
	e := small(t, Options{Series: `requests_total{organization="nobody"}`})
	require.Len(t, e.Ways, 1, "only what never got that far")
	assert.Contains(t, e.Ways[0].Reason, "Whether it would have matched organization is not known")
	assert.Contains(t, e.Ways[0].Reason, "scope::components")
}

// The second pipeline has a limit that lets nothing else in.
func TestOnePipelineDeliversAndAnotherDoesNot(t *testing.T) {
	w := way(t, `
receivers:
  prometheus: {config: {scrape_configs: [{job_name: a, static_configs: [{targets: ["10.0.0.1:80"], labels: {app: x, namespace: n}}]}]}}
processors:
  runner:
    metadata: {organization: acme, runner: r1, kubiya_type: k, namespace: n}
    scope: {namespaces: [n], components: [x], metrics: {profile: none, include: [m]}}
    limits: {series_per_metric: 1}
exporters: {debug: {}}
service:
  pipelines:
    metrics/1: {receivers: [prometheus], exporters: [debug]}
    metrics/2: {receivers: [prometheus], processors: [runner], exporters: [debug]}
`, "m{i=\"1\"} 1\nm{i=\"2\"} 1\n", Options{Series: `m{i="2"}`})
	assert.Equal(t, Delivered, w.Outcome)
	last := w.Steps[len(w.Steps)-1]
	assert.Equal(t, "metrics/2", last.Pipeline)
	assert.Contains(t, last.Why, "metric_series_limit 1")
}

// A pipeline for debugging next to the one that delivers neither delivers, nor does what the exporter changes show before it.
func TestPipelineThatOnlyShowsWhatPasses(t *testing.T) {
	const config = `
receivers:
  prometheus: {config: {scrape_configs: [{job_name: a, static_configs: [{targets: ["10.0.0.1:80"]}]}]}}
processors:
  metrics_transform: {transforms: [{include: other, action: update, new_name: renamed}]}
  batch: {timeout: 200ms}
exporters:
  debug: {}
  prometheus_remote_write: {endpoint: "https://prometheus.example.com", resource_to_telemetry_conversion: {enabled: true}}
service:
  pipelines:
    metrics: {receivers: [prometheus], processors: [metrics_transform, batch], exporters: [prometheus_remote_write]}
    metrics/shown: {receivers: [prometheus], exporters: [debug]}
`
	w := way(t, config, histogramPage, Options{Series: "other"})
	assert.Equal(t, Delivered, w.Outcome)
	assert.Contains(t, w.Reason, "It is delivered as renamed{")
	assert.NotContains(t, w.Reason, "other")
	for _, s := range w.Steps {
		if s.Name == "batch" {
			assert.Empty(t, s.Changes)
		}
	}
	last := w.Steps[len(w.Steps)-1]
	assert.Equal(t, "metrics/shown", last.Pipeline)
	assert.Equal(t, "this pipeline has no exporter for Prometheus", last.Why)
	assert.Equal(t, "no exporter for Prometheus: nothing is delivered", last.Name)
}

func TestSeriesThatTwoPipelinesDeliver(t *testing.T) {
	w := way(t, `
receivers:
  prometheus: {config: {scrape_configs: [{job_name: a, static_configs: [{targets: ["10.0.0.1:80"]}]}]}}
processors:
  metrics_transform: {transforms: [{include: other, action: update, new_name: renamed}]}
exporters: {debug: {}}
service:
  pipelines:
    metrics/1: {receivers: [prometheus], exporters: [debug]}
    metrics/2: {receivers: [prometheus], processors: [metrics_transform], exporters: [debug]}
`, histogramPage, Options{Series: "other"})
	assert.Equal(t, `It is delivered as other{instance="10.0.0.1:80", job="a"}, and as renamed{instance="10.0.0.1:80", job="a"}.`, w.Reason)
}

func TestSeriesWithAnOldTimeOfItsOwn(t *testing.T) {
	w := way(t, `[{job_name: a, static_configs: [{targets: ["10.0.0.1:80"]}]}]`, "old 1 1700000000000\n", Options{Series: "old"})
	assert.Equal(t, Dropped, w.Outcome)
	assert.Contains(t, w.Reason, "It is delivered with the time that the page gives it, 2023-11-14T22:13:20Z")
	assert.Contains(t, w.Reason, "honor_timestamps: false")
}

func TestSeriesWithATimeOfItsOwnThatIsToCome(t *testing.T) {
	const config = `[{job_name: a, static_configs: [{targets: ["10.0.0.1:80"]}]}]`
	w := way(t, config, "late 1 1798761600000\n", Options{Series: "late"})
	assert.Equal(t, Dropped, w.Outcome)
	assert.Contains(t, w.Reason, "Prometheus drops it, because the page gives it the time 2027-01-01T00:00:00Z")
	last := w.Steps[len(w.Steps)-1]
	assert.Equal(t, StageScrape, last.Stage)
	assert.True(t, last.Ended)

	w = way(t, config, "soon 1 1767225660000\n", Options{Series: "soon"})
	assert.Equal(t, Dropped, w.Outcome)
	assert.Contains(t, w.Reason, "2026-01-01T00:01:00Z, which is still to come")
	assert.Equal(t, Delivered, way(t, config, "soon 1 1767225660000\n", Options{Series: "soon", At: time.Minute}).Outcome)
	assert.Equal(t, Delivered, way(t, strings.Replace(config, "job_name", "honor_timestamps: false, job_name", 1), "late 1 1798761600000\n", Options{Series: "late"}).Outcome)
}

func TestPodsAndJobsWithoutTargets(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pods.yaml"), []byte(`
apiVersion: v1
kind: Pod
metadata: {name: pending, namespace: shop}
spec: {containers: [{name: a, image: a, ports: [{containerPort: 80}]}]}
status: {phase: Pending}
---
apiVersion: v1
kind: Pod
metadata: {name: elsewhere, namespace: shop}
spec: {containers: [{name: a, image: a}]}
status: {phase: Running, podIP: 10.0.0.9}
`), 0o600))
	s, err := (&scene.Spec{Namespace: "shop", Manifests: []string{"pods.yaml"}}).Load(dir)
	require.NoError(t, err)
	file, err := configfile.Parse("a.yaml", []byte(`
- job_name: web
  kubernetes_sd_configs: [{role: pod, namespaces: {names: [shop]}, selectors: [{role: pod, field: metadata.name=pending}]}]
`))
	require.NoError(t, err)
	c, err := scrapetest.Load(file, nil)
	require.NoError(t, err)
	engine := scrapetest.New(virtualtime.FromTest(t))
	for name, want := range map[string]string{
		"pending":            "pod/shop/pending is in the scene, but has no address (Pending)",
		"pod/pending":        "pod/shop/pending is in the scene, but has no address (Pending)",
		"pod/shop/elsewhere": "pod/shop/elsewhere is in the scene with the address 10.0.0.9, but the discovery of no job finds it: look at their roles, namespaces and selectors; its containers name no port",
		"10.0.0.9":           "pod/shop/elsewhere is in the scene with the address 10.0.0.9",
		"web":                "the job web finds no target in the scene at 0s",
		"neither":            "",
	} {
		e, err := Run(t.Context(), engine, c, s, Options{Target: name})
		require.NoError(t, err)
		assert.Empty(t, e.Ways)
		if want == "" {
			assert.Empty(t, e.Notes)
			continue
		}
		require.Len(t, e.Notes, 1, name)
		assert.Contains(t, e.Notes[0], want)
	}
}

// What labeldrop makes equal is lost but for one sample, which has to be said where it happens.
func TestSeriesThatCollideAfterTheRules(t *testing.T) {
	w := way(t, `
- job_name: a
  static_configs: [{targets: ["10.0.0.1:80"]}]
  metric_relabel_configs: [{action: labeldrop, regex: i}]
`, "m{i=\"1\"} 1\nm{i=\"2\"} 2\nm{i=\"3\",k=\"x\"} 3\n", Options{Series: `m{i="1"}`})
	var found []Fact
	for _, s := range w.Steps {
		for _, f := range s.Facts {
			if f.Name == "collision" {
				assert.Equal(t, StageMetric, s.Stage)
				found = append(found, f)
			}
		}
	}
	require.Len(t, found, 1)
	assert.Equal(t, "1 other series of the page has the same labels now: of all of them one sample is left", found[0].Value)
}
