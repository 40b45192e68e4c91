// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/testbed"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

var runnerEnv = map[string]string{
	"RUNNER_ORGANIZATION": "acme", "RUNNER_NAME": "r1", "RUNNER_NAMESPACE": "runner", "REMOTE_WRITE_URL": "http://127.0.0.1:9/write",
}

const runnerTargets = `
namespace: runner
targets:
  runner-components:
    - targets: ["10.0.0.1:8080"]
      labels:
        __meta_kubernetes_namespace: runner
        __meta_kubernetes_pod_name: agent-manager-0
        __meta_kubernetes_pod_label_app_kubernetes_io_kubiya_runner_component: agent-manager
        __meta_kubernetes_pod_annotation_prometheus_io_scrape: "true"
        __meta_kubernetes_pod_container_port_number: "8080"
        __meta_kubernetes_pod_container_port_protocol: TCP
  kubiya-apps: []
  kube-state-metrics: []
pages:
  10.0.0.1:8080/metrics: {text: "# TYPE go_goroutines gauge\ngo_goroutines{runner=\"evil\"} 7\n# TYPE other gauge\nother 1\n"}
`

// referenceConfig is configs/collector.yaml.
func referenceConfig(t *testing.T) *Config {
	t.Helper()
	file, err := configfile.Load(filepath.Join(testbed.Root(t), "configs", "collector.yaml"))
	require.NoError(t, err)
	c, err := Load(file, runnerEnv)
	require.NoError(t, err)
	return c
}

func TestReferenceConfigurations(t *testing.T) {
	engine := New(virtualtime.FromTest(t))
	s := loadScene(t, runnerTargets)
	for _, name := range []string{"collector.yaml", "stock.yaml"} {
		file, err := configfile.Load(filepath.Join(testbed.Root(t), "configs", name))
		require.NoError(t, err)
		start := time.Now()
		c, err := Load(file, runnerEnv)
		require.NoError(t, err)
		loaded := time.Since(start)
		r, err := engine.Run(context.Background(), c, s)
		require.NoError(t, err)
		t.Log(name, loaded, time.Since(start))
		series := format(r.Live(30 * time.Second))
		assert.Contains(t, series, `{__name__="go_goroutines", app="agent-manager", exported_runner="evil", instance="10.0.0.1:8080", job="runner-components", kubernetes_namespace="runner", `+
			`kubiya_type="customers-runners", namespace="runner", organization="acme", pod="agent-manager-0", runner="r1"} 7`)
		assert.NotContains(t, strings.Join(series, "\n"), `"other"`)
		assert.Equal(t, []string{"memory_limiter is not run: it depends on the memory of the process"}, r.Notes)
	}
}

const agentPage = `{text: "# TYPE go_goroutines gauge\ngo_goroutines 7\n"}`

func TestDiscoveryInACluster(t *testing.T) {
	engine := New(virtualtime.FromTest(t))
	s := loadScene(t, `
namespace: runner-acme
manifests: [../../../test/configs/testdata/cluster.yaml]
pages:
  pod/agent-manager-*:18080/metrics: `+agentPage+`
  pod/tool-manager-0:13001/internal/metrics: `+agentPage+`
steps:
  - {at: 60s, delete: [pod/agent-manager-1]}
`)
	env := maps.Clone(runnerEnv)
	env["RUNNER_NAMESPACE"] = "runner-acme"
	file, err := configfile.Load(filepath.Join(testbed.Root(t), "configs", "collector.yaml"))
	require.NoError(t, err)
	c, err := Load(file, env)
	require.NoError(t, err)
	for range 2 {
		start := time.Now()
		r, err := engine.Run(context.Background(), c, s, 30*time.Second, 5*time.Minute)
		require.NoError(t, err)
		t.Log(time.Since(start))
		kept := func(at time.Duration) (all []string) {
			for _, target := range r.Targets(at) {
				if target.Kept() {
					all = append(all, target.Job+" "+target.Source+" "+target.URL)
				}
			}
			return all
		}
		assert.Equal(t, []string{
			"runner-components pod/runner-acme/agent-manager-0 http://127.0.77.11:18080/metrics",
			"runner-components pod/runner-acme/agent-manager-1 http://127.0.77.12:18080/metrics",
			"runner-components pod/runner-acme/tool-manager-0 http://127.0.77.13:13001/internal/metrics",
			"kubiya-apps endpointslice/runner-acme/workflow-engine-a http://127.0.77.14:18081/metrics",
			"kube-state-metrics pod/runner-acme/kube-state-metrics-0 http://127.0.77.15:8080/metrics",
			"otel-collector static_configs[0] http://127.0.0.1:8888/metrics",
			"probes svc/runner-acme/kubiya-operator http://127.0.0.1:9115/probe?module=tcp_connect&target=kubiya-operator.runner-acme.svc%3A80",
		}, kept(30*time.Second))
		assert.Len(t, kept(60*time.Second), 6)
		goroutines := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "go_goroutines")
		assert.Len(t, r.Live(30*time.Second, goroutines), 3)
		assert.Len(t, r.Live(5*time.Minute, goroutines), 2, "it went stale when the pod was gone")
	}
}

func TestForbidden(t *testing.T) {
	s := loadScene(t, "namespace: runner-acme\nmanifests: [../../../test/configs/testdata/cluster.yaml]")
	c := loadConfig(t, `scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: pod}]}]`, nil)
	_, err := New(virtualtime.FromTest(t)).Run(context.Background(), c, s)
	var forbidden *ForbiddenError
	require.ErrorAs(t, err, &forbidden)
	assert.Len(t, forbidden.Denials, 1)
	assert.ErrorContains(t, err, `job a, kubernetes_sd_configs: GET /api/v1/pods: pods is forbidden: User "system:serviceaccount:runner-acme:otel-collector" cannot watch resource "pods" in API group "" at the cluster scope: no Role can allow this`)

	// All that is missing is said at once.
	c = loadConfig(t, `scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: endpointslice}]}]`, nil)
	_, err = New(virtualtime.FromTest(t)).Run(context.Background(), c, s)
	require.ErrorAs(t, err, &forbidden)
	assert.Len(t, forbidden.Denials, 3)
}
