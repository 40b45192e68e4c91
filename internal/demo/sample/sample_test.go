// SPDX-License-Identifier: Apache-2.0

package sample_test

import (
	"net/http"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kubiyabot/otelcol-runner/internal/demo/sample"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scrape reads a target's page as a scraper that wants native histograms does.
func scrape(t *testing.T, target sample.Target) map[string]*dto.MetricFamily {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+target.Address+"/metrics", nil)
	require.NoError(t, err)
	request.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { assert.NoError(t, response.Body.Close()) }()
	require.Equal(t, http.StatusOK, response.StatusCode)

	decoder := expfmt.NewDecoder(response.Body, expfmt.ResponseFormat(response.Header))
	families := map[string]*dto.MetricFamily{}
	for {
		var family dto.MetricFamily
		if err := decoder.Decode(&family); err != nil {
			return families
		}
		families[family.GetName()] = &family
	}
}

func start(t *testing.T) map[string][]sample.Target {
	t.Helper()
	runner, err := sample.Start("kubiya")
	require.NoError(t, err)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		assert.NoError(t, runner.Close())
	})
	byApp := map[string][]sample.Target{}
	for _, target := range runner.Targets() {
		byApp[target.Labels["app"]] = append(byApp[target.Labels["app"]], target)
	}
	return byApp
}

func TestEveryComponentServesItsContractMetrics(t *testing.T) {
	targets := start(t)
	for app, want := range map[string]struct {
		pods  int
		names []string
	}{
		"agent-manager":           {2, []string{"agent_manager_http_requests_total", "agent_manager_http_request_duration_seconds", "agent_manager_tool_run_failure_counter_total", "go_goroutines", "go_gc_duration_seconds"}},
		"tool-manager":            {3, []string{"response_status", "http_requests_total", "http_request_duration_highr_seconds", "cpu_usage", "network_sent_bytes"}},
		"workflow-engine":         {1, []string{"workflow_engine_step_duration_seconds", "http_requests_total"}},
		"kube-state-metrics":      {1, []string{"kube_pod_status_ready", "kube_pod_labels", "kube_deployment_status_replicas_unavailable"}},
		sample.ExplodingComponent: {1, []string{"http_requests_total"}},
		sample.SpoofingComponent:  {1, []string{"http_requests_total", "go_goroutines"}},
		sample.NeighbourApp:       {1, []string{"http_requests_total"}},
	} {
		t.Run(app, func(t *testing.T) {
			require.Len(t, targets[app], want.pods)
			for _, target := range targets[app] {
				page := scrape(t, target)
				for _, name := range want.names {
					assert.Contains(t, page, name)
				}
			}
		})
	}
}

func TestWhatGoesWrongIsThere(t *testing.T) {
	targets := start(t)

	t.Run("a native histogram", func(t *testing.T) {
		family := scrape(t, targets["workflow-engine"][0])["workflow_engine_step_duration_seconds"]
		require.NotEmpty(t, family.GetMetric())
		assert.NotEmpty(t, family.GetMetric()[0].GetHistogram().GetPositiveSpan())
	})
	t.Run("exemplars", func(t *testing.T) {
		var found bool
		for _, m := range scrape(t, targets["agent-manager"][0])["agent_manager_http_request_duration_seconds"].GetMetric() {
			for _, bucket := range m.GetHistogram().GetBucket() {
				found = found || bucket.GetExemplar() != nil
			}
		}
		assert.True(t, found)
	})
	t.Run("a token in a label", func(t *testing.T) {
		assert.Contains(t, scrape(t, targets["tool-manager"][0])["http_requests_total"].String(), sample.FakeToken())
	})
	t.Run("the identity of another runner on every series", func(t *testing.T) {
		for name, family := range scrape(t, targets[sample.SpoofingComponent][0]) {
			for _, m := range family.GetMetric() {
				assert.Contains(t, m.String(), sample.SpoofedRunner, name)
			}
		}
	})
	t.Run("more series with every scrape", func(t *testing.T) {
		target := targets[sample.ExplodingComponent][0]
		first := len(scrape(t, target)["http_requests_total"].GetMetric())
		require.Positive(t, first)
		require.Eventually(t, func() bool {
			return len(scrape(t, target)["http_requests_total"].GetMetric()) > first
		}, 5e9, 1e8)
	})
	t.Run("hundreds of series of the neighbour, and its objects", func(t *testing.T) {
		neighbour := targets[sample.NeighbourApp][0]
		assert.Len(t, scrape(t, neighbour)["http_requests_total"].GetMetric(), 300)
		assert.Equal(t, sample.NeighbourNamespace, neighbour.Labels["kubernetes_namespace"])
		assert.Contains(t, scrape(t, targets["kube-state-metrics"][0])["kube_pod_info"].String(), sample.NeighbourNamespace)
	})
}
