// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

const (
	// roleBackend is the argument with which this program is a backend: a folder and an address follow.
	roleBackend  = "backend"
	writePath    = "/api/v1/write"
	arrivalsPath = "/arrivals"
)

// arrivals is what a backend has stored since it was started, and how late: the time from a sample's own timestamp, which is that of its
// scrape, to when the request with it was answered, from when on a query finds it.
type arrivals struct {
	Samples int64
	Bytes   int64
	Newest  int64         // timestamp, in milliseconds
	Late    map[int]int64 // samples by milliseconds
}

func (a arrivals) since(before arrivals) arrivals {
	late := maps.Clone(a.Late)
	for ms, n := range before.Late {
		late[ms] -= n
	}
	return arrivals{a.Samples - before.Samples, a.Bytes - before.Bytes, a.Newest, late}
}

// recorder counts what passes through it.
type recorder struct {
	next http.Handler

	mu   sync.Mutex // guards seen
	seen arrivals
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the client has gone
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	answer := &status{ResponseWriter: w, code: http.StatusOK}
	r.next.ServeHTTP(answer, req)
	if answer.code >= http.StatusMultipleChoices {
		return
	}
	now := time.Now().UnixMilli()
	raw, err := compression.Decode(compression.Snappy, body, nil)
	if err != nil {
		return // it was refused
	}
	times := timestamps(strings.Contains(req.Header.Get("Content-Type"), "io.prometheus.write.v2"), raw)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.Bytes += int64(len(body))
	for _, t := range times {
		r.seen.Samples++
		r.seen.Newest = max(r.seen.Newest, t)
		r.seen.Late[int(now-t)]++
	}
}

func (r *recorder) serveArrivals(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = json.NewEncoder(w).Encode(r.seen) // who asked has gone if this fails
}

type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// timestamps are those of a request's samples, without stale markers.
func timestamps(v2 bool, raw []byte) []int64 {
	var times []int64
	add := func(t int64, v float64) {
		if !value.IsStaleNaN(v) {
			times = append(times, t)
		}
	}
	if v2 {
		var request writev2.Request
		if request.Unmarshal(raw) != nil {
			return nil
		}
		for i := range request.Timeseries {
			for _, s := range request.Timeseries[i].Samples {
				add(s.Timestamp, s.Value)
			}
		}
		return times
	}
	var request prompb.WriteRequest
	if request.Unmarshal(raw) != nil {
		return nil
	}
	for i := range request.Timeseries {
		for _, s := range request.Timeseries[i].Samples {
			add(s.Timestamp, s.Value)
		}
	}
	return times
}

// serveBackend is a Prometheus with its data in dir, until ctx ends.
func serveBackend(ctx context.Context, dir, address string) (err error) {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := prombackend.Open(dir, prombackend.Options{Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	recorder := &recorder{next: store.Handler(), seen: arrivals{Late: map[int]int64{}}}
	mux := http.NewServeMux()
	mux.Handle("/", store.Handler())
	mux.Handle(writePath, recorder)
	mux.HandleFunc(arrivalsPath, recorder.serveArrivals)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: answerLimit}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerLimit)
	defer cancel()
	return server.Shutdown(stopping)
}
