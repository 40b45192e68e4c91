// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

const followed = `
receivers:
  prometheus:
    config:
      scrape_configs:
        - job_name: a
          static_configs: [{targets: ["10.0.0.1:80", "10.0.0.2:80"], labels: {app: tool-manager, namespace: n}}]
          metric_relabel_configs:
            - {source_labels: [__name__], regex: gone, action: drop}
        - job_name: named
          static_configs: [{targets: ["10.0.0.3:80"], labels: {job: otherwise}}]
processors:
  runner:
    metadata: {organization: acme, runner: r1, kubiya_type: k, namespace: n}
    scope:
      namespaces: [n]
      components: [tool-manager]
      metrics: {profile: none, include: [kept_total, took_seconds, o.t], exclude: [out]}
exporters:
  debug:
service:
  pipelines:
    metrics: {receivers: [prometheus], processors: [runner], exporters: [debug]}
`

const page = `# TYPE kept_total counter
kept_total{instance="mine",path="/$a|b;c\\d"} 1
# TYPE took_seconds histogram
took_seconds_bucket{le="0.5"} 1
took_seconds_bucket{le="+Inf"} 2
took_seconds_sum 3
took_seconds_count 2
out 4
gone 5
kept_total{path="other"} 6
`

func setUp(t *testing.T) (*Engine, *Config, *scene.Scene) {
	t.Helper()
	file, err := configfile.Parse("a.yaml", []byte(followed))
	require.NoError(t, err)
	c, err := Load(file, nil)
	require.NoError(t, err)
	spec := scene.Spec{Pages: map[string]scene.PageSpec{"10.0.0.1:80/metrics": {Text: page}, "10.0.0.3:80/metrics": {Text: "b 1\n"}}}
	s, err := spec.Load(t.TempDir())
	require.NoError(t, err)
	return New(virtualtime.FromTest(t)), c, s
}

func TestScrapeHandsOverWhatPagesExpose(t *testing.T) {
	e, c, s := setUp(t)
	all, err := e.Scrape(context.Background(), c, s, 0, false)
	require.NoError(t, err)
	require.Len(t, all, 3)
	first := all[0]
	require.NoError(t, first.Err)
	require.Len(t, first.Series, 8)
	assert.Equal(t, `{__name__="kept_total", app="tool-manager", exported_instance="mine", instance="10.0.0.1:80", job="a", namespace="n", path="/$a|b;c\\d"}`, first.Series[0].Labels.String())
	assert.Equal(t, "kept_total", first.Series[0].Family)
	assert.Equal(t, "took_seconds", first.Series[1].Family)
	assert.InDelta(t, 8, first.Report["scrape_samples_scraped"], 0)
	exposed, err := first.Exposed()
	require.NoError(t, err)
	assert.Equal(t, `{__name__="kept_total", instance="mine", path="/$a|b;c\\d"}`, exposed[0].Labels.String())
	assert.Equal(t, `{__name__="kept_total", path="other"}`, exposed[7].Labels.String())

	assert.InDelta(t, 1, all[2].Report["up"], 0)
	assert.Equal(t, `{__name__="b", instance="10.0.0.3:80", job="otherwise"}`, all[2].Series[0].Labels.String())

	assert.False(t, all[1].Listening)
	require.Error(t, all[1].Err)
	assert.InDelta(t, 0, all[1].Report["up"], 0)

	all, err = e.Scrape(context.Background(), c, s, 0, true)
	require.NoError(t, err)
	assert.Len(t, all[0].Series, 7)
	assert.InDelta(t, 7, all[0].Report["scrape_samples_post_metric_relabeling"], 0)
}

func TestFollowOneSeriesThroughEachPart(t *testing.T) {
	e, c, s := setUp(t)
	all, err := e.Scrape(context.Background(), c, s, 0, false)
	require.NoError(t, err)
	follow := func(only ...labels.Labels) Followed {
		if only == nil {
			only = []labels.Labels{}
		}
		ways, err := e.Follow(context.Background(), c, s, 0, &all[0].Target, only)
		require.NoError(t, err)
		require.Len(t, ways, 1)
		return ways[0]
	}
	nothing := follow()
	assert.Equal(t, map[Decision]int64{{"kept", "always"}: 5}, nonZero(nothing.Processors[0].Points))

	whole, err := e.Follow(context.Background(), c, s, 0, &all[0].Target, nil)
	require.NoError(t, err)
	assert.Equal(t, map[Decision]int64{{"kept", "always"}: 5, {"kept", "scope"}: 3, {"dropped", "metric"}: 1}, nonZero(whole[0].Processors[0].Points))

	kept := follow(all[0].Series[0].Labels)
	assert.Equal(t, nothing.Received.DataPointCount()+1, kept.Received.DataPointCount())
	assert.Equal(t, map[Decision]int64{{"kept", "always"}: 5, {"kept", "scope"}: 1}, nonZero(kept.Processors[0].Points))
	assert.Equal(t, len(nothing.Delivered)+1, len(kept.Delivered))

	histogram := follow(all[0].Series[1].Labels, all[0].Series[2].Labels, all[0].Series[3].Labels, all[0].Series[4].Labels)
	assert.Equal(t, len(nothing.Delivered)+4, len(histogram.Delivered))

	out := follow(all[0].Series[5].Labels)
	assert.Equal(t, map[Decision]int64{{"kept", "always"}: 5, {"dropped", "metric"}: 1}, nonZero(out.Processors[0].Points))
}

func nonZero(all map[Decision]int64) map[Decision]int64 {
	for d, n := range all {
		if n == 0 {
			delete(all, d)
		}
	}
	return all
}
