// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	textFormat   = "text/plain; version=0.0.4; charset=utf-8"
	resetPath    = "/reset"
	metricsPath  = "/metrics"
	headersLimit = 10 * time.Second
)

// target is one exposed page. Each scrape sees it one step further; a reset starts it over, so that every side is given the same.
type target struct {
	mu     sync.Mutex // guards what follows
	page   *page
	scrape int
	buf    []byte
}

func (t *target) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = t.page.append(t.buf[:0], t.scrape)
	t.scrape++
	w.Header().Set("Content-Type", textFormat)
	_, _ = w.Write(t.buf) // a scraper that has gone away is its own business
}

func (t *target) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scrape = 0
}

// serveTargets exposes the pages, each on an address of its own, until the standard input is closed. It writes the addresses to
// the standard output: one for control first, then one per target.
func serveTargets(targets, series int) error {
	served := make([]*target, targets)
	control := http.NewServeMux()
	control.HandleFunc("POST "+resetPath, func(http.ResponseWriter, *http.Request) {
		for _, t := range served {
			t.reset()
		}
	})
	handlers := []http.Handler{control}
	for i := range served {
		served[i] = &target{page: newPage(i, series)}
		mux := http.NewServeMux()
		mux.Handle("GET "+metricsPath, served[i])
		handlers = append(handlers, mux)
	}
	return serveUntilEOF(handlers...)
}

// listen opens a port on loopback.
func listen() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening a port on loopback: %w", err)
	}
	return l, nil
}

func serve(l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: headersLimit}
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
