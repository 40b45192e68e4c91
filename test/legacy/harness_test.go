// SPDX-License-Identifier: Apache-2.0

// Package legacy_test starts configurations that delivered over NATS with the built collector, as they were, and looks at what arrives.
//
// The addresses are loopback's 127.0.79.0/24, one for each pod, so that the collector can use the ports that the configurations name;
// this needs Linux.
package legacy_test

import (
	"context"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kubiyabot/otelcol-runner/internal/kubeapi"
	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

const (
	// limit is how long anything that takes a moment may take on a busy machine.
	limit     = 30 * time.Second
	namespace = "runner-acme"
	podIP     = "127.0.79.1"
	blackbox  = "127.0.79.20:9115"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// environment is the test's world in the terms of a configuration.
type environment struct {
	apiServer  string
	kubeconfig string
}

// startKubeAPI serves the cluster to an account that has the previous chart's Role.
func startKubeAPI(t *testing.T) (*kubeapi.Server, environment) {
	t.Helper()
	const manifest = "testdata/cluster.yaml"
	text, err := os.ReadFile(manifest)
	require.NoError(t, err)
	objects, err := kubeapi.Parse(manifest, text)
	require.NoError(t, err)
	cluster, err := kubeapi.NewCluster(objects, kubeapi.Options{Namespace: namespace, ServiceAccount: "otel"})
	require.NoError(t, err)
	require.Empty(t, cluster.Ignored())
	api := kubeapi.NewServer(cluster)
	server := httptest.NewServer(api)
	t.Cleanup(func() {
		server.CloseClientConnections() // a watch lasts until its client goes
		server.Close()
	})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, []byte("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: '"+server.URL+"'}}]\n"+
		"contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\ncurrent-context: c\n"), 0o600))
	return api, environment{server.URL, kubeconfig}
}

// inTheTest writes a copy of a configuration that differs in what the machine it runs on forces: it is not in a cluster, and a test
// does not wait half a minute for a scrape.
func inTheTest(t *testing.T, file string, env environment) string {
	t.Helper()
	text, err := os.ReadFile(file) //nolint:gosec // a file of the test
	require.NoError(t, err)
	const fast = "scrape_interval: 1s\n          scrape_timeout: 900ms"
	replacer := strings.NewReplacer(
		"scrape_interval: 30s", fast, "scrape_interval: 60s", fast,
		"- role: endpoints", "- role: endpoints\n              api_server: "+env.apiServer,
		"  k8sattributes:\n", "  k8sattributes:\n    auth_type: kubeConfig\n",
		"blackbox-exporter:9115", blackbox,
	)
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(replacer.Replace(string(text))), 0o600)) //nolint:gosec // the test's own folder //nolint:gosec // the test's own folder
	return path
}

// program is the collector by the name that deployments call it.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "otelcol-kubiya")
	require.NoError(t, os.Symlink(testbed.Collector(t), path))
	return path
}

// command is the collector with an environment of which nothing is the machine's own.
func command(ctx context.Context, t *testing.T, env map[string]string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, program(t), args...) //nolint:gosec // our own binary
	cmd.Env = []string{"MY_POD_IP=" + podIP}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// run runs the collector until it ends by itself, and returns what it printed.
func run(t *testing.T, env map[string]string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out, err := command(ctx, t, env, args...).CombinedOutput()
	return string(out), err
}

// collector is a running collector.
type collector struct {
	cmd  *exec.Cmd
	log  *testbed.Buffer
	done chan struct{}
}

func start(t *testing.T, file string, env map[string]string) *collector {
	t.Helper()
	c := &collector{log: &testbed.Buffer{}, done: make(chan struct{})}
	c.cmd = command(t.Context(), t, env, "--config="+file)
	c.cmd.Env = append(c.cmd.Env, "LOG_DIRECTORY="+t.TempDir())
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	require.NoError(t, c.cmd.Start())
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // stop reads the exit code
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // it may have ended long ago
		<-c.done
		if t.Failed() {
			t.Logf("the collector's log:\n%s", c.log)
		}
	})
	return c
}

// stop ends the collector as Kubernetes does, and expects that it ends well.
func (c *collector) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-c.done:
	case <-time.After(limit):
		require.FailNow(t, "the collector does not end on SIGTERM")
	}
	require.Equal(t, 0, c.cmd.ProcessState.ExitCode(), "exit code")
}

// receiver is a Prometheus that takes what the collector sends.
type receiver struct {
	*prombackend.Backend
	url     string
	headers http.Header   // of the first request; read after written
	written chan struct{} // something came
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	backend, err := prombackend.Open(t.TempDir(), prombackend.Options{})
	require.NoError(t, err)
	r := &receiver{Backend: backend, written: make(chan struct{}, 1)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.headers == nil {
			r.headers = req.Header
		}
		backend.Handler().ServeHTTP(w, req)
		select {
		case r.written <- struct{}{}:
		default: // somebody is told already
		}
	}))
	r.url = server.URL + "/api/v1/write"
	t.Cleanup(func() {
		server.Close()
		assert.NoError(t, backend.Close())
	})
	return r
}

// stored are all series.
func (r *receiver) stored(t *testing.T) []labels.Labels {
	t.Helper()
	var all []labels.Labels
	for series, err := range r.Series(context.Background(), math.MinInt64, math.MaxInt64) {
		require.NoError(t, err)
		all = append(all, series.Labels)
	}
	return all
}

// waitFor waits until something arrived with which enough holds.
func (r *receiver) waitFor(t *testing.T, c *collector, enough func([]labels.Labels) bool) {
	t.Helper()
	deadline := time.After(limit)
	for !enough(r.stored(t)) {
		select {
		case <-r.written:
		case <-c.done:
			require.FailNow(t, "the collector ended")
		case <-deadline:
			require.FailNow(t, "not everything arrived", "%v", r.stored(t))
		}
	}
}

// serve answers on an address with a page until the test ends.
func serve(t *testing.T, address, path, page string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			t.Errorf("%s was asked for %s", address, r.URL.Path)
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte(page)) // the scraper may be gone
	}))
	_ = server.Listener.Close() // one of its own, which is not needed
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
}
