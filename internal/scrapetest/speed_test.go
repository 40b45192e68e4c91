// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

// manyPods is a scene of pods that are found by annotation, each with a page of series.
func manyPods(pods, series int) string {
	var page strings.Builder
	page.WriteString("# TYPE http_requests_total counter\\n")
	for i := range series {
		fmt.Fprintf(&page, "http_requests_total{path=\\\"/%d\\\"} %d\\n", i, i)
	}
	return fmt.Sprintf(`
namespace: runner
targets:
  runner-components:
    - targets: [%s]
      labels:
        __meta_kubernetes_namespace: runner
        __meta_kubernetes_pod_label_app_kubernetes_io_kubiya_runner_component: agent-manager
        __meta_kubernetes_pod_annotation_prometheus_io_scrape: "true"
        __meta_kubernetes_pod_container_port_number: "8080"
        __meta_kubernetes_pod_container_port_protocol: TCP
  kubiya-apps: []
  kube-state-metrics: []
pages: {%s}
`, addresses(pods, "%s"), addresses(pods, `"%s/metrics": {text: "`+page.String()+`"}`))
}

func addresses(n int, format string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, fmt.Sprintf("10.0.%d.%d:8080", i/256, i%256))
	}
	return strings.Join(all, ", ")
}

func TestManyPods(t *testing.T) {
	s := loadScene(t, manyPods(50, 100))
	r, err := New(virtualtime.FromTest(t)).Run(t.Context(), referenceConfig(t), s)
	require.NoError(t, err)
	require.Equal(t, 50*(100+5)+5, len(r.Live(r.Until))) //nolint:testifylint // Len would print them all
}
