// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/testbed"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

// The engine has the components of the distribution, no more and no fewer.
func TestComponentsOfTheDistribution(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testbed.Root(t), "builder-config.yaml"))
	require.NoError(t, err)
	var manifest struct {
		Processors, Exporters, Converters []struct{ Gomod string }
	}
	require.NoError(t, yaml.Unmarshal(text, &manifest))
	types := map[string]bool{}
	for _, f := range processorFactories {
		types[f.Type().String()] = true
	}
	assert.Len(t, types, len(manifest.Processors), "processors")
	types = map[string]bool{}
	for _, f := range exporterFactories {
		types[f.Type().String()] = true
	}
	assert.Len(t, types, len(manifest.Exporters), "exporters")
	assert.Len(t, converters(nil), len(manifest.Converters), "converters")
}

func TestLoadErrors(t *testing.T) {
	collector := func(processors, pipeline string) string {
		return "receivers: {prometheus: {config: {scrape_configs: [{job_name: a}]}}, otlp: {}}\n" +
			"processors: {" + processors + "}\nexporters: {debug: {}}\n" +
			"service: {pipelines: {" + pipeline + "}}\n"
	}
	const metrics = "metrics: {receivers: [prometheus], processors: [batch], exporters: [debug]}"
	for text, want := range map[string]string{
		collector("batch: {}", metrics): "",
		collector("batch: {}", "traces: {receivers: [otlp]}, metrics: {receivers: [otlp], exporters: [debug]}"): "no pipeline of metrics has a prometheus receiver",
		collector("", metrics):                             "c.yaml: service::pipelines::metrics: processors::batch is not configured",
		collector("batch: {tmeout: 1s}", metrics):          "processors::batch: ",
		collector("batch: {timeout: -1s}", metrics):        "processors::batch: ",
		collector(`batch: {timeout: "${env:T}"}`, metrics): "c.yaml: the environment has no T: set it under scene::env",
		collector("filter: {}", "metrics: {receivers: [prometheus], processors: [filter], exporters: [debug]}"):                                     "processors::filter: the distribution has no such processor: it has batch, ",
		collector("", "metrics: {receivers: [prometheus], exporters: [kafka]}"):                                                                     "exporters::kafka is not configured",
		collector("", "metrics: {receivers: [prometheus], exporters: [forward]}") + "connectors: {forward: {}}\n":                                   "connectors::forward: connectors are not run here: put the exporters",
		collector("", "metrics: {receivers: [prometheus/2], exporters: [debug]}"):                                                                   "receivers::prometheus/2 is not configured",
		"receivers: {prometheus: {config: {scrape_configs: [{job_name: a, nope: 1}]}}}\nservice: {pipelines: {metrics: {receivers: [prometheus]}}}": "nope",
	} {
		file, err := configfile.Parse("c.yaml", []byte(text))
		require.NoError(t, err, text)
		_, err = Load(file, nil)
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, want, text)
	}
}

func TestNotesAboutExporters(t *testing.T) {
	c := loadConfig(t, plainConfigOf(`[debug, durable_remote_write, prometheus_remote_write]`), nil)
	r, err := New(virtualtime.FromTest(t)).Run(t.Context(), c, loadScene(t, "{}"))
	require.NoError(t, err)
	assert.Equal(t, []string{"pipeline metrics has several exporters: what is shown, and what it costs, is what durable_remote_write delivers, and prometheus_remote_write delivers as well"}, r.Notes)
	assert.Len(t, r.Series, 5)
}

// plainConfigOf is a collector's configuration with these exporters.
func plainConfigOf(exporters string) string {
	return `
receivers: {prometheus: {config: {scrape_configs: [{job_name: a, static_configs: [{targets: ["10.0.0.1:80"]}]}]}}}
exporters:
  debug: {}
  durable_remote_write: {endpoint: "http://127.0.0.1:9/", log: {directory: /nowhere}}
  prometheus_remote_write: {endpoint: "http://127.0.0.1:9/"}
service: {pipelines: {metrics: {receivers: [prometheus], exporters: ` + exporters + `}}}
`
}

// The receiver makes whole numbers of the counts of a float histogram, which then do not add up: the exporter refuses it, and that must
// not go unsaid.
func TestNotesAboutRefusedSamples(t *testing.T) {
	var page bytes.Buffer
	_, err := protodelim.MarshalTo(&page, &dto.MetricFamily{
		Name: new("a"), Type: dto.MetricType_HISTOGRAM.Enum(),
		Metric: []*dto.Metric{{Histogram: &dto.Histogram{
			SampleCountFloat: new(3.0), SampleSum: new(3.0), Schema: new(int32(0)), ZeroThreshold: new(0.001), ZeroCountFloat: new(0.0),
			PositiveSpan:  []*dto.BucketSpan{{Offset: new(int32(0)), Length: new(uint32(2))}},
			PositiveCount: []float64{1.5, 1.5},
		}}},
	})
	require.NoError(t, err)
	c := loadConfig(t, strings.Replace(plainConfigOf(`[durable_remote_write]`), "job_name: a,", "job_name: a, scrape_native_histograms: true,", 1), nil)
	s, err := (&scene.Spec{Pages: map[string]scene.PageSpec{"10.0.0.1:80/metrics": {Text: page.String(), ContentType: contentTypeProtobuf}}}).Load(".")
	require.NoError(t, err)
	r, err := New(virtualtime.FromTest(t)).Run(t.Context(), c, s, 0)
	require.NoError(t, err)
	assert.Equal(t, []string{"samples that the exporter refuses, and that are missing here: 1 (native_histogram); it counts them as refused_samples"}, r.Notes)
}
