// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"
)

// front is the HTTP server before the backend. It keeps all requests, and lets a fault have each of them.
type front struct {
	backend http.Handler
	address string
	tls     *tls.Config // nil: plain HTTP
	small   bool        // connections have a receive buffer that a large request does not fit into

	mu       sync.Mutex // guards what follows
	server   *http.Server
	listener net.Listener
	fault    func(*call) // nil: the backend gets it
	calls    []*call
	arrived  chan struct{} // closed when there is another call, and made anew
}

// call is a request that has arrived.
type call struct {
	n      int // from 0
	at     time.Time
	header http.Header
	v2     bool
	remote string

	w       http.ResponseWriter
	r       *http.Request
	backend http.Handler

	mu     sync.Mutex // guards what follows
	body   []byte     // as on the wire
	read   bool
	status int // that was answered, 0: none
	took   time.Time
}

// serve starts to listen.
func (f *front) serve() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	listener, err := net.Listen("tcp", f.address)
	if err != nil {
		return err
	}
	if f.small {
		listener = smallBuffers{listener}
	}
	f.listener = listener
	if f.tls != nil {
		listener = tls.NewListener(listener, f.tls)
	}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func(s *http.Server) { _ = s.Serve(listener) }(f.server) // it ends with close
	return nil
}

// close ends the server with all its connections, as a process that is killed does.
func (f *front) close() error {
	f.mu.Lock()
	server, listener := f.server, f.listener
	f.server = nil
	f.mu.Unlock()
	if server == nil {
		return nil
	}
	err := listener.Close() // the server may not have begun
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	if closing := server.Close(); !errors.Is(closing, net.ErrClosed) {
		err = errors.Join(err, closing)
	}
	return err
}

// smallBuffers gives connections a small receive buffer.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10) // a hint
	}
	return c, err
}

// set lets a fault have all requests from now on; nil ends it.
func (f *front) set(fault func(*call)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	c := &call{
		n: len(f.calls), at: time.Now(), header: r.Header.Clone(), v2: r.Header.Get("X-Prometheus-Remote-Write-Version") == "2.0.0",
		remote: r.RemoteAddr, w: w, r: r, backend: f.backend,
	}
	f.calls = append(f.calls, c)
	fault := f.fault
	close(f.arrived)
	f.arrived = make(chan struct{})
	f.mu.Unlock()
	if fault != nil {
		fault(c)
		return
	}
	c.forward()
}

// all returns the requests so far.
func (f *front) all() []*call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// wire returns the body, which it reads when it has not been read; empty where the client has gone.
func (c *call) wire() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.read {
		c.read = true
		body, err := io.ReadAll(c.r.Body)
		if err == nil {
			c.body = body
		}
	}
	return c.body
}

func (c *call) answered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

func (c *call) answering(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status, c.took = status, time.Now()
}

// answer reads the request and answers it: header is name, value, name, value ...
func (c *call) answer(status int, text string, header ...string) {
	c.wire()
	for i := 0; i+1 < len(header); i += 2 {
		c.w.Header().Set(header[i], header[i+1])
	}
	c.answering(status)
	c.w.WriteHeader(status)
	_, _ = io.WriteString(c.w, text) // the client may be gone
}

// ask gives the backend the request with another body, and returns its answer.
func (c *call) ask(wire []byte) *httptest.ResponseRecorder {
	r := c.r.Clone(c.r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(wire)), int64(len(wire))
	recorder := httptest.NewRecorder()
	c.backend.ServeHTTP(recorder, r)
	return recorder
}

// forward lets the backend answer.
func (c *call) forward() { c.pass(c.ask(c.wire())) }

// pass sends an answer of the backend.
func (c *call) pass(a *httptest.ResponseRecorder) {
	maps.Copy(c.w.Header(), a.Header())
	c.answering(a.Code)
	c.w.WriteHeader(a.Code)
	_, _ = c.w.Write(a.Body.Bytes()) // the client may be gone
}

// hang answers nothing until the client has gone.
func (c *call) hang() {
	c.wire()
	<-c.r.Context().Done()
}

// raw takes the connection over and writes to it what do says; then it is closed, with a reset where reset says so.
func (c *call) raw(reset bool, do func(net.Conn) error) error {
	hijacker, ok := c.w.(http.Hijacker)
	if !ok {
		return errors.New("the connection cannot be taken over")
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		return err
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // a hint: without it the connection ends instead
	}
	return errors.Join(do(conn), conn.Close())
}
