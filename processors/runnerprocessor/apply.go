// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"cmp"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// count adds the verdicts of a resource's points to the counters.
func (p *runnerProcessor) count() {
	own := p.target.stats
	var points [numReasons]int64
	var samples int64
	for i := range p.points {
		v := &p.points[i]
		if v.stats != own {
			v.stats.points[v.why].Add(1)
			if v.why.kept() {
				v.stats.samples.Add(int64(v.samples))
			}
			continue
		}
		points[v.why]++
		if v.why.kept() {
			samples += int64(v.samples)
		}
	}
	for r, n := range points {
		if n > 0 {
			own.points[r].Add(n)
		}
	}
	own.samples.Add(samples)
	if pattern := p.target.identitySecret; pattern >= 0 {
		own.redacted[pattern].Add(points[keptScope] + points[keptAlways])
	}
}

// apply removes the points that are dropped, and rewrites the labels and exemplars of those that are kept.
func (p *runnerProcessor) apply(rm pmetric.ResourceMetrics) {
	next := 0
	for i := range rm.ScopeMetrics().Len() {
		rm.ScopeMetrics().At(i).Metrics().RemoveIf(func(m pmetric.Metric) bool {
			return removePoints(m, func(pt point) bool {
				v := &p.points[next]
				next++
				if !v.why.kept() {
					return true
				}
				if v.series.rewritten {
					p.rewriteLabels(v, pt.attrs)
				}
				if pt.hasExemplars() {
					p.cleanExemplars(m.Name(), v.stats, pt.exemplars)
				}
				return false
			}) == 0
		})
	}
}

// rewriteLabels makes a point's attributes what its plan says.
func (p *runnerProcessor) rewriteLabels(v *pointVerdict, attrs pcommon.Map) {
	pl := p.planLabels(attrs, v.series.redacted)
	next, found := 0, 0
	attrs.RemoveIf(func(_ string, value pcommon.Value) bool {
		r := &pl.attrs[next]
		next++
		if r.pattern >= 0 {
			value.SetStr(r.value)
			found = cmp.Or(found, r.pattern+1)
		}
		return r.drop || r.rename
	})
	if found > 0 {
		v.stats.redacted[found-1].Add(1)
	}
	for i := range pl.attrs {
		if r := &pl.attrs[i]; r.rename {
			attrs.PutStr(r.name, r.value)
		}
	}
}

// cleanExemplars redacts what looks like a secret in exemplars, or drops the exemplar.
func (p *runnerProcessor) cleanExemplars(metric string, c *componentStats, exemplars pmetric.ExemplarSlice) {
	pattern := -1
	exemplars.RemoveIf(func(e pmetric.Exemplar) bool {
		dirty := false
		for name, value := range e.FilteredAttributes().All() {
			if found := p.findSecret(asString(value)); found >= 0 {
				value.SetStr(p.replacements[found])
				pattern, dirty = found, true
				p.warnSecret(metric, name, found, c)
			}
		}
		return dirty && p.cfg.Scope.Secrets == secretsDrop
	})
	if pattern >= 0 {
		c.redacted[pattern].Add(1)
	}
}
