// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

func loadScene(t *testing.T, text string) *scene.Scene {
	t.Helper()
	var spec scene.Spec
	require.NoError(t, yaml.Unmarshal([]byte(text), &spec))
	s, err := spec.Load("testdata")
	require.NoError(t, err)
	return s
}

func loadConfig(t *testing.T, text string, env map[string]string) *Config {
	t.Helper()
	file, err := configfile.Parse("testdata/config.yaml", []byte(text))
	require.NoError(t, err)
	c, err := Load(file, env)
	require.NoError(t, err)
	return c
}

// format writes the series of a time, one a line, with the last value of each.
func format(series []Series) []string {
	lines := []string{}
	for _, s := range series {
		last := s.Samples[len(s.Samples)-1]
		value := "histogram"
		if last.H == nil {
			value = formatFloat(last.F)
		}
		lines = append(lines, s.Labels.String()+" "+value)
	}
	return lines
}

func TestPrometheusFile(t *testing.T) {
	c := loadConfig(t, `
scrape_configs:
  - job_name: a
    scrape_interval: 30s
    static_configs: [{targets: ["10.0.0.1:80", "10.0.0.2:80"]}]
    relabel_configs:
      - {source_labels: [__address__], regex: "10\\.0\\.0\\.2.*", action: drop}
    metric_relabel_configs:
      - {source_labels: [__name__], regex: scrape_.*|b_.*, action: drop}
`, nil)
	s := loadScene(t, `
pages:
  10.0.0.1:80/metrics: {text: "# TYPE a counter\na 1\nb_x 3\n"}
steps:
  - at: 45s
    pages: {10.0.0.1:80/metrics: {text: "# TYPE a counter\na 5\n"}}
`)
	start := time.Now()
	r, err := New(virtualtime.FromTest(t)).Run(context.Background(), c, s, 30*time.Second, 60*time.Second)
	require.NoError(t, err)
	t.Log(time.Since(start))
	live := format(r.Live(30 * time.Second))
	assert.Contains(t, live, `{__name__="a", instance="10.0.0.1:80", job="a"} 1`)
	assert.Contains(t, live, `{__name__="up", instance="10.0.0.1:80", job="a"} 1`)
	assert.Contains(t, format(r.Live(time.Minute)), `{__name__="a", instance="10.0.0.1:80", job="a"} 5`)
	for _, s := range r.Series {
		assert.Len(t, s.Samples, 3, s.Labels)
		for i, sample := range s.Samples {
			assert.Equal(t, r.Scene.Start.Add(time.Duration(i)*30*time.Second).UnixMilli(), sample.T)
		}
	}
	targets := r.Targets(0)
	require.Len(t, targets, 2)
	assert.True(t, targets[0].Kept())
	assert.Equal(t, 0, targets[1].DroppedBy)
	result, err := r.Query(context.Background(), `increase(a[1m])`, time.Minute)
	require.NoError(t, err)
	assert.Len(t, result.Value, 1)
}

// What only goes to a debug exporter is not delivered, unless there is nothing else: then it stands for what is to come.
func TestPipelineWithoutAnExporterForPrometheus(t *testing.T) {
	const config = `
receivers:
  prometheus: {config: {scrape_configs: [{job_name: a, static_configs: [{targets: ["10.0.0.1:80"]}]}]}}
  prometheus/2: {config: {scrape_configs: [{job_name: b, static_configs: [{targets: ["10.0.0.1:80"]}]}]}}
exporters:
  debug: {}
  prometheus_remote_write: {endpoint: "https://prometheus.example.com"}
service:
  pipelines:
    metrics: {receivers: [prometheus], exporters: [EXPORTER]}
    metrics/2: {receivers: [prometheus/2], exporters: [debug]}
`
	s := loadScene(t, `pages: {"10.0.0.1:80/metrics": {text: "a 1\n"}}`)
	for name, jobs := range map[string][]string{"prometheus_remote_write": {"a"}, "debug": {"a", "b"}} {
		r, err := New(virtualtime.FromTest(t)).Run(t.Context(), loadConfig(t, strings.Replace(config, "EXPORTER", name, 1), nil), s, 0)
		require.NoError(t, err)
		var have []string
		for _, series := range r.Live(0, labels.MustNewMatcher(labels.MatchEqual, "__name__", "a")) {
			have = append(have, series.Labels.Get("job"))
		}
		assert.Equal(t, jobs, have, name)
	}
}
