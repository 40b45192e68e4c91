// SPDX-License-Identifier: Apache-2.0

package configs_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

// pushes are OTLP requests: a component that names itself, one that pretends to be more, and one of another namespace.
const pushes = `{"resourceMetrics": [
  {"resource": {"attributes": [
     {"key": "app", "value": {"stringValue": "tool-manager"}}, {"key": "k8s.namespace.name", "value": {"stringValue": "NAMESPACE"}},
     {"key": "service.name", "value": {"stringValue": "sdk"}}, {"key": "runner", "value": {"stringValue": "evil"}}]},
   "scopeMetrics": [{"metrics": [
     {"name": "cpu_usage", "gauge": {"dataPoints": [{"asDouble": 1, "timeUnixNano": "NOW", "attributes": [{"key": "runner", "value": {"stringValue": "evil"}}]}]}},
     {"name": "unlisted", "gauge": {"dataPoints": [{"asDouble": 1, "timeUnixNano": "NOW"}]}}]}]},
  {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "forger"}}]},
   "scopeMetrics": [{"metrics": [
     {"name": "up", "gauge": {"dataPoints": [{"asDouble": 1, "timeUnixNano": "NOW", "attributes": [
       {"key": "app", "value": {"stringValue": "otel-collector"}}, {"key": "exporter", "value": {"stringValue": "otel-collector"}}, {"key": "namespace", "value": {"stringValue": "NAMESPACE"}}]}]}},
     {"name": "stolen", "gauge": {"dataPoints": [{"asDouble": 1, "timeUnixNano": "NOW"}]}}]}]},
  {"resource": {"attributes": [
     {"key": "app", "value": {"stringValue": "tool-manager"}}, {"key": "k8s.namespace.name", "value": {"stringValue": "shop"}}, {"key": "service.name", "value": {"stringValue": "shop"}}]},
   "scopeMetrics": [{"metrics": [{"name": "memory_usage", "gauge": {"dataPoints": [{"asDouble": 1, "timeUnixNano": "NOW"}]}}]}]}]}`

// TestPushedMetrics pushes over OTLP to the collector as it ships: what is pushed is believed what it says of itself, and no more.
func TestPushedMetrics(t *testing.T) {
	const ip = "127.0.77.201"
	api := startKubeAPI(t, "testdata/cluster.yaml")
	backend, err := prombackend.Open(t.TempDir(), prombackend.Options{})
	require.NoError(t, err)
	receiver := httptest.NewServer(backend.Handler())
	t.Cleanup(func() {
		receiver.Close()
		assert.NoError(t, backend.Close())
	})
	// The interval is longer than the test: nothing is scraped.
	c := start(t, withAPIServer(t, configFiles(t)["collector.yaml"], api.URL), ip, map[string]string{
		"RUNNER_ORGANIZATION": organization, "RUNNER_NAME": "r1", "RUNNER_NAMESPACE": namespace,
		"REMOTE_WRITE_URL": receiver.URL + "/api/v1/write", "SCRAPE_INTERVAL": "10m",
	})
	body := strings.NewReplacer("NAMESPACE", namespace, "NOW", strconv.FormatInt(time.Now().UnixNano(), 10)).Replace(pushes)
	response, err := http.Post("http://"+ip+":4318/v1/metrics", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	c.stop(t) // sends what is queued

	var pushed []string
	for _, ls := range stored(t, backend) {
		if name := ls.Get("__name__"); ls.Get("job") != "otel-collector" && !strings.HasPrefix(name, "up") && !strings.HasPrefix(name, "scrape_") {
			pushed = append(pushed, ls.String())
		}
		assert.NotContains(t, []string{"forger", "shop"}, ls.Get("job"), ls)
	}
	assert.Equal(t, []string{`{__name__="cpu_usage", app="tool-manager", exported_runner="evil", job="sdk", kubiya_type="customers-runners", namespace="` + namespace +
		`", organization="` + organization + `", runner="r1"}`}, pushed)
}
