// SPDX-License-Identifier: Apache-2.0

package remotewrite_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
)

func TestDetect(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://aks-amw-0mi2.eastus-1.metrics.ingest.monitor.azure.com/dataCollectionRules/dcr-0/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24": remotewrite.Azure,
		"https://X.EASTUS-1.Metrics.Ingest.Monitor.Azure.com:443/api/v1/write":                                                                                             remotewrite.Azure,
		"https://x.usgovvirginia-1.metrics.ingest.monitor.azure.us/write":                                                                                                  remotewrite.Azure,
		"https://x.chinanorth3-1.metrics.ingest.monitor.azure.cn/write":                                                                                                    remotewrite.Azure,
		"https://aps-workspaces.us-east-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write":                                                                               remotewrite.AWS,
		"https://aps-workspaces-fips.us-east-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write":                                                                          remotewrite.AWS,
		"https://aps-workspaces.cn-north-1.amazonaws.com.cn/workspaces/ws-1/api/v1/remote_write":                                                                           remotewrite.AWS,
		"https://vpce-1-2.aps-workspaces.us-east-1.vpce.amazonaws.com/workspaces/ws-1/api/v1/remote_write":                                                                 remotewrite.AWS,
		"https://aps-workspaces.us-east-1.api.aws/workspaces/ws-1/api/v1/remote_write":                                                                                     remotewrite.AWS,
		"https://prometheus-prod-24-prod-eu-west-2.grafana.net/api/prom/push":                                                                                              remotewrite.GrafanaCloud,
		"https://monitoring.googleapis.com/v1/projects/p/location/global/prometheus/api/v1/write":                                                                          remotewrite.Google,
		"https://azure.example.com/metrics.ingest.monitor.azure.com/write":                                                                                                 remotewrite.Auto,
		"http://localhost:9090/api/v1/write":                                                                                                                               remotewrite.Auto,
		"https://notgrafana.net/push":                                                                                                                                      remotewrite.Auto,
		"invalid://":                                                                                                                                                       remotewrite.Auto,
		":":                                                                                                                                                                remotewrite.Auto,
		"":                                                                                                                                                                 remotewrite.Auto,
	} {
		assert.Equal(t, want, remotewrite.Detect(endpoint), endpoint)
	}
}

func TestProfiles(t *testing.T) {
	for _, p := range remotewrite.Profiles() {
		got, err := remotewrite.ProfileOf(p.Name)
		require.NoError(t, err)
		assert.Equal(t, p, got)
		assert.Contains(t, []remotewrite.Protocol{remotewrite.V1, remotewrite.V2}, p.Protocol, p.Name)
		assert.GreaterOrEqual(t, p.MaxBytes, 1_000_000, p.Name)
		assert.True(t, strings.HasSuffix(p.Note, "."), p.Name)
	}
	azure, err := remotewrite.ProfileOf("azure")
	require.NoError(t, err)
	assert.Equal(t, 20*time.Minute, azure.MaxAge)
	assert.Equal(t, remotewrite.V1, azure.Protocol)
	assert.True(t, azure.RepeatsOK && azure.CaseInsensitiveSeries)

	_, err = remotewrite.ProfileOf("influx")
	assert.EqualError(t, err, `"influx" is not known, use one of auto, azure, aws, google, grafana_cloud, mimir, thanos, victoriametrics, prometheus`)
}

func TestHeader(t *testing.T) {
	assert.Equal(t, http.Header{
		"Content-Encoding": {"snappy"}, "Content-Type": {"application/x-protobuf"}, "X-Prometheus-Remote-Write-Version": {"0.1.0"},
	}, remotewrite.Header(remotewrite.V1, 0))
	assert.Equal(t, http.Header{
		"Content-Encoding": {"snappy"}, "Content-Type": {"application/x-protobuf;proto=io.prometheus.write.v2.Request"},
		"X-Prometheus-Remote-Write-Version": {"2.0.0"}, "Retry-Attempt": {"3"},
	}, remotewrite.Header(remotewrite.V2, 3))
	assert.Equal(t, "otelcol-runner/1.2.3", remotewrite.UserAgent("1.2.3"))
	for name := range remotewrite.Header(remotewrite.V2, 3) {
		assert.Equal(t, http.CanonicalHeaderKey(name), name)
	}
}
