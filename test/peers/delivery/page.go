// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"strconv"
)

// components are the values of the label app: those of the runner's components that expose metrics.
var components = []string{"agent-manager", "tool-manager", "workflow-engine", "kubiya-operator"}

// bounds are the upper bounds of every histogram on a page, from the Python client's defaults. Bounds without a fraction are left
// out, because not every side writes those the same way (1 or 1.0) and the sides are compared by their label sets.
var bounds = []string{"0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "2.5", "7.5", "+Inf"}

const (
	// httpPerCent of a page are requests and their durations by route; most of the rest are ten families for each subsystem.
	// A page of 2,500 series has 260 families then, and half of its series are in histograms.
	httpPerCent  = 30
	httpStatuses = 3
	idleEvery    = 3 // one group of series in three does not change
	meanSeconds  = 0.0731946
)

var (
	subsystems = []string{
		"cache", "database", "scheduler", "queue", "nats", "grpc", "auth", "storage", "tools", "runs", "workflows", "webhooks",
		"sources", "policies", "registry", "sandbox", "sessions", "audit", "leases", "images", "indexer", "notifications", "templates", "sync",
	}
	operations = []string{"get", "list", "create", "update", "delete", "watch"}
	methods    = []string{"GET", "POST", "PUT", "DELETE"}
	resources  = []string{"agents", "tools", "runs", "workflows", "schedules", "sources", "policies", "webhooks"}
)

// line is one series of a page, or the comments of a family. With step 0 its value never changes.
type line struct {
	text       string // up to the value
	series     bool
	base, step float64
	wave       float64 // a gauge moves within so much above its base; 0 for a counter
}

func (l *line) value(scrape int) float64 {
	if l.wave == 0 {
		return l.base + l.step*float64(scrape)
	}
	return l.base + math.Floor(l.wave*math.Mod(l.step*float64(scrape), 1))
}

// page is what one target exposes, in the text format 0.0.4.
type page struct {
	lines  []line
	target int
	series int
	groups int
}

// newPage returns the page of the n-th target. It has exactly that many series.
func newPage(target, series int) *page {
	p := &page{target: target}
	p.runtime()
	p.http(series * httpPerCent / 100 / (httpStatuses + len(bounds) + 2))
	for i := 0; ; i++ {
		before := *p
		p.subsystem(i)
		if p.series > series {
			*p = before
			break
		}
	}
	p.fill(series - p.series)
	return p
}

// append appends the page as it is at the scrape, counted from 0.
func (p *page) append(dst []byte, scrape int) []byte {
	for i := range p.lines {
		l := &p.lines[i]
		dst = append(dst, l.text...)
		if l.series {
			dst = strconv.AppendFloat(dst, l.value(scrape), 'g', -1, 64)
			dst = append(dst, '\n')
		}
	}
	return dst
}

func (p *page) family(name, kind, help string) {
	p.lines = append(p.lines, line{text: fmt.Sprintf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)})
}

func (p *page) add(text string, base, step, wave float64) {
	p.lines = append(p.lines, line{text: text + " ", series: true, base: base, step: step, wave: wave})
	p.series++
}

// group returns where the next group of series begins and by how much it goes on: not at all for one group in three.
func (p *page) group() (base, step float64) {
	p.groups++
	base = float64((p.groups*7919 + p.target*104_729) % 250_000)
	if (p.groups+p.target)%idleEvery != 0 {
		step = float64(1 + (p.groups*31+p.target)%47)
	}
	return base, step
}

func (p *page) counters(name, help string, labels ...string) {
	p.family(name, "counter", help)
	for i, l := range labels {
		base, step := p.group()
		p.add(name+l, base, step*float64(1+i%3), 0)
	}
}

func (p *page) gauges(name, help string, labels ...string) {
	p.family(name, "gauge", help)
	for _, l := range labels {
		base, step := p.group()
		p.add(name+l, math.Mod(base, 1000), step*0.0371, step)
	}
}

func (p *page) histograms(name, help string, labels ...string) {
	p.family(name, "histogram", help)
	for i, l := range labels {
		base, step := p.group()
		for j, le := range bounds {
			// None in the fastest buckets, then more with each, as latencies are.
			share := float64(max(j-i%4, 0)) / float64(len(bounds)-1-i%4)
			p.add(fmt.Sprintf(`%s_bucket{%s,le="%s"}`, name, l, le), math.Floor(base*share), math.Floor(step*share), 0)
		}
		p.add(fmt.Sprintf("%s_sum{%s}", name, l), base*meanSeconds, step*meanSeconds, 0)
		p.add(fmt.Sprintf("%s_count{%s}", name, l), base, step, 0)
	}
}

// runtime adds what a process exposes about itself.
func (p *page) runtime() {
	for _, name := range []string{
		"go_goroutines", "go_threads", "go_memstats_alloc_bytes", "go_memstats_heap_inuse_bytes", "go_memstats_heap_objects",
		"go_memstats_next_gc_bytes", "go_memstats_stack_inuse_bytes", "process_open_fds", "process_max_fds", "process_resident_memory_bytes",
		"process_virtual_memory_bytes", "process_start_time_seconds",
	} {
		p.gauges(name, "About the process.", "")
	}
	for _, name := range []string{
		"go_memstats_mallocs_total", "go_memstats_frees_total", "process_cpu_seconds_total", "process_network_receive_bytes_total",
		"process_network_transmit_bytes_total",
	} {
		p.counters(name, "About the process.", "")
	}
}

// http adds the routes of the component's API.
func (p *page) http(routes int) {
	var requests, durations []string
	for i := range routes {
		n := i / len(methods)
		route := fmt.Sprintf(`handler="/api/v%d/%s/{id}/r%02d",method="%s"`, 1+n%2, resources[n%len(resources)], n, methods[i%len(methods)])
		durations = append(durations, route)
		for _, status := range []string{"2xx", "4xx", "5xx"} {
			requests = append(requests, fmt.Sprintf(`{%s,status="%s"}`, route, status))
		}
	}
	p.counters("http_requests_total", "Requests by route, method and status.", requests...)
	p.histograms("http_request_duration_seconds", "How long requests took, by route and method.", durations...)
}

// subsystem adds the n-th part of the component.
func (p *page) subsystem(n int) {
	name := subsystems[n%len(subsystems)]
	if n >= len(subsystems) {
		name += strconv.Itoa(n / len(subsystems))
	}
	var byOperation, byResult []string
	for _, o := range operations {
		byOperation = append(byOperation, fmt.Sprintf(`{operation="%s"}`, o))
		for _, result := range []string{"ok", "error", "timeout"} {
			byResult = append(byResult, fmt.Sprintf(`{operation="%s",result="%s"}`, o, result))
		}
	}
	p.counters(name+"_operations_total", "Operations by result.", byResult...)
	p.counters(name+"_retries_total", "Operations that were tried again.", byOperation...)
	p.counters(name+"_bytes_total", "Bytes by direction.", `{direction="in"}`, `{direction="out"}`)
	p.counters(name+"_errors_total", "Errors by reason.", `{reason="conflict"}`, `{reason="denied"}`, `{reason="not_found"}`, `{reason="unavailable"}`)
	p.histograms(name+"_operation_duration_seconds", "How long operations took.", `operation="get"`, `operation="update"`)
	p.gauges(name+"_in_flight", "Operations that are going on.", byOperation...)
	p.gauges(name+"_queue_depth", "Waiting operations by priority.", `{priority="low"}`, `{priority="normal"}`, `{priority="high"}`)
	p.gauges(name+"_connections", "Connections by state.", `{state="active"}`, `{state="idle"}`, `{state="waiting"}`)
	p.gauges(name+"_size_bytes", "What it holds.", "")
	p.gauges(name+"_last_success_timestamp_seconds", "When it last succeeded.", "")
}

// fill adds what is missing.
func (p *page) fill(n int) {
	var labels []string
	for i := range max(n, 0) {
		labels = append(labels, fmt.Sprintf(`{queue="tools-%03d"}`, i))
	}
	if n > 0 {
		p.gauges("work_queue_depth", "Waiting work by queue.", labels...)
	}
}
