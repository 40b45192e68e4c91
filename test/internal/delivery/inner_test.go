// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"context"
	"encoding/gob"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// writeJournal writes the entries to a file, without its last bytes.
func writeJournal(t *testing.T, torn int, entries ...entry) string {
	t.Helper()
	var buf bytes.Buffer
	encoder := gob.NewEncoder(&buf)
	for _, e := range entries {
		require.NoError(t, encoder.Encode(e))
	}
	path := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, os.WriteFile(path, buf.Bytes()[:buf.Len()-torn], 0o600))
	return path
}

func TestAnUnansweredRequestConfirmsNothing(t *testing.T) {
	first := writeJournal(t, 0,
		entry{Request: 0, Names: []string{"a"}, Series: []uint32{0}, T: []int64{10}, V: []float64{1}},
	)
	// The next life is asked for a later sample first: the unanswered one has been overtaken.
	second := writeJournal(t, 0,
		entry{Request: 0, Names: []string{"a"}, Series: []uint32{0}, T: []int64{20}, V: []float64{2}},
		entry{Request: 0, Status: http.StatusNoContent},
		entry{Request: 1, Series: []uint32{0}, T: []int64{10}, V: []float64{1}},
		entry{Request: 1, Status: http.StatusNoContent},
	)
	traffic, err := ReadTraffic([]string{first, second})
	require.NoError(t, err)
	assert.Equal(t, []string{"a 1 at 00:00:00.010, after the sample at 00:00:00.020"}, traffic.OutOfOrder)
	assert.Equal(t, map[int]int{0: 1, http.StatusNoContent: 2}, traffic.Requests)
	assert.Zero(t, traffic.Repeated)
	assert.Equal(t, 3, traffic.Offered)

	var text strings.Builder
	traffic.Print(&text, 0)
	assert.Equal(t, "backend: requests 1 x without an answer, 2 x 204; 3 samples offered, 0 of them again after they had been confirmed\n"+
		"sent out of order: ... and 1 more\n", text.String())
}

func TestATornJournalIsReadUpToItsEnd(t *testing.T) {
	path := writeJournal(t, 1,
		entry{Request: 0, Names: []string{"a"}, Series: []uint32{0}, T: []int64{10}, V: []float64{1}},
		entry{Request: 0, Status: http.StatusNoContent, Body: "torn"},
	)
	traffic, err := ReadTraffic([]string{path})
	require.NoError(t, err)
	assert.Equal(t, map[int]int{0: 1}, traffic.Requests)

	_, err = ReadTraffic([]string{filepath.Join(t.TempDir(), "absent")})
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestPushRepeatsTheSameBytes(t *testing.T) {
	var bodies [][]byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, body)
		switch len(bodies) {
		case 1:
			panic(http.ErrAbortHandler) // the collector was killed
		case 2:
			http.Error(w, "later", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	p := NewPusher(strings.TrimPrefix(server.URL, "http://"))
	defer p.Close()
	batch := NewBatch("source", time.UnixMilli(5))
	batch.Gauge("a", 10, 1)
	batch.Counter("b", 10, 2)
	attempts, err := p.Push(t.Context(), batch.Metrics)
	require.NoError(t, err)
	assert.Equal(t, 3, attempts)
	require.Len(t, bodies, 3)
	assert.Equal(t, bodies[0], bodies[1])
	assert.Equal(t, bodies[0], bodies[2])

	request := pmetricotlp.NewExportRequest()
	require.NoError(t, request.UnmarshalProto(bodies[0]))
	assert.Equal(t, 2, request.Metrics().DataPointCount())
}

func TestPushGivesUpWhatIsRefused(t *testing.T) {
	partial := pmetricotlp.NewExportResponse()
	partial.PartialSuccess().SetRejectedDataPoints(3)
	partial.PartialSuccess().SetErrorMessage("too many")
	refused, err := partial.MarshalProto()
	require.NoError(t, err)
	for _, tc := range []struct {
		name     string
		status   int
		body     []byte
		expected string
	}{
		{"bad request", http.StatusBadRequest, []byte("no"), "refused samples for good: 400 Bad Request: no"},
		{"in part", http.StatusOK, refused, "refused samples for good: 3 of them, too many"},
		{"not OTLP", http.StatusOK, []byte("hello"), "refused samples for good: its answer is no OTLP"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = w.Write(tc.body)
			}))
			defer server.Close()
			p := NewPusher(strings.TrimPrefix(server.URL, "http://"))
			defer p.Close()
			_, err := p.Push(t.Context(), pmetric.NewMetrics())
			assert.ErrorContains(t, err, tc.expected)
		})
	}
	t.Run("the test ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p := NewPusher("127.0.0.1:1")
		_, err := p.Push(ctx, pmetric.NewMetrics())
		assert.ErrorIs(t, err, context.Canceled)
	})
}

func TestBalance(t *testing.T) {
	exposition := strings.Join([]string{
		`otelcol_exporter_durable_remote_write_accepted_samples_total{exporter="x"} 100`,
		`otelcol_exporter_durable_remote_write_acknowledged_samples_total{exporter="x"} 60`,
		`otelcol_exporter_durable_remote_write_expired_samples_total{exporter="x"} 5`,
		`otelcol_exporter_durable_remote_write_quarantined_samples_total{exporter="x",reason="duplicate"} 4`,
		`otelcol_exporter_durable_remote_write_quarantined_samples_total{exporter="x",reason="too_old"} 3`,
		`otelcol_exporter_durable_remote_write_dropped_samples_total{exporter="x",reason="full"} 2`,
		`otelcol_exporter_durable_remote_write_backlog_samples{exporter="x"} 25`, "",
	}, "\n")
	balance, found, err := parseBalance([]byte(exposition))
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, Balance{Accepted: 100, Acknowledged: 60, Expired: 5, Quarantined: 7, Dropped: 2, Backlog: 25}, balance)
	assert.EqualValues(t, 1, balance.Open())
	assert.EqualValues(t, 14, balance.GivenUp())

	_, found, err = parseBalance([]byte("otelcol_process_uptime_seconds 1\n"))
	require.NoError(t, err)
	assert.False(t, found)
	_, _, err = parseBalance([]byte("{"))
	assert.ErrorContains(t, err, "the collector's own metrics: ")
}

func TestProcess(t *testing.T) {
	start := func(t *testing.T, script string) *Process {
		t.Helper()
		p, err := Start("script", "/bin/sh", []string{"-c", script}, nil, filepath.Join(t.TempDir(), "log"))
		require.NoError(t, err)
		t.Cleanup(p.Discard)
		return p
	}
	t.Run("ends by itself", func(t *testing.T) {
		p := start(t, "echo why; exit 3")
		err := Await(t.Context(), "nothing", time.Minute, func(context.Context) (bool, error) { return false, nil }, p)
		assert.EqualError(t, err, "waiting for nothing: the script ended by itself (exit status 3); the end of its log:\nwhy")
		assert.Error(t, p.Kill())
		assert.Error(t, p.Stop())
	})
	t.Run("ends when asked", func(t *testing.T) {
		p := start(t, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done")
		require.NoError(t, Await(t.Context(), "the trap", time.Minute, func(context.Context) (bool, error) {
			log, err := os.ReadFile(p.logPath)
			return strings.Contains(string(log), "ready"), err
		}, p))
		memory, err := p.Memory()
		require.NoError(t, err)
		assert.Positive(t, memory)
		require.NoError(t, p.Stop())
		assert.ErrorContains(t, p.Running(), "the script ended by itself (exit status 0)")
	})
	t.Run("is killed while it is paused", func(t *testing.T) {
		p := start(t, "while :; do sleep 0.01; done")
		require.NoError(t, p.Pause())
		require.NoError(t, p.Resume())
		require.NoError(t, p.Pause())
		require.NoError(t, p.Kill())
	})
	t.Run("does not start", func(t *testing.T) {
		_, err := Start("script", "/absent", nil, nil, filepath.Join(t.TempDir(), "log"))
		assert.ErrorContains(t, err, "the script does not start")
	})
}

func TestAwaitGivesUp(t *testing.T) {
	err := Await(t.Context(), "the end", time.Millisecond, func(context.Context) (bool, error) { return false, io.ErrNoProgress })
	assert.ErrorContains(t, err, "waiting for the end: not within 1ms")
	assert.ErrorIs(t, err, io.ErrNoProgress)
}
