// SPDX-License-Identifier: Apache-2.0

package durableremotewriteexporter

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kubiyabot/otelcol-runner/components/durableremotewriteexporter/internal/metadata"
	"github.com/kubiyabot/otelcol-runner/components/durableremotewriteexporter/internal/metadatatest"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// gauge returns a gauge with one point for each value of the label `which`.
func gauge(at time.Time, which ...string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "job")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("m")
	points := m.SetEmptyGauge().DataPoints()
	for _, w := range which {
		p := points.AppendEmpty()
		p.Attributes().PutStr("which", w)
		p.SetDoubleValue(1)
		p.SetTimestamp(pcommon.NewTimestampFromTime(at))
	}
	return md
}

func settingsWithLog() (exporter.Settings, *observer.ObservedLogs) {
	core, logs := observer.New(zap.InfoLevel)
	set := exportertest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	return set, logs
}

func testConfig(dir, endpoint string) *Config {
	cfg := createDefaultConfig().(*Config)
	cfg.Endpoint = endpoint
	cfg.Log.Directory = filepath.Join(dir, "log")
	cfg.Log.SyncInterval = 0
	cfg.Batch.MaxWait = 10 * time.Millisecond
	cfg.ShutdownTimeout = 5 * time.Second
	return cfg
}

func TestDeliversWhatItAccepted(t *testing.T) {
	var requests atomic.Int64
	var agent atomic.Value
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		agent.Store(r.Header.Get("User-Agent"))
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", "2")
		w.WriteHeader(http.StatusNoContent)
	}))
	defer srv.Close()
	set, _ := settingsWithLog()
	e, err := NewFactory().CreateMetrics(context.Background(), set, testConfig(t.TempDir(), srv.URL))
	require.NoError(t, err)
	require.NoError(t, e.Start(context.Background(), componenttest.NewNopHost()))
	require.NoError(t, e.ConsumeMetrics(context.Background(), gauge(time.Now(), "a", "b")))
	require.NoError(t, e.Shutdown(context.Background()))
	require.Positive(t, requests.Load())
	require.Contains(t, agent.Load(), "otelcol-runner/")
}

// A second process on the folder is told so, and the first goes on.
func TestFolderIsForOne(t *testing.T) {
	dir := t.TempDir()
	set, _ := settingsWithLog()
	first, err := NewFactory().CreateMetrics(context.Background(), set, testConfig(dir, "http://127.0.0.1:1"))
	require.NoError(t, err)
	require.NoError(t, first.Start(context.Background(), componenttest.NewNopHost()))
	second, err := NewFactory().CreateMetrics(context.Background(), set, testConfig(dir, "http://127.0.0.1:1"))
	require.NoError(t, err)
	require.ErrorContains(t, second.Start(context.Background(), componenttest.NewNopHost()), "locked by another process: end that process, or use another folder")
	require.NoError(t, first.ConsumeMetrics(context.Background(), gauge(time.Now(), "a")))
	require.NoError(t, first.Shutdown(context.Background()))
	require.NoError(t, second.Shutdown(context.Background()))
}

func TestNamesSeriesThatDifferInCase(t *testing.T) {
	set, logs := settingsWithLog()
	cfg := testConfig(t.TempDir(), "http://127.0.0.1:1")
	cfg.Receiver = "azure"
	e, err := NewFactory().CreateMetrics(context.Background(), set, cfg)
	require.NoError(t, err)
	require.NoError(t, e.Start(context.Background(), componenttest.NewNopHost()))
	require.NoError(t, e.ConsumeMetrics(context.Background(), gauge(time.Now(), "Value", "other", "value")))
	require.NoError(t, e.Shutdown(context.Background()))
	warnings := logs.FilterMessageSnippet("differ only in upper and lower case").All()
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0].ContextMap()["series"], `which="value"`)
	require.Contains(t, warnings[0].ContextMap()["other"], `which="Value"`)
}

func TestWarnsOfPlainHTTP(t *testing.T) {
	for endpoint, warned := range map[string]int{"http://127.0.0.1:1/": 0, "http://[::1]:1/": 0, "http://localhost:1/": 0, "http://192.0.2.1:1/": 1} {
		set, logs := settingsWithLog()
		e, err := NewFactory().CreateMetrics(context.Background(), set, testConfig(t.TempDir(), endpoint))
		require.NoError(t, err)
		require.NoError(t, e.Start(context.Background(), componenttest.NewNopHost()))
		require.NoError(t, e.Shutdown(context.Background()))
		require.Equal(t, warned, logs.FilterMessageSnippet("without TLS").Len(), endpoint)
	}
}

// What is refused is counted, also where it is refused before anything was done with it.
func TestCountsWhatItRefuses(t *testing.T) {
	cfg := testConfig(t.TempDir(), "http://127.0.0.1:1")
	cfg.Log.OnFull = string(samplelog.Refuse)
	cfg.Log.SegmentBytes, cfg.Log.MaxBytes = minSegmentBytes, 4*minSegmentBytes
	telemetry := componenttest.NewTelemetry()
	defer func() { require.NoError(t, telemetry.Shutdown(context.Background())) }()
	set := exportertest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = telemetry.NewTelemetrySettings()
	e, err := NewFactory().CreateMetrics(context.Background(), set, cfg)
	require.NoError(t, err)
	require.NoError(t, e.Start(context.Background(), componenttest.NewNopHost()))
	defer func() { require.NoError(t, e.Shutdown(context.Background())) }()
	for err == nil {
		err = e.ConsumeMetrics(context.Background(), gauge(time.Now(), randomText(minSegmentBytes)))
	}
	require.ErrorContains(t, err, "the log cannot take the samples: log::max_bytes is reached")
	require.Error(t, e.ConsumeMetrics(context.Background(), gauge(time.Now(), "a", "b")))
	metadatatest.AssertEqualExporterDurableRemoteWriteRefusedSamples(t, telemetry, []metricdata.DataPoint[int64]{
		{Value: 3, Attributes: attribute.NewSet(attribute.String("exporter", set.ID.String()), attribute.String("reason", reasonLogFull))},
	}, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
}

func randomText(n int) string {
	b := make([]byte, n/2)
	_, _ = rand.Read(b) // it does not fail
	return hex.EncodeToString(b)
}
