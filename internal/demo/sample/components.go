// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// runtimeMetrics are those of any Go component.
func runtimeMetrics() []prometheus.Collector {
	return []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
}

// group is several collectors and the function that moves them on.
type group struct {
	collectors []prometheus.Collector
	step       func(elapsed time.Duration)
}

func (g *group) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range g.collectors {
		c.Describe(ch)
	}
}

func (g *group) Collect(ch chan<- prometheus.Metric) {
	for _, c := range g.collectors {
		c.Collect(ch)
	}
}

func (g *group) advance(elapsed time.Duration) { g.step(elapsed) }

// traffic is a repeatable source of how much happened: the demo's curves are meant to look alive, not to be random.
func traffic(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // shapes a sample, guards nothing
}

// events is how many events a rate per second makes in elapsed, with some noise.
func events(rng *rand.Rand, perSecond float64, elapsed time.Duration) int {
	return int(perSecond*elapsed.Seconds()*(0.5+rng.Float64()) + rng.Float64())
}

func newAgentManager(seed uint64) source {
	rng := traffic(seed)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "agent_manager_http_requests_total", Help: "Requests by handler and code.",
	}, []string{"method", "handler", "code"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "agent_manager_http_request_duration_seconds", Help: "Request duration.", Buckets: prometheus.DefBuckets,
	}, []string{"handler"})
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "agent_manager_tool_run_failure_counter_total", Help: "Tool runs that failed.",
	}, []string{"reason"})
	queue := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "agent_manager_queue_depth", Help: "Waiting requests; the stage-1 scope does not list it.",
	}, []string{"queue"})
	failures.WithLabelValues("timeout")
	failures.WithLabelValues("exit_code")
	handlers := []string{"/agents", "/agents/{id}/run", "/tools", "/healthz"}

	return &group{
		collectors: []prometheus.Collector{requests, duration, failures, queue},
		step: func(elapsed time.Duration) {
			for _, handler := range handlers {
				for range events(rng, 6, elapsed) {
					code := "200"
					if rng.Float64() < 0.02 {
						code = "502"
					}
					requests.WithLabelValues("POST", handler, code).Inc()
					duration.WithLabelValues(handler).(prometheus.ExemplarObserver).ObserveWithExemplar(
						rng.ExpFloat64()*0.08, prometheus.Labels{"trace_id": fmt.Sprintf("%016x", rng.Uint64())})
				}
				queue.WithLabelValues(handler).Set(float64(rng.IntN(20)))
			}
			if rng.Float64() < 0.05 {
				failures.WithLabelValues("timeout").Inc()
			}
		},
	}
}

func newToolManager(seed uint64) source {
	rng := traffic(seed)
	// A counter without _total: that is the name that dashboards read.
	status := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "response_status", Help: "Responses by class."}, []string{"status"})
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Requests.",
	}, []string{"method", "status", "handler", "authorization"})
	duration := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "http_request_duration_highr_seconds", Help: "Request duration, fine buckets.",
		Buckets: []float64{.01, .025, .05, .075, .1, .25, .5, .75, 1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10, 30, 60},
	})
	cpu := prometheus.NewGauge(prometheus.GaugeOpts{Name: "cpu_usage", Help: "CPU use in percent."})
	memory := prometheus.NewGauge(prometheus.GaugeOpts{Name: "memory_usage", Help: "Memory use in bytes."})
	received := prometheus.NewCounter(prometheus.CounterOpts{Name: "network_received_bytes", Help: "Bytes received."})
	sent := prometheus.NewCounter(prometheus.CounterOpts{Name: "network_sent_bytes", Help: "Bytes sent."})
	size := prometheus.NewSummaryVec(prometheus.SummaryOpts{
		Name: "http_request_size_bytes", Help: "Request size; the stage-1 scope does not list it.",
		Objectives: map[float64]float64{0.5: 0.05, 0.9: 0.01, 0.99: 0.001},
	}, []string{"handler"})
	handlers := []string{"/tools/run", "/tools/status", "/health"}

	return &group{
		collectors: []prometheus.Collector{status, requests, duration, cpu, memory, received, sent, size},
		step: func(elapsed time.Duration) {
			for _, handler := range handlers {
				for range events(rng, 4, elapsed) {
					class := "2xx"
					if rng.Float64() < 0.03 {
						class = "5xx"
					}
					status.WithLabelValues(class).Inc()
					requests.WithLabelValues("POST", class, handler, "").Inc()
					duration.Observe(rng.ExpFloat64() * 0.4)
					size.WithLabelValues(handler).Observe(float64(rng.IntN(4096)))
				}
			}
			// The mistake: a debug handler that counts by the header it was called with.
			requests.WithLabelValues("GET", "2xx", "/debug/echo", FakeToken()).Inc()
			cpu.Set(20 + 30*rng.Float64())
			memory.Set(2e8 + 5e7*rng.Float64())
			received.Add(float64(rng.IntN(200_000)))
			sent.Add(float64(rng.IntN(100_000)))
		},
	}
}

func newWorkflowEngine(seed uint64) source {
	rng := traffic(seed)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Requests.",
	}, []string{"method", "status", "handler"})
	steps := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "workflow_engine_step_duration_seconds", Help: "Step duration, as a native histogram.",
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}, []string{"step"})
	cache := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "workflow_cache_lookups_total", Help: "Cache lookups; nobody asked for them to leave the cluster.",
	}, []string{"result"})

	return &group{
		collectors: []prometheus.Collector{requests, steps, cache},
		step: func(elapsed time.Duration) {
			for _, step := range []string{"plan", "execute", "report"} {
				for range events(rng, 5, elapsed) {
					steps.WithLabelValues(step).Observe(rng.ExpFloat64() * 2)
					requests.WithLabelValues("POST", "2xx", "/workflows").Inc()
					cache.WithLabelValues([]string{"hit", "miss"}[rng.IntN(2)]).Inc()
				}
			}
		},
	}
}

// newExplosion is the deploy that put a request's number into a label: every request is a new series.
func newExplosion(seed uint64) source {
	const (
		perSecond = 100
		most      = 1500 // keeps the page of a demo that runs for hours small
	)
	rng := traffic(seed)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Requests, one series each.",
	}, []string{"method", "status", "request_id"})
	var made int
	return &group{
		collectors: []prometheus.Collector{requests},
		step: func(elapsed time.Duration) {
			for range events(rng, perSecond, elapsed) {
				if made == most {
					return
				}
				made++
				requests.WithLabelValues("POST", "2xx", fmt.Sprintf("req-%06d", made)).Inc()
			}
		},
	}
}

// newImpostor is an ordinary component; its registry adds the labels of another runner.
func newImpostor(seed uint64) source {
	rng := traffic(seed)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Requests.",
	}, []string{"method", "status"})
	return &group{
		collectors: []prometheus.Collector{requests},
		step: func(elapsed time.Duration) {
			requests.WithLabelValues("POST", "2xx").Add(float64(events(rng, 10, elapsed)))
		},
	}
}

// newNeighbour exposes names that the stage-1 scope lists, so that nothing but its namespace keeps it out.
func newNeighbour(seed uint64) source {
	rng := traffic(seed)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Requests of a shop.",
	}, []string{"method", "status", "handler"})
	return &group{
		collectors: []prometheus.Collector{requests},
		step: func(elapsed time.Duration) {
			for i := range 100 {
				for _, status := range []string{"2xx", "4xx", "5xx"} {
					requests.WithLabelValues("POST", status, fmt.Sprintf("/orders/%02d", i)).Add(float64(events(rng, 2, elapsed)))
				}
			}
		},
	}
}
