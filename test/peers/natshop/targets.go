// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// scrape is one page that was served.
type scrape struct {
	path, target string
	number       int // of the scrapes of this target by this path, from 1
	at           time.Time
	written      bool // the whole answer went to the connection
}

// targets serves the same pages to all paths: what a target shows depends on how often a path has asked it, and on nothing else.
type targets struct {
	names   []string
	address string
	page    func(target string, scrape int) string

	mu      sync.Mutex // guards what follows
	scrapes []scrape
	numbers map[string]int // by path and target
	closed  bool
}

// serveTargets serves the pages of so many targets until stop is called.
func serveTargets(ctx context.Context, count int, page func(target string, scrape int) string) (t *targets, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("opening a port for the targets: %w", err)
	}
	t = &targets{address: listener.Addr().String(), page: page, numbers: map[string]int{}}
	for i := range count {
		t.names = append(t.names, fmt.Sprintf("pod-%02d", i))
	}
	server := &http.Server{Handler: t, ReadHeaderTimeout: answerLimit, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = server.Serve(listener) }() // returns when closed
	return t, func() { _ = server.Close() }, nil
}

func (t *targets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, target, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	index, number, open := t.begin(path, target)
	if !open {
		http.Error(w, "the test is over", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, err := w.Write([]byte(t.page(target, number)))
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
	if err == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.scrapes[index].written = true
	}
}

func (t *targets) begin(path, target string) (index, number int, open bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || !slices.Contains(t.names, target) {
		return 0, 0, false
	}
	key := path + "/" + target
	t.numbers[key]++
	t.scrapes = append(t.scrapes, scrape{path: path, target: target, number: t.numbers[key], at: time.Now()})
	return len(t.scrapes) - 1, t.numbers[key], true
}

// close ends the exposition: from now on every scrape fails.
func (t *targets) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

// of returns the scrapes by the path so far.
func (t *targets) of(path string) []scrape {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []scrape
	for _, s := range t.scrapes {
		if s.path == path {
			out = append(out, s)
		}
	}
	return out
}
