// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"
)

// expression is something that dashboards and alerts ask of a runner. $R stands for the labels that name the runner.
type expression struct{ name, text string }

// lookback is how far back an expression may look: over the whole run, because some of what it asks for happens once.
const lookback = "[30m]"

// contract are the expressions that the metrics of the contract imply, one for each metric of it that can exist here.
// Missing on purpose are kube_hpa_* (kube-state-metrics calls them kube_horizontalpodautoscaler_* since version 2) and those of
// probes over TLS: no component of a runner serves it.
func contract() []expression {
	var all []expression
	add := func(name, format string) { all = append(all, expression{name, format}) }
	rate := func(app string, metrics ...string) {
		for _, metric := range metrics {
			add(metric+" of "+app, fmt.Sprintf(`sum by (app, pod) (rate(%s{$R,app=%q}[2m])) >= 0`, metric, app))
		}
	}
	last := func(selector string, metrics ...string) {
		for _, metric := range metrics {
			add(metric, fmt.Sprintf("last_over_time(%s{$R%s}%s)", metric, selector, lookback))
		}
	}
	rate("tool-manager", "response_status", "http_requests_total", "network_received_bytes", "network_sent_bytes",
		"http_request_duration_highr_seconds_bucket", "http_request_duration_highr_seconds_sum", "http_request_duration_highr_seconds_count")
	last(`,app="tool-manager"`, "cpu_usage", "memory_usage")
	rate("agent-manager", "agent_manager_http_requests_total", "agent_manager_tool_run_failure_counter_total",
		"agent_manager_http_request_duration_seconds_bucket", "agent_manager_http_request_duration_seconds_sum", "agent_manager_http_request_duration_seconds_count")
	add("99th percentile of agent-manager", `histogram_quantile(0.99, sum by (le) (rate(agent_manager_http_request_duration_seconds_bucket{$R}[2m]))) >= 0`)
	add("99th percentile of tool-manager", `histogram_quantile(0.99, sum by (le) (rate(http_request_duration_highr_seconds_bucket{$R}[2m]))) >= 0`)
	for _, app := range []string{"agent-manager", "tool-manager", "workflow-engine"} {
		rate(app, "process_cpu_seconds_total", "go_gc_duration_seconds_sum", "go_gc_duration_seconds_count")
		for _, metric := range []string{"go_goroutines", "go_threads", "process_resident_memory_bytes"} {
			add(metric+" of "+app, fmt.Sprintf(`%s{$R,app=%q} > 0`, metric, app))
		}
	}
	last(`,exporter="kube-state-metrics"`,
		"kube_pod_status_ready", "kube_pod_status_phase", "kube_pod_status_reason", "kube_pod_info", "kube_pod_container_info",
		"kube_pod_container_status_restarts_total", "kube_pod_container_status_last_terminated_reason",
		"kube_pod_container_resource_requests", "kube_pod_container_resource_limits",
		"kube_deployment_status_replicas", "kube_deployment_status_replicas_updated", "kube_deployment_status_replicas_unavailable",
		"kube_deployment_spec_replicas", "kube_statefulset_status_replicas", "kube_statefulset_status_replicas_ready",
		"kube_job_status_active", "kube_job_status_succeeded", "kube_job_status_failed", "kube_job_status_completion_time",
		"kube_persistentvolumeclaim_status_phase", "kube_persistentvolumeclaim_resource_requests_storage_bytes",
		"kube_horizontalpodautoscaler_spec_min_replicas", "kube_horizontalpodautoscaler_spec_max_replicas")
	last(`,label_app_kubernetes_io_kubiya_runner_component!="",label_helm_sh_chart!=""`, "kube_pod_labels")
	last(`,exporter="blackbox-exporter"`,
		"probe_success", "probe_duration_seconds", "probe_dns_lookup_time_seconds", "probe_ip_protocol",
		"probe_http_duration_seconds", "probe_http_status_code", "probe_http_ssl", "probe_http_version")
	last("", "up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added")
	add("the collector's account", `otelcol_exporter_durable_remote_write_acknowledged_samples_total{$R} > 0`)
	return all
}

// The five parts of the health score, each in percent, by the runner.
const (
	toolManagerHealth = `100 * sum by (organization, runner) (rate(response_status{$R,app="tool-manager",status=~"2.*"}[2m]))` +
		` / sum by (organization, runner) (rate(http_requests_total{$R,app="tool-manager",handler!="numbered"}[2m]))`
	agentManagerHealth = `100 * sum by (organization, runner) (rate(agent_manager_http_requests_total{$R,code=~"2.*"}[2m]))` +
		` / sum by (organization, runner) (rate(agent_manager_http_requests_total{$R}[2m]))`
	// By pod first: for five minutes after kube-state-metrics was replaced together with the collector, which then could not mark
	// its series as stale, each pod is there twice.
	podsReady = `100 * avg by (organization, runner) (max by (organization, runner, pod) (kube_pod_status_ready{$R,condition="true"})` +
		` * on (organization, runner, pod) max by (organization, runner, pod) (kube_pod_labels{$R,label_job_name=""}))`
	restartStability = `100 * clamp_min(1 - sum by (organization, runner) (increase(kube_pod_container_status_restarts_total{$R}[5m])), 0)`
	probesSucceed    = `100 * avg by (organization, runner) (probe_success{$R})`
)

// health is the runner's health score: the mean of its parts.
func health() []expression {
	parts := []expression{
		{"2xx rate of tool-manager", toolManagerHealth}, {"2xx rate of agent-manager", agentManagerHealth},
		{"pods ready", podsReady}, {"restart stability", restartStability}, {"probes succeed", probesSucceed},
	}
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = "(" + part.text + ")"
	}
	return append(parts, expression{"health score", "(" + strings.Join(texts, " + ") + ") / " + fmt.Sprint(len(parts))})
}

// query evaluates an expression for a runner.
func (w *world) query(ctx context.Context, r *runner, text string) (promql.Vector, error) {
	result, err := w.service.Store().Query(ctx, strings.ReplaceAll(text, "$R", r.selector()), time.Now())
	if err != nil {
		return nil, err
	}
	return result.Vector()
}

// number is the value of an expression that gives one, NaN where it gives none.
func (w *world) number(ctx context.Context, r *runner, text string) (float64, error) {
	vector, err := w.query(ctx, r, text)
	if err != nil || len(vector) == 0 {
		return math.NaN(), err
	}
	if len(vector) > 1 {
		return math.NaN(), fmt.Errorf("PromQL %q gives %d values instead of one", text, len(vector))
	}
	return vector[0].F, nil
}

// unanswered are the expressions that give nothing for a runner.
func (w *world) unanswered(ctx context.Context, r *runner, expressions []expression) ([]string, error) {
	var missing []string
	for _, e := range expressions {
		vector, err := w.query(ctx, r, e.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		if len(vector) == 0 {
			missing = append(missing, e.name)
		}
	}
	return missing, nil
}
