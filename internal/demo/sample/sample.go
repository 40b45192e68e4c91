// SPDX-License-Identifier: Apache-2.0

// Package sample is a small runner to scrape: its components' metrics pages, served by client_golang on loopback,
// and the things that go wrong around a runner. A neighbour from another namespace, a component whose label values
// never end, a component that claims to be another runner, and a token that leaked into a label.
//
// The metric names are those of the runner's contract, so that the stage-1 scope keeps what a real runner's keeps.
package sample

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// NeighbourNamespace is the namespace of the workload that is not part of the runner.
	NeighbourNamespace = "payments"
	// NeighbourApp is the component label of that workload.
	NeighbourApp = "checkout"
	// ExplodingComponent is the component whose series multiply without end.
	ExplodingComponent = "dagger-engine"
	// SpoofingComponent is the component that exposes the identity of another runner.
	SpoofingComponent = "kubiya-operator"
	// SpoofedOrganization is the organization that it claims.
	SpoofedOrganization = "globex"
	// SpoofedRunner is the runner that it claims to be.
	SpoofedRunner = "globex-production"
)

// FakeToken is the bearer token that the sample tool-manager leaks in a label. It opens nothing; it is put together
// here, so that no scanner finds a credential in this file.
func FakeToken() string {
	return "Bearer " + "demo" + "-not-a-real-token-" + "0123456789abcdefghij"
}

// Target is one scrape target, as service discovery would report it.
type Target struct {
	// Job is the scrape job that it belongs to.
	Job string
	// Address is its host:port on loopback.
	Address string
	// Labels are its target labels.
	Labels map[string]string
}

// Runner serves the sample's targets until Close.
type Runner struct {
	targets []Target
	servers []*http.Server
	wait    sync.WaitGroup
}

// source is what one pod exposes. advance moves its counters forward by the time since the last scrape, so that
// nothing runs between scrapes.
type source interface {
	prometheus.Collector
	advance(elapsed time.Duration)
}

type pod struct {
	job, app, namespace, name, container string
	exporter                             string
	source                               source
	// runtime adds client_golang's own Go and process metrics, of which the stage-1 scope lists a few.
	runtime bool
}

// Start serves every target of a runner in namespace on a free port of 127.0.0.1.
// It fails when no loopback port is free.
func Start(namespace string) (*Runner, error) {
	r := &Runner{}
	for _, p := range pods(namespace) {
		if err := r.serve(p); err != nil {
			return nil, errors.Join(fmt.Errorf("the sample target %s cannot listen on 127.0.0.1: %w", p.name, err), r.Close())
		}
	}
	return r, nil
}

func pods(namespace string) []pod {
	own := func(app, suffix, container string, s source) pod {
		return pod{job: "kubiya-apps", app: app, namespace: namespace, name: app + "-" + suffix, container: container, source: s, runtime: true}
	}
	return []pod{
		own("agent-manager", "7c9f5d-k2x8p", "agent-manager", newAgentManager(1)),
		own("agent-manager", "7c9f5d-w4m1z", "agent-manager", newAgentManager(2)),
		own("tool-manager", "5d8b6c-3hq9t", "tool-manager", newToolManager(3)),
		own("tool-manager", "5d8b6c-9vx2k", "tool-manager", newToolManager(4)),
		own("tool-manager", "5d8b6c-p7d4n", "tool-manager", newToolManager(5)),
		own("workflow-engine", "64f7b9-b8s5r", "workflow-engine", newWorkflowEngine(6)),
		own(ExplodingComponent, "0", "dagger-engine", newExplosion(7)),
		own(SpoofingComponent, "6b5c4d-z1n3v", "kubiya-operator", newImpostor(8)),
		{
			job: "kube-state-metrics", app: "kube-state-metrics", namespace: namespace, name: "kube-state-metrics-58d4c7-m6w2q",
			container: "kube-state-metrics", exporter: "kube-state-metrics", source: newObjects(namespace),
		},
		{
			job: "mistaken-job", app: NeighbourApp, namespace: NeighbourNamespace, name: "checkout-8f6d5b-t9k4c",
			container: "checkout", source: newNeighbour(9),
		},
	}
}

func (r *Runner) serve(p pod) error {
	registry := prometheus.NewRegistry()
	collectors := []prometheus.Collector{p.source}
	if p.runtime {
		collectors = append(collectors, runtimeMetrics()...)
	}
	wrapped := prometheus.Registerer(registry)
	if p.app == SpoofingComponent {
		wrapped = prometheus.WrapRegistererWith(prometheus.Labels{
			"organization": SpoofedOrganization, "runner": SpoofedRunner,
		}, registry)
	}
	for _, c := range collectors {
		if err := wrapped.Register(c); err != nil {
			return err
		}
	}

	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	labels := map[string]string{"app": p.app, "kubernetes_namespace": p.namespace}
	if p.exporter != "" {
		// No pod and no container: the objects that it speaks about have these labels themselves.
		labels["exporter"] = p.exporter
	} else {
		labels["pod"], labels["container"] = p.name, p.container
	}
	r.targets = append(r.targets, Target{Job: p.job, Address: listener.Addr().String(), Labels: labels})

	server := &http.Server{
		Handler:           advanceFirst(p.source, promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})),
		ReadHeaderTimeout: 5 * time.Second,
	}
	r.servers = append(r.servers, server)
	r.wait.Go(func() { _ = server.Serve(listener) }) // returns when Close closes the server
	return nil
}

func advanceFirst(s source, next http.Handler) http.Handler {
	var mu sync.Mutex // guards last
	last := time.Now().Add(-time.Second)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now := time.Now()
		elapsed := now.Sub(last)
		last = now
		s.advance(elapsed)
		mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// Targets lists what there is to scrape.
func (r *Runner) Targets() []Target { return r.targets }

// Close stops serving and waits until every server has ended.
func (r *Runner) Close() error {
	var errs []error
	for _, s := range r.servers {
		errs = append(errs, s.Close())
	}
	r.wait.Wait()
	return errors.Join(errs...)
}
