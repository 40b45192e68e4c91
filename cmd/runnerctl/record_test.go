// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/kubeapi"
	"github.com/kubiyabot/otelcol-runner/internal/record"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

// metricsServer answers every path with a page, and is the port of a target.
func metricsServer(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = fmt.Fprint(w, "a_total 1\n")
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://127.0.0.1:")
}

// kubeconfig writes a kubeconfig for an API server with these objects.
func kubeconfig(t *testing.T, manifests string) string {
	t.Helper()
	objects, err := kubeapi.Parse("cluster.yaml", []byte(manifests))
	require.NoError(t, err)
	cluster, err := kubeapi.NewCluster(objects, kubeapi.Options{Namespace: "runner"})
	require.NoError(t, err)
	server := httptest.NewServer(kubeapi.NewServer(cluster))
	t.Cleanup(server.Close)
	return write(t, "kubeconfig", `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "`+server.URL+`"}}]
users: [{name: u, user: {}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: runner}}, {name: other, context: {cluster: c, user: u, namespace: shop}}]
current-context: x
`)
}

func TestRecordAddresses(t *testing.T) {
	port := metricsServer(t)
	dir := filepath.Join(t.TempDir(), "scene")
	code, stdout, stderr := command(t, "record", "http://127.0.0.1:"+port+"/metrics", "node-exporter:9100=http://127.0.0.1:"+port+"/metrics", "--out", dir)
	assert.Equal(t, exitFine, code, stderr)
	assert.Equal(t, dir+"/scene.yaml: samples: 1; objects: none; pages: 2 with 20 B\n", stdout)
	assert.Equal(t, "sample 1 of 1: 0 objects, 2 pages, 0 KiB\n", stderr)
	_, err := scene.Load(filepath.Join(dir, "scene.yaml"))
	require.NoError(t, err)

	code, _, stderr = command(t, "record", "http://127.0.0.1:"+port+"/metrics", "--out", dir)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "is not empty")

	code, stdout, _ = command(t, "record", "http://127.0.0.1:1/metrics", "--out", t.TempDir(), "--output", "json")
	assert.Equal(t, exitBroken, code)
	var summary record.Summary
	require.NoError(t, json.Unmarshal([]byte(stdout), &summary))
	require.Len(t, summary.Problems, 1)
	assert.Contains(t, summary.Problems[0].Why, "connection refused")

	dir = t.TempDir()
	code, stdout, _ = command(t, "record", "http://127.0.0.1:1/metrics", "--out", dir, "--output", "github")
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, stdout, "::error title=not-recorded,file="+dir+"/scene.yaml::127.0.0.1:1/metrics is not recorded: ")
	assert.Contains(t, stdout, "connection refused")
	assert.Contains(t, stdout, "\n"+dir+"/scene.yaml: samples: 1; objects: none; pages: 0 with 0 B\n")
	_, stdout, _ = command(t, "record", "http://127.0.0.1:"+port+"/metrics", "--out", t.TempDir(), "--output", "junit")
	assert.Contains(t, stdout, `<testsuites name="runnerctl" tests="1" failures="0"`)
}

func TestRecordNamespace(t *testing.T) {
	port := metricsServer(t)
	config := kubeconfig(t, `
apiVersion: v1
kind: Pod
metadata: {name: tool-manager-0}
spec: {containers: [{name: c, image: i, ports: [{containerPort: 3001}]}]}
status: {phase: Running, podIP: 192.0.2.1}
`)
	scrape := write(t, "prometheus.yml", `scrape_configs:
- job_name: pods
  kubernetes_sd_configs: [{role: pod, namespaces: {names: [runner]}}]
- job_name: static
  static_configs: [{targets: ["127.0.0.1:1"]}]
`)
	dir := filepath.Join(t.TempDir(), "scene")
	var out, errs strings.Builder
	s := streams{out: &out, err: &errs, clock: virtualtime.FromTest(t)}
	code := execute(t.Context(), s, []string{
		"record", "--kubeconfig", config, "--config", scrape, "--out", dir,
		"--address", "pod/tool-manager-0:3001=http://127.0.0.1:" + port + "/metrics",
	})
	assert.Equal(t, exitBroken, code, errs.String())
	assert.Equal(t, dir+`/scene.yaml: samples: 1; objects: 1 pods; pages: 1 with 10 B

not recorded:
  127.0.0.1:1/metrics: it is on the collector's own host

To record what cannot be reached, forward a port to it and name it with --address, run this in the cluster, or allow get on pods/proxy.
`, out.String())
	loaded, err := scene.Load(filepath.Join(dir, "scene.yaml"))
	require.NoError(t, err)
	_, found := loaded.States[0].Page("192.0.2.1", "3001", "/metrics")
	assert.True(t, found)

	code, _, stderr := command(t, "record", "--kubeconfig", config, "--context", "other", "--out", t.TempDir())
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "bind the account to a Role in shop with get, list and watch on pods, services and endpointslices")
	code, _, stderr = command(t, "record", "--kubeconfig", config, "--context", "nobody's", "--out", t.TempDir())
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "there is no cluster to record: ")
}

func TestRecordFlags(t *testing.T) {
	fails := func(message string, args ...string) {
		t.Helper()
		code, _, stderr := command(t, append([]string{"record", "--out", t.TempDir()}, args...)...)
		assert.Equal(t, exitFailed, code)
		assert.Equal(t, "runnerctl: "+message+"\n", stderr)
	}
	fails(`--interval 0s and --duration 0s cannot be: use times such as 30s and 2m`, "--interval", "0s")
	fails(`--duration 1s is shorter than --interval 30s, which makes one sample: make it longer, or leave it out`, "--duration", "1s")
	fails(`--env needs NAME=VALUE`, "--env", "X")
	fails(`"x" is no address of a page: use a URL such as http://127.0.0.1:9100/metrics, or NAME=URL`, "x")
	fails(`--output "xml" is not known: use text, json, github, junit`, "--output", "xml")
	code, stdout, _ := command(t, "record", "--help")
	assert.Equal(t, exitFine, code)
	assert.Contains(t, stdout, "Examples:")

	var got *recordOptions
	cmd := newCmdRecord(streams{}, func(_ context.Context, o *recordOptions) error { got = o; return nil })
	cmd.SetArgs([]string{"http://a", "--address", "b=http://b", "--anonymise-labels", "x,y"})
	require.NoError(t, cmd.Execute())
	assert.Equal(t, []string{"b=http://b", "http://a"}, got.addresses)
	assert.Equal(t, []string{"x", "y"}, got.labels)
	assert.False(t, got.hasCluster())
}
