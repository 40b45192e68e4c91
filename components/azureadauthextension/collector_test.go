// SPDX-License-Identifier: Apache-2.0

package azureadauthextension

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

// TestCollectorEndsWhileTheTokenServerStalls: the real collector, with samples
// queued behind a token that never comes, ends when it is told to.
func TestCollectorEndsWhileTheTokenServerStalls(t *testing.T) {
	binary := testbed.Collector(t)
	e := newEntra(t)
	e.answers(e.stall)
	r := newReceiver(t)
	input := freeAddress(t)
	config := filepath.Join(t.TempDir(), "collector.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
extensions:
  azuread_auth:
    oauth: {client_id: %s, tenant_id: %s, client_secret: x}
receivers:
  otlp: {protocols: {http: {endpoint: %s}}}
exporters:
  prometheus_remote_write: {endpoint: %s, auth: {authenticator: azuread_auth}}
service:
  extensions: [azuread_auth]
  telemetry: {metrics: {level: none}}
  pipelines:
    metrics: {receivers: [otlp], exporters: [prometheus_remote_write]}
`, testClient, testTenant, input, r.URL), 0o600))

	var output testbed.Buffer
	cmd := exec.CommandContext(t.Context(), binary, "--config", config) //nolint:gosec // the collector that this repository builds
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoError(t, cmd.Start())
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()

	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	post := func(i int) bool {
		body := fmt.Sprintf(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"samples_%d","gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":1}]}}]}]}]}`,
			i, time.Now().UnixNano())
		resp, err := client.Post("http://"+input+"/v1/metrics", "application/json", bytes.NewBufferString(body))
		if err != nil {
			return false // not listening yet
		}
		return assert.NoError(t, resp.Body.Close()) && resp.StatusCode == http.StatusOK
	}
	require.Eventually(t, func() bool { return post(0) }, 30*time.Second, 50*time.Millisecond, output.String)
	for i := range 50 {
		require.True(t, post(i+1))
	}
	require.Eventually(t, func() bool { return e.requests() > 0 }, 10*time.Second, 10*time.Millisecond, "no token request")

	begin := time.Now()
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-exited:
		assert.NoError(t, err, output.String())
		t.Logf("ended after %s", time.Since(begin).Round(time.Millisecond))
	case <-time.After(25 * time.Second): // Kubernetes kills after 30 s
		assert.NoError(t, cmd.Process.Kill())
		<-exited //nolint:errcheck // killed: its status says nothing
		t.Fatalf("did not end within 25 s:\n%s", output.String())
	}
	assert.Contains(t, output.String(), "azuread_auth: the token server (oauth, AzurePublic) has not answered after")
	assert.Zero(t, r.count())
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, l.Close()) }()
	return l.Addr().String()
}
