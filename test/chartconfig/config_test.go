// SPDX-License-Identifier: Apache-2.0

package chartconfig_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// backends are the values of ci/ by the file of configs/ that they have to give.
var backends = map[string]string{
	"aws.yaml":                     "aws",
	"azure-certificate.yaml":       "azure-certificate",
	"azure-client-secret.yaml":     "azure-client-secret",
	"azure-managed-identity.yaml":  "azure-managed-identity",
	"azure-sdk.yaml":               "azure-sdk",
	"azure-workload-identity.yaml": "azure-workload-identity",
	"google.yaml":                  "google",
	"grafana-cloud.yaml":           "grafana-cloud",
	"mimir.yaml":                   "mimir",
	"prometheus-bearer.yaml":       "prometheus-bearer",
	"prometheus.yaml":              "prometheus",
	"thanos.yaml":                  "thanos",
	"victoriametrics.yaml":         "victoriametrics",
	"stock.yaml":                   "prometheus",
}

// everything turns on what is off when the chart is installed alone.
var everything = []string{"--set", "presets.otlp.enabled=true", "--set", "presets.probes.enabled=true"}

func renderFile(t *testing.T, file string) rendering {
	t.Helper()
	args := everything
	if file == "stock.yaml" {
		args = append(slices.Clone(everything), "--set", "delivery=stock")
	}
	return render(t, backends[file], args...)
}

// With every preset on, the chart gives the files, and it gives each of them but the one that is for no backend.
func TestRenderedConfigurationsAreTheFiles(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "configs/*.yaml"))
	require.NoError(t, err)
	for _, path := range files {
		file := filepath.Base(path)
		if file == "collector.yaml" {
			continue
		}
		t.Run(file, func(t *testing.T) {
			require.Contains(t, backends, file, "no values of charts/otel/ci give this configuration")
			text, err := os.ReadFile(path) //nolint:gosec // a file of this repository
			require.NoError(t, err)
			var want, got any
			require.NoError(t, yaml.Unmarshal(text, &want))
			require.NoError(t, yaml.Unmarshal([]byte(renderFile(t, file).config), &got))
			assert.Equal(t, want, got)
		})
	}
}

// What is rendered passes the linter, and the tests of configs/: one for each exporter, since they take minutes for all and the
// test above says that the others are what `make test-scrape` tests.
func TestRenderedConfigurationsPassTheTests(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for file := range backends {
		path := filepath.Join(t.TempDir(), file)
		if file == "mimir.yaml" || file == "stock.yaml" {
			path = filepath.Join(dir, file)
		}
		require.NoError(t, os.WriteFile(path, []byte(renderFile(t, file).config), 0o600))
		paths = append(paths, path)
	}
	run(t, "runnerctl", nil, append([]string{"lint"}, paths...)...)

	// One test is for collector.yaml alone.
	text, err := os.ReadFile(filepath.Join(root, "configs/collector.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "collector.yaml"), text, 0o600)) //nolint:gosec // the test's own folder
	require.NoError(t, os.CopyFS(filepath.Join(dir, "tests"), os.DirFS(filepath.Join(root, "configs/tests"))))
	t.Log(run(t, "runnerctl", nil, "test", filepath.Join(dir, "tests")))
}

// The collector takes what the chart gives for each file of ci/, with the environment that the chart sets, whichever the exporter.
func TestCollectorTakesEachConfiguration(t *testing.T) {
	values, err := fs.Glob(os.DirFS(filepath.Join(root, "charts/otel/ci")), "*-values.yaml")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(values), 15)
	for _, file := range values {
		name := strings.TrimSuffix(file, "-values.yaml")
		for _, delivery := range []string{"durable", "stock"} {
			if name == "everything" && delivery == "stock" {
				continue // It changes the exporter that is not there then.
			}
			t.Run(name+"/"+delivery, func(t *testing.T) {
				r := render(t, name, "--set", "delivery="+delivery)
				path := filepath.Join(t.TempDir(), "collector.yaml")
				require.NoError(t, os.WriteFile(path, []byte(r.config), 0o600))
				// The signer looks for credentials when it is made. These open nothing, and are found before it asks the network.
				env := []string{"AWS_ACCESS_KEY_ID=nobody", "AWS_SECRET_ACCESS_KEY=nothing"}
				for name, value := range r.env {
					env = append(env, name+"="+value)
				}
				run(t, "otelcol-runner", env, "validate", "--config="+path)
			})
		}
	}
}

// A customer's values stay out of the configuration: the ConfigMap may be shown to anybody.
func TestConfigurationHoldsNothingOfACustomer(t *testing.T) {
	for file := range backends {
		r := renderFile(t, file)
		for _, name := range []string{"RUNNER_NAME", "REMOTE_WRITE_URL", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "GRAFANA_CLOUD_INSTANCE_ID"} {
			if value := r.env[name]; value != "" {
				assert.NotContains(t, r.config, value, "%s: %s", file, name)
			}
		}
	}
}
