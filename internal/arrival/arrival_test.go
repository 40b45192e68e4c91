// SPDX-License-Identifier: Apache-2.0

package arrival_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kubiyabot/otelcol-runner/internal/arrival"
	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// check asks with little patience: what is wanted is there at once, or never.
func check(t *testing.T, patience time.Duration, opts arrival.Options) (*arrival.Report, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	opts.Interval = 10 * time.Millisecond
	return arrival.Check(ctx, opts)
}

const (
	short = 300 * time.Millisecond
	long  = 20 * time.Second
)

// collector serves a page that may depend on how often it was asked for.
func collector(t *testing.T, page func(n int64) string) string {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, page(asked.Add(1))) // the client may be gone
	}))
	t.Cleanup(server.Close)
	return server.URL + "/metrics"
}

func durablePage(acknowledged int64, more string) string {
	return strings.ReplaceAll(fmt.Sprintf(`# TYPE X_acknowledged_samples_total counter
X_acknowledged_samples_total{exporter="durable_remote_write"} %d
# TYPE X_backlog_samples gauge
X_backlog_samples{exporter="durable_remote_write"} 20
# TYPE X_backlog_age_seconds gauge
X_backlog_age_seconds{exporter="durable_remote_write"} 12.5
`, acknowledged)+more, "X_", "otelcol_exporter_durable_remote_write_")
}

func TestACollectorThatDelivers(t *testing.T) {
	address := collector(t, func(n int64) string {
		return durablePage(100+max(0, n-2)*10, `# TYPE X_quarantined_samples_total counter
X_quarantined_samples_total{exporter="durable_remote_write",reason="too_old"} 3
X_quarantined_samples_total{exporter="durable_remote_write",reason="out_of_order"} 0
# TYPE X_dropped_samples_total counter
X_dropped_samples_total{exporter="durable_remote_write",reason="log_full"} 4
# TYPE X_expired_samples_total counter
X_expired_samples_total{exporter="durable_remote_write"} 5
# TYPE X_refused_samples_total counter
X_refused_samples_total{exporter="durable_remote_write",reason="name"} 6
# TYPE X_requests_total counter
X_requests_total{exporter="durable_remote_write",status="200"} `+fmt.Sprint(7+n)+`
X_requests_total{exporter="durable_remote_write",status="503"} 9
`)
	})
	report, err := check(t, long, arrival.Options{Metrics: []string{address}})
	require.NoError(t, err)
	assert.True(t, report.Delivered())
	assert.Equal(t, []arrival.Collector{{URL: address, Delivered: true, Exporters: []arrival.Exporter{{
		ID: "durable_remote_write", New: 10, Acknowledged: 110, Backlog: 20, BacklogAge: 12.5,
		Refused: map[string]uint64{"too_old": 3, "expired": 5}, Dropped: map[string]uint64{"log_full": 4},
		NotAccepted: map[string]uint64{"name": 6}, Answers: map[string]uint64{"200": 2},
	}}}}, report.Collectors)
}

// What was delivered before the check says nothing about now.
func TestACollectorThatHasDelivered(t *testing.T) {
	f := func(more func(n int64) string, want string) {
		t.Helper()
		report, err := check(t, short, arrival.Options{Metrics: []string{collector(t, func(n int64) string { return durablePage(100, more(n)) })}})
		require.NoError(t, err)
		assert.False(t, report.Delivered())
		assert.Contains(t, report.Collectors[0].Problem, want)
	}
	answers := func(status string) func(int64) string {
		return func(n int64) string {
			return fmt.Sprintf("# TYPE X_requests_total counter\nX_requests_total{exporter=\"durable_remote_write\",status=%q} %d\n", status, n)
		}
	}
	f(func(int64) string { return "" }, "")
	f(answers("401"), "credentials are missing or not accepted")
	f(answers("403"), "up to 30 minutes")
	f(answers("404"), "REMOTE_WRITE_URL has another path")
	f(answers("429"), "above its limits")
	f(answers("503"), "the receiver answers 503")
	f(answers("error"), "look at REMOTE_WRITE_URL, DNS, certificates")
}

func TestACollectorThatScrapesNothing(t *testing.T) {
	address := collector(t, func(int64) string { return strings.Replace(durablePage(0, ""), "} 20\n", "} 0\n", 1) })
	report, err := check(t, short, arrival.Options{Metrics: []string{address}})
	require.NoError(t, err)
	assert.Contains(t, report.Collectors[0].Problem, "nothing was scraped")
}

func TestARestartedCollectorBeginsAnew(t *testing.T) {
	address := collector(t, func(n int64) string { return durablePage(map[bool]int64{true: 1000, false: 7}[n == 1], "") })
	report, err := check(t, long, arrival.Options{Metrics: []string{address}})
	require.NoError(t, err)
	assert.True(t, report.Delivered())
	assert.Equal(t, uint64(7), report.Collectors[0].Exporters[0].New)
}

// Upstream's exporter has no counters before it has sent something.
func TestUpstreamsExporter(t *testing.T) {
	address := collector(t, func(n int64) string {
		page := "# TYPE otelcol_exporter_sent_metric_points_total counter\notelcol_exporter_sent_metric_points_total{exporter=\"debug\"} 1\n"
		if n < 3 {
			return page
		}
		return page + `otelcol_exporter_sent_metric_points_total{exporter="prometheus_remote_write/eu"} 50
# TYPE otelcol_exporter_send_failed_metric_points_total counter
otelcol_exporter_send_failed_metric_points_total{exporter="prometheus_remote_write/eu"} 8
# TYPE otelcol_exporter_enqueue_failed_metric_points_total counter
otelcol_exporter_enqueue_failed_metric_points_total{exporter="prometheus_remote_write/eu"} 9
`
	})
	report, err := check(t, long, arrival.Options{Metrics: []string{address}})
	require.NoError(t, err)
	assert.Equal(t, []arrival.Exporter{{
		ID: "prometheus_remote_write/eu", New: 50, Acknowledged: 50,
		Dropped: map[string]uint64{"send_failed": 8}, NotAccepted: map[string]uint64{"queue_full": 9},
	}}, report.Collectors[0].Exporters)
}

func TestAnExporterThatIsLeftBehindShows(t *testing.T) {
	address := collector(t, func(n int64) string {
		return fmt.Sprintf(`# TYPE X_acknowledged_samples_total counter
otelcol_exporter_durable_remote_write_acknowledged_samples_total{exporter="durable_remote_write/a"} %d
otelcol_exporter_durable_remote_write_acknowledged_samples_total{exporter="durable_remote_write/b"} 1
`, n)
	})
	report, err := check(t, short, arrival.Options{Metrics: []string{address}})
	require.NoError(t, err)
	assert.False(t, report.Delivered())
	assert.Contains(t, report.Collectors[0].Problem, "durable_remote_write/b: ")
}

func TestOneOfTwoCollectors(t *testing.T) {
	good := collector(t, func(n int64) string { return durablePage(n, "") })
	bad := collector(t, func(int64) string { return durablePage(1, "") })
	report, err := check(t, short, arrival.Options{Metrics: []string{good, bad}})
	require.NoError(t, err)
	assert.False(t, report.Delivered())
	assert.True(t, report.Collectors[0].Delivered)
	assert.False(t, report.Collectors[1].Delivered)
}

func TestACollectorThatCannotBeAsked(t *testing.T) {
	f := func(address, want string) {
		t.Helper()
		_, err := check(t, short, arrival.Options{Metrics: []string{address}})
		require.ErrorContains(t, err, "the collector's own metrics cannot be read: "+address+": ")
		assert.ErrorContains(t, err, want)
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	f(closed.URL, "nothing listens there: look at the port")
	notFound := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(notFound.Close)
	f(notFound.URL, "it answered 404 Not Found: its path is usually /metrics, its port 8888")
	f(strings.Replace(notFound.URL, "http:", "https:", 1), "does not speak TLS: use http://")
	f("http://nowhere.invalid:8888/metrics", "the host's name is not known here")
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(tls.Close)
	f(tls.URL, "SSL_CERT_FILE")
	f(collector(t, func(int64) string { return "<html>" }), "it is not in the text format of Prometheus")
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	f(silent.URL, "no answer in time")
}

// A collector that is being started is waited for.
func TestACollectorThatComesLater(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := asked.Add(1)
		if n < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprint(w, durablePage(n, "")) // the client may be gone
	}))
	t.Cleanup(server.Close)
	report, err := check(t, long, arrival.Options{Metrics: []string{server.URL}})
	require.NoError(t, err)
	assert.True(t, report.Delivered())
}

// backend is a Prometheus with a runner's targets of some seconds ago, behind what a proxy would ask for.
func backend(t *testing.T, age time.Duration, guard func(http.Handler) http.Handler) string {
	t.Helper()
	b, err := prombackend.Open(t.TempDir(), prombackend.Options{})
	require.NoError(t, err)
	handler := b.Handler()
	if guard != nil {
		handler = guard(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.Close()
		assert.NoError(t, b.Close())
	})
	appender := b.DB().Appender(t.Context())
	for i, app := range []string{"tool-manager", "tool-manager", "otel-collector"} {
		ls := labels.FromStrings("__name__", "up", "organization", "acme", "runner", "r1", "namespace", "runner-acme", "app", app, "instance", fmt.Sprint(i))
		_, err := appender.Append(0, ls, time.Now().Add(-age).UnixMilli(), float64(min(i, 1)))
		require.NoError(t, err)
	}
	require.NoError(t, appender.Commit())
	return server.URL
}

func query(address string) arrival.Query {
	return arrival.Query{URL: address, Organization: "acme", Runner: "r1", MaxAge: time.Minute}
}

func TestWhatTheBackendHas(t *testing.T) {
	q := query(backend(t, 10*time.Second, nil))
	q.Namespace = "runner-acme"
	report, err := check(t, long, arrival.Options{Query: &q})
	require.NoError(t, err)
	assert.True(t, report.Delivered())
	assert.Equal(t, `up{organization="acme", runner="r1", namespace="runner-acme"}`, report.Backend.Selector)
	require.NotNil(t, report.Backend.Age)
	assert.InDelta(t, 10, *report.Backend.Age, 5)
	for i := range report.Backend.Components {
		report.Backend.Components[i].Age = 0
	}
	assert.Equal(t, []arrival.Component{{Name: "otel-collector", Targets: 1, Up: 1}, {Name: "tool-manager", Targets: 2, Up: 1}}, report.Backend.Components)
}

func TestWhatTheBackendHasNot(t *testing.T) {
	f := func(change func(*arrival.Query), hasSome bool, problem string) {
		t.Helper()
		q := query(backend(t, 90*time.Second, nil))
		change(&q)
		report, err := check(t, short, arrival.Options{Query: &q})
		require.NoError(t, err)
		assert.False(t, report.Delivered())
		assert.Equal(t, hasSome, report.Backend.Age != nil)
		assert.Contains(t, report.Backend.Problem, problem)
	}
	f(func(*arrival.Query) {}, true, "nothing younger than 1m0s")
	f(func(q *arrival.Query) { q.Runner, q.MaxAge = "r2", time.Hour }, false, "no series of up{organization=")
	f(func(q *arrival.Query) { q.Organization, q.MaxAge = `acme"} or up{runner="r1`, time.Hour }, false, "no series of up{organization=")
	f(func(q *arrival.Query) { q.Namespace, q.MaxAge = "shop", time.Hour }, false, "no series of up{organization=")
}

func TestAuthentication(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("not-a-"+"token\n"), 0o600))
	f := func(change func(*arrival.Query), header string) {
		t.Helper()
		q := query(backend(t, 0, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != header {
					http.Error(w, "who are you?", http.StatusUnauthorized)
					return
				}
				next.ServeHTTP(w, r)
			})
		}))
		_, err := check(t, long, arrival.Options{Query: &q})
		require.ErrorContains(t, err, "the backend cannot be asked: "+q.URL+": it answered 401 Unauthorized: the credentials are missing or not accepted")
		change(&q)
		report, err := check(t, long, arrival.Options{Query: &q})
		require.NoError(t, err)
		assert.True(t, report.Delivered())
	}
	f(func(q *arrival.Query) { q.BearerTokenFile = token }, "Bearer not-a-token")
	f(func(q *arrival.Query) { q.Username, q.PasswordFile = "acme", token }, "Basic YWNtZTpub3QtYS10b2tlbg==")
}

func TestABackendThatCannotBeAsked(t *testing.T) {
	answer := func(status int, contentType, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, body) // the client may be gone
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	f := func(q arrival.Query, want string) {
		t.Helper()
		report, err := check(t, short, arrival.Options{Query: &q})
		require.ErrorContains(t, err, want)
		assert.False(t, report.Delivered())
		assert.NotContains(t, err.Error(), "query=", "the address is said once")
		assert.Empty(t, report.Backend.Problem, "it is not known")
	}
	f(query(answer(403, "text/plain", "")), "it answered 403 Forbidden: the credentials are known and not allowed to do this")
	f(query(answer(404, "text/plain", "")), "it answered 404 Not Found: give the address without /api/v1/query")
	f(query(answer(502, "text/plain", "")), "it answered 502 Bad Gateway")
	f(query(answer(200, "text/html", "<html>")), "is a login in front of it?")
	f(query(answer(400, "application/json", `{"status": "error", "errorType": "bad_data", "error": "no such tenant"}`)), "no such tenant")
	f(query(answer(200, "application/json", `{"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}}`)), "with a scalar instead of a vector")
	noToken := query(answer(200, "text/plain", ""))
	noToken.BearerTokenFile = filepath.Join(t.TempDir(), "token")
	f(noToken, "mount the Secret with it")
}

func TestTheReportIsJSON(t *testing.T) {
	q := query(backend(t, 0, nil))
	report, err := check(t, long, arrival.Options{Query: &q})
	require.NoError(t, err)
	text, err := json.Marshal(report)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"components":[{"name":"otel-collector","targets":1,"up":1,"age_seconds":`)
}
