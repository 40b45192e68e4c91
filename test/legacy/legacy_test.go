// SPDX-License-Identifier: Apache-2.0

package legacy_test

import (
	"crypto/rand"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files")

const appPage = `# TYPE go_goroutines gauge
go_goroutines 7
# TYPE not_on_any_dashboard gauge
not_on_any_dashboard 5
# TYPE agent_manager_http_requests_total counter
agent_manager_http_requests_total{method="GET",status="200"} 3
# TYPE agent_manager_http_request_duration_seconds histogram
agent_manager_http_request_duration_seconds_bucket{le="0.5"} 2
agent_manager_http_request_duration_seconds_bucket{le="+Inf"} 3
agent_manager_http_request_duration_seconds_sum 1.5
agent_manager_http_request_duration_seconds_count 3
`

const statePage = `# TYPE kube_pod_status_phase gauge
kube_pod_status_phase{namespace="runner-acme",pod="agent-manager-0",uid="u",phase="Running"} 1
`

const probePage = `# TYPE probe_success gauge
probe_success 1
`

// targets are how many there are of each configuration, by its file.
var targets = map[string]int{"resource.yaml": 4, "metricstransform.yaml": 4, "signals.yaml": 7}

// lines are what is logged about each configuration beyond what all have in common.
var lines = map[string][]string{
	"resource.yaml": {
		"the organization as label instance, by processors::resource -> the target's host and port (",
	},
	"metricstransform.yaml": {
		"the organization as label instance, by processors::metricstransform -> the target's host and port (",
		"service::pipelines::metrics::processors: batch/metrics -> taken out (",
		"processors::batch/metrics -> taken out (",
	},
	"signals.yaml": {
		"exporters::natsexporter::org -> processors::resource/natsexporter (",
		"exporters::logging -> exporters::debug (",
		"service::pipelines::logs -> taken out (logs went to NATS, ",
		"service::pipelines::traces::exporters -> debug (traces went to NATS, ",
		"receivers::k8s_events -> taken out (",
		"processors::attributes/events -> taken out (",
		"processors::batch/logs -> taken out (",
		"service::pipelines::metrics::processors: batch/metrics -> taken out (",
	},
}

// common are what is logged about all.
var common = []string{
	"exporters::natsexporter -> exporters::durable_remote_write (",
	"authentication -> none (",
	"exporters::natsexporter::creds_file -> not read (",
	"exporters::natsexporter::endpoint -> not used (",
	"exporters::natsexporter::org -> ",
	"service::pipelines::metrics::exporters -> durable_remote_write (",
	"scope -> all that was delivered (",
	"receivers::prometheus::use_start_time_metric -> taken out (",
	"receivers::prometheus::config::global::metric_name_escaping_scheme -> underscores (",
	"service::telemetry::metrics::address -> service::telemetry::metrics::readers (",
}

// Each configuration starts as it is, and everything arrives that its jobs scrape, with the labels that its processors give.
func TestStartsUnchanged(t *testing.T) {
	for _, address := range []string{"127.0.79.11:18080", "127.0.79.12:18080"} {
		serve(t, address, "/metrics", appPage)
	}
	serve(t, "127.0.79.13:18081", "/metrics", statePage)
	serve(t, blackbox, "/probe", probePage)
	for file, count := range targets {
		t.Run(file, func(t *testing.T) {
			api, env := startKubeAPI(t)
			backend := startReceiver(t)
			c := start(t, inTheTest(t, file, env), map[string]string{"REMOTE_WRITE_URL": backend.url, "KUBECONFIG": env.kubeconfig})
			backend.waitFor(t, c, func(all []labels.Labels) bool {
				up := map[string]bool{}
				for _, ls := range all {
					if name := ls.Get("__name__"); name == "up" || name == "otelcol_process_uptime" {
						up[name+ls.Get("job")+ls.Get("instance")] = true
					}
				}
				return len(up) == count+1
			})
			c.stop(t)

			for _, denial := range api.Forbidden() {
				assert.Fail(t, denial.Message)
			}
			log := c.log.String()
			for _, line := range slices.Concat(common, lines[file]) {
				assert.Equal(t, 1, strings.Count(log, line), "%s\n%s", line, log)
			}
			assert.Equal(t, "", backend.headers.Get("Authorization"))
			compare(t, filepath.Join("testdata", strings.TrimSuffix(file, ".yaml")+".series"), backend.stored(t))
		})
	}
}

// compare compares all series but the collector's own with a golden file, one a line.
func compare(t *testing.T, golden string, all []labels.Labels) {
	t.Helper()
	var got []string
	for _, ls := range all {
		if name := ls.Get("__name__"); !strings.HasPrefix(name, "otelcol_") && !strings.HasPrefix(name, "promhttp_") {
			got = append(got, ls.String())
		}
	}
	slices.Sort(got)
	text := strings.Join(got, "\n") + "\n"
	if *rewrite {
		require.NoError(t, os.WriteFile(golden, []byte(text), 0o600))
	}
	want, err := os.ReadFile(golden) //nolint:gosec // a file of the test
	require.NoError(t, err)
	assert.Equal(t, string(want), text, "run this test with -rewrite, and read the difference")
}

// The variables that deployments set already are enough: a token is asked for with them, and nothing shows the secret.
func TestVariablesOfTheConnector(t *testing.T) {
	secret := rand.Text()
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		if password != secret || r.FormValue("scope") != "https://monitor.azure.com/.default" {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token": "not-a-token", "token_type": "Bearer", "expires_in": 3600}`)) // the client may be gone
	}))
	t.Cleanup(tokens.Close)
	_, env := startKubeAPI(t)
	backend := startReceiver(t)
	c := start(t, inTheTest(t, "resource.yaml", env), map[string]string{
		"AZURE_REMOTE_WRITE_URL": backend.url, "AZURE_CLIENT_ID": "nobody", "AZURE_CLIENT_SECRET": secret, "AZURE_TOKEN_URL": tokens.URL,
	})
	backend.waitFor(t, c, func(all []labels.Labels) bool { return len(all) > 0 })
	c.stop(t)
	assert.Equal(t, "Bearer not-a-token", backend.headers.Get("Authorization"))
	assert.Contains(t, c.log.String(), "authentication -> extensions::oauth2client (the application AZURE_CLIENT_ID with the secret in AZURE_CLIENT_SECRET, ")
	assert.NotContains(t, c.log.String(), secret)
}

// What keeps a configuration from starting is said in one line that names what to set or to change.
func TestRefused(t *testing.T) {
	address := map[string]string{"REMOTE_WRITE_URL": "https://prometheus.example.com/api/v1/write", "LOG_DIRECTORY": t.TempDir()}
	edited := func(old, with string) string {
		t.Helper()
		text, err := os.ReadFile("metricstransform.yaml")
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(text), old), old)
		path := filepath.Join(t.TempDir(), "config.yaml")
		require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, with, 1)), 0o600)) //nolint:gosec // the test's own folder //nolint:gosec // the test's own folder
		return path
	}
	f := func(file string, env map[string]string, want string) {
		t.Helper()
		out, err := run(t, env, "validate", "--config="+file)
		require.Error(t, err, out)
		assert.Contains(t, out, want)
	}
	out, err := run(t, address, "validate", "--config=metricstransform.yaml")
	require.NoError(t, err, out)

	unwritable := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(unwritable, nil, 0o600))
	out, err = run(t, map[string]string{"REMOTE_WRITE_URL": address["REMOTE_WRITE_URL"], "LOG_DIRECTORY": unwritable}, "--config=resource.yaml")
	require.Error(t, err, out)
	assert.Contains(t, out, "log::directory: ")
	assert.Contains(t, out, unwritable)

	f("metricstransform.yaml", nil, "exporters::natsexporter: there is no address to deliver to, now that it is not NATS: set the environment variable REMOTE_WRITE_URL")
	f(edited("exporters: [natsexporter]", "exporters: [natsexporter, natsexporter/2]"), address, `references exporter "natsexporter/2" which is not configured`)
	f(edited("\nexporters:\n", "\nexporters: [\n"), address, "yaml: line ")
	f(edited("  batch/metrics:\n", "  filter/old:\n    metrics: {}\n  batch/metrics:\n"), address, `unknown type: "filter"`)
}
