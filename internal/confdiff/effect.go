// SPDX-License-Identifier: Apache-2.0

package confdiff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// Effect is what a query finds less, or more.
type Effect struct {
	Query
	Losses []Finds `json:"losses,omitempty"`
	Gains  []Finds `json:"gains,omitempty"`
}

// Finds is what a selector of a query finds on both sides.
type Finds struct {
	Selector string `json:"selector"`
	// Label is set where it is about series that have a label which the query groups or joins by, or shows.
	Label string `json:"label,omitempty"`
	// Before and After are numbers of series.
	Before int `json:"before"`
	After  int `json:"after"`
	// Through is the recording rule whose metric the selector asks for, where the rule is what finds less or more.
	Through string `json:"through,omitempty"`
	// Reason says why, as far as it shows.
	Reason string `json:"reason,omitempty"`
}

// Data says that nothing is left, or that there was nothing before.
func (f *Finds) Data() bool { return f.Before == 0 || f.After == 0 }

// queries compares what each query finds.
func (d *Diff) queries(before, after []scrapetest.Series, queries []Query) {
	e := &evaluator{diff: d, sides: [2][]scrapetest.Series{before, after}, recorded: map[string][]int{}, queries: queries, done: make([]*Effect, len(queries)), busy: make([]bool, len(queries))}
	for i := range queries {
		if queries[i].Kind == Recording {
			e.recorded[queries[i].Name] = append(e.recorded[queries[i].Name], i)
		}
	}
	d.QueriesRead = len(queries)
	for i := range queries {
		if q := &queries[i]; q.Err != "" {
			d.Unread = append(d.Unread, fmt.Sprintf("%s: %s: %s", q.place(), q.Name, q.Err))
		}
		if effect := e.effect(i); len(effect.Losses)+len(effect.Gains) > 0 {
			d.Queries = append(d.Queries, *effect)
		}
	}
}

type evaluator struct {
	diff     *Diff
	sides    [2][]scrapetest.Series
	queries  []Query
	recorded map[string][]int // recording rules by metric
	done     []*Effect
	busy     []bool
}

// effect is that of a query, once found out.
func (e *evaluator) effect(i int) *Effect {
	if e.done[i] != nil {
		return e.done[i]
	}
	if e.busy[i] {
		return &Effect{} // a rule that records what it reads
	}
	e.busy[i] = true
	q := &e.queries[i]
	effect := &Effect{Query: *q}
	for k := range q.selectors {
		s := &q.selectors[k]
		found := [2][]scrapetest.Series{find(e.sides[0], s.matchers), find(e.sides[1], s.matchers)}
		if len(found[0])+len(found[1]) == 0 {
			e.through(effect, s)
			continue
		}
		e.compare(effect, s, found)
	}
	e.done[i] = effect
	return effect
}

func find(series []scrapetest.Series, matchers []*labels.Matcher) []scrapetest.Series {
	var found []scrapetest.Series
next:
	for i := range series {
		for _, m := range matchers {
			if !m.Matches(series[i].Labels.Get(m.Name)) {
				continue next
			}
		}
		found = append(found, series[i])
	}
	return found
}

// through takes over what the rules have lost or gained that record the metric of a selector.
func (e *evaluator) through(effect *Effect, s *selector) {
	name := s.metric()
	for _, i := range e.recorded[name] {
		rule := e.effect(i)
		for _, loss := range rule.Losses {
			loss.Through = name
			effect.Losses = append(effect.Losses, loss)
		}
		for _, gain := range rule.Gains {
			gain.Through = name
			effect.Gains = append(effect.Gains, gain)
		}
	}
}

func (e *evaluator) compare(effect *Effect, s *selector, found [2][]scrapetest.Series) {
	f := Finds{Selector: s.String(), Before: len(found[0]), After: len(found[1])}
	switch {
	case f.After < f.Before:
		f.Reason = e.reason(s, f.After, 1)
		effect.Losses = append(effect.Losses, f)
	case f.After > f.Before:
		f.Reason = e.reason(s, f.Before, 0)
		effect.Gains = append(effect.Gains, f)
	}
	if f.Data() {
		return // labels of nothing
	}
	for _, name := range s.needs {
		l := Finds{Selector: f.Selector, Label: name, Before: having(found[0], name), After: having(found[1], name)}
		switch {
		case l.After == 0 && l.Before > 0:
			effect.Losses = append(effect.Losses, l)
		case l.Before == 0 && l.After > 0:
			effect.Gains = append(effect.Gains, l)
		}
	}
}

func having(series []scrapetest.Series, label string) int {
	n := 0
	for i := range series {
		if series[i].Labels.Has(label) {
			n++
		}
	}
	return n
}

// reason says why a selector finds nothing on a side.
func (e *evaluator) reason(s *selector, found, side int) string {
	if found > 0 {
		return ""
	}
	name := s.metric()
	if name == "" {
		return ""
	}
	for _, r := range e.diff.Renamed {
		switch {
		case side == 1 && r.From == name:
			return "it is called " + r.To + " now"
		case side == 0 && r.To == name:
			return "it was called " + r.From
		}
	}
	of := find(e.sides[side], []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, name)})
	if len(of) == 0 {
		if side == 1 {
			return "the metric is not delivered any more"
		}
		return "the metric was not delivered"
	}
	var unmet []string
	for _, m := range s.matchers {
		if !slices.ContainsFunc(of, func(series scrapetest.Series) bool { return m.Matches(series.Labels.Get(m.Name)) }) {
			unmet = append(unmet, m.String())
		}
	}
	if len(unmet) == 0 {
		return ""
	}
	if side == 0 {
		return "none of its series had " + strings.Join(unmet, " or ")
	}
	return "none of its series has " + strings.Join(unmet, " or ") + " any more"
}
