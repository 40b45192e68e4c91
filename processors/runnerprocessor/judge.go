// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"cmp"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

// metricVerdict is what a metric's name alone decides.
type metricVerdict struct {
	listed bool // scope::metrics lets it pass
	health bool
	object bool // it speaks about a Kubernetes object
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
	v := metricVerdict{listed: p.metrics.Match(name, family), health: healthMetrics[name], object: scope.IsObjectMetric(name)}
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
	if m.foreign {
		return droppedNamespace, m.stats
	}
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
	own := p.objectNamespace(m, attrs)
	if own != "" {
		return p.namespaces.Match(own)
	}
	// kube-state-metrics' metrics about itself have no object.
	return !m.object
}

// objectNamespace returns the namespace label that the object brought, or "". Without honor_labels Prometheus renames it where
// the target has a label `namespace` as well; what is then called `namespace` is the target's and says nothing about the object.
func (p *runnerProcessor) objectNamespace(m *metricContext, attrs pcommon.Map) string {
	if exported := get(attrs, labelExportedNamespace); exported != "" {
		return exported
	}
	namespace := get(attrs, labelNamespace)
	if m.scraped {
		targets := get(m.labels, labelNamespace)
		if targets == "" || targets != namespace {
			return namespace
		}
	}
	// Either honor_labels and an object in the target's own namespace, or an object without a namespace. The kind tells.
	if scope.IsNamespacedObjectMetric(m.name) {
		return namespace
	}
	return ""
}

// rewrite is what becomes of one attribute, in the order of the attributes.
type rewrite struct {
	label        // what goes out
	drop    bool // it does not go out
	rename  bool // it goes out under another name
	pattern int  // the secret pattern that its value matched, or -1
}

// plan works out the labels that go out for a point.
type plan struct {
	attrs     []rewrite
	labels    []label // what goes out, for hashing
	rewritten bool
	secret    bool
}

// planLabels applies the label scope, the runner's identity and the secret patterns to a point's attributes. The result is
// valid until the next call.
func (p *runnerProcessor) planLabels(attrs pcommon.Map, lookForSecrets bool) *plan {
	pl := &p.plan
	pl.attrs, pl.labels, pl.rewritten, pl.secret = pl.attrs[:0], pl.labels[:0], false, false
	conflicts := p.conflicts[:0]
	for name, v := range attrs.All() {
		r := rewrite{label: label{name, asString(v)}, pattern: -1}
		switch key, spoofs := p.identity.spoofs(name, r.value); {
		case p.labelDrop.Match(name) || !p.labelKeep.Empty() && !p.labelKeep.Match(name):
			r.drop, pl.rewritten = true, true
		case spoofs:
			r.name, r.rename, pl.rewritten = key, true, true
			conflicts = append(conflicts, len(pl.attrs))
		}
		if lookForSecrets && !r.drop {
			if found := p.findSecret(r.value); found >= 0 {
				r.pattern, r.value = found, p.replacements[found]
				pl.rewritten, pl.secret = true, true
			}
		}
		pl.attrs = append(pl.attrs, r)
	}
	p.conflicts = conflicts
	p.resolveConflicts(pl, conflicts)
	for i := range pl.attrs {
		if !pl.attrs[i].drop {
			pl.labels = append(pl.labels, pl.attrs[i].label)
		}
	}
	return pl
}

// resolveConflicts gives the labels that pass for identity their exported_ names, shortest first as Prometheus does.
func (p *runnerProcessor) resolveConflicts(pl *plan, conflicts []int) {
	if len(conflicts) == 0 {
		return
	}
	names := newExportedNames()
	for i := range pl.attrs {
		if !pl.attrs[i].drop && !pl.attrs[i].rename {
			names.taken[pl.attrs[i].name] = true
		}
	}
	slices.SortStableFunc(conflicts, func(a, b int) int { return len(pl.attrs[a].name) - len(pl.attrs[b].name) })
	for _, i := range conflicts {
		pl.attrs[i].name = names.next(pl.attrs[i].name)
	}
}

// findSecret returns the index of the pattern that a value matches, or -1.
func (p *runnerProcessor) findSecret(value string) int {
	if len(p.replacements) == 0 {
		return -1
	}
	if _, clean := p.cleanValues[value]; clean {
		return -1
	}
	if name := secrets.Find(value); name != "" {
		return p.stats.patternIndex(name)
	}
	if len(value) > maxCachedLength {
		return -1
	}
	if len(p.cleanValues) >= maxCachedNames {
		clear(p.cleanValues)
	}
	p.cleanValues[strings.Clone(value)] = struct{}{}
	return -1
}

// judgeLabels decides by the labels that would go out.
func (p *runnerProcessor) judgeLabels(m *metricContext, pl *plan) reason {
	if pl.secret && p.cfg.Scope.Secrets == secretsDrop {
		return droppedSecret
	}
	limits := &p.cfg.Limits
	count := len(pl.labels) + len(p.identity.keys) + m.identityLabels + 1
	if m.kind != single { // le or quantile
		count++
	}
	if over(limits.LabelCount, count) {
		return droppedLabelCount
	}
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
	if pt.stale && why != keptAlways {
		return droppedStale, stats, nil
	}
	if why != keptAlways {
		// Before the work that follows, so that a series above the limit costs little each time it comes again.
		if full := p.tracker.room(m.name, stats, pt.samples); !full.kept() {
			p.warnOnce("A limit of live series is reached: new series are dropped and counted", m.name, reasonNames[full], stats.name)
			return full, stats, nil
		}
	}
	if pt.attrs.Len() > maxAttributes {
		return droppedLabelCount, stats, nil
	}
	pl := p.planLabels(pt.attrs, true)
	if pl.secret {
		p.warnSecret(m, stats, pl)
	}
	if why != keptAlways {
		if verdict := p.judgeLabels(m, pl); !verdict.kept() {
			return verdict, stats, nil
		}
	}
	s := &series{
		key: key, out: key, metric: m.name, component: stats, samples: pt.samples, lastSeen: now, why: why,
		rewritten: pl.rewritten, redacted: pl.secret,
	}
	p.hash.begin(m.resource, m.name, m.kind)
	if pl.rewritten {
		s.out = p.hash.labels(pl.labels)
		if p.tracker.taken(key, s.out) {
			return droppedCollision, stats, nil
		}
	} else if p.tracker.taken(key, key) {
		return droppedCollision, stats, nil
	}
	if p.tracker.legacy {
		p.hash.begin(m.job, m.name, m.kind)
		s.legacy = p.hash.labels(pl.labels)
	}
	if !pt.stale {
		p.tracker.admit(s)
	}
	return why, stats, s
}
