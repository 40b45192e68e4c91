// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

// What a configuration names is looked for next to it.
func TestScrapeConfigFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"prometheus.yml":     "scrape_config_files: [jobs/*.yml]\n",
		"jobs/a.yml":         "scrape_configs: [{job_name: a, tls_config: {cert_file: not/there, key_file: not/there}, file_sd_configs: [{files: [targets/a.yml]}]}]\n",
		"jobs/targets/a.yml": "[{targets: ['10.0.0.1:80']}]\n",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	file, err := configfile.Load(filepath.Join(dir, "prometheus.yml"))
	require.NoError(t, err)
	c, err := Load(file, nil)
	require.NoError(t, err)
	r, err := New(virtualtime.FromTest(t)).Run(t.Context(), c, loadScene(t, "{}"))
	require.NoError(t, err)
	require.Len(t, r.Targets(0), 1)
	assert.Equal(t, "http://10.0.0.1:80/metrics", r.Targets(0)[0].URL)
}

// Nothing is asked of a target allocator, and no certificate is needed to ask an API server that is not there.
func TestWhatASceneHasNot(t *testing.T) {
	const receiver = `
receivers:
  prometheus:
    target_allocator: {endpoint: "http://127.0.0.1:1", interval: 30s, collector_id: a}
service: {pipelines: {metrics: {receivers: [prometheus]}}}
`
	file, err := configfile.Parse("config.yaml", []byte(receiver))
	require.NoError(t, err)
	_, err = Load(file, nil)
	require.EqualError(t, err, "config.yaml: service::pipelines::metrics: receivers::prometheus: its jobs come from a target allocator, which a scene has not got: "+
		"write one of them under config::scrape_configs")

	c := loadConfig(t, receiver[:len(receiver)-len("service: {pipelines: {metrics: {receivers: [prometheus]}}}\n")]+`
    config:
      scrape_configs:
      - job_name: a
        static_configs: [{targets: ["10.0.0.1:80"]}]
      - job_name: b
        kubernetes_sd_configs:
        - {role: pod, api_server: "https://127.0.0.1:1", tls_config: {cert_file: not/there, key_file: not/there}, namespaces: {names: [default]}}
service: {pipelines: {metrics: {receivers: [prometheus]}}}
`, nil)
	r, err := New(virtualtime.FromTest(t)).Run(t.Context(), c, loadScene(t, "{}"))
	require.NoError(t, err)
	assert.Len(t, r.Targets(0), 1)
}

func TestRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"scrape_configs: []\nglobal: {}\n":                                  "it has no job, which the receiver refuses: add one under scrape_configs",
		"scrape_configs: [{job_name: a, nope: 1, consul_sd_configs: []}]\n": "Prometheus refuses it: field consul_sd_configs not found; field nope not found: `runnerctl lint` says where",
		"scrape_configs: [{job_name: a, relabel_configs: [{}]}]\n":          "Prometheus refuses it: relabel configuration for replace action requires 'target_label' value: `runnerctl lint` says where",
		"scrape_configs: [{job_name: a, sample_limit: many}]\n":             "Prometheus refuses it: cannot unmarshal !!str `many`: `runnerctl lint` says where",
	} {
		file, err := configfile.Parse("config.yaml", []byte(text))
		require.NoError(t, err, text)
		_, err = Load(file, nil)
		assert.EqualError(t, err, "config.yaml: service::pipelines::metrics: receivers::prometheus: "+want, text)
	}
}
