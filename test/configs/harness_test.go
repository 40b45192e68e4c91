// SPDX-License-Identifier: Apache-2.0

// Package configs_test starts every reference configuration with the built collector and looks at what it asks of the
// API server, what it scrapes and what it writes.
//
// The addresses are loopback's 127.0.77.0/24, one for each pod, so that the configurations run with the ports that
// they have; this needs Linux.
package configs_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/arrival"
	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

// limit is how long anything that takes a moment may take on a busy machine.
const limit = 30 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// configFiles are the reference configurations, by file name.
func configFiles(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(testbed.Root(t), "configs", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	files := map[string]string{}
	for _, path := range paths {
		files[filepath.Base(path)] = path
	}
	return files
}

// environ is a whole environment: nothing of the machine's own, so that a test does not depend on it.
func environ(env map[string]string) []string {
	vars := make([]string, 0, len(env))
	for name, value := range env {
		vars = append(vars, name+"="+value)
	}
	return vars
}

// run runs the collector, with another command before the configuration file if need be, until it ends by itself, and
// returns what it printed.
func run(t *testing.T, file string, env map[string]string, command ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, testbed.Collector(t), append(command, "--config="+file)...) //nolint:gosec // our own binary
	cmd.Env = environ(env)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// validate runs `otelcol-runner validate` and returns what it printed.
func validate(t *testing.T, file string, env map[string]string) (string, error) {
	t.Helper()
	return run(t, file, env, "validate")
}

// withAPIServer writes a copy of the configuration file in which Kubernetes is discovered at apiServer, and nothing
// else is different.
func withAPIServer(t *testing.T, file, apiServer string) string {
	t.Helper()
	text, err := os.ReadFile(file) //nolint:gosec // a file of the repository
	require.NoError(t, err)
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal(text, &doc))
	edited := 0
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		for i, child := range n.Content {
			walk(child)
			if child.Value != "kubernetes_sd_configs" || n.Kind != yaml.MappingNode {
				continue
			}
			for _, sd := range n.Content[i+1].Content {
				sd.Content = append(sd.Content,
					&yaml.Node{Kind: yaml.ScalarNode, Value: "api_server"}, &yaml.Node{Kind: yaml.ScalarNode, Value: apiServer})
				edited++
			}
		}
	}
	walk(&doc)
	require.Equal(t, 4, edited, "jobs that discover in Kubernetes")
	out, err := yaml.Marshal(&doc)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, out, 0o600))
	return path
}

// collector is a running collector.
type collector struct {
	cmd  *exec.Cmd
	ip   string
	log  *testbed.Buffer
	done chan struct{}
}

// start runs the configuration file with env and waits until the health check is content. The collector listens on ip.
func start(t *testing.T, file, ip string, env map[string]string) *collector {
	t.Helper()
	logDirectory := t.TempDir() // removed after the collector has ended
	c := &collector{ip: ip, log: &testbed.Buffer{}, done: make(chan struct{})}
	c.cmd = exec.Command(testbed.Collector(t), "--config="+file) //nolint:gosec // our own binary
	c.cmd.Env = append(environ(env), "MY_POD_IP="+ip, "LOG_DIRECTORY="+logDirectory)
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

	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	// Healthy twice: the collector reports itself ready a moment before it catches SIGTERM (otelcol/collector.go, Run), and
	// nothing tells when it does.
	healthy := 0
	healthyOrEnded := func() bool {
		if c.ended() {
			return true
		}
		response, err := client.Get("http://" + ip + ":13133/")
		if err != nil {
			return false
		}
		_ = response.Body.Close() // only the status matters
		if response.StatusCode == http.StatusOK {
			healthy++
		}
		return healthy == 2
	}
	require.Eventually(t, healthyOrEnded, limit, 50*time.Millisecond, "not healthy")
	require.False(t, c.ended(), "the collector ended; is a port of %s in use?", ip)
	return c
}

// delivers expects that what runnerctl check delivery goes by says so too, whichever the exporter.
func (c *collector) delivers(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	report, err := arrival.Check(ctx, arrival.Options{Metrics: []string{"http://" + c.ip + ":8888/metrics"}, Interval: 50 * time.Millisecond})
	require.NoError(t, err)
	assert.True(t, report.Delivered(), "%+v", report.Collectors)
}

func (c *collector) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
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

// serve listens on the given address until the test ends.
func serve(t *testing.T, address string, handler http.Handler) {
	t.Helper()
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: limit}
	ended := make(chan error, 1)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("closing %s: %v", address, err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serving %s: %v", address, err)
		}
	})
}

// without is env without one variable.
func without(env map[string]string, name string) map[string]string {
	rest := maps.Clone(env)
	delete(rest, name)
	return rest
}
