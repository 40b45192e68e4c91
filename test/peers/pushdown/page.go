// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// bounds are those of the Python client's histograms.
var bounds = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

// page builds what a target exposes, as it is at one of a few steps. One group of series in three does not change from step to step.
type page struct {
	families []*dto.MetricFamily
	byName   map[string]*dto.MetricFamily
	series   int
	groups   int
	step     int
}

func newPage(step int) *page { return &page{byName: map[string]*dto.MetricFamily{}, step: step} }

// value returns that of the next series or histogram.
func (p *page) value() float64 {
	p.groups++
	base := float64(p.groups * 7919 % 250_000)
	if p.groups%3 == 0 {
		return base
	}
	return base + float64(p.step*(1+p.groups*31%47))
}

func (p *page) metric(kind dto.MetricType, name string, labels []string) *dto.Metric {
	f := p.byName[name]
	if f == nil {
		f = &dto.MetricFamily{Name: proto.String(name), Type: kind.Enum(), Help: proto.String("What " + name + " says about the component.")}
		p.byName[name] = f
		p.families = append(p.families, f)
	}
	m := &dto.Metric{}
	for i := 0; i < len(labels); i += 2 {
		m.Label = append(m.Label, &dto.LabelPair{Name: proto.String(labels[i]), Value: proto.String(labels[i+1])})
	}
	f.Metric = append(f.Metric, m)
	return m
}

func (p *page) counter(name string, labels ...string) {
	p.metric(dto.MetricType_COUNTER, name, labels).Counter = &dto.Counter{Value: proto.Float64(p.value())}
	p.series++
}

func (p *page) gauge(name string, labels ...string) {
	p.metric(dto.MetricType_GAUGE, name, labels).Gauge = &dto.Gauge{Value: proto.Float64(math.Mod(p.value(), 1000))}
	p.series++
}

func (p *page) histogram(name string, labels ...string) {
	count := p.value()
	h := &dto.Histogram{SampleCount: proto.Uint64(uint64(count)), SampleSum: proto.Float64(count * 0.0731946)}
	for i, bound := range bounds {
		h.Bucket = append(h.Bucket, &dto.Bucket{
			UpperBound: proto.Float64(bound), CumulativeCount: proto.Uint64(uint64(count) * uint64(i) / uint64(len(bounds))),
		})
	}
	p.metric(dto.MetricType_HISTOGRAM, name, labels).Histogram = h
	p.series += len(bounds) + 3 // +Inf, sum and count
}

// component is the page of a component that is written in Go or Python: its runtime, its API, and a dozen families for each subsystem
// until it has that many series.
func component(name string, series, step int) *page {
	p := newPage(step)
	for _, metric := range []string{
		"go_goroutines", "go_threads", "go_memstats_alloc_bytes", "go_memstats_heap_inuse_bytes", "go_memstats_heap_objects", "go_memstats_next_gc_bytes",
		"process_open_fds", "process_max_fds", "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_start_time_seconds",
	} {
		p.gauge(metric)
	}
	for _, metric := range []string{"go_memstats_mallocs_total", "go_memstats_frees_total", "process_cpu_seconds_total"} {
		p.counter(metric)
	}
	prefix := map[string]string{"agent-manager": "agent_manager_"}[name]
	for i := range 40 {
		handler := fmt.Sprintf("/api/v1/%s/{id}/r%02d", []string{"agents", "tools", "runs", "workflows", "schedules"}[i%5], i)
		method := []string{"GET", "POST", "PUT", "DELETE"}[i%4]
		for _, status := range []string{"2xx", "4xx", "5xx"} {
			p.counter(prefix+"http_requests_total", "handler", handler, "method", method, "status", status)
		}
		p.histogram("http_handler_duration_seconds", "handler", handler, "method", method)
	}
	for i := 0; p.series < series; i++ {
		p.subsystem(fmt.Sprintf("%s%d", []string{"cache", "database", "scheduler", "queue", "grpc", "storage", "audit", "webhooks"}[i%8], i/8))
	}
	return p
}

func (p *page) subsystem(name string) {
	for _, operation := range []string{"get", "list", "create", "update", "delete", "watch"} {
		for _, result := range []string{"ok", "error", "timeout"} {
			p.counter(name+"_operations_total", "operation", operation, "result", result)
		}
		p.counter(name+"_retries_total", "operation", operation)
		p.gauge(name+"_in_flight", "operation", operation)
	}
	p.histogram(name+"_operation_duration_seconds", "operation", "get")
	p.histogram(name+"_operation_duration_seconds", "operation", "update")
	for _, state := range []string{"active", "idle", "waiting"} {
		p.gauge(name+"_connections", "state", state)
	}
	p.counter(name+"_bytes_total", "direction", "in")
	p.counter(name+"_bytes_total", "direction", "out")
	p.gauge(name + "_size_bytes")
	p.gauge(name + "_last_success_timestamp_seconds")
}

// kubeStateMetrics is its page of a namespace with so many pods and what belongs to them: a good quarter of the series are those
// that the runner's dashboards read.
func kubeStateMetrics(pods, step int) *page {
	p := newPage(step)
	for i := range pods {
		pod := []string{"namespace", "runner", "pod", fmt.Sprintf("tool-run-%d-7c9d8b6f5-%04x", i, i*2654435761%65536), "uid", fmt.Sprintf("%08x-77a1-4b0f-9d2e-%012x", i, i*7919)}
		with := func(more ...string) []string { return append(pod[:len(pod):len(pod)], more...) }
		for _, phase := range []string{"Pending", "Succeeded", "Failed", "Unknown", "Running"} {
			p.gauge("kube_pod_status_phase", with("phase", phase)...)
		}
		for _, condition := range []string{"true", "false", "unknown"} {
			p.gauge("kube_pod_status_ready", with("condition", condition)...)
			p.gauge("kube_pod_status_scheduled", with("condition", condition)...)
		}
		for _, reason := range []string{"Evicted", "NodeAffinity", "NodeLost", "Shutdown", "UnexpectedAdmissionError"} {
			p.gauge("kube_pod_status_reason", with("reason", reason)...)
		}
		p.gauge("kube_pod_info", with("host_ip", "10.0.0.1", "pod_ip", fmt.Sprintf("10.1.%d.%d", i/250, i%250), "node", "node-1", "created_by_kind", "ReplicaSet")...)
		p.gauge("kube_pod_labels", with("label_app_kubernetes_io_kubiya_runner_component", "tool-manager", "label_helm_sh_chart", "runner-1.2.3")...)
		for _, metric := range []string{
			"kube_pod_created", "kube_pod_start_time", "kube_pod_owner", "kube_pod_restart_policy", "kube_pod_scheduler", "kube_pod_ips", "kube_pod_service_account",
			"kube_pod_status_scheduled_time", "kube_pod_status_ready_time", "kube_pod_status_initialized_time", "kube_pod_status_container_ready_time",
			"kube_pod_status_qos_class", "kube_pod_tolerations", "kube_pod_spec_volumes_persistentvolumeclaims_info",
		} {
			p.gauge(metric, pod...)
		}
		container := with("container", "tool")
		p.counter("kube_pod_container_status_restarts_total", container...)
		for _, metric := range []string{
			"kube_pod_container_info", "kube_pod_container_state_started", "kube_pod_container_status_ready", "kube_pod_container_status_running",
			"kube_pod_container_status_terminated", "kube_pod_container_status_waiting", "kube_pod_container_status_last_terminated_reason",
		} {
			p.gauge(metric, container...)
		}
		for _, resource := range []string{"cpu", "memory"} {
			p.gauge("kube_pod_container_resource_requests", append(container, "resource", resource)...)
			p.gauge("kube_pod_container_resource_limits", append(container, "resource", resource)...)
		}
		for _, kind := range []string{"replicaset", "configmap", "secret", "endpointslice", "service", "serviceaccount", "lease", "job"} {
			for _, metric := range []string{"info", "created", "metadata_resource_version", "owner", "annotations"} {
				p.gauge("kube_"+kind+"_"+metric, "namespace", "runner", kind, fmt.Sprintf("tool-run-%d", i))
			}
		}
	}
	return p
}
