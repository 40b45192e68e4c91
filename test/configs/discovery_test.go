// SPDX-License-Identifier: Apache-2.0

package configs_test

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

const (
	namespace   = "runner-acme"
	collectorIP = "127.0.77.1"
	// YAML would make a number of it.
	organization = "0042"
)

// componentPage is what a component exposes. It lies about who it is, in every way that a page can.
const componentPage = `# TYPE go_goroutines gauge
go_goroutines 7
# TYPE internal_queue_length gauge
internal_queue_length 5
# TYPE http_requests_total counter
http_requests_total{method="GET",pod_ip="10.1.2.3",pod_host_ip="10.0.0.1"} 3
http_requests_total{method="PUT",organization="evil",runner="evil",namespace="evil",kubiya_type="evil",app="evil",job="evil"} 1
# TYPE target_info gauge
target_info{organization="evil",runner="evil",namespace="evil",app="evil",k8s_namespace_name="evil"} 1
# TYPE otel_scope_info gauge
otel_scope_info{otel_scope_name="evil",otel_scope_version="1"} 1
`

// statePage is what kube-state-metrics says about the runner's objects, and about one that is not the runner's.
const statePage = `# TYPE kube_pod_status_phase gauge
kube_pod_status_phase{namespace="runner-acme",pod="tool-manager-0",uid="u",phase="Running"} 1
kube_pod_status_phase{namespace="shop",pod="shop-api-0",uid="u",phase="Running"} 1
# TYPE kube_pod_container_info gauge
kube_pod_container_info{namespace="runner-acme",pod="tool-manager-0",container="sdk-server",image="sdk-py:v1.20.0"} 1
`

// probePage is what a blackbox exporter says about a service that answers.
const probePage = `# TYPE probe_success gauge
probe_success 1
# TYPE probe_ip_addr_hash gauge
probe_ip_addr_hash 1.268118805e+09
`

// probed is a service that has no pods: the exporter is asked, not the service.
const probed = "kubiya-operator.runner-acme.svc:80"

// target is a page on an address, and how often it was asked for.
type target struct{ scrapes atomic.Int64 }

func startTarget(t *testing.T, address, path, page string) *target {
	t.Helper()
	target := &target{}
	mux := http.NewServeMux()
	mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		target.scrapes.Add(1)
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte(page)) // the scraper may be gone
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was asked for %s", address, r.URL.Path)
		http.NotFound(w, r)
	})
	serve(t, address, mux)
	return target
}

// TestCollectorInACluster runs collector.yaml against an API server with a runner and its neighbour, real pages and a
// real Prometheus: what is asked for, what is scraped, what is stored.
func TestCollectorInACluster(t *testing.T) {
	api := startKubeAPI(t, "testdata/cluster.yaml")
	scraped := map[string]*target{
		"127.0.77.11:18080": startTarget(t, "127.0.77.11:18080", "/metrics", componentPage),
		"127.0.77.12:18080": startTarget(t, "127.0.77.12:18080", "/metrics", componentPage),
		"127.0.77.13:13001": startTarget(t, "127.0.77.13:13001", "/internal/metrics", componentPage),
		"127.0.77.14:18081": startTarget(t, "127.0.77.14:18081", "/metrics", componentPage),
		"127.0.77.15:8080":  startTarget(t, "127.0.77.15:8080", "/metrics", statePage),
		probed:              startTarget(t, "127.0.77.20:9115", "/probe", probePage),
	}
	untouched := map[string]*target{
		"the neighbour":                        startTarget(t, "127.0.77.99:18080", "/metrics", componentPage),
		"a sidecar's port":                     startTarget(t, "127.0.77.11:19090", "/metrics", componentPage),
		"sdk-server's port":                    startTarget(t, "127.0.77.13:18000", "/metrics", componentPage),
		"a port the service has not":           startTarget(t, "127.0.77.14:16060", "/metrics", componentPage),
		"kube-state-metrics' own metrics":      startTarget(t, "127.0.77.15:8081", "/metrics", statePage),
		"a component that does not ask for it": startTarget(t, "127.0.77.18:18082", "/metrics", componentPage),
	}

	backend, err := prombackend.Open(t.TempDir(), prombackend.Options{})
	require.NoError(t, err)
	written := make(chan struct{}, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		backend.Handler().ServeHTTP(w, r)
		select {
		case written <- struct{}{}:
		default: // somebody is told already
		}
	}))
	t.Cleanup(func() {
		receiver.Close()
		assert.NoError(t, backend.Close())
	})

	c := start(t, withAPIServer(t, configFiles(t)["collector.yaml"], api.URL), collectorIP, map[string]string{
		"RUNNER_ORGANIZATION": organization, "RUNNER_NAME": "r1", "RUNNER_NAMESPACE": namespace,
		"REMOTE_WRITE_URL": receiver.URL + "/api/v1/write",
		"SCRAPE_INTERVAL":  "1s", "SCRAPE_TIMEOUT": "900ms", "MY_POD_NAME": "otel-collector-0", "PROBE_EXPORTER": "127.0.77.20:9115",
	})
	// Three scrapes of each: one that is double or out of place shows by then.
	deadline := time.After(limit)
	for !upThreeTimes(t, backend, len(scraped)+1) {
		select {
		case <-written:
		case <-deadline:
			require.FailNow(t, "not every target was scraped three times", "%v", up(t, backend))
		}
	}
	c.stop(t)

	api.onlyAskedForWhatIsAllowed(t)
	for what, target := range untouched {
		assert.Zero(t, target.scrapes.Load(), "%s was scraped", what)
	}

	t.Run("each target is in one job and scraped once an interval", func(t *testing.T) {
		jobs := map[string]string{}
		for _, series := range up(t, backend) {
			instance := series.Labels.Get("instance")
			assert.NotContains(t, jobs, instance, "in two jobs or twice in one")
			jobs[instance] = series.Labels.Get("job")
			if target := scraped[instance]; target != nil {
				assert.LessOrEqual(t, target.scrapes.Load(), int64(len(series.Samples))+1, "%s was scraped more often than its job says", instance)
			}
		}
		assert.Equal(t, map[string]string{
			"127.0.77.11:18080":   "runner-components",
			"127.0.77.12:18080":   "runner-components",
			"127.0.77.13:13001":   "runner-components",
			"127.0.77.14:18081":   "kubiya-apps",
			"127.0.77.15:8080":    "kube-state-metrics",
			probed:                "probes",
			collectorIP + ":8888": "otel-collector",
		}, jobs)
	})

	t.Run("every series carries the contract's labels", func(t *testing.T) {
		names := map[string]bool{}
		for _, ls := range stored(t, backend) {
			names[ls.Get("__name__")] = true
			requireLabels(t, ls, map[string]string{
				"organization": organization, "runner": "r1", "kubiya_type": "customers-runners", "namespace": namespace, "kubernetes_namespace": namespace,
			})
			want := map[string]map[string]string{
				"127.0.77.11:18080":   podLabels("agent-manager", "agent-manager-0", "agent-manager", "agent-manager:v0.5.1", "v0.5.1", "agent-manager-0.5.1"),
				"127.0.77.12:18080":   podLabels("agent-manager", "agent-manager-1", "agent-manager", "agent-manager:v0.5.1", "v0.5.1", "agent-manager-0.5.1"),
				"127.0.77.13:13001":   podLabels("tool-manager", "tool-manager-0", "tool-manager", "tool-manager:0.5.8", "0.5.8", "tool-manager-0.5.8"),
				"127.0.77.14:18081":   podLabels("workflow-engine", "workflow-engine-0", "workflow-engine", "workflow-engine:v1.46.2", "v1.46.2", "workflow-engine-1.46.2"),
				"127.0.77.15:8080":    {"app": "kube-state-metrics", "exporter": "kube-state-metrics"},
				probed:                {"app": "kubiya-operator", "exporter": "blackbox-exporter", "target": probed},
				collectorIP + ":8888": {"app": "otel-collector", "exporter": "otel-collector", "pod": "otel-collector-0"},
			}[ls.Get("instance")]
			require.NotNil(t, want, "a series of an unknown target: %s", ls)
			requireLabels(t, ls, want)
			ls.Range(func(l labels.Label) {
				assert.False(t, strings.HasPrefix(l.Name, "otel_scope_") || strings.HasPrefix(l.Name, "__tmp_") || strings.HasPrefix(l.Name, "k8s"), "label of %s", ls)
				assert.NotContains(t, []string{"pod_ip", "pod_host_ip", "exported_pod_ip"}, l.Name, "label of %s", ls)
				if !strings.HasPrefix(l.Name, "exported_") {
					assert.NotContains(t, []string{"evil", "shop", "shop-api-0"}, l.Value, "label of %s", ls)
				}
			})
		}
		assert.NotContains(t, names, "target_info")
		assert.NotContains(t, names, "internal_queue_length", "no dashboard reads it")
		assert.NotContains(t, names, "probe_ip_addr_hash", "no dashboard reads it")
		for _, name := range []string{"up", "scrape_duration_seconds", "go_goroutines", "http_requests_total", "kube_pod_status_phase", "probe_success", "otelcol_process_uptime_seconds_total"} {
			assert.Contains(t, names, name)
		}
	})

	t.Run("a false identity is only visible as exported", func(t *testing.T) {
		var exported labels.Labels
		for _, ls := range stored(t, backend) {
			if ls.Get("exported_runner") != "" && ls.Get("instance") == "127.0.77.11:18080" {
				exported = ls
			}
		}
		requireLabels(t, exported, map[string]string{
			"exported_organization": "evil", "exported_runner": "evil", "exported_namespace": "evil", "exported_kubiya_type": "evil",
			"exported_app": "evil", "exported_job": "evil", "app": "agent-manager", "job": "runner-components",
		})
	})

	t.Run("kube-state-metrics speaks about its objects", func(t *testing.T) {
		var pods, containers []string
		for _, ls := range stored(t, backend) {
			switch ls.Get("__name__") {
			case "kube_pod_status_phase":
				pods = append(pods, ls.Get("namespace")+"/"+ls.Get("pod"))
				assert.Empty(t, ls.Get("exported_pod"))
			case "kube_pod_container_info":
				containers = append(containers, ls.Get("pod")+"/"+ls.Get("container"))
			}
		}
		assert.Equal(t, []string{"runner-acme/tool-manager-0"}, pods)
		assert.Equal(t, []string{"tool-manager-0/sdk-server"}, containers)
	})
}

func podLabels(app, pod, container, image, version, chart string) map[string]string {
	return map[string]string{
		"app": app, "app_name": app, "pod": pod, "container": container, "container_name": container, "container_image": image,
		"version_app_via_helm": version, "version_helm_chart": chart,
	}
}

func requireLabels(t *testing.T, ls labels.Labels, want map[string]string) {
	t.Helper()
	for name, value := range want {
		require.Equal(t, value, ls.Get(name), "label %s of %s", name, ls)
	}
}

// stored are the labels of every series in the backend.
func stored(t *testing.T, backend *prombackend.Backend) []labels.Labels {
	t.Helper()
	var all []labels.Labels
	for series, err := range backend.Series(context.Background(), math.MinInt64, math.MaxInt64) {
		require.NoError(t, err)
		all = append(all, series.Labels)
	}
	return all
}

// up are the series of `up`, which says of every scrape of every target that it went well.
func up(t *testing.T, backend *prombackend.Backend) []prombackend.Series {
	t.Helper()
	var all []prombackend.Series
	for series, err := range backend.Series(context.Background(), math.MinInt64, math.MaxInt64, labels.MustNewMatcher(labels.MatchEqual, "__name__", "up")) {
		require.NoError(t, err)
		for _, sample := range series.Samples {
			assert.InDelta(t, 1, sample.F, 0, "%s is down", series.Labels)
		}
		all = append(all, series)
	}
	return all
}

func upThreeTimes(t *testing.T, backend *prombackend.Backend, targets int) bool {
	t.Helper()
	all := up(t, backend)
	for _, series := range all {
		if len(series.Samples) < 3 {
			return false
		}
	}
	return len(all) >= targets
}
