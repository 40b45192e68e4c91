// SPDX-License-Identifier: Apache-2.0

// Package engine_test compares what internal/scrapetest computes with what the built collector delivers: the same
// configuration, the same pages, the same series.
package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
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

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/configs"
	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/demo/sample"
	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/testbed"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

const (
	namespace   = "kubiya"
	collectorIP = "127.0.77.7"
	limit       = 60 * time.Second
	// protobuf is what the reference configuration asks for first, and what carries native histograms.
	protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

type object = map[string]any

// frozen is a target whose page does not change any more.
type frozen struct {
	sample.Target
	contentType string
	body        []byte
}

// freeze asks every target of the demo once, and goes on to answer at the same address with what it said.
func freeze(t *testing.T) []frozen {
	t.Helper()
	runner, err := sample.Start(namespace)
	require.NoError(t, err)
	var all []frozen
	for _, target := range runner.Targets() {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+target.Address+"/metrics", http.NoBody)
		require.NoError(t, err)
		request.Header.Set("Accept", protobuf)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode)
		all = append(all, frozen{Target: target, contentType: response.Header.Get("Content-Type"), body: body})
	}
	http.DefaultClient.CloseIdleConnections()
	require.NoError(t, runner.Close())
	for i := range all {
		f := &all[i]
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", f.Address)
		require.NoError(t, err)
		server := &httptest.Server{Listener: listener, Config: &http.Server{ReadHeaderTimeout: limit, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", f.contentType)
			_, _ = w.Write(f.body) // the scraper may be gone
		})}}
		server.Start()
		t.Cleanup(server.Close)
	}
	return all
}

// configuration is the reference configuration with the demo's targets, each job's found in another way.
func configuration(t *testing.T, dir string, targets []frozen) *configfile.File {
	t.Helper()
	groups := map[string][]object{}
	for _, f := range targets {
		groups[f.Job] = append(groups[f.Job], object{"targets": []string{f.Address}, "labels": f.Labels})
	}
	discovery := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		assert.NoError(t, json.NewEncoder(w).Encode(groups[strings.TrimPrefix(r.URL.Path, "/")]))
	}))
	t.Cleanup(discovery.Close)
	var jobs []object
	for job, list := range groups {
		cfg := object{"job_name": job, "metric_relabel_configs": []object{{"source_labels": []string{"__name__"}, "regex": "target_info", "action": "drop"}}}
		switch len(jobs) % 3 {
		case 0:
			cfg["static_configs"] = list
		case 1:
			cfg["http_sd_configs"] = []object{{"url": discovery.URL + "/" + job}}
		case 2:
			content, err := json.Marshal(list)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, job+".json"), content, 0o600))
			cfg["file_sd_configs"] = []object{{"files": []string{filepath.Join(dir, job+".json")}}}
		}
		jobs = append(jobs, cfg)
	}
	require.GreaterOrEqual(t, len(jobs), 3)
	var content object
	require.NoError(t, yaml.Unmarshal(configs.Collector, &content))
	content["receivers"].(object)["prometheus"].(object)["config"].(object)["scrape_configs"] = jobs
	content["processors"].(object)["runner"].(object)["scope"].(object)["metrics"].(object)["include"] = []string{"workflow_engine_step_duration_seconds"}
	text, err := yaml.Marshal(content)
	require.NoError(t, err)
	path := filepath.Join(dir, "collector.yaml")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	file, err := configfile.Load(path)
	require.NoError(t, err)
	return file
}

var env = map[string]string{
	"RUNNER_ORGANIZATION": "acme", "RUNNER_NAME": "r1", "RUNNER_NAMESPACE": namespace, "RUNNER_SECRETS": "drop",
	"SCRAPE_INTERVAL": "1s", "SCRAPE_TIMEOUT": "900ms", "MY_POD_IP": collectorIP,
}

func TestTheEngineDeliversWhatTheCollectorDelivers(t *testing.T) {
	dir := t.TempDir()
	targets := freeze(t)
	file := configuration(t, dir, targets)
	stored := deliver(t, dir, file.Name, inScope(targets))
	computed := compute(t, dir, file, targets)

	require.Greater(t, len(stored), 200)
	for series, value := range stored {
		if got, ok := computed[series]; assert.True(t, ok, "the collector delivers it, the engine does not: %s", series) && !varies(series) {
			assert.Equal(t, value, got, series)
		}
	}
	for series := range computed {
		assert.Contains(t, stored, series, "the engine delivers what the collector does not")
	}
}

// inScope counts the targets of the runner. What the neighbour's says of itself does not leave either.
func inScope(targets []frozen) int {
	n := 0
	for _, f := range targets {
		if f.Labels["kubernetes_namespace"] == namespace {
			n++
		}
	}
	return n
}

// varies says that a series has another value in each scrape.
func varies(series string) bool { return strings.Contains(series, `"scrape_duration_seconds"`) }

// deliver runs the collector until each target was scraped twice, and returns what its backend has: series and first value.
func deliver(t *testing.T, dir, config string, targets int) map[string]string {
	t.Helper()
	backend, err := prombackend.Open(filepath.Join(dir, "backend"), prombackend.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, backend.Close()) }()
	written := make(chan struct{}, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		backend.Handler().ServeHTTP(w, r)
		select {
		case written <- struct{}{}:
		default: // somebody is told already
		}
	}))
	defer receiver.Close()

	cmd := exec.Command(testbed.Collector(t), "--config="+config) //nolint:gosec // our own binary
	log := &testbed.Buffer{}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"REMOTE_WRITE_URL=" + receiver.URL + "/api/v1/write", "LOG_DIRECTORY=" + filepath.Join(dir, "log"), "NO_PROXY=*"}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended long ago
		if t.Failed() {
			t.Logf("the collector's log:\n%s", log)
		}
	})
	deadline := time.After(limit)
	for scrapedTwice(t, backend) < targets {
		select {
		case <-written:
		case err := <-ended:
			require.FailNow(t, "the collector ended", "%v", err)
		case <-deadline:
			require.FailNow(t, "not every target was scraped twice")
		}
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-ended)

	all := map[string]string{}
	for series, err := range backend.Series(context.Background(), math.MinInt64, math.MaxInt64) {
		require.NoError(t, err)
		first := series.Samples[0]
		all[series.Labels.String()] = value(first.F, first.H != nil || first.FH != nil)
	}
	return all
}

func value(f float64, histogram bool) string {
	if histogram {
		return "histogram"
	}
	return fmt.Sprint(f)
}

// scrapedTwice counts the targets with two samples of up.
func scrapedTwice(t *testing.T, backend *prombackend.Backend) int {
	t.Helper()
	n := 0
	up := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "up")
	for series, err := range backend.Series(context.Background(), math.MinInt64, math.MaxInt64, up) {
		require.NoError(t, err)
		if len(series.Samples) >= 2 {
			n++
		}
	}
	return n
}

// compute runs the engine on the same.
func compute(t *testing.T, dir string, file *configfile.File, targets []frozen) map[string]string {
	t.Helper()
	spec := scene.Spec{Namespace: namespace, Pages: map[string]scene.PageSpec{}, Env: map[string]string{"REMOTE_WRITE_URL": "http://127.0.0.1:9/write"}}
	for name, value := range env {
		spec.Env[name] = value
	}
	for i, f := range targets {
		name := fmt.Sprintf("page-%d", i)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), f.body, 0o600))
		spec.Pages[f.Address+"/metrics"] = scene.PageSpec{File: name, ContentType: f.contentType}
	}
	s, err := spec.Load(dir)
	require.NoError(t, err)
	config, err := scrapetest.Load(file, spec.Env)
	require.NoError(t, err)
	result, err := scrapetest.New(virtualtime.FromTest(t)).Run(t.Context(), config, s, time.Second)
	require.NoError(t, err)
	all := map[string]string{}
	for _, series := range result.Series {
		first := series.Samples[0]
		all[series.Labels.String()] = value(first.F, first.H != nil)
	}
	return all
}
