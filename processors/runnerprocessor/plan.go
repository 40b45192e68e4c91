// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"cmp"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

// rewrite is what becomes of one attribute, in the order of the attributes.
type rewrite struct {
	label          // what goes out
	from    string // the name under which it came
	drop    bool   // it does not go out
	rename  bool   // it goes out under another name
	pattern int    // the secret pattern that its value matched, or -1
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
		r := rewrite{label: label{name, asString(v)}, from: name, pattern: -1}
		switch key, spoofs := p.identity.spoofs(name, r.value); {
		case p.dropsLabel(name):
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
	slices.SortStableFunc(conflicts, func(a, b int) int {
		x, y := &pl.attrs[a], &pl.attrs[b]
		// Of the names that become one, the order is that of the names, not of the attributes: those may come in any.
		return cmp.Or(len(x.name)-len(y.name), strings.Compare(x.from, y.from))
	})
	for _, i := range conflicts {
		pl.attrs[i].name = names.next(pl.attrs[i].name)
	}
}

// dropsLabel reports whether scope::labels takes a label away, by its name as it is or as an exporter would store it.
func (p *runnerProcessor) dropsLabel(name string) bool {
	if p.labelDrop.Empty() && p.labelKeep.Empty() {
		return false
	}
	if drops, ok := p.labelDrops[name]; ok {
		return drops
	}
	stored, err := p.labelNamer.Build(name)
	if err != nil {
		stored = name
	}
	drops := p.labelDrop.Match(name) || p.labelDrop.Match(stored) ||
		!p.labelKeep.Empty() && !p.labelKeep.Match(name) && !p.labelKeep.Match(stored)
	if len(name) <= maxCachedLength {
		if len(p.labelDrops) >= maxCachedNames {
			clear(p.labelDrops)
		}
		p.labelDrops[name] = drops
	}
	return drops
}

// findSecret returns the index of the pattern that a value matches, or -1. A value is searched once, and remembered by its hash.
func (p *runnerProcessor) findSecret(value string) int {
	if len(p.replacements) == 0 {
		return -1
	}
	key := p.hash.text(value)
	if found, ok := p.values[key]; ok {
		return found
	}
	if len(p.values) >= maxCachedNames {
		clear(p.values)
	}
	found := p.stats.patternIndex(secrets.Find(value))
	p.values[key] = found
	return found
}
