// SPDX-License-Identifier: Apache-2.0

package durableremotewriteexporter

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
)

// What the configuration leaves open is what the receiver takes.
func TestReceiverDecidesWhatIsNotSet(t *testing.T) {
	set, _ := settingsWithLog()
	cfg := testConfig(t.TempDir(), "https://x.westeurope-1.metrics.ingest.monitor.azure.com/write")
	e, err := newExporter(set, cfg)
	require.NoError(t, err)
	c := e.deliveryConfig(nil, componenttest.NewNopHost())
	require.Equal(t, 20*time.Minute, c.MaxSampleAge)
	require.Equal(t, 1<<20, c.MaxBytes)
	require.Equal(t, remotewrite.V1, c.Protocol)
	require.True(t, c.Fallback)
	require.LessOrEqual(t, c.RequestsPerSecond, 250.0)

	cfg.MaxSampleAge, cfg.Batch.MaxBytes, cfg.Protocol, cfg.Drain.RequestsPerSecond = time.Hour, 5, "2.0", 1000
	c = e.deliveryConfig(nil, componenttest.NewNopHost())
	require.Equal(t, time.Hour, c.MaxSampleAge)
	require.Equal(t, 5, c.MaxBytes)
	require.Equal(t, remotewrite.V2, c.Protocol)
	require.False(t, c.Fallback)
	require.InDelta(t, 250.0, c.RequestsPerSecond, 0, "the receiver's budget")
}

// A redirect would take samples and credentials to another place.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	asked := make(chan struct{}, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	set, logs := settingsWithLog()
	e, err := NewFactory().CreateMetrics(context.Background(), set, testConfig(t.TempDir(), srv.URL))
	require.NoError(t, err)
	require.NoError(t, e.Start(context.Background(), componenttest.NewNopHost()))
	require.NoError(t, e.ConsumeMetrics(context.Background(), gauge(time.Now(), "a")))
	<-asked
	require.NoError(t, e.Shutdown(context.Background()))
	require.Zero(t, elsewhere.Load())
	require.NotEmpty(t, logs.FilterMessageSnippet("sending failed").All())
}

// A receiver that hangs holds up a stop for the time that is set, and what was refused before is closed with the log.
func TestStopWhileTheReceiverHangs(t *testing.T) {
	hanging := make(chan struct{})
	release := make(chan struct{})
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			http.Error(w, "invalid metric name", http.StatusBadRequest)
			return
		}
		close(hanging)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(release)
	set, _ := settingsWithLog()
	cfg := testConfig(t.TempDir(), srv.URL)
	cfg.Protocol, cfg.ShutdownTimeout = "1.0", 100*time.Millisecond
	e, err := NewFactory().CreateMetrics(context.Background(), set, cfg)
	require.NoError(t, err)
	require.NoError(t, e.Start(context.Background(), componenttest.NewNopHost()))
	require.NoError(t, e.ConsumeMetrics(context.Background(), gauge(time.Now(), "a")))
	require.Eventually(t, func() bool { return requests.Load() == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, e.ConsumeMetrics(context.Background(), gauge(time.Now(), "b")))
	<-hanging
	start := time.Now()
	require.NoError(t, e.Shutdown(context.Background()))
	require.Less(t, time.Since(start), 10*time.Second)
	entries, err := os.ReadDir(filepath.Join(cfg.Log.Directory, "quarantine"))
	require.NoError(t, err)
	require.NotEmpty(t, entries)

	next, err := NewFactory().CreateMetrics(context.Background(), set, cfg)
	require.NoError(t, err)
	require.NoError(t, next.Start(context.Background(), componenttest.NewNopHost()), "the folder is free")
	require.NoError(t, next.Shutdown(context.Background()))
}
