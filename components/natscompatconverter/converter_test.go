// SPDX-License-Identifier: Apache-2.0

package natscompatconverter

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/components/azureadauthextension"
	"github.com/kubiyabot/otelcol-runner/components/durableremotewriteexporter"
)

// resolve resolves a configuration as the collector does, and returns what the converter logs.
func resolve(t testing.TB, uri string, converters ...confmap.ConverterFactory) (*confmap.Conf, *observer.ObservedLogs, error) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:               []string{uri},
		ProviderFactories:  []confmap.ProviderFactory{envprovider.NewFactory(), fileprovider.NewFactory(), yamlprovider.NewFactory()},
		ConverterFactories: converters,
		ConverterSettings:  confmap.ConverterSettings{Logger: zap.New(core)},
		DefaultScheme:      "env",
	})
	require.NoError(t, err)
	conf, err := resolver.Resolve(context.Background())
	require.NoError(t, resolver.Shutdown(context.Background()))
	return conf, logs, err
}

// setEnv sets the variables and unsets all others that are read, whatever the machine has.
func setEnv(t *testing.T, env map[string]string) {
	t.Helper()
	for _, name := range []string{
		"REMOTE_WRITE_URL", "AZURE_REMOTE_WRITE_URL", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_SECRET_FILE", "AZURE_TOKEN_URL",
		"AZURE_TENANT_ID", "AZURE_CLOUD", "AZURE_FEDERATED_TOKEN_FILE", "BEARER_TOKEN_FILE", "BASIC_AUTH_USERNAME", "BASIC_AUTH_PASSWORD",
		"BASIC_AUTH_PASSWORD_FILE", "LOG_DIRECTORY", "RUNNER_INSTANCE",
	} {
		t.Setenv(name, env[name])
	}
}

func toYAML(t testing.TB, conf *confmap.Conf) string {
	t.Helper()
	text, err := yaml.Marshal(conf.ToStringMap())
	require.NoError(t, err)
	return string(text)
}

// Without a natsexporter nothing changes and nothing is logged.
func TestOtherConfigurations(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	require.NoError(t, err)
	require.Greater(t, len(files), 10)
	for _, file := range files {
		want, _, err := resolve(t, "file:"+file)
		require.NoError(t, err)
		got, logs, err := resolve(t, "file:"+file, NewFactory())
		require.NoError(t, err)
		assert.Equal(t, want, got, file)
		assert.Empty(t, logs.All(), file)
	}
}

// What was converted is converted no further.
func TestIdempotent(t *testing.T) {
	files, err := filepath.Glob("../../test/legacy/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 3)
	setEnv(t, map[string]string{"REMOTE_WRITE_URL": "https://prometheus.example.com/api/v1/write", "RUNNER_INSTANCE": "organization"})
	for _, file := range files {
		want, logs, err := resolve(t, "file:"+file, NewFactory())
		require.NoError(t, err)
		assert.NotEmpty(t, logs.All())
		assert.NotContains(t, toYAML(t, want), "  natsexporter", file)
		got, logs, err := resolve(t, "file:"+file, NewFactory(), NewFactory())
		require.NoError(t, err)
		assert.Equal(t, want, got, file)
		lines := map[string]bool{}
		for _, entry := range logs.All() {
			assert.False(t, lines[entry.Message], "twice: %s", entry.Message)
			lines[entry.Message] = true
		}
	}
}

// A secret reaches the extension, and nothing shows it.
func TestSecret(t *testing.T) {
	secret := strings.Repeat("0", 8) // YAML would make a number of it
	setEnv(t, map[string]string{     //nolint:gosec // names of variables
		"AZURE_REMOTE_WRITE_URL": "https://example.metrics.ingest.monitor.azure.com/api/v1/write", "AZURE_CLIENT_SECRET": secret,
		"AZURE_CLIENT_ID": "11111111-1111-1111-1111-111111111111", "AZURE_TOKEN_URL": "https://login.microsoftonline.us/contoso.example/oauth2/v2.0/token",
	})
	conf, logs, err := resolve(t, "file:../../test/legacy/resource.yaml", NewFactory())
	require.NoError(t, err)
	assert.NotContains(t, toYAML(t, conf), secret)
	for _, entry := range logs.All() {
		assert.NotContains(t, entry.Message, secret)
	}
	cfg := azureadauthextension.NewFactory().CreateDefaultConfig().(*azureadauthextension.Config)
	section, err := conf.Sub("extensions::azuread_auth")
	require.NoError(t, err)
	require.NoError(t, section.Unmarshal(cfg))
	require.NoError(t, cfg.Validate())
	assert.Equal(t, secret, string(cfg.OAuth.ClientSecret))
	assert.Equal(t, "contoso.example", cfg.OAuth.TenantID)
	assert.Equal(t, "AzureGovernment", cfg.Cloud)
	assert.Equal(t, []any{"azuread_auth"}, conf.Get("service::extensions"))
}

// The name of an organization is text, whatever YAML takes it for.
func TestOrganizationIsText(t *testing.T) {
	setEnv(t, map[string]string{"REMOTE_WRITE_URL": "https://prometheus.example.com/api/v1/write", "RUNNER_INSTANCE": "organization"})
	t.Setenv("ORG", "0042")
	conf, _, err := resolve(t, "yaml:\nexporters: {natsexporter: {org: '${env:ORG}'}}\nservice: {pipelines: {metrics: {receivers: [a], exporters: [natsexporter]}}}\n", NewFactory())
	require.NoError(t, err)
	assert.Equal(t, []any{map[string]any{"key": "organization", "value": "0042", "action": "upsert"}}, conf.Get("processors::resource/natsexporter::attributes"))
}

// Sections that come from files of their own are changed like any other.
func TestSectionsOfFiles(t *testing.T) {
	setEnv(t, map[string]string{"REMOTE_WRITE_URL": "https://prometheus.example.com/api/v1/write", "LOG_DIRECTORY": "/log"})
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	exporters := write("exporters.yaml", "natsexporter: {org: acme}\ndebug: {}\n")
	service := write("service.yaml", "pipelines: {metrics: {receivers: [otlp], processors: [batch], exporters: [natsexporter, debug]}}\n")
	conf, _, err := resolve(t, "yaml:\nexporters: ${file:"+exporters+"}\nprocessors: {batch: }\nservice: ${file:"+service+"}\n", NewFactory())
	require.NoError(t, err)
	assert.Equal(t, []any{"durable_remote_write", "debug"}, conf.Get("service::pipelines::metrics::exporters"))
	assert.Equal(t, []any{"resource/natsexporter"}, conf.Get("service::pipelines::metrics::processors"))
	assert.Equal(t, []any{"otlp"}, conf.Get("service::pipelines::metrics::receivers"))
	assert.False(t, conf.IsSet("exporters::natsexporter") || conf.IsSet("processors::batch"))
	assert.True(t, conf.IsSet("exporters::debug"))

	factory := durableremotewriteexporter.NewFactory()
	cfg, ofDefault := factory.CreateDefaultConfig().(*durableremotewriteexporter.Config), factory.CreateDefaultConfig().(*durableremotewriteexporter.Config)
	section, err := conf.Sub("exporters::durable_remote_write")
	require.NoError(t, err)
	require.NoError(t, section.Unmarshal(cfg))
	assert.Equal(t, "/log", cfg.Log.Directory)
	assert.Equal(t, ofDefault.ResourceLabels, cfg.ResourceLabels, "these are the exporter's own, and written out here")
}

func TestError(t *testing.T) {
	setEnv(t, nil)
	_, _, err := resolve(t, "file:../../test/legacy/resource.yaml", NewFactory())
	assert.ErrorContains(t, err, "a configuration that delivered over NATS: exporters::natsexporter: there is no address to deliver to")
	assert.ErrorContains(t, err, "REMOTE_WRITE_URL")
	assert.ErrorContains(t, err, "AZURE_REMOTE_WRITE_URL")
}

// FuzzConvert converts whatever YAML is a map: it never panics, and what it made it leaves alone.
func FuzzConvert(f *testing.F) {
	for _, pattern := range []string{"../../test/legacy/*.yaml", "../../configs/mimir.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, file := range files {
			text, err := os.ReadFile(file) //nolint:gosec // a file of the repository
			require.NoError(f, err)
			f.Add(string(text))
		}
	}
	for _, seed := range []string{
		"exporters: {natsexporter: }", "exporters: {natsexporter: 7, natsexporter/a: [b]}\nservice: {pipelines: {metrics: {exporters: [natsexporter/a]}}}",
		"exporters: {natsexporter: {org: [a]}, logging: 7}\nservice: {extensions: 7, telemetry: {metrics: {address: 7}}, pipelines: {metrics: {processors: [batch, batch, 7, runner], exporters: [natsexporter, natsexporter]}}}\nprocessors: {batch: , runner: {metadata: 7}}",
		"exporters: {natsexporter: {org: a}}\nprocessors: {resource: {attributes: [7, {key: instance, action: upsert}]}, metricstransform: {transforms: [7, {operations: [7, {label: instance, action: update_label}]}]}}\nservice: {pipelines: {metrics: {processors: [resource, metricstransform], exporters: [natsexporter]}}}",
		"receivers: {prometheus: {report_extra_scrape_metrics: true, config: {global: 7}}}\nexporters: {natsexporter: }\nservice: {pipelines: {metrics: {exporters: [natsexporter]}}}",
	} {
		f.Add(seed)
	}
	f.Setenv("REMOTE_WRITE_URL", "https://prometheus.example.com/api/v1/write")
	f.Setenv("RUNNER_INSTANCE", "organization")
	f.Fuzz(func(t *testing.T, text string) {
		var tree map[string]any
		if yaml.Unmarshal([]byte(text), &tree) != nil {
			t.Skip("no YAML")
		}
		c := NewFactory().Create(confmap.ConverterSettings{Logger: zap.NewNop()})
		conf := confmap.NewFromStringMap(tree)
		if c.Convert(context.Background(), conf) != nil {
			t.Skip("refused")
		}
		once := conf.ToStringMap()
		require.NoError(t, c.Convert(context.Background(), conf))
		assert.Equal(t, once, conf.ToStringMap())
	})
}
