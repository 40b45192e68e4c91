// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Labels that relabelling gives a target, and resource attributes that the receiver sets from discovery.
const (
	labelApp                 = "app"
	labelExporter            = "exporter"
	labelNamespace           = "namespace"
	labelKubernetesNamespace = "kubernetes_namespace"
	labelExportedNamespace   = "exported_namespace"
	attrNamespace            = "k8s.namespace.name"
	attrInstance             = "service.instance.id"
	attrJob                  = "service.name"
	attrJobNamespace         = "service.namespace"

	exporterCollector        = "otel-collector"
	exporterKubeStateMetrics = "kube-state-metrics"

	metricUp = "up"
)

// healthMetrics are what Prometheus itself reports of each scrape
// (https://prometheus.io/docs/concepts/jobs_instances, and the ones behind extra_scrape_metrics).
var healthMetrics = map[string]bool{
	metricUp:                                true,
	"scrape_duration_seconds":               true,
	"scrape_samples_scraped":                true,
	"scrape_samples_post_metric_relabeling": true,
	"scrape_series_added":                   true,
	"scrape_timeout_seconds":                true,
	"scrape_sample_limit":                   true,
	"scrape_body_size_bytes":                true,
}

// target is where a resource's series come from.
type target struct {
	// scraped says that labels are the target labels, read from the target's own `up` series. Prometheus gives `up` the target
	// labels and nothing else, so nothing that the target exposes can forge them. Without it (OTLP) the resource speaks, and
	// where it is silent each point.
	scraped bool
	labels  pcommon.Map

	namespace      string // a namespace of the target; "" if unknown
	foreign        bool   // a namespace of the target is known and out of scope
	component      string
	stats          *componentStats
	collector      bool   // the collector's own metrics
	kubeState      bool   // kube-state-metrics
	why            reason // for a scraped target: dropped where its namespace or component is not in scope
	identityLabels int    // job and instance, as far as the resource has them
	resource       seriesKey
	job            seriesKey // only with instance: organization
}

// inspect finds out where a resource comes from.
func (p *runnerProcessor) inspect(rm pmetric.ResourceMetrics) target {
	t := target{stats: p.stats.other}
	attrs := rm.Resource().Attributes()
	t.labels, t.scraped = targetLabels(rm)
	if t.scraped {
		t.see(p, t.labels, labelNamespace)
		t.see(p, t.labels, labelKubernetesNamespace)
		t.component = get(t.labels, labelApp)
		t.collector = get(t.labels, labelExporter) == exporterCollector
		t.kubeState = get(t.labels, labelExporter) == exporterKubeStateMetrics || t.component == exporterKubeStateMetrics
	} else {
		t.component = get(attrs, labelApp)
	}
	t.see(p, attrs, attrNamespace)
	inScope := p.components.Match(t.component)
	if inScope {
		t.stats = p.stats.component(t.component)
	}
	switch {
	case t.scraped && t.namespace == "":
		t.why = droppedNamespace
	case t.scraped && !inScope:
		t.why = droppedComponent
	}
	t.resource = p.hash.resource(attrs)
	if p.tracker.legacy {
		p.hash.begin(seriesKey{}, get(attrs, attrJobNamespace), 0)
		t.job = p.hash.labels(append(p.jobLabels[:0], label{attrJob, get(attrs, attrJob)}))
	}
	for _, name := range []string{attrJob, attrInstance} {
		if get(attrs, name) != "" {
			t.identityLabels++
		}
	}
	return t
}

// see takes note of one of the target's namespaces. All that are known must be in scope.
func (t *target) see(p *runnerProcessor, attrs pcommon.Map, name string) {
	ns := get(attrs, name)
	if ns == "" {
		return
	}
	if t.namespace == "" {
		t.namespace = ns
	}
	if !p.namespaces.Match(ns) {
		t.foreign = true
	}
}

// targetLabels returns the labels of the `up` series that Prometheus wrote for the target. A target that exposes an `up` of its
// own can only add labels to the target's, so the series with the fewest labels is Prometheus's.
func targetLabels(rm pmetric.ResourceMetrics) (pcommon.Map, bool) {
	var labels pcommon.Map
	found := false
	for i := range rm.ScopeMetrics().Len() {
		metrics := rm.ScopeMetrics().At(i).Metrics()
		for j := range metrics.Len() {
			if m := metrics.At(j); m.Name() == metricUp {
				eachPoint(m, func(pt point) {
					if !found || pt.attrs.Len() < labels.Len() {
						labels, found = pt.attrs, true
					}
				})
			}
		}
	}
	return labels, found
}

// isHealth reports whether a point of a health metric is Prometheus's own: it has the target labels and no others.
func (t *target) isHealth(pt point) bool {
	return t.scraped && pt.attrs.Equal(t.labels)
}

func get(attrs pcommon.Map, name string) string {
	v, ok := attrs.Get(name)
	if !ok {
		return ""
	}
	return asString(v)
}

// asString is AsString without its cost for strings, which nearly all are.
func asString(v pcommon.Value) string {
	if s := v.Str(); s != "" || v.Type() == pcommon.ValueTypeStr {
		return s
	}
	return v.AsString()
}
