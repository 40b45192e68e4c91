// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"cmp"
	"strings"

	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
)

// metricVerdict is what a metric's name alone decides.
type metricVerdict struct {
	listed bool // scope::metrics lets it pass
	health bool
	stored string // the name as Prometheus stores it
	object bool   // it speaks about a Kubernetes object
}

type metricName struct {
	name   string
	family bool
}

// judgeMetric looks at the name of a metric.
func (p *runnerProcessor) judgeMetric(name string, family bool) metricVerdict {
	key := metricName{name, family}
	if v, ok := p.metricVerdicts[key]; ok {
		return v
	}
	if len(p.metricVerdicts) >= maxCachedNames {
		clear(p.metricVerdicts)
	}
	stored := p.metrics.StoredName(name)
	v := metricVerdict{
		listed: p.metrics.Match(name, family), health: scope.IsHealthMetric(name) && !family, stored: stored, object: scope.IsObjectMetric(stored),
	}
	if len(name) <= maxCachedLength {
		p.metricVerdicts[key] = v
	}
	return v
}

// metricContext is what all points of a metric share.
type metricContext struct {
	*target
	metricVerdict
	name string
	kind kind
}

// judgeOrigin decides by where a point comes from, and says whose series it is.
func (p *runnerProcessor) judgeOrigin(m *metricContext, pt point) (reason, *componentStats) {
	if m.collector || m.health && m.isHealth(pt) {
		return keptAlways, m.stats
	}
	if !m.why.kept() {
		return m.why, m.stats
	}
	component, stats := m.component, m.stats
	if !m.scraped {
		component, stats = p.claimedComponent(m, pt)
		if !p.namespaces.Match(cmp.Or(m.namespace, get(pt.attrs, labelNamespace))) {
			return droppedNamespace, stats
		}
		if !p.components.Match(component) {
			return droppedComponent, stats
		}
	}
	if !m.listed {
		return droppedMetric, stats
	}
	// honor_labels lets a target name another component than its own: then both must be in scope.
	if app := get(pt.attrs, labelApp); app != "" && app != component && !p.components.Match(app) {
		return droppedComponent, stats
	}
	if !p.objectInScope(m, pt.attrs) {
		return droppedObjectNamespace, stats
	}
	return keptScope, stats
}

// claimedComponent returns the component that pushed data is said to come from, by its resource or else by the point.
func (p *runnerProcessor) claimedComponent(m *metricContext, pt point) (string, *componentStats) {
	if m.component != "" {
		return m.component, m.stats
	}
	component := get(pt.attrs, labelApp)
	if p.components.Match(component) {
		return component, p.stats.component(component)
	}
	return component, m.stats
}

// objectInScope checks the namespace of the Kubernetes object that a series speaks about.
func (p *runnerProcessor) objectInScope(m *metricContext, attrs pcommon.Map) bool {
	if !m.object && !m.kubeState {
		return true
	}
	known := false
	for name, v := range attrs.All() {
		bare := strings.ReplaceAll(name, model.ExportedLabelPrefix, "")
		if bare != labelNamespace {
			continue
		}
		if !p.namespaces.Match(asString(v)) {
			return false
		}
		known = known || name != labelNamespace || p.isObjectNamespace(m, asString(v))
	}
	// kube-state-metrics' metrics about itself have no object.
	return known || !m.object
}

// isObjectNamespace reports whether a label `namespace` is the object's own. Without honor_labels Prometheus renames it to
// exported_namespace where the target has a label `namespace` as well; what is then called `namespace` is the target's and says
// nothing about the object.
func (p *runnerProcessor) isObjectNamespace(m *metricContext, value string) bool {
	if m.scraped {
		targets := get(m.labels, labelNamespace)
		if targets == "" || targets != value {
			return true
		}
	}
	// Either honor_labels and an object in the target's own namespace, or an object without a namespace. The kind tells.
	return scope.IsNamespacedObjectMetric(m.stored)
}

// judgeSize decides before values are searched and names given, which takes time that a target could make long.
func (p *runnerProcessor) judgeSize(m *metricContext, pt point) reason {
	limits := &p.cfg.Limits
	count := len(p.identity.keys) + m.identityLabels + 1
	if m.kind != single { // le or quantile
		count++
	}
	for name, v := range pt.attrs.All() {
		value := asString(v)
		if p.dropsLabel(name) {
			continue
		}
		if ours, ok := p.identity.values[name]; !ok || value != ours {
			count++
		}
		if over(limits.LabelNameLength, len(name)) {
			return droppedLabelNameLength
		}
		if over(limits.LabelValueLength, len(value)) {
			return droppedLabelValueLength
		}
	}
	if over(limits.LabelCount, count) {
		return droppedLabelCount
	}
	return keptScope
}

// judgeLabels decides by the labels that would go out.
func (p *runnerProcessor) judgeLabels(pl *plan) reason {
	if pl.secret && p.cfg.Scope.Secrets == secretsDrop {
		return droppedSecret
	}
	limits := &p.cfg.Limits
	for _, l := range pl.labels {
		if over(limits.LabelNameLength, len(l.name)) {
			return droppedLabelNameLength
		}
		if over(limits.LabelValueLength, len(l.value)) {
			return droppedLabelValueLength
		}
	}
	return keptScope
}

// maxAttributes is the number of attributes above which a point is dropped whatever the limits are: no backend takes as many, and
// to work out their labels would take long.
const maxAttributes = 1024

// judgeNew decides about a point of a series that is not live, and makes it live if it is kept.
func (p *runnerProcessor) judgeNew(m *metricContext, pt point, key seriesKey, now int64) (reason, *componentStats, *series) {
	why, stats := p.judgeOrigin(m, pt)
	if !why.kept() {
		return why, stats, nil
	}
	if pt.stale && why != keptAlways && stats.cutOff() {
		return droppedStale, stats, nil
	}
	if why != keptAlways {
		// Before the work that follows, so that a series above the limit costs little each time it comes again.
		if full := p.tracker.room(m.name, stats, pt.samples); !full.kept() {
			p.warnLimit(m.name, full, stats)
			return full, stats, nil
		}
	}
	if pt.attrs.Len() > maxAttributes {
		return droppedLabelCount, stats, nil
	}
	if why != keptAlways {
		if verdict := p.judgeSize(m, pt); !verdict.kept() {
			return verdict, stats, nil
		}
	}
	pl := p.planLabels(pt.attrs, true)
	for i := range pl.attrs {
		if r := &pl.attrs[i]; r.pattern >= 0 {
			p.warnSecret(m.name, r.from, r.pattern, stats)
		}
	}
	if why != keptAlways {
		if verdict := p.judgeLabels(pl); !verdict.kept() {
			return verdict, stats, nil
		}
	}
	s := &series{
		key: key, lastSeen: now, timestamp: pt.timestamp,
		samples: int32(pt.samples), batch: uint32(p.batch), //nolint:gosec // see touch
		why: why, rewritten: pl.rewritten, redacted: pl.secret,
	}
	if pl.rewritten || p.tracker.legacy {
		s.other = &otherKeys{out: key}
	}
	p.hash.begin(m.resource, m.stored, m.kind)
	if pl.rewritten {
		s.other.out = p.hash.labels(pl.labels)
		if p.tracker.taken(key, s.other.out) {
			return droppedCollision, stats, nil
		}
	} else if p.tracker.taken(key, key) {
		return droppedCollision, stats, nil
	}
	if p.tracker.legacy {
		p.hash.begin(m.job, m.stored, m.kind)
		s.other.legacy = p.hash.labels(pl.labels)
	}
	// A stale marker that begins a series takes a place too, or it would be a way around the limits.
	if of := (metricOf{stats, m.name}); !pt.stale || why != keptAlways {
		s.metric = p.tracker.metric(of)
		p.tracker.admit(s)
	} else {
		s.metric = &metricStats{metricOf: of}
	}
	return why, stats, s
}
