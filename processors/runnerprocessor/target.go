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
	attrNamespace            = "k8s.namespace.name"
	attrInstance             = "service.instance.id"
	attrJob                  = "service.name"
	attrJobNamespace         = "service.namespace"

	exporterCollector        = "otel-collector"
	exporterKubeStateMetrics = "kube-state-metrics"

	metricUp = "up"
)

// target is where a resource's series come from.
type target struct {
	// scraped says that labels are the target labels, read from the target's own `up` series. Prometheus gives `up` the target
	// labels and nothing else, so nothing that the target exposes can forge them. Without it (OTLP) the resource speaks, and
	// where it is silent each point.
	scraped bool
	labels  pcommon.Map
	ordered bool // the labels of its points are in the order of their names

	namespace      string // a namespace of the target; "" if unknown
	foreign        bool   // a namespace of the target is known and out of scope
	component      string
	stats          *componentStats
	collector      bool   // the collector's own metrics
	kubeState      bool   // kube-state-metrics
	why            reason // for a scraped target: dropped where its namespace or component is not in scope
	identityLabels int    // job and instance, as far as the resource has them
	identitySecret int    // the pattern of a secret that was found in job or instance, and redacted; or -1
	resource       seriesKey
	job            seriesKey // only with instance: organization
}

// inspect finds out where a resource comes from.
func (p *runnerProcessor) inspect(rm pmetric.ResourceMetrics) target {
	t := target{stats: p.stats.other, identitySecret: -1}
	attrs := rm.Resource().Attributes()
	if !p.pushed {
		t.labels, t.scraped = targetLabels(rm)
	}
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
	p.inspectIdentity(&t, attrs)
	return t
}

// inspectIdentity looks at what the exporter makes job and instance of. A secret in it is redacted, whatever scope::secrets says of
// series: dropping a whole target for it would hide more than it protects.
func (p *runnerProcessor) inspectIdentity(t *target, attrs pcommon.Map) {
	for _, name := range []string{attrJob, attrJobNamespace, attrInstance} {
		v, ok := attrs.Get(name)
		if !ok {
			continue
		}
		value := asString(v)
		if value != "" && name != attrJobNamespace {
			t.identityLabels++
		}
		if over(p.cfg.Limits.LabelValueLength, len(value)) && t.why.kept() {
			t.why = droppedLabelValueLength
		}
		if found := p.findSecret(value); found >= 0 {
			v.SetStr(p.replacements[found])
			t.identitySecret = found
			p.warnSecret(metricUp, name, found, t.stats)
		}
	}
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

// targetLabels returns the labels of the `up` series that Prometheus wrote for the target. A target that exposes an `up` of its own
// has the target labels on it as well: they are what all of them have in common. Only honor_labels lets an exposed one lack
// some, and then the target is told by fewer labels, which fails closed. So does a target that exposes `up` as a histogram or a summary: the
// receiver then has no place for Prometheus's own (transaction.go, getOrCreateMetricFamily, and metricfamily.go, addSeries), and what
// is left under that name is the target's alone.
func targetLabels(rm pmetric.ResourceMetrics) (pcommon.Map, bool) {
	var labels pcommon.Map
	found := false
	for i := range rm.ScopeMetrics().Len() {
		metrics := rm.ScopeMetrics().At(i).Metrics()
		for j := range metrics.Len() {
			m := metrics.At(j)
			if m.Name() == metricUp && (m.Type() == pmetric.MetricTypeGauge || m.Type() == pmetric.MetricTypeSum) {
				eachPoint(m, func(pt point) {
					if !found {
						labels, found = pt.attrs, true
						return
					}
					labels = common(labels, pt.attrs)
				})
			}
		}
	}
	return labels, found
}

// common returns the attributes that both have with the same value.
func common(a, b pcommon.Map) pcommon.Map {
	out := pcommon.NewMap()
	for name, v := range a.All() {
		if other, ok := b.Get(name); ok && other.Equal(v) {
			v.CopyTo(out.PutEmpty(name))
		}
	}
	return out
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
