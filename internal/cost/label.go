// SPDX-License-Identifier: Apache-2.0

package cost

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// Label is what a label costs, or several together.
type Label struct {
	// Name is the label; of several: instance + pod.
	Name string `json:"name"`
	// Values is how many values it has, Series how many series have it.
	Values int `json:"values"`
	Series int `json:"series"`
	// EndsWithPod says that some of its values are those of a pod that is replaced.
	EndsWithPod bool `json:"ends_with_pod,omitempty"`
	// Constant says that all series have it with the same value. It may be what tells this runner from others.
	Constant bool `json:"constant,omitempty"`
	// Without is everything if no series had the label, and those that it alone told apart were summed up to one.
	Without Part `json:"without"`
	// Colliding are the series that only this label tells apart. Where the label is dropped and they are not summed up, several
	// samples have the same series and time: the receiver keeps one of them and loses or refuses the others.
	Colliding int `json:"colliding_series"`
	// Saved is the part of the samples that would be saved, from 0 to 1; SavedBytes that of the bytes with remote write 1.0.
	Saved      float64 `json:"saved_samples"`
	SavedBytes float64 `json:"saved_bytes"`
	SavedUSD   float64 `json:"saved_usd_per_month"`
}

// Note is what else to know of it; may be empty.
func (l *Label) Note() string {
	switch {
	case l.EndsWithPod:
		return "new with each pod"
	case l.Name == model.BucketLabel || l.Name == model.QuantileLabel:
		return "part of a histogram or summary"
	case l.Constant:
		return "may tell runners apart"
	}
	return ""
}

func (r *reporter) labels(ctx context.Context, total *Part) ([]Label, error) {
	values := map[string]map[string]int{}
	for i := range r.Series {
		r.Series[i].Labels.Range(func(l labels.Label) {
			if values[l.Name] == nil {
				values[l.Name] = map[string]int{}
			}
			values[l.Name][l.Value]++
		})
	}
	delete(values, model.MetricNameLabel)
	var all []Label
	var ending []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		l := Label{Name: name, Values: len(values[name])}
		for value, n := range values[name] {
			l.Series += n * r.Runners
			l.EndsWithPod = l.EndsWithPod || ends(value, r.Bound)
		}
		l.Constant = l.Values == 1 && l.Series == total.Series
		if l.EndsWithPod {
			ending = append(ending, name)
		}
		if err := r.without(ctx, &l, total, name); err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	if len(ending) > 1 {
		// Each of them tells pods apart, so that none seems to cost anything.
		l := Label{Name: strings.Join(ending, " + "), EndsWithPod: true}
		l.Values, l.Series = r.having(ending)
		if err := r.without(ctx, &l, total, ending...); err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Label) int {
		return cmp.Or(cmp.Compare(b.Saved, a.Saved), cmp.Compare(b.SavedBytes, a.SavedBytes), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}

// having is how many combinations of values the labels have, and how many series have one of them.
func (r *reporter) having(names []string) (combinations, series int) {
	seen := map[string]bool{}
	for i := range r.Series {
		with := r.Series[i].Labels.BytesWithLabels(nil, names...)
		if len(with) > len(labels.EmptyLabels().Bytes(nil)) {
			seen[string(with)] = true
			series += r.Series[i].Count * r.Runners
		}
	}
	return len(seen), series
}

// without merges the series that only the labels tell apart.
func (r *reporter) without(ctx context.Context, l *Label, total *Part, names ...string) error {
	type group struct {
		series  Series
		members int
	}
	groups := map[string]*group{}
	var order []*group
	builder := labels.NewBuilder(labels.EmptyLabels())
	var key []byte
	for i := range r.Series {
		s := &r.Series[i]
		key = s.Labels.BytesWithoutLabels(key, names...)
		g, ok := groups[string(key)]
		if !ok {
			builder.Reset(s.Labels)
			builder.Del(names...)
			g = &group{series: *s}
			g.series.Labels = builder.Labels()
			groups[string(key)] = g
			order = append(order, g)
		}
		g.members++
		g.series.PerSecond = max(g.series.PerSecond, s.PerSecond)
		g.series.Buckets = max(g.series.Buckets, s.Buckets)
		g.series.EmptyBucket = g.series.EmptyBucket && s.EmptyBucket
	}
	left := make([]Series, len(order))
	index := make([]int, len(order))
	for i, g := range order {
		left[i], index[i] = g.series, i
		if g.members > 1 {
			l.Colliding += g.members * r.Runners
		}
	}
	after := reporter{Input: r.Input, Options: r.Options, plan: r.plan}
	after.Series = left
	if err := after.weigh(ctx); err != nil {
		return err
	}
	after.all = r.plan.use(left, r.Runners)
	l.Without = after.part("", left, index)
	if total.Samples > 0 {
		l.Saved = 1 - l.Without.Samples/total.Samples
	}
	if total.BytesV1 > 0 {
		l.SavedBytes = 1 - l.Without.BytesV1/total.BytesV1
	}
	l.SavedUSD = total.USD - l.Without.USD
	return nil
}
