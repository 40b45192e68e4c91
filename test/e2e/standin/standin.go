// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kubiyabot/otelcol-runner/internal/demo/sample"
)

const (
	controlPath = "/control"
	// unspoken stands in the list of requests for a connection on which nothing was asked.
	unspoken = "(connected only)"
	// numbered is how many series carry the scrape's number. More than one, so that a part of a scrape can be missed.
	numbered = 20
)

// withMetrics are the components that expose metrics.
var withMetrics = map[string]bool{"agent-manager": true, "tool-manager": true, "workflow-engine": true}

// scrape is one answer on /metrics.
type scrape struct {
	// Number counts the scrapes of this process from 1. It is the value of the numbered series in this answer.
	Number int `json:"number"`
	// At is when the request came, in Unix milliseconds.
	At int64 `json:"at"`
	// From is the address of who asked.
	From string `json:"from"`
	// Complete says that the whole page was handed over to the network without an error.
	Complete bool `json:"complete"`
}

// standIn is one component. It is its own http.Handler.
type standIn struct {
	mux     *http.ServeMux
	life    string
	metrics prometheus.Gatherer

	mu       sync.Mutex // guards what follows
	scrapes  []*scrape
	requests map[string]int
	series   int
	silent   map[net.Conn]bool // connections on which nothing was asked yet
}

func newStandIn(component string) (*standIn, error) {
	s := &standIn{mux: http.NewServeMux(), life: uuid.NewString(), requests: map[string]int{}, silent: map[net.Conn]bool{}}
	for _, path := range []string{"/{$}", "/health", "/healthz"} {
		s.mux.HandleFunc(path, func(http.ResponseWriter, *http.Request) {}) // 200
	}
	s.mux.HandleFunc("GET "+controlPath, s.report)
	s.mux.HandleFunc("POST "+controlPath, s.command)
	if !withMetrics[component] {
		return s, nil
	}
	// Two pods of a component do not count the same.
	hostname, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	seed := fnv.New64a()
	_, _ = seed.Write([]byte(hostname)) // never fails
	if s.metrics, err = sample.Component(component, seed.Sum64()); err != nil {
		return nil, err
	}
	s.mux.HandleFunc("GET /metrics", s.expose)
	return s, nil
}

// ServeHTTP counts the request and answers it.
func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests[r.URL.Path]++
	s.mu.Unlock()
	s.mux.ServeHTTP(w, r)
}

// connection counts connections that end without a request.
func (s *standIn) connection(conn net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.silent[conn] = true
	case http.StateActive:
		delete(s.silent, conn)
	case http.StateClosed, http.StateHijacked:
		if s.silent[conn] {
			s.requests[unspoken]++
		}
		delete(s.silent, conn)
	case http.StateIdle:
	}
}

func (s *standIn) expose(w http.ResponseWriter, r *http.Request) {
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	s.mu.Lock()
	this := &scrape{Number: len(s.scrapes) + 1, At: time.Now().UnixMilli(), From: from}
	s.scrapes = append(s.scrapes, this)
	series := s.series
	s.mu.Unlock()

	registry := prometheus.NewRegistry()
	registry.MustRegister(&marked{number: this.Number, series: series})
	out := &checkedWriter{ResponseWriter: w}
	promhttp.HandlerFor(prometheus.Gatherers{s.metrics, registry}, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(out, r)

	s.mu.Lock()
	defer s.mu.Unlock()
	this.Complete = out.err == nil && out.status == 0 && r.Context().Err() == nil
}

// checkedWriter remembers what went wrong.
type checkedWriter struct {
	http.ResponseWriter
	status int // of an error; promhttp writes no header otherwise
	err    error
}

func (w *checkedWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *checkedWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

// marked is the series that tell the scrape, and those of a bad deploy. They are in the stage-1 scope.
type marked struct {
	number, series int
}

// Describe sends nothing: the components have series of the same name with other labels, so that this is an unchecked collector.
func (m *marked) Describe(chan<- *prometheus.Desc) {}

// Collect sends all of the series.
func (m *marked) Collect(ch chan<- prometheus.Metric) {
	for i := range numbered {
		ch <- requestsTotal(prometheus.Labels{"handler": "numbered", "number": fmt.Sprintf("%02d", i)}, m.number)
	}
	for i := range m.series {
		ch <- requestsTotal(prometheus.Labels{"handler": "exploded", "request": fmt.Sprintf("%05d", i)}, 1)
	}
}

func requestsTotal(labels prometheus.Labels, value int) prometheus.Metric {
	// The help is the one of the samples' series of this name: one family has one.
	desc := prometheus.NewDesc("http_requests_total", "Requests.", nil, labels)
	return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value))
}

// report answers what happened to this process.
func (s *standIn) report(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := struct {
		// Life tells one process from the next one under the same address.
		Life     string         `json:"life"`
		Scrapes  []*scrape      `json:"scrapes"`
		Requests map[string]int `json:"requests"`
	}{s.life, s.scrapes, s.requests}
	_ = json.NewEncoder(w).Encode(answer) // who asked has gone
}

// command changes what is exposed.
func (s *standIn) command(w http.ResponseWriter, r *http.Request) {
	var command struct {
		// Series is how many series there are on top; 0 for none.
		Series int `json:"series"`
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&command); err != nil {
		http.Error(w, fmt.Sprintf(`%s: POST {"series": 10000}: %v`, controlPath, err), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.series = command.Series
}
