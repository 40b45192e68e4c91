// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/arrival"
)

// deliveringCollector serves the own metrics of a collector that delivers step samples between two questions.
func deliveringCollector(t *testing.T, step int64) string {
	t.Helper()
	var sent atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, strings.ReplaceAll(`X_acknowledged_samples_total{exporter="durable_remote_write"} %d
X_backlog_samples{exporter="durable_remote_write"} 30
X_backlog_age_seconds{exporter="durable_remote_write"} 75
X_quarantined_samples_total{exporter="durable_remote_write",reason="too_old"} 4
`, "X_", "otelcol_exporter_durable_remote_write_"), sent.Add(step)) // the client may be gone
	}))
	t.Cleanup(server.Close)
	return server.URL + "/metrics"
}

func TestCheckDelivery(t *testing.T) {
	address := deliveringCollector(t, 5)
	code, stdout, stderr := command(t, "check", "delivery", "--metrics", address)
	assert.Equal(t, exitFine, code, stderr)
	assert.Equal(t, address+`: delivered
  durable_remote_write       5 samples since the check began, 10 in all
    backlog                  30 samples, the oldest is 1m15s old
    refused by the receiver  too_old 4
`, stdout)
}

func TestCheckDeliveryOfNothing(t *testing.T) {
	address := deliveringCollector(t, 0)
	code, stdout, stderr := command(t, "check", "delivery", "--metrics", address, "--timeout", "100ms", "--output", "json")
	assert.Equal(t, exitBroken, code)
	assert.Empty(t, stderr)
	var report struct {
		Delivered  bool
		Collectors []arrival.Collector
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	assert.False(t, report.Delivered)
	require.Len(t, report.Collectors, 1)
	assert.Equal(t, uint64(30), report.Collectors[0].Exporters[0].Backlog)
}

func TestCheckDeliveryByTheBackend(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		value := "1"
		if strings.HasPrefix(r.FormValue("query"), "timestamp(") {
			value = "980"
		}
		_, _ = fmt.Fprintf(w, `{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {"app": "tool-manager"}, "value": [1000, %q]}]}}`, value) // as above
	}))
	t.Cleanup(server.Close)
	args := []string{"check", "delivery", "--query-url", server.URL, "--organization", "acme", "--runner", "r1"}
	code, stdout, stderr := command(t, args...)
	assert.Equal(t, exitFine, code, stderr)
	assert.Equal(t, server.URL+`: delivered
  up{organization="acme", runner="r1"}  the latest sample is 20s old
  tool-manager                          1 of 1 targets up, 20s ago
`, stdout)

	code, stdout, _ = command(t, append(args, "--max-age", "10s", "--timeout", "100ms")...)
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, stdout, server.URL+": not delivered\n  nothing younger than 10s: ")
}

func TestCheckDeliveryThatCannotAsk(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	code, _, stderr := command(t, "check", "delivery", "--metrics", server.URL)
	assert.Equal(t, exitFailed, code)
	assert.Equal(t, "runnerctl: the collector's own metrics cannot be read: "+server.URL+": it answered 404 Not Found: its path is usually /metrics, its port 8888\n", stderr)
}

func TestCheckDeliveryInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	opts := &checkDeliveryOptions{timeout: time.Minute, arrival: arrival.Options{Metrics: []string{deliveringCollector(t, 0)}}}
	assert.ErrorIs(t, checkDeliveryRun(ctx, opts), context.Canceled)
}

func TestCheckDeliveryOptions(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		code, _, stderr := command(t, append([]string{"check", "delivery"}, args...)...)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, stderr, want)
	}
	backend := func(args ...string) []string {
		return append([]string{"--query-url", "http://127.0.0.1:1", "--organization", "acme", "--runner", "r1"}, args...)
	}
	f("nobody to ask: give --metrics")
	f("are for the backend: give --query-url as well", "--metrics", "http://127.0.0.1:1/metrics", "--runner", "r1")
	f("needs --organization and --runner", "--query-url", "http://127.0.0.1:1", "--runner", "r1")
	f("are two ways of authentication", backend("--bearer-token-file", "a", "--username", "b", "--password-file", "c")...)
	f("belong together", backend("--username", "b")...)
	f("how far back a query sees", backend("--max-age", "10m")...)
	f("--timeout 0s", backend("--timeout", "0s")...)
	f(`--output "yaml" is not known`, backend("--output", "yaml")...)
	f("--metrics: no http or https address: use one such as http://127.0.0.1:8888/metrics", "--metrics", "127.0.0.1:8888/metrics")
	f("--metrics http://me:xxxxx@127.0.0.1: a password in an address", "--metrics", "http://me:"+"mine@127.0.0.1")
}

// TestCheckDeliveryExamples reads the examples of the help as they are typed.
func TestCheckDeliveryExamples(t *testing.T) {
	var seen []*checkDeliveryOptions
	run := func(_ context.Context, o *checkDeliveryOptions) error {
		seen = append(seen, o)
		return nil
	}
	examples := strings.ReplaceAll(newCmdCheckDelivery(streams{}, nil).Example, "\\\n", "")
	for line := range strings.Lines(examples) {
		args := split(line)
		if len(args) == 0 || args[0] != "runnerctl" {
			continue
		}
		cmd := newCmdCheckDelivery(streams{}, run)
		cmd.SetArgs(args[3:])
		assert.NoError(t, cmd.Execute(), line)
	}
	require.Len(t, seen, 3)
	assert.Len(t, seen[1].arrival.Metrics, 3)
	assert.Equal(t, "acme-prod", seen[2].arrival.Query.Runner)
}
