// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/prometheus/common/expfmt"
)

// roleTargets is the argument with which this program is its own child: what is measured shares no process with what it is
// measured by.
const roleTargets = "targets"

const metricsPath = "/metrics"

const (
	components         = 12
	seriesPerComponent = 8_000
	pods               = 130
	steps              = 3 // of the values of a page, which come in turn
)

// kind is what a component is made with, which says what it answers the collector's offer with.
type kind struct {
	name       string
	format     expfmt.Format
	compressed bool
}

var (
	// goKind is client_golang, which takes the first of what the collector offers.
	goKind = kind{"protobuf", expfmt.NewFormat(expfmt.TypeProtoDelim), true}
	// pythonKind is the Python client, which knows no protobuf.
	pythonKind = kind{"openmetrics", expfmt.NewFormat(expfmt.TypeOpenMetrics), true}
	// kubeStateKind is kube-state-metrics, which compresses only when it is told to.
	kubeStateKind = kind{"text", expfmt.NewFormat(expfmt.TypeTextPlain), false}
)

// exposed is one target.
type exposed struct{ Address, Component, Exporter, Pod string }

// info is what the child says at its start.
type info struct {
	Targets []exposed
	Series  int              // of all targets
	Bytes   map[string]int64 // of all pages by format, as they are sent
	Control string           // the address that counts
	Sink    string           // the address that samples are written to
}

// served is a target's pages.
type served struct {
	kind    kind
	series  int
	pages   [steps][]byte
	scrapes map[string]*atomic.Int64 // by side
}

func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	scrapes := s.scrapes[strings.TrimSuffix(r.URL.Path[1:], metricsPath)]
	if scrapes == nil {
		http.NotFound(w, r)
		return
	}
	page := s.pages[scrapes.Add(1)%steps]
	w.Header().Set("Content-Type", string(s.kind.format))
	if s.kind.compressed {
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	_, _ = w.Write(page) // a scraper that has gone away is its own business
}

// newServed encodes the page of each step.
func newServed(k kind, of func(step int) *page) (*served, error) {
	s := &served{kind: k, scrapes: map[string]*atomic.Int64{}}
	for _, side := range sides {
		s.scrapes[side] = new(atomic.Int64)
	}
	for step := range steps {
		p := of(step)
		s.series = p.series
		var b bytes.Buffer
		if err := encode(&b, k, p); err != nil {
			return nil, err
		}
		s.pages[step] = b.Bytes()
	}
	return s, nil
}

func encode(w io.Writer, k kind, p *page) (err error) {
	if k.compressed {
		z := gzip.NewWriter(w)
		defer func() { err = errors.Join(err, z.Close()) }()
		w = z
	}
	e := expfmt.NewEncoder(w, k.format)
	for _, f := range p.families {
		if err := e.Encode(f); err != nil {
			return err
		}
	}
	if c, ok := e.(expfmt.Closer); ok {
		return c.Close()
	}
	return nil
}

// serveTargets exposes the pages, each on an address of its own, until the standard input is closed.
func serveTargets(ctx context.Context) error {
	i := info{Bytes: map[string]int64{}}
	var all []*served
	ended := make(chan error, 1)
	serve := func(h http.Handler) (string, error) {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return "", fmt.Errorf("opening a port on loopback: %w", err)
		}
		go func() { ended <- (&http.Server{Handler: h, ReadHeaderTimeout: answerLimit}).Serve(l) }()
		return l.Addr().String(), nil
	}
	add := func(k kind, e exposed, of func(step int) *page) error {
		s, err := newServed(k, of)
		if err != nil {
			return err
		}
		if e.Address, err = serve(s); err != nil {
			return err
		}
		all = append(all, s)
		i.Targets = append(i.Targets, e)
		i.Series += s.series
		i.Bytes[k.name] += int64(len(s.pages[0]))
		return nil
	}
	for n := range components {
		name, k := "tool-manager", pythonKind
		if n%2 == 1 {
			name, k = []string{"agent-manager", "workflow-engine"}[n/2%2], goKind
		}
		if err := add(k, exposed{Component: name, Pod: fmt.Sprintf("%s-%d", name, n)}, func(step int) *page { return component(name, seriesPerComponent, step) }); err != nil {
			return err
		}
	}
	if err := add(kubeStateKind, exposed{Component: "kube-state-metrics", Exporter: "kube-state-metrics"}, func(step int) *page { return kubeStateMetrics(pods, step) }); err != nil {
		return err
	}
	var err error
	if i.Control, err = serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		samples := int64(0)
		for _, s := range all {
			samples += s.scrapes[r.URL.Path[1:]].Load() * int64(s.series)
		}
		_, _ = io.WriteString(w, strconv.FormatInt(samples, 10)) // as above
	})); err != nil {
		return err
	}
	if i.Sink, err = serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // what leaves is counted by the collector
		w.WriteHeader(http.StatusNoContent)
	})); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(i); err != nil {
		return err
	}
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	return <-ended
}

// targets is the child.
type targets struct {
	cmd   *exec.Cmd
	stdin io.Closer
	info  info
}

func startTargets(ctx context.Context) (*targets, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	t := &targets{cmd: exec.CommandContext(ctx, self, roleTargets)} //nolint:gosec // this very program
	t.cmd.Stderr = os.Stderr
	if t.stdin, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the targets: %w", err)
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &t.info)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the targets did not start: %w", err), t.stop())
	}
	return t, nil
}

// exposed returns the samples that a side has been sent since the start.
func (t *targets) exposed(ctx context.Context, side string) (float64, error) {
	body, err := get(ctx, "http://"+t.info.Control+"/"+side)
	if err != nil {
		return 0, fmt.Errorf("asking the targets: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(body)), 64)
}

// stop ends the child and waits for it.
func (t *targets) stop() error {
	_ = t.stdin.Close() // the child reads nothing but the end
	return t.cmd.Wait()
}
