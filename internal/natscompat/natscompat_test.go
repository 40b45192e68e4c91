// SPDX-License-Identifier: Apache-2.0

package natscompat_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/natscompat"
)

// anywhere is an environment with an address.
var anywhere = map[string]string{"REMOTE_WRITE_URL": "https://prometheus.example.com/api/v1/write"}

func translate(t *testing.T, text string, env map[string]string) ([]*natscompat.Change, *confmap.Conf, error) {
	t.Helper()
	var config map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &config))
	before := fmt.Sprint(config)
	getenv := func(name string) string { return env[name] }
	changes, err := natscompat.Translate(config, getenv)
	require.Equal(t, before, fmt.Sprint(config), "the configuration that is given stays as it is")
	conf := confmap.NewFromStringMap(config)
	require.NoError(t, natscompat.Apply(conf, changes, getenv))
	return changes, conf, err
}

const minimal = "exporters: {natsexporter: {org: acme}}\nservice: {pipelines: {metrics: {receivers: [prometheus], exporters: [natsexporter]}}}\n"

func TestTarget(t *testing.T) {
	azure := func(env ...string) map[string]string {
		out := map[string]string{"AZURE_REMOTE_WRITE_URL": "https://example.metrics.ingest.monitor.azure.com/api/v1/write"}
		for _, pair := range env {
			name, value, _ := strings.Cut(pair, "=")
			out[name] = value
		}
		return out
	}
	const entra = "AZURE_TOKEN_URL=https://login.microsoftonline.com/contoso/oauth2/v2.0/token"
	f := func(env map[string]string, extension, settings string) {
		t.Helper()
		changes, conf, err := translate(t, minimal, env)
		require.NoError(t, err)
		if extension == "" {
			assert.False(t, conf.IsSet("extensions"))
			assert.False(t, conf.IsSet("exporters::durable_remote_write::auth"))
			return
		}
		assert.Equal(t, extension, conf.Get("exporters::durable_remote_write::auth::authenticator"))
		assert.Equal(t, []any{extension}, conf.Get("service::extensions"))
		var got string
		for _, c := range changes {
			for _, e := range c.Edits {
				if e.Path == "extensions::"+extension {
					got = fmt.Sprint(e.Value)
				}
			}
		}
		assert.Equal(t, settings, got)
	}
	f(anywhere, "", "")
	f(azure(), "azuread_auth", "map[cloud:${env:AZURE_CLOUD:-AzurePublic} managed_identity:map[]]")
	f(azure("AZURE_CLIENT_ID=id"), "azuread_auth", "map[cloud:${env:AZURE_CLOUD:-AzurePublic} managed_identity:map[client_id:${env:AZURE_CLIENT_ID}]]")
	f(azure("AZURE_CLIENT_ID=id", "AZURE_TENANT_ID=t", "AZURE_FEDERATED_TOKEN_FILE=/f"), "azuread_auth", "map[cloud:${env:AZURE_CLOUD:-AzurePublic} "+
		"workload_identity:map[client_id:${env:AZURE_CLIENT_ID} tenant_id:${env:AZURE_TENANT_ID} token_file_path:${env:AZURE_FEDERATED_TOKEN_FILE}]]")
	f(azure("AZURE_CLIENT_ID=id", "AZURE_CLIENT_SECRET=s", entra), "azuread_auth",
		"map[cloud:AzurePublic oauth:map[client_id:${env:AZURE_CLIENT_ID} client_secret:${env:AZURE_CLIENT_SECRET} tenant_id:contoso]]")
	f(azure("AZURE_CLIENT_ID=id", "AZURE_CLIENT_SECRET_FILE=/s", "AZURE_CLIENT_SECRET=s", "AZURE_TENANT_ID=t"), "azuread_auth",
		"map[cloud:${env:AZURE_CLOUD:-AzurePublic} oauth:map[client_id:${env:AZURE_CLIENT_ID} client_secret_file:${env:AZURE_CLIENT_SECRET_FILE} tenant_id:${env:AZURE_TENANT_ID}]]")
	f(azure("AZURE_CLIENT_ID=id", "AZURE_CLIENT_SECRET=s", "AZURE_TOKEN_URL=https://tokens.example.com/token"), "oauth2client",
		"map[client_id:${env:AZURE_CLIENT_ID} client_secret:${env:AZURE_CLIENT_SECRET} scopes:[https://monitor.azure.com/.default] token_url:${env:AZURE_TOKEN_URL}]")
	f(azure("BEARER_TOKEN_FILE=/t", "AZURE_CLIENT_ID=id"), "bearertokenauth", "map[filename:${env:BEARER_TOKEN_FILE}]")
	f(azure("BASIC_AUTH_USERNAME=u", "BASIC_AUTH_PASSWORD_FILE=/p"), "basicauth",
		"map[client_auth:map[password_file:${env:BASIC_AUTH_PASSWORD_FILE} username:${env:BASIC_AUTH_USERNAME}]]")

	refused := func(env map[string]string, want string) {
		t.Helper()
		_, _, err := translate(t, minimal, env)
		require.ErrorContains(t, err, "exporters::natsexporter: ")
		assert.ErrorContains(t, err, want)
	}
	refused(nil, "set the environment variable REMOTE_WRITE_URL to the full URL")
	refused(azure("AZURE_CLIENT_SECRET=s", entra), "set it to the ID of the application")
	refused(azure("AZURE_CLIENT_SECRET=s", "AZURE_CLIENT_ID=id"), "set AZURE_TENANT_ID to the directory's ID, or AZURE_TOKEN_URL")
	refused(azure("AZURE_CLIENT_SECRET=s", "AZURE_CLIENT_ID=id", "AZURE_TOKEN_URL=login"), "AZURE_TOKEN_URL is no URL")
	refused(azure("AZURE_CLIENT_SECRET=s", "AZURE_CLIENT_ID=id", "AZURE_TOKEN_URL=https://u:p@login.example.com/"), "holds a user or a password")
	refused(azure("AZURE_CLIENT_SECRET=s", "BEARER_TOKEN_FILE=/t"), "more than one way to authenticate")
	refused(azure("BASIC_AUTH_PASSWORD=s"), "set BASIC_AUTH_USERNAME, and BASIC_AUTH_PASSWORD_FILE")
}

func TestParseTokenURL(t *testing.T) {
	f := func(address, cloud, directory string) {
		t.Helper()
		gotCloud, gotDirectory, err := natscompat.ParseTokenURL(address)
		require.NoError(t, err)
		assert.Equal(t, [2]string{cloud, directory}, [2]string{gotCloud, gotDirectory}, address)
	}
	f("https://login.microsoftonline.com/T/oauth2/v2.0/token", "AzurePublic", "T")
	f("https://LOGIN.microsoftonline.com:443/T/oauth2/token", "AzurePublic", "T")
	f("https://login.partner.microsoftonline.cn/T/oauth2/v2.0/token", "AzureChina", "T")
	f("https://login.microsoftonline.us/T/oauth2/v2.0/token", "AzureGovernment", "T")
	f("http://login.microsoftonline.com/T/oauth2/v2.0/token", "", "")
	f("https://login.microsoftonline.com/T/other", "", "")
	f("https://login.microsoftonline.com//oauth2/token", "", "")
	f("https://tokens.example.com/T/oauth2/v2.0/token", "", "")
}

// Each line says what became what, and those that take something away are warnings.
func TestLines(t *testing.T) {
	f := func(text string, env map[string]string, line string, warn bool) {
		t.Helper()
		changes, _, err := translate(t, text, env)
		require.NoError(t, err)
		var all []string
		for _, c := range changes {
			all = append(all, c.String())
			if strings.HasPrefix(c.String(), line) {
				assert.Equal(t, warn, c.Warn, c)
				return
			}
		}
		assert.Fail(t, "no such line", "%s\n%s", line, strings.Join(all, "\n"))
	}
	with := func(old, replacement string) string {
		require.Contains(t, minimal, old)
		return strings.Replace(minimal, old, replacement, 1)
	}
	f(minimal, anywhere, "exporters::natsexporter -> exporters::durable_remote_write (metrics go by remote write to REMOTE_WRITE_URL, ", false)
	f(minimal, anywhere, "scope -> all that was delivered (", false)
	f(minimal, map[string]string{"REMOTE_WRITE_URL": "https://a.example", "AZURE_REMOTE_WRITE_URL": "https://b.example"}, "AZURE_REMOTE_WRITE_URL -> not used (REMOTE_WRITE_URL is set too", true)
	f(with("org: acme", "org: acme, creds_file: /nowhere"), anywhere, "exporters::natsexporter::creds_file -> not read (", false)
	f(with("org: acme", "org: acme, subject: a.b"), anywhere, "exporters::natsexporter::subject -> not used (it is none of org, endpoint and creds_file", true)
	f(with("org: acme", "org: ''"), anywhere, "exporters::natsexporter::org -> not used (it is empty", true)
	f(with("exporters: {", "exporters: {natsexporter/logs: , "), anywhere, "exporters::natsexporter/logs -> taken out (no pipeline delivers metrics", false)
	f(with("pipelines: {", "pipelines: {logs: {receivers: [a], exporters: [natsexporter]}, "), anywhere, "service::pipelines::logs -> taken out (logs went to NATS", true)
	f(with("pipelines: {", "pipelines: {logs: {receivers: [a], exporters: [natsexporter, x]}, "), anywhere, "service::pipelines::logs::exporters -> x (logs went to NATS", true)
	f(with("service: {", "service: {telemetry: {metrics: {address: here}}, "), anywhere, "service::telemetry::metrics::address -> left as it is (", true)
	f(minimal+"receivers: {prometheus: {report_extra_scrape_metrics: true, config: {}}}", anywhere,
		"receivers::prometheus::report_extra_scrape_metrics -> receivers::prometheus::config::global::extra_scrape_metrics (", false)
	f(minimal+"processors: {memory_limiter: {ballast_size_mib: 1}}", anywhere, "processors::memory_limiter::ballast_size_mib -> taken out (", false)
	resource := with("receivers: [prometheus]", "receivers: [prometheus], processors: [resource]") +
		"processors: {resource: {attributes: [{key: instance, value: acme, action: upsert}, {key: region, value: eu, action: upsert}]}}"
	f(resource, anywhere, "the organization as label instance, by processors::resource -> the target's host and port (", true)
	organization := map[string]string{"RUNNER_INSTANCE": "organization", "REMOTE_WRITE_URL": "https://a.example"}
	f(resource, organization, "the organization as label instance, by processors::resource -> the same (", false)
	_, conf, err := translate(t, resource, organization)
	require.NoError(t, err)
	assert.Equal(t, []any{"resource", "resource/natsexporter"}, conf.Get("service::pipelines::metrics::processors"))
	assert.Len(t, conf.Get("processors::resource/natsexporter::attributes"), 2)
	assert.Equal(t, []any{"organization", "runner", "kubiya_type", "namespace", "app", "region"}, conf.Get("exporters::durable_remote_write::resource_labels"))
}

func TestRefused(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, _, err := translate(t, text, anywhere)
		assert.ErrorContains(t, err, want)
	}
	f("exporters: {natsexporter: , natsexporter/2: }\nservice: {pipelines: {metrics: {exporters: [natsexporter]}, metrics/2: {exporters: [natsexporter/2]}}}",
		"exporters::natsexporter and exporters::natsexporter/2 both deliver metrics, and there is one address to deliver to: use one of them in all pipelines")
	f("exporters: {natsexporter: , durable_remote_write: }\nservice: {pipelines: {metrics: {exporters: [natsexporter]}}}",
		"there is an exporter durable_remote_write beside it: take natsexporter out of the configuration")
}

// Without metrics nothing has to be delivered, and no address is needed.
func TestNoMetrics(t *testing.T) {
	_, conf, err := translate(t, "exporters: {natsexporter: }\nservice: {pipelines: {traces: {exporters: [natsexporter]}, metrics: {exporters: [debug]}}}", nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"service": map[string]any{"pipelines": map[string]any{"metrics": map[string]any{"exporters": []any{"debug"}}}}}, conf.ToStringMap())
}
