// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

const liveConfig = `
receivers:
  prometheus:
    discovery_reload_on_startup: true
    api_server: {enabled: true, server_config: {endpoint: "%s"}}
    config:
      scrape_configs:
        - job_name: apps
          scrape_interval: 1s
          scrape_timeout: 1s
          static_configs:
            - {targets: ["%s", "%s"], labels: {app: tool-manager, namespace: n}}
            - {targets: ["127.0.0.1:2"], labels: {__meta_zone: b}}
          relabel_configs:
            - {source_labels: [__meta_zone], regex: b, action: drop}
          metric_relabel_configs:
            - {source_labels: [__name__], regex: gone_.*, action: drop}
processors:
  runner:
    metadata: {organization: "${env:ORGANIZATION}", runner: r1, kubiya_type: k, namespace: n}
    scope:
      namespaces: [n]
      components: [tool-manager]
      metrics: {profile: none, include: [kept_total]}
exporters:
  debug: {}
service:
  pipelines:
    metrics: {receivers: [prometheus], processors: [runner], exporters: [debug]}
`

// start runs the real receiver with its API server, and returns the address of that and the configuration.
func start(t *testing.T) (base string, file *configfile.File) {
	t.Helper()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprint(w, "# TYPE kept_total counter\nkept_total 1\nout 2\ngone_a 3\n")
	}))
	t.Cleanup(target.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	endpoint := listener.Addr().String()
	require.NoError(t, listener.Close())

	text := fmt.Sprintf(liveConfig, endpoint, strings.TrimPrefix(target.URL, "http://"), strings.TrimPrefix(gone.URL, "http://"))
	file, err = configfile.Parse("collector.yaml", []byte(text))
	require.NoError(t, err)
	var all map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &all))
	conf, err := confmap.NewFromStringMap(all).Sub("receivers::prometheus")
	require.NoError(t, err)
	factory := prometheusreceiver.NewFactory()
	cfg := factory.CreateDefaultConfig()
	require.NoError(t, conf.Unmarshal(cfg))
	receiver, err := factory.CreateMetrics(context.Background(), receivertest.NewNopSettings(factory.Type()), cfg, consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, receiver.Start(context.Background(), componenttest.NewNopHost()))
	t.Cleanup(func() { assert.NoError(t, receiver.Shutdown(context.Background())) })
	base = "http://" + endpoint
	require.Eventually(t, func() bool {
		all, err := ask(context.Background(), []string{base})
		return err == nil && len(all.active) == 2 && !all.active[0].LastScrape.IsZero() && !all.active[1].LastScrape.IsZero()
	}, 20*time.Second, 50*time.Millisecond)
	return base, file
}

func live(t *testing.T, file *configfile.File, o Options, addresses ...string) *Explanation {
	t.Helper()
	e, err := Live(context.Background(), scrapetest.New(virtualtime.FromTest(t)), file, map[string]string{"ORGANIZATION": "acme"}, addresses, o)
	require.NoError(t, err)
	return e
}

func TestRunningCollector(t *testing.T) {
	base, file := start(t)
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprint(w, "otelcol_processor_runner_points_total{decision=\"dropped\",reason=\"metric\",component=\"a\"} 5\notelcol_processor_runner_points_total{decision=\"kept\",reason=\"scope\"} 7\notelcol_processor_runner_points_total{decision=\"dropped\",reason=\"secret\"} 0\n")
	}))
	defer own.Close()

	e := live(t, file, Options{Target: `{job="apps"}`}, base, own.URL)
	require.Len(t, e.Ways, 3)
	assert.Equal(t, []string{Scraped, Failed, Dropped}, []string{e.Ways[0].Outcome, e.Ways[1].Outcome, e.Ways[2].Outcome})
	assert.Contains(t, e.Notes, "points that the collector's runner processor has dropped since it started: metric 5")
	assert.Equal(t, "now", e.At)
	health := map[string]string{}
	for _, w := range e.Ways {
		for _, s := range w.Steps {
			if s.Name == "the collector's last scrape" {
				health[w.Outcome] = s.Facts[0].Value
			}
		}
	}
	assert.Equal(t, map[string]string{Scraped: "up", Failed: "down"}, health)

	kept := live(t, file, Options{Series: `kept_total{organization="acme"}`}, base)
	require.Len(t, kept.Ways, 1)
	assert.Equal(t, Delivered, kept.Ways[0].Outcome)
	assert.Equal(t, Dropped, live(t, file, Options{Series: "out"}, base).Ways[0].Outcome)

	t.Run("without the file", func(t *testing.T) {
		e := live(t, nil, Options{Series: "gone_a"}, base)
		require.Len(t, e.Ways, 1)
		assert.Equal(t, Dropped, e.Ways[0].Outcome)
		assert.Contains(t, e.Notes[len(e.Notes)-2], "give it as FILE")
		assert.Contains(t, e.Notes[len(e.Notes)-1], "give --collector again with the address of its own metrics")
	})
	for rule, want := range map[string]string{
		"regex: c, action: drop":             "they differ in 1 target, such as 127.0.0.1:2 of apps, which the collector drops",
		"regex: b|, action: drop":            "they differ in 2 targets, such as ",
		"target_label: more, replacement: x": "they differ in 3 targets, such as ",
	} {
		t.Run("another file, "+rule, func(t *testing.T) {
			text := strings.Replace(string(file.Text), "regex: b, action: drop", rule, 1)
			other, err := configfile.Parse("other.yaml", []byte(text))
			require.NoError(t, err)
			e := live(t, other, Options{Series: "out"}, base)
			assert.Contains(t, strings.Join(e.Notes, "\n"), "the collector runs another configuration than other.yaml: "+want)
		})
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	hostile := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>{") }))
	defer hostile.Close()
	for address, want := range map[string]string{
		"127.0.0.1:9090":     "write one such as http://127.0.0.1:9090",
		"http://127.0.0.1:1": "set receivers::prometheus::api_server::enabled: true",
		hostile.URL:          "answers what is not Prometheus's API",
	} {
		_, err := ask(context.Background(), []string{address})
		require.ErrorContains(t, err, want)
	}
}

func FuzzPointsOfAnyPage(f *testing.F) {
	f.Add([]byte("otelcol_processor_runner_points_total{decision=\"dropped\",reason=\"metric\"} 5\n"), "text/plain")
	f.Add([]byte("# TYPE a counter\na_total 1 # {x=\"y\"} 1\n# EOF\n"), "application/openmetrics-text")
	f.Add([]byte{0x0a, 0x01, 0x61}, "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
	f.Fuzz(func(t *testing.T, text []byte, contentType string) {
		var all collected
		all.readPoints(answer{text, contentType})
		assert.NotEmpty(t, all.counted())
	})
}
