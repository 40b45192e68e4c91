// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"path/filepath"
	"testing"
	"time"

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
		assert.Equal(t, int64(2), r.Drops(30 * time.Second)["metric"])
		assert.Equal(t, []string{"memory_limiter is not run: it depends on the memory of the process"}, r.Notes)
	}
}
