// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

// patience is how long a busy machine may take for what takes a moment.
const patience = 40 * time.Second

// Content types of pages.
const (
	typeText = "text/plain; version=0.0.4; charset=utf-8"
	typeOM   = "application/openmetrics-text; version=1.0.0; charset=utf-8"
)

// page is what a target answers to a scrape.
type page struct{ contentType, body string }

// textPage and openMetrics are pages in the two text formats.
func textPage(body string) page    { return page{typeText, body} }
func openMetrics(body string) page { return page{typeOM, body + "# EOF\n"} }

// answer is what the receiver answers to a request. The zero answer is success, as the request's version has it.
type answer struct {
	status int
	header map[string]string
	body   string
	delay  time.Duration
	// written is what is in the Written headers of a 2xx; nil: what was received.
	written *int
	// silent leaves the Written headers out.
	silent bool
}

// run is what came of a scenario.
type run struct {
	job, instance string
	started       time.Time
	stopped       time.Time // when SIGINT was sent
	ended         time.Time
	exitCode      int
	endedEarly    bool
	scrapes       int
	requests      []*request
	inFlight      int // the most requests at a time
	log           string
}

// recorder is target and receiver in one server.
type recorder struct {
	s       *scenario
	mu      sync.Mutex // guards what follows
	scrapes int
	all     []*request
	flying  int
	most    int
	news    chan struct{} // gets a value when something came
	gone    chan struct{} // closed when the scenario is over
}

func (r *recorder) tell() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *recorder) scrape(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	p := r.s.page(r.scrapes)
	r.scrapes++
	r.mu.Unlock()
	w.Header().Set("Content-Type", p.contentType)
	_, _ = io.WriteString(w, p.body) // a collector that is stopped does not read it
	r.tell()
}

func (r *recorder) write(w http.ResponseWriter, hr *http.Request) {
	r.mu.Lock()
	r.flying++
	r.most = max(r.most, r.flying)
	r.mu.Unlock()
	req := decode(hr)
	r.mu.Lock()
	a := answer{}
	if r.s.answer != nil {
		a = r.s.answer(len(r.all), req)
	}
	if a.status == 0 {
		a.status = http.StatusNoContent
	}
	req.status = a.status
	r.all = append(r.all, req)
	r.mu.Unlock()
	r.tell()
	if a.delay > 0 {
		select {
		case <-time.After(a.delay):
		case <-hr.Context().Done(): // the collector has given up
		case <-r.gone:
		}
	}
	r.mu.Lock()
	r.flying--
	r.mu.Unlock()
	r.reply(w, req, a)
}

func (r *recorder) reply(w http.ResponseWriter, req *request, a answer) {
	written := req.samples()
	if a.written != nil {
		written = *a.written
	}
	if req.v2 != nil && !a.silent && (a.status/100 == 2 || a.written != nil) {
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", fmt.Sprint(written))
		w.Header().Set("X-Prometheus-Remote-Write-Histograms-Written", "0")
		w.Header().Set("X-Prometheus-Remote-Write-Exemplars-Written", "0")
	}
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
	if a.body != "" {
		_, _ = io.WriteString(w, a.body) // a status without a body says so
	}
}

func (r *recorder) requests() []*request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*request(nil), r.all...)
}

// play runs the collector against a target and a receiver, as the scenario says, ends it with SIGINT and returns what happened.
func play(t *testing.T, s *scenario, strict bool) run {
	t.Helper()
	rec := &recorder{s: s, news: make(chan struct{}, 1), gone: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", rec.scrape)
	mux.HandleFunc("/api/v1/write", rec.write)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	over := sync.OnceFunc(func() { close(rec.gone) })
	t.Cleanup(over)

	endpoint := server.URL + "/api/v1/write"
	if s.endpoint != nil {
		endpoint = s.endpoint(t, rec, endpoint)
	}
	result := run{job: "conformance", instance: strings.TrimPrefix(server.URL, "http://")}
	c := startCollector(t, configure(t, s, endpoint, result.instance, strict))
	result.started = time.Now()
	c.await(t, rec, s)
	result.endedEarly = c.over()
	result.stopped = time.Now()
	result.exitCode = c.interrupt(t)
	result.ended = time.Now()
	over()
	server.Close()
	result.requests, result.log = rec.requests(), c.log.String()
	result.scrapes, result.inFlight = rec.scrapes, rec.most
	return result
}

// configure writes the configuration of a scenario: the collector's Prometheus receiver straight into the exporter, with defaults
// but for what the scenario says.
func configure(t *testing.T, s *scenario, endpoint, target string, strict bool) string {
	t.Helper()
	exporter := map[string]any{
		"endpoint": endpoint,
		"protocol": "2.0",
		"strict":   strict,
		"log":      map[string]any{"directory": filepath.Join(t.TempDir(), "log")},
		"batch":    map[string]any{"max_wait": "5s"},
	}
	maps.Copy(exporter, s.exporter)
	job := map[string]any{
		"job_name": "conformance", "scrape_interval": "1s", "scrape_timeout": "1s",
		"static_configs": []any{map[string]any{"targets": []string{target}}},
	}
	maps.Copy(job, s.job)
	doc := map[string]any{
		"receivers": map[string]any{"prometheus": map[string]any{
			"discovery_reload_on_startup": true, // scrape at once
			"config":                      map[string]any{"scrape_configs": []any{job}},
		}},
		"exporters": map[string]any{"durable_remote_write": exporter},
		"service": map[string]any{
			"telemetry": map[string]any{"metrics": map[string]any{"level": "none"}, "logs": map[string]any{"encoding": "console"}},
			"pipelines": map[string]any{"metrics": map[string]any{"receivers": []string{"prometheus"}, "exporters": []string{"durable_remote_write"}}},
		},
	}
	text, err := yaml.Marshal(doc)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

// collector is a running collector.
type collector struct {
	cmd  *exec.Cmd
	log  *testbed.Buffer
	done chan struct{}
}

func startCollector(t *testing.T, config string) *collector {
	t.Helper()
	c := &collector{log: &testbed.Buffer{}, done: make(chan struct{})}
	c.cmd = exec.Command(testbed.Collector(t), "--config="+config) //nolint:gosec // our own binary
	c.cmd.Env = []string{}                                         // nothing of this machine, a proxy for example
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	require.NoError(t, c.cmd.Start())
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // the exit code is read later
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

func (c *collector) over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// await returns when the scenario has shown what it is for, or the collector has ended.
func (c *collector) await(t *testing.T, rec *recorder, s *scenario) {
	t.Helper()
	least, most := time.After(s.lasts), time.After(max(patience, 2*s.lasts))
	enough := s.lasts == 0
	for {
		requests := rec.requests()
		if enough && (s.until == nil || s.until(requests)) && (len(requests) > 0 || s.mute) {
			return
		}
		select {
		case <-rec.news:
		case <-least:
			enough = true
		case <-c.done:
			return
		case <-most:
			assert.Fail(t, "the scenario does not come to its end", "%d requests, %d scrapes", len(requests), rec.scrapes)
			return
		}
	}
}

// interrupt sends SIGINT and returns the exit code.
func (c *collector) interrupt(t *testing.T) int {
	t.Helper()
	if !c.over() {
		require.NoError(t, c.cmd.Process.Signal(syscall.SIGINT))
	}
	select {
	case <-c.done:
	case <-time.After(patience):
		require.FailNow(t, "the collector does not end on SIGINT")
	}
	return c.cmd.ProcessState.ExitCode()
}
