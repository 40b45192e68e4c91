// SPDX-License-Identifier: Apache-2.0

package record

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/kubeapi"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

// listen serves a handler at an address of loopback, as a pod does at its own, and returns the port.
func listen(t *testing.T, host string, handler http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", host+":0") //nolint:noctx // at once
	require.NoError(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}}
	server.Start()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port
}

// page answers /metrics with a page of the text format.
func page(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = fmt.Fprint(w, text)
	}
}

// api is an API server whose cluster can change.
type api struct {
	server atomic.Pointer[kubeapi.Server]
	url    string
}

func newAPI(t *testing.T, manifests string) *api {
	t.Helper()
	a := &api{}
	a.set(t, manifests)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.server.Load().ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

func (a *api) set(t *testing.T, manifests string) {
	t.Helper()
	objects, err := kubeapi.Parse("cluster.yaml", []byte(manifests))
	require.NoError(t, err)
	cluster, err := kubeapi.NewCluster(objects, kubeapi.Options{Namespace: "runner"})
	require.NoError(t, err)
	a.server.Store(kubeapi.NewServer(cluster))
}

func (a *api) options(t *testing.T) Options {
	t.Helper()
	return Options{
		Dir: filepath.Join(t.TempDir(), "scene"), Cluster: &rest.Config{Host: a.url}, Inside: true, Namespace: "runner", Samples: 1,
	}
}

const pod = `
---
apiVersion: v1
kind: Pod
metadata:
  name: %[1]s
  labels: {app: %[1]s, app.kubernetes.io/kubiya-runner-component: tool-manager}
  annotations: %[4]s
spec:
  containers:
  - name: main
    image: image:1
    env: [{name: PASSWORD, value: hunter2-in-env}]
    args: [--do-not-record-me]
    ports: [{name: metrics, containerPort: %[3]s}, {name: dns, containerPort: 53, protocol: UDP}]
status: {phase: Running, podIP: %[2]s}
`

// everything returns the text of all files of a recording.
func everything(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // a file of the test
		b.WriteString("== " + path + "\n" + string(text))
		return err
	}))
	return b.String()
}

func load(t *testing.T, summary *Summary) *scene.Scene {
	t.Helper()
	loaded, err := scene.Load(summary.Scene)
	require.NoError(t, err)
	return loaded
}

func TestCluster(t *testing.T) {
	annotated := listen(t, "127.0.88.1", page("a_total{auth=\""+token+"\"} 1\n"))
	other := listen(t, "127.0.88.2", page("b_total 2\n"))
	notMetrics := listen(t, "127.0.88.3", page("hello\n"))
	closed := listen(t, "127.0.88.5", page(""))
	locked := listen(t, "127.0.88.6", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusUnauthorized) })
	api := newAPI(t, fmt.Sprintf(pod, "annotated", "127.0.88.1", "9999", fmt.Sprintf(
		`{prometheus.io/scrape: "true", prometheus.io/port: "%s", kubectl.kubernetes.io/last-applied-configuration: "{}", note: "%s", long: %s}`, annotated, token, strings.Repeat("x", 300)))+
		fmt.Sprintf(pod, "other", "127.0.88.2", other, "{}")+
		fmt.Sprintf(pod, "not-metrics", "127.0.88.3", notMetrics, "{}")+
		fmt.Sprintf(pod, "silent", "127.0.88.4", closed, "{}")+
		fmt.Sprintf(pod, "locked", "127.0.88.6", locked, `{prometheus.io/scrape: "true"}`)+
		"---\n{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {selector: {app: other}, ports: [{port: 80, targetPort: metrics}]}}\n")
	summary, err := Run(t.Context(), api.options(t))
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"pods": 5, "services": 1, "endpointslices": 1}, summary.Objects)
	assert.Equal(t, 2, summary.Pages)
	assert.Equal(t, map[string]int{"bearer_token in annotation note": 1, "bearer_token in label auth": 1}, summary.Redacted)
	assert.Equal(t, map[string]int{"annotation long": 1, "declared ports without an answer": 1, "declared ports that answer something else": 1}, summary.LeftOut)
	assert.Equal(t, []Problem{{"pod/locked:" + locked + "/metrics", "it answers 401, and credentials are not sent", false}}, summary.Problems)

	text := everything(t, summary.Dir)
	for _, secret := range []string{token, "hunter2", "do-not-record-me", "last-applied", "xxx"} {
		assert.NotContains(t, text, secret)
	}
	assert.Contains(t, text, "note: redacted-bearer_token-1")

	loaded := load(t, summary)
	assert.Equal(t, "runner", loaded.Namespace)
	assert.Empty(t, loaded.Unused())
	recorded, found := loaded.States[0].Page("127.0.88.1", annotated, "/metrics")
	require.True(t, found)
	assert.Equal(t, "a_total{auth=\"redacted-bearer_token-1\"} 1\n", string(recorded.Body))
	_, found = loaded.States[0].Page("127.0.88.2", other, "/metrics")
	assert.True(t, found)
	n, err := loaded.States[0].Cluster.Discoverable("endpointslice", []string{"runner"}, "", "")
	require.NoError(t, err)
	assert.Equal(t, 1, n)

	server := api.server.Load()
	assert.Empty(t, server.Forbidden(), "the runner's Role is enough")
	for _, request := range server.Requests() {
		assert.Equal(t, "list", request.Verb)
	}
}

// TestSteps: what changes while it records becomes steps.
func TestSteps(t *testing.T) {
	var count atomic.Int64
	port := listen(t, "127.0.88.1", func(w http.ResponseWriter, r *http.Request) {
		page(fmt.Sprintf("a_total %d\n", min(count.Add(1), 3)))(w, r)
	})
	stays := fmt.Sprintf(pod, "stays", "127.0.88.1", port, `{prometheus.io/scrape: "true"}`)
	api := newAPI(t, stays+fmt.Sprintf(pod, "goes", "127.0.88.2", "1", "{}"))
	options := api.options(t)
	options.Samples, options.Interval = 5, 10*time.Millisecond
	samples := 0
	options.Progress = func(string) {
		switch samples++; samples {
		case 2:
			api.set(t, stays+fmt.Sprintf(pod, "comes", "127.0.88.3", "1", "{}"))
		case 3:
			api.set(t, strings.Replace(stays, "image:1", "image:2", 1)+fmt.Sprintf(pod, "comes", "127.0.88.3", "1", "{}"))
		}
	}
	summary, err := Run(t.Context(), options)
	require.NoError(t, err)
	assert.Equal(t, 5, summary.Samples)
	assert.Equal(t, 3, summary.Pages, "a page that stays the same is written once")

	loaded := load(t, summary)
	assert.Equal(t, []time.Duration{0, 10 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond}, loaded.Times())
	names := func(i int) (names []string) {
		for _, pod := range loaded.States[i].Cluster.Pods() {
			names = append(names, pod.Name+" "+pod.Spec.Containers[0].Image)
		}
		return names
	}
	assert.Equal(t, []string{"goes image:1", "stays image:1"}, names(1))
	assert.Equal(t, []string{"comes image:1", "stays image:1"}, names(2))
	assert.Equal(t, []string{"comes image:1", "stays image:2"}, names(3))
	for i, want := range []string{"1", "2", "3", "3"} {
		recorded, _ := loaded.States[i].Page("127.0.88.1", port, "/metrics")
		assert.Equal(t, "a_total "+want+"\n", string(recorded.Body))
	}
}

// TestInterrupted: what there is when it is interrupted is a recording as well.
func TestInterrupted(t *testing.T) {
	var count atomic.Int64
	port := listen(t, "127.0.88.1", func(w http.ResponseWriter, r *http.Request) { page(fmt.Sprintf("a_total %d\n", count.Add(1)))(w, r) })
	api := newAPI(t, fmt.Sprintf(pod, "a", "127.0.88.1", port, `{prometheus.io/scrape: "true"}`))
	options := api.options(t)
	options.Samples, options.Interval = 100, time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	options.Progress = func(string) { cancel() }
	summary, err := Run(ctx, options)
	require.NoError(t, err)
	assert.Equal(t, 1, summary.Samples)
	assert.Len(t, load(t, summary).States, 1)
}

// TestConfig: exactly the targets of a configuration are recorded, as they answer.
func TestConfig(t *testing.T) {
	wanted := listen(t, "127.0.88.1", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0")
		_, _ = fmt.Fprintf(w, "# TYPE a counter\na_total{path=%q} 1\n# EOF\n", r.URL.RequestURI()) //nolint:gosec // not for a browser
	})
	broken := listen(t, "127.0.88.2", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "internal", http.StatusInternalServerError)
	})
	unwanted := listen(t, "127.0.88.3", page("c_total 2\n"))
	api := newAPI(t, fmt.Sprintf(pod, "wanted", "127.0.88.1", wanted, "{}")+fmt.Sprintf(pod, "broken", "127.0.88.2", broken, "{}")+
		fmt.Sprintf(pod, "unwanted", "127.0.88.3", unwanted, `{prometheus.io/scrape: "true"}`))
	options := api.options(t)
	var err error
	options.Config, err = configfile.Parse("prometheus.yml", []byte(`
scrape_configs:
- job_name: pods
  metrics_path: /probe
  params: {module: [http]}
  kubernetes_sd_configs: [{role: pod, namespaces: {names: [runner]}}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_container_port_protocol, __meta_kubernetes_pod_name], regex: TCP;(wanted|broken), action: keep}
- job_name: itself
  static_configs: [{targets: ["127.0.0.1:8888"]}]
`))
	require.NoError(t, err)
	options.Engine = scrapetest.New(virtualtime.FromTest(t))
	summary, err := Run(t.Context(), options)
	require.NoError(t, err)
	assert.Equal(t, []Problem{{"127.0.0.1:8888/metrics", "it is on the collector's own host", true}}, summary.Problems)
	loaded := load(t, summary)
	recorded, found := loaded.States[0].Page("127.0.88.1", wanted, "/probe?module=http")
	require.True(t, found)
	assert.Equal(t, "# TYPE a counter\na_total{path=\"/probe?module=http\"} 1\n# EOF\n", string(recorded.Body))
	assert.Contains(t, recorded.ContentType, "openmetrics")
	recorded, _ = loaded.States[0].Page("127.0.88.2", broken, "/probe?module=http")
	assert.Equal(t, http.StatusInternalServerError, recorded.Status)
	assert.NotContains(t, everything(t, summary.Dir), "internal\n")
	_, found = loaded.States[0].Page("127.0.88.3", unwanted, "/metrics")
	assert.False(t, found)
}

func TestAddresses(t *testing.T) {
	port := listen(t, "127.0.0.1", page("a_total 1\n"))
	var addresses []Address
	for _, text := range []string{
		"http://127.0.0.1:" + port, "node-exporter:9100=http://127.0.0.1:" + port + "/metrics", "pod/tool-manager-0=http://127.0.0.1:" + port + "/metrics?a=b",
		"http://127.0.0.1:" + port + "/other",
	} {
		address, err := ParseAddress(text)
		require.NoError(t, err)
		addresses = append(addresses, address)
	}
	dir := t.TempDir()
	summary, err := Run(t.Context(), Options{Dir: dir, Addresses: addresses, Samples: 1, Anonymise: true})
	require.NoError(t, err)
	assert.Empty(t, summary.Problems)
	assert.Equal(t, 3, summary.Pages)
	loaded := load(t, summary)
	for _, target := range [][3]string{{"127.0.0.1", port, "/metrics"}, {"node-exporter", "9100", "/metrics"}} {
		recorded, found := loaded.States[0].Page(target[0], target[1], target[2])
		require.True(t, found)
		assert.Regexp(t, `^a_total \d+\n$`, string(recorded.Body))
	}
	recorded, _ := loaded.States[0].Page("127.0.0.1", port, "/other")
	assert.Equal(t, http.StatusNotFound, recorded.Status)
	text := everything(t, dir)
	assert.Contains(t, text, "pod/tool-manager-0:"+port+"/metrics?a=b: pages/")

	_, err = Run(t.Context(), Options{Dir: dir, Addresses: addresses, Samples: 1})
	assert.EqualError(t, err, dir+" is not empty: choose another folder, or write into it with --force")
	_, err = Run(t.Context(), Options{Dir: dir, Addresses: addresses, Samples: 1, Force: true})
	require.NoError(t, err)
}

func TestParseAddress(t *testing.T) {
	for text, message := range map[string]string{ //nolint:gosec // the password is none
		"":                              `"" is no address of a page: use a URL such as http://127.0.0.1:9100/metrics, or NAME=URL`,
		"127.0.0.1:9100":                `"127.0.0.1:9100" is no address of a page: use a URL such as http://127.0.0.1:9100/metrics, or NAME=URL`,
		"file:///etc/passwd":            `"file:///etc/passwd" is no address of a page: use a URL such as http://127.0.0.1:9100/metrics, or NAME=URL`,
		"x=http://u:" + "hunter2@h:1/m": `the address of x holds credentials, which are not sent: leave them out, and record through a port that needs none`,
	} {
		_, err := ParseAddress(text)
		require.EqualError(t, err, message)
		assert.NotContains(t, err.Error(), "hunter2")
	}
	for _, name := range []string{"service/x", "pod/a/b", "/x"} {
		address, err := ParseAddress(name + "=http://h/metrics")
		require.NoError(t, err)
		_, err = address.target()
		assert.ErrorContains(t, err, "is no name of a target: use HOST:PORT or pod/NAME:PORT")
	}
}

// TestServerProxy: from outside of the cluster pages come through the API server, where that is allowed.
func TestServerProxy(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		cluster := newAPI(t, fmt.Sprintf(pod, "a", "192.0.2.1", "8080", `{prometheus.io/scrape: "true", prometheus.io/scheme: https}`)+
			fmt.Sprintf(pod, "b", "192.0.2.2", "8081", `{prometheus.io/scrape: "true"}`))
		var asked atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/proxy/") {
				asked.Add(1)
			}
			switch {
			case allowed && r.URL.Path == "/api/v1/namespaces/runner/pods/https:a:8080/proxy/metrics":
				r.URL.Path = "/metrics"
				page("a_total 1\n")(w, r)
			case allowed && strings.HasSuffix(r.URL.Path, "/proxy/metrics"):
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"error trying to reach service: dial tcp 192.0.2.2:8081: connect: connection refused","code":503}`)
			default:
				cluster.server.Load().ServeHTTP(w, r)
			}
		}))
		defer server.Close()
		options := cluster.options(t)
		options.Cluster, options.Inside = &rest.Config{Host: server.URL}, false
		r, err := newRecording(options)
		require.NoError(t, err)
		r.fetcher.silent.Store(maxSilent) // no pod answers at its address here
		require.NoError(t, r.sample(t.Context(), 0))
		before := asked.Load()
		require.NoError(t, r.sample(t.Context(), 1))
		assert.Equal(t, allowed, asked.Load() > before, "what is forbidden is not asked for again")
		summary, err := r.finish()
		require.NoError(t, err)
		if !allowed {
			assert.Zero(t, summary.Pages)
			require.Len(t, summary.Problems, 2)
			assert.Equal(t, "there is no way to it from here: the account may not get pods/proxy\nthere is no way to it from here: no pod answers at its address", summary.Problems[0].Why)
			assert.Len(t, cluster.server.Load().Forbidden(), 1)
			continue
		}
		assert.Equal(t, 1, summary.Pages)
		require.Len(t, summary.Problems, 1)
		assert.Contains(t, summary.Problems[0].Why, "the API server says: error trying to reach service")
	}
}

func TestForbidden(t *testing.T) {
	api := newAPI(t, "")
	options := api.options(t)
	options.Namespace = "shop"
	_, err := Run(t.Context(), options)
	assert.EqualError(t, err, `pods is forbidden: User "system:serviceaccount:runner:runner" cannot list resource "pods" in API group "" in the namespace "shop": `+
		`bind the account to a Role in shop with get, list and watch on pods, services and endpointslices (discovery.k8s.io), or choose another namespace with --namespace`)
}

func TestEndlessPage(t *testing.T) {
	port := listen(t, "127.0.0.1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		block := []byte(strings.Repeat("a 1\n", 1<<16))
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	u, err := url.Parse("http://127.0.0.1:" + port + "/metrics")
	require.NoError(t, err)
	summary, err := Run(t.Context(), Options{Dir: t.TempDir(), Addresses: []Address{{URL: u}}, Samples: 1})
	require.NoError(t, err)
	assert.Equal(t, []Problem{{u.Host + "/metrics", "the page has more than 32 MiB", false}}, summary.Problems)
}

func TestOptions(t *testing.T) {
	fails := func(message string, options Options) {
		t.Helper()
		options.Dir = t.TempDir()
		_, err := Run(t.Context(), options)
		assert.ErrorContains(t, err, message)
	}
	fails("0 samples cannot be recorded", Options{})
	fails("100000 samples cannot be recorded: between 1 and 1000 can; change --duration or --interval", Options{Samples: 100_000})
	fails(`label "le" cannot be anonymised`, Options{Samples: 1, AnonymiseLabels: []string{"le"}})
	fails("the value of X looks like a secret (bearer_token), and would be written to the scene", Options{Samples: 1, Env: map[string]string{"X": token}})
}

// TestSharedAddress: a target at an address that several pods have, as with hostNetwork, goes by the address.
func TestSharedAddress(t *testing.T) {
	first := listen(t, "127.0.88.1", page("a_total 1\n"))
	api := newAPI(t, fmt.Sprintf(pod, "a", "127.0.88.1", first, "{}")+fmt.Sprintf(pod, "b", "127.0.88.1", "1", "{}"))
	summary, err := Run(t.Context(), api.options(t))
	require.NoError(t, err)
	assert.Contains(t, everything(t, summary.Dir), "    127.0.88.1:"+first+"/metrics: pages/")
}

// TestFileNames: pages of different targets never share a file.
func TestFileNames(t *testing.T) {
	r := recording{files: map[string]bool{}}
	seen := map[string]bool{}
	for i, key := range []string{"pod/a-1:80/metrics", "pod/a:1/80/metrics", "a-1:80/metrics", "[::1]:80/metrics?x=../../y", "pod/a-1:80/metrics"} {
		file := r.pageFile(key, i/4, false)
		assert.Regexp(t, `^pages/[A-Za-z0-9._-]+\.prom$`, file)
		assert.False(t, seen[file], strconv.Itoa(i))
		seen[file] = true
	}
}
