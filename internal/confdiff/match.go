// SPDX-License-Identifier: Apache-2.0

package confdiff

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// maxPairs bounds how many pairs of series, or of metrics, are compared with each other. What is above is added and removed.
const maxPairs = 1 << 20

// matcher finds counterparts. What it has found one for it takes out of removed and added.
//
// Where several pairs are possible, the best ones are taken first. The order among equals looks at both sides alike, so that the
// matches are the same in both directions: of two pairs that share a series, the other one's labels decide.
type matcher struct {
	removed, added []scrapetest.Series
	names          [2]map[string]bool // all metrics before and after
}

// rename is a metric that is gone and a new one.
type rename struct{ from, to string }

// renames pairs metrics that are gone with new ones that have the same labels and the same values. Labels that only one side has
// at all do not count: a rule for them has changed as well.
func (m *matcher) renames() []Rename {
	oneSided := m.oneSided()
	keyOf := func(s *scrapetest.Series) string {
		return string(s.Labels.BytesWithoutLabels(nil, oneSided...)) + "\xff" + last(s)
	}
	// By key: the series of each metric that only this side has.
	byKey, sizes := map[string][2]map[string][]*scrapetest.Series{}, [2]map[string]int{{}, {}}
	for side, list := range [2][]scrapetest.Series{m.removed, m.added} {
		for i := range list {
			name := list[i].Labels.Get(model.MetricNameLabel)
			if m.names[1-side][name] {
				continue
			}
			sizes[side][name]++
			key := keyOf(&list[i])
			if byKey[key][0] == nil {
				byKey[key] = [2]map[string][]*scrapetest.Series{{}, {}}
			}
			byKey[key][side][name] = append(byKey[key][side][name], &list[i])
		}
	}
	overlap, telling, seen := map[rename]int{}, map[rename]bool{}, 0
	for _, sides := range byKey {
		for from, gone := range sides[0] {
			for to, come := range sides[1] {
				if seen++; seen > maxPairs {
					return nil
				}
				value := last(gone[0])
				overlap[rename{from, to}] += min(len(gone), len(come))
				telling[rename{from, to}] = telling[rename{from, to}] || value != "0" && value != "1"
			}
		}
	}
	candidates := slices.Collect(maps.Keys(overlap))
	candidates = slices.DeleteFunc(candidates, func(p rename) bool {
		return 2*overlap[p] < max(sizes[0][p.from], sizes[1][p.to]) || !telling[p] && sharedWords(p.from, p.to) == 0
	})
	slices.SortFunc(candidates, func(a, b rename) int {
		return cmp.Or(cmp.Compare(overlap[b], overlap[a]), cmp.Compare(sharedWords(b.from, b.to), sharedWords(a.from, a.to)),
			cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	taken := [2]map[string]bool{{}, {}}
	var all []Rename
	var pairs []counterpart
	for _, p := range candidates {
		if taken[0][p.from] || taken[1][p.to] {
			continue
		}
		taken[0][p.from], taken[1][p.to] = true, true
		var of []counterpart
		for _, sides := range byKey {
			gone, come := sides[0][p.from], sides[1][p.to]
			for i := range min(len(gone), len(come)) {
				of = append(of, counterpart{gone[i], come[i]})
			}
		}
		all = append(all, Rename{From: p.from, To: p.to, Series: len(of), Changes: besidesName(of)})
		pairs = append(pairs, of...)
	}
	m.take(pairs)
	slices.SortFunc(all, func(a, b Rename) int { return cmp.Compare(a.From, b.From) })
	return all
}

// oneSided are the names, sorted, of labels that only removed or only added series have, and that of metrics.
func (m *matcher) oneSided() []string {
	var has [2]map[string]bool
	for side, list := range [2][]scrapetest.Series{m.removed, m.added} {
		has[side] = map[string]bool{}
		for i := range list {
			list[i].Labels.Range(func(l labels.Label) { has[side][l.Name] = true })
		}
	}
	names := []string{model.MetricNameLabel}
	for side := range has {
		for name := range has[side] {
			if !has[1-side][name] {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// besidesName are the labels that differ in any of the pairs.
func besidesName(pairs []counterpart) []LabelChange {
	var all []LabelChange
	for _, r := range group(pairs) {
		for _, c := range r.Changes {
			same := func(other LabelChange) bool { return other.Label == c.Label && other.Kind == c.Kind }
			if c.Label != model.MetricNameLabel && !slices.ContainsFunc(all, same) {
				all = append(all, c)
			}
		}
	}
	slices.SortFunc(all, compareChanges)
	return all
}

func compareChanges(a, b LabelChange) int {
	return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.Kind, b.Kind))
}

// take takes the series of pairs out of removed and added.
func (m *matcher) take(pairs []counterpart) {
	taken := map[string]bool{}
	for _, p := range pairs {
		taken[string(p.before.Labels.Bytes(nil))], taken[string(p.after.Labels.Bytes(nil))] = true, true
	}
	out := func(s scrapetest.Series) bool { return taken[string(s.Labels.Bytes(nil))] }
	m.removed, m.added = slices.DeleteFunc(slices.Clone(m.removed), out), slices.DeleteFunc(slices.Clone(m.added), out)
}

// sharedWords is how many of the words between underscores two names have in common.
func sharedWords(a, b string) int {
	words := map[string]bool{}
	for word := range strings.SplitSeq(a, "_") {
		words[word] = true
	}
	n := 0
	for word := range strings.SplitSeq(b, "_") {
		if words[word] {
			n++
			delete(words, word)
		}
	}
	return n
}

// Relabelling is a number of series of which the same labels are different.
type Relabelling struct {
	Changes []LabelChange `json:"changes"`
	Series  int           `json:"series"`
	Metrics int           `json:"metrics"`
	// Before and After are the first of the series.
	Before labels.Labels `json:"example_before"`
	After  labels.Labels `json:"example_after"`
}

// LabelChange is a label that is different. An empty value is no label.
type LabelChange struct {
	Label string `json:"label"`
	// Kind is added, removed or changed.
	Kind string `json:"kind"`
	// From and To are the values, where they are the same in all of the series; Several says that they are not.
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
	Several bool   `json:"several_values,omitempty"`
}

// counterpart is a series before and after.
type counterpart struct{ before, after *scrapetest.Series }

// relabellings pairs series of one metric whose labels are nearly the same.
func (m *matcher) relabellings() []Relabelling {
	byName := map[string][2][]*scrapetest.Series{}
	for side, list := range [2][]scrapetest.Series{m.removed, m.added} {
		for i := range list {
			name := list[i].Labels.Get(model.MetricNameLabel)
			sides := byName[name]
			sides[side] = append(sides[side], &list[i])
			byName[name] = sides
		}
	}
	var pairs []counterpart
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		pairs = append(pairs, pairUp(byName[name][0], byName[name][1])...)
	}
	m.take(pairs)
	return group(pairs)
}

// pairUp pairs the series of one metric. First those that are the same but for the labels whose values differ between the sides
// as a whole, which is what a change of a rule does; then the nearest.
func pairUp(before, after []*scrapetest.Series) []counterpart {
	if len(before) == 0 || len(after) == 0 {
		return nil
	}
	differing := differingLabels(before, after)
	groups := map[string][2][]*scrapetest.Series{}
	for side, list := range [2][]*scrapetest.Series{before, after} {
		for _, s := range list {
			key := string(s.Labels.BytesWithoutLabels(nil, differing...))
			sides := groups[key]
			sides[side] = append(sides[side], s)
			groups[key] = sides
		}
	}
	var pairs []counterpart
	var rest [2][]*scrapetest.Series
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		found, left, over := nearest(groups[key][0], groups[key][1])
		pairs = append(pairs, found...)
		rest[0], rest[1] = append(rest[0], left...), append(rest[1], over...)
	}
	found, _, _ := nearest(rest[0], rest[1])
	return append(pairs, found...)
}

// differingLabels are the names, sorted, of labels whose values are not the same before and after.
func differingLabels(before, after []*scrapetest.Series) []string {
	values := [2]map[string]map[string]bool{{}, {}}
	for side, list := range [2][]*scrapetest.Series{before, after} {
		for _, s := range list {
			s.Labels.Range(func(l labels.Label) {
				if values[side][l.Name] == nil {
					values[side][l.Name] = map[string]bool{}
				}
				values[side][l.Name][l.Value] = true
			})
		}
	}
	names := map[string]bool{}
	for side := range values {
		for name, set := range values[side] {
			if !maps.Equal(set, values[1-side][name]) {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// nearest pairs greedily by the number of labels that differ, and returns what is left. A pair has to have at least as many labels
// in common, with the name, as differ.
func nearest(before, after []*scrapetest.Series) (pairs []counterpart, left, over []*scrapetest.Series) {
	if len(before) == 0 || len(after) == 0 || len(before)*len(after) > maxPairs {
		return nil, before, after
	}
	type candidate struct {
		i, k, distance int
		sameValue      bool
	}
	var candidates []candidate
	for i, b := range before {
		for k, a := range after {
			equal, distance := compareLabels(b.Labels, a.Labels)
			if distance <= equal {
				candidates = append(candidates, candidate{i, k, distance, last(b) == last(a)})
			}
		}
	}
	slices.SortFunc(candidates, func(x, y candidate) int {
		value := 0
		if x.sameValue != y.sameValue {
			value = 1
			if x.sameValue {
				value = -1
			}
		}
		return cmp.Or(cmp.Compare(x.distance, y.distance), value, labels.Compare(before[x.i].Labels, before[y.i].Labels), labels.Compare(after[x.k].Labels, after[y.k].Labels))
	})
	taken := [2][]bool{make([]bool, len(before)), make([]bool, len(after))}
	for _, c := range candidates {
		if !taken[0][c.i] && !taken[1][c.k] {
			taken[0][c.i], taken[1][c.k] = true, true
			pairs = append(pairs, counterpart{before[c.i], after[c.k]})
		}
	}
	for i, s := range before {
		if !taken[0][i] {
			left = append(left, s)
		}
	}
	for i, s := range after {
		if !taken[1][i] {
			over = append(over, s)
		}
	}
	return pairs, left, over
}

// compareLabels counts the labels that are equal and that differ.
func compareLabels(a, b labels.Labels) (equal, different int) {
	a.Range(func(l labels.Label) {
		if b.Get(l.Name) == l.Value {
			equal++
			return
		}
		different++
	})
	b.Range(func(l labels.Label) {
		if !a.Has(l.Name) {
			different++
		}
	})
	return equal, different
}

// group puts pairs together in which the same labels are different.
func group(pairs []counterpart) []Relabelling {
	type members struct {
		Relabelling
		metrics map[string]bool
	}
	groups := map[string]*members{}
	for _, p := range pairs {
		changes := changesOf(p.before.Labels, p.after.Labels)
		key := ""
		for _, c := range changes {
			key += c.Label + "\xff" + c.Kind + "\xff"
		}
		g, ok := groups[key]
		if !ok {
			g = &members{Relabelling{Changes: changes, Before: p.before.Labels, After: p.after.Labels}, map[string]bool{}}
			groups[key] = g
		}
		for i := range changes {
			if c := &g.Changes[i]; c.From != changes[i].From || c.To != changes[i].To {
				*c = LabelChange{Label: c.Label, Kind: c.Kind, Several: true}
			}
		}
		if first(p.before.Labels, p.after.Labels, g.Before, g.After) {
			g.Before, g.After = p.before.Labels, p.after.Labels
		}
		g.Series++
		g.metrics[p.before.Labels.Get(model.MetricNameLabel)] = true
	}
	var all []Relabelling
	for _, g := range groups {
		g.Metrics = len(g.metrics)
		all = append(all, g.Relabelling)
	}
	sortRelabellings(all)
	return all
}

func sortRelabellings(all []Relabelling) {
	slices.SortFunc(all, func(a, b Relabelling) int {
		return cmp.Or(cmp.Compare(b.Series, a.Series), slices.CompareFunc(a.Changes, b.Changes, compareChanges))
	})
}

// first says whether a pair of series is before another, whichever of both is which side.
func first(a, b, c, d labels.Labels) bool {
	if labels.Compare(a, b) > 0 {
		a, b = b, a
	}
	if labels.Compare(c, d) > 0 {
		c, d = d, c
	}
	return cmp.Or(labels.Compare(a, c), labels.Compare(b, d)) < 0
}

func changesOf(before, after labels.Labels) []LabelChange {
	var changes []LabelChange
	before.Range(func(l labels.Label) {
		switch now := after.Get(l.Name); {
		case now == "":
			changes = append(changes, LabelChange{Label: l.Name, Kind: "removed", From: l.Value})
		case now != l.Value:
			changes = append(changes, LabelChange{Label: l.Name, Kind: "changed", From: l.Value, To: now})
		}
	})
	after.Range(func(l labels.Label) {
		if !before.Has(l.Name) {
			changes = append(changes, LabelChange{Label: l.Name, Kind: "added", To: l.Value})
		}
	})
	slices.SortFunc(changes, func(a, b LabelChange) int { return cmp.Compare(a.Label, b.Label) })
	return changes
}
