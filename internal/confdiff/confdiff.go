// SPDX-License-Identifier: Apache-2.0

// Package confdiff compares what two configurations deliver from the same scene: series, targets, drops, what dashboards and
// rules find, and what it costs. Everything is compared as delivered; the configurations themselves are not.
//
// A comparison is symmetric: that of (b, a) is that of (a, b) with before and after exchanged.
package confdiff

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/cost"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// Side is what one configuration delivers, at one time.
type Side struct {
	// Name is the configuration's.
	Name string
	// Result is the run on the scene, At the time after the first scrape that is looked at. The run has to have lasted so long.
	Result *scrapetest.Result
	At     time.Duration
}

// Diff is what has changed. Lists are sorted. Labels are those of delivered series, the metric's name among them.
type Diff struct {
	Old string `json:"old"`
	New string `json:"new"`
	// Before and After are the numbers of series.
	Before int `json:"series_before"`
	After  int `json:"series_after"`
	// Added and Removed are series that have no counterpart on the other side.
	Added   []labels.Labels `json:"added"`
	Removed []labels.Labels `json:"removed"`
	// Renamed are metrics that have another name, with the same labels and values.
	Renamed []Rename `json:"renamed"`
	// Relabelled are series of which some labels are different, by what is different.
	Relabelled []Relabelling `json:"relabelled"`
	// Values are series on both sides whose last values differ, and Intervals those that are scraped more or less often.
	Values    []ValueChange    `json:"values"`
	Intervals []IntervalChange `json:"intervals"`
	Targets   TargetChanges    `json:"targets"`
	// Drops are the reasons for which runner processors drop more or fewer points.
	Drops []Drop `json:"drops"`
	// Queries are those of dashboards and rules that find less or more. Unread are those that could not be read, with the reason.
	Queries []Effect `json:"queries"`
	Unread  []string `json:"queries_unread,omitempty"`
	// QueriesRead is how many there were.
	QueriesRead int  `json:"queries_read"`
	Cost        Cost `json:"cost"`
}

// Rename is a metric with another name.
type Rename struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Series int    `json:"series"`
	// Changes are labels that only one side has at all.
	Changes []LabelChange `json:"changes,omitempty"`
}

// ValueChange is a series with another value.
type ValueChange struct {
	Series labels.Labels `json:"series"`
	Before string        `json:"before"`
	After  string        `json:"after"`
}

// IntervalChange is how many series have another interval.
type IntervalChange struct {
	Before model.Duration `json:"before"`
	After  model.Duration `json:"after"`
	Series int            `json:"series"`
}

// Drop is how many points are dropped for a reason.
type Drop struct {
	Reason string `json:"reason"`
	Before int64  `json:"before"`
	After  int64  `json:"after"`
}

// Cost is what both sides cost.
type Cost struct {
	// Assumptions are what has to hold for the figures to hold.
	Assumptions []string  `json:"assumptions"`
	Before      cost.Part `json:"before"`
	After       cost.Part `json:"after"`
	// Service is the price list.
	Service string `json:"service"`
}

// New compares. Queries are those of dashboards and rules.
func New(ctx context.Context, before, after Side, queries []Query, prices cost.Options) (*Diff, error) {
	live := [2][]scrapetest.Series{before.Result.Live(before.At), after.Result.Live(after.At)}
	d := &Diff{Old: before.Name, New: after.Name, Before: len(live[0]), After: len(live[1])}
	d.series(live[0], live[1])
	d.Targets = targets(before.Result.Targets(before.At), after.Result.Targets(after.At))
	d.drops(before.Result.Drops(before.At), after.Result.Drops(after.At))
	d.queries(live[0], live[1], queries)
	d.redact()
	return d, d.cost(ctx, before, after, prices)
}

// Changed says whether anything is different.
func (d *Diff) Changed() bool {
	return len(d.Added)+len(d.Removed)+len(d.Renamed)+len(d.Relabelled)+len(d.Values)+len(d.Intervals)+len(d.Drops)+len(d.Queries) > 0 || d.Targets.changed()
}

// Losses are the queries that find less than before.
func (d *Diff) Losses() []Effect {
	return slices.DeleteFunc(slices.Clone(d.Queries), func(e Effect) bool { return len(e.Losses) == 0 })
}

// series sorts all series into Added, Removed, Renamed, Relabelled and Values.
func (d *Diff) series(before, after []scrapetest.Series) {
	var removed, added []scrapetest.Series
	byLabels := make(map[string]*scrapetest.Series, len(after))
	for i := range after {
		byLabels[string(after[i].Labels.Bytes(nil))] = &after[i]
	}
	both := map[string]bool{}
	for i := range before {
		key := string(before[i].Labels.Bytes(nil))
		now, ok := byLabels[key]
		if !ok {
			removed = append(removed, before[i])
			continue
		}
		both[key] = true
		if was, is := last(&before[i]), last(now); was != is {
			d.Values = append(d.Values, ValueChange{before[i].Labels, was, is})
		}
	}
	for i := range after {
		if !both[string(after[i].Labels.Bytes(nil))] {
			added = append(added, after[i])
		}
	}
	m := &matcher{removed: removed, added: added, names: [2]map[string]bool{namesOf(before), namesOf(after)}}
	d.Renamed = m.renames()
	d.Relabelled = m.relabellings()
	d.Removed, d.Added = labelsOf(m.removed), labelsOf(m.added)
}

func labelsOf(series []scrapetest.Series) []labels.Labels {
	all := make([]labels.Labels, len(series))
	for i := range series {
		all[i] = series[i].Labels
	}
	return all
}

func namesOf(series []scrapetest.Series) map[string]bool {
	names := map[string]bool{}
	for i := range series {
		names[series[i].Labels.Get(model.MetricNameLabel)] = true
	}
	return names
}

// last is the last value of a series as text. NaN equals NaN.
func last(s *scrapetest.Series) string {
	sample := &s.Samples[len(s.Samples)-1]
	switch {
	case sample.H != nil:
		return sample.H.String()
	case math.IsNaN(sample.F):
		return "NaN"
	}
	return strconv.FormatFloat(sample.F, 'g', -1, 64)
}

func (d *Diff) drops(before, after map[string]int64) {
	reasons := map[string]bool{}
	for reason := range before {
		reasons[reason] = true
	}
	for reason := range after {
		reasons[reason] = true
	}
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		if before[reason] != after[reason] {
			d.Drops = append(d.Drops, Drop{reason, before[reason], after[reason]})
		}
	}
}

// cost prices both sides, and compares their intervals.
func (d *Diff) cost(ctx context.Context, before, after Side, prices cost.Options) error {
	inputs := [2]cost.Input{cost.FromResult(before.Result, before.At), cost.FromResult(after.Result, after.At)}
	d.Cost.Service = prices.Plans[0].Name
	for i, part := range []*cost.Part{&d.Cost.Before, &d.Cost.After} {
		total, assumptions, err := cost.Total(ctx, inputs[i], prices)
		if err != nil {
			return err
		}
		*part = total
		for _, a := range assumptions {
			if !slices.Contains(d.Cost.Assumptions, a) {
				d.Cost.Assumptions = append(d.Cost.Assumptions, a)
			}
		}
	}
	d.intervals(inputs[0].Series, inputs[1].Series)
	return nil
}

func (d *Diff) intervals(before, after []cost.Series) {
	rates := make(map[string]float64, len(before))
	for i := range before {
		rates[string(before[i].Labels.Bytes(nil))] = before[i].PerSecond
	}
	counts := map[[2]model.Duration]int{}
	for i := range after {
		if was, ok := rates[string(after[i].Labels.Bytes(nil))]; ok && was != after[i].PerSecond {
			counts[[2]model.Duration{interval(was), interval(after[i].PerSecond)}]++
		}
	}
	for pair, n := range counts {
		d.Intervals = append(d.Intervals, IntervalChange{pair[0], pair[1], n})
	}
	slices.SortFunc(d.Intervals, func(a, b IntervalChange) int {
		return cmp.Or(cmp.Compare(a.Before, b.Before), cmp.Compare(a.After, b.After))
	})
}

func interval(perSecond float64) model.Duration {
	return model.Duration(time.Duration(float64(time.Second) / perSecond).Round(time.Millisecond))
}
