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
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCollectorEndsWhileTheTokenServerStalls: the real collector, with samples
// queued behind a token that never comes, ends when it is told to.
func TestCollectorEndsWhileTheTokenServerStalls(t *testing.T) {
	binary := filepath.Join(moduleRoot(t), "bin", "otelcol-runner")
	require.FileExists(t, binary, "run `make build` first")
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

	var output lockedBuffer
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

// moduleRoot is the folder with go.mod, above the package.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		require.NotEqual(t, dir, parent, "no go.mod above the package")
		dir = parent
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, l.Close()) }()
	return l.Addr().String()
}

// lockedBuffer is read while the collector writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
