// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const telemetryPage = `# TYPE otelcol_processor_runner_points_total counter
otelcol_processor_runner_points_total{component="tool-manager",decision="kept",processor="runner",reason="scope"} 100
otelcol_processor_runner_points_total{component="tool-manager",decision="kept",processor="runner",reason="always"} 5
otelcol_processor_runner_points_total{component="tool-manager",decision="dropped",processor="runner",reason="metric"} 40
otelcol_processor_runner_points_total{component="dagger-engine",decision="dropped",processor="runner",reason="metric"} 2
otelcol_processor_runner_points_total{component="other",decision="dropped",processor="runner",reason="namespace"} 1e+03
# TYPE otelcol_processor_runner_samples_total counter
otelcol_processor_runner_samples_total{component="tool-manager"} 900
otelcol_processor_runner_samples_total{component="dagger-engine"} 7
# TYPE otelcol_processor_runner_series gauge
otelcol_processor_runner_series{component="tool-manager"} 60
# TYPE otelcol_processor_runner_series_limit gauge
otelcol_processor_runner_series_limit{limit="series"} 50000
# TYPE otelcol_exporter_durable_remote_write_accepted_samples_total counter
otelcol_exporter_durable_remote_write_accepted_samples_total{exporter="durable_remote_write"} 907
# TYPE otelcol_exporter_durable_remote_write_acknowledged_samples_total counter
otelcol_exporter_durable_remote_write_acknowledged_samples_total 890
# TYPE otelcol_exporter_durable_remote_write_quarantined_samples_total counter
otelcol_exporter_durable_remote_write_quarantined_samples_total{reason="duplicate"} 2
otelcol_exporter_durable_remote_write_quarantined_samples_total{reason="too_old"} 5
# TYPE otelcol_exporter_durable_remote_write_backlog_samples gauge
otelcol_exporter_durable_remote_write_backlog_samples 10
# TYPE otelcol_exporter_durable_remote_write_backlog_bytes gauge
otelcol_exporter_durable_remote_write_backlog_bytes 4096
# TYPE otelcol_exporter_durable_remote_write_backlog_age_seconds gauge
otelcol_exporter_durable_remote_write_backlog_age_seconds 0.25
# TYPE otelcol_process_uptime_seconds_total counter
otelcol_process_uptime_seconds_total 12.5
`

func TestCountersAreSummedByDecisionReasonAndComponent(t *testing.T) {
	got, err := parseCounters(strings.NewReader(telemetryPage))
	require.NoError(t, err)
	assert.Equal(t, counters{
		Kept: 105, Dropped: 1042, KeptSamples: 907,
		ByReason: map[string]int64{"metric": 42, "namespace": 1000},
		ByComponent: map[string]Component{
			"tool-manager":  {Kept: 105, Dropped: 40, Series: 60},
			"dagger-engine": {Dropped: 2},
			"other":         {Dropped: 1000},
		},
		Log: Log{Accepted: 907, Acknowledged: 890, Quarantined: 7, Backlog: 10, Bytes: 4096, Age: 0.25},
	}, got)
}

// The counters of a process that was killed are added to those of the next; what is live now is that of the next alone.
func TestCountersAreAddedUpOverRestarts(t *testing.T) {
	earlier := counters{
		Kept: 5, Dropped: 3, KeptSamples: 50, Collisions: 1, ByReason: map[string]int64{"metric": 2, "secret": 1},
		ByComponent: map[string]Component{"a": {Kept: 5, Dropped: 3, Series: 9}}, Log: Log{Accepted: 50},
	}
	now := counters{
		Kept: 1, Dropped: 1, KeptSamples: 10, ByReason: map[string]int64{"metric": 1},
		ByComponent: map[string]Component{"a": {Kept: 1, Series: 4}, "b": {Dropped: 1}}, Log: Log{Accepted: 60},
	}
	now.add(earlier)
	assert.Equal(t, counters{
		Kept: 6, Dropped: 4, KeptSamples: 60, Collisions: 1, ByReason: map[string]int64{"metric": 3, "secret": 1},
		ByComponent: map[string]Component{"a": {Kept: 6, Dropped: 3, Series: 4}, "b": {Dropped: 1}}, Log: Log{Accepted: 60},
	}, now)
	assert.Equal(t, map[string]int64{"metric": 2, "secret": 1}, earlier.ByReason, "the page may be reading it")

	first := counters{ByReason: map[string]int64{"metric": 1}, ByComponent: map[string]Component{"b": {Kept: 1}}}
	first.add(counters{})
	assert.Equal(t, counters{ByReason: map[string]int64{"metric": 1}, ByComponent: map[string]Component{"b": {Kept: 1}}}, first)
}

func TestAPageWithoutTheProcessorsMetricsIsAllZero(t *testing.T) {
	got, err := parseCounters(strings.NewReader("other_total 3\n"))
	require.NoError(t, err)
	assert.Equal(t, counters{ByReason: map[string]int64{}, ByComponent: map[string]Component{}}, got)
}

func TestReadingCountersSaysWhatIsWrong(t *testing.T) {
	answer := func(status int, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	for name, c := range map[string]struct{ url, want string }{
		"nobody there":      {"http://127.0.0.1:1/metrics", "the collector's own metrics cannot be read: Get"},
		"an error page":     {answer(http.StatusServiceUnavailable, ""), "answered 503 Service Unavailable"},
		"not a metric page": {answer(http.StatusOK, "<html>"), "the collector's own metrics are not in the text format"},
	} {
		t.Run(name, func(t *testing.T) {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			_, err := readCounters(t.Context(), client, c.url)
			assert.ErrorContains(t, err, c.want)
		})
	}
}
