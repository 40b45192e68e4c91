// SPDX-License-Identifier: Apache-2.0

package cost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// Options say what a report is for.
type Options struct {
	// Plans are the price lists. The parts and labels are priced by the first.
	Plans []Plan
	// Runners is how many runners there are like this one.
	Runners int
	// PodLifetime is how long a pod lives, on average.
	PodLifetime time.Duration
}

// Report is what series cost in a month.
type Report struct {
	// Source says in words where the series are from.
	Source string `json:"source"`
	// Assumptions are what has to hold for the figures to hold.
	Assumptions []string `json:"assumptions"`
	// Runners is how many runners the figures are for.
	Runners int `json:"runners"`
	// Total is everything.
	Total Part `json:"total"`
	// Services is what everything costs, by price list.
	Services []Service `json:"services"`
	// Jobs, Components and Metrics are parts, the largest first; each adds up to Total. Their USD are a share of what everything
	// costs by the first of Services, and so are those of Labels.
	Jobs       []Part `json:"jobs,omitempty"`
	Components []Part `json:"components,omitempty"`
	Metrics    []Part `json:"metrics,omitempty"`
	// Tree are the metrics of each component.
	Tree []Branch `json:"tree,omitempty"`
	// Labels is what each label costs, the one that costs most first.
	Labels []Label `json:"labels,omitempty"`
	// Exceeded says what is above a budget.
	Exceeded []string `json:"budgets_exceeded,omitempty"`
}

// Part is a part of the series.
type Part struct {
	Name string `json:"name,omitempty"`
	// Series are the active ones at one time.
	Series int `json:"series"`
	// SeriesMonth are the different series of a month: those whose labels end with a pod are replaced with it.
	SeriesMonth float64 `json:"series_per_month"`
	// Samples a month.
	Samples float64 `json:"samples_per_month"`
	// BytesV1 and BytesV2 a month, compressed, by version of remote write; 0: not known.
	BytesV1 float64 `json:"bytes_per_month_v1"`
	BytesV2 float64 `json:"bytes_per_month_v2"`
	// USD a month.
	USD float64 `json:"usd_per_month"`
}

// Branch is a component with its metrics.
type Branch struct {
	Part
	Metrics []Part `json:"metrics"`
}

// Service is a price list with what all series cost by it.
type Service struct {
	Plan
	USD float64 `json:"usd_per_month"`
}

// Total is what all series cost by the first of the price lists, with the assumptions.
func Total(ctx context.Context, in Input, o Options) (Part, []string, error) {
	r, err := newReporter(ctx, in, o)
	if err != nil {
		return Part{}, nil, err
	}
	return r.part("", in.Series, r.every()), r.assumptions(), nil
}

func newReporter(ctx context.Context, in Input, o Options) (*reporter, error) {
	if len(o.Plans) == 0 || o.Runners < 1 || o.PodLifetime <= 0 {
		return nil, errors.New("a report needs a price list, a runner and a lifetime of pods")
	}
	r := &reporter{Input: in, Options: o, plan: &o.Plans[0]}
	r.all = r.plan.use(in.Series, o.Runners)
	return r, r.weigh(ctx)
}

// New makes a report.
func New(ctx context.Context, in Input, o Options) (*Report, error) {
	r, err := newReporter(ctx, in, o)
	if err != nil {
		return nil, err
	}
	report := &Report{Source: in.Source, Runners: o.Runners, Assumptions: r.assumptions(), Total: r.part("", in.Series, r.every())}
	for _, plan := range o.Plans {
		report.Services = append(report.Services, Service{Plan: plan, USD: plan.usd(plan.use(in.Series, o.Runners))})
	}
	report.Components = r.parts(component)
	if len(in.Series) > 0 && !in.Series[0].Labels.Has(model.MetricNameLabel) {
		return report, nil
	}
	family := families(in.Series)
	metric := func(ls labels.Labels) string { return family(ls.Get(model.MetricNameLabel)) }
	report.Jobs = r.parts(func(ls labels.Labels) string { return ls.Get(model.JobLabel) })
	report.Metrics = r.parts(metric)
	for _, c := range report.Components {
		report.Tree = append(report.Tree, Branch{c, r.partsOf(r.every(), func(ls labels.Labels) (string, bool) { return metric(ls), component(ls) == c.Name })})
	}
	report.Labels, err = r.labels(ctx, &report.Total)
	return report, err
}

type reporter struct {
	Input
	Options
	plan   *Plan
	all    use
	v1, v2 []float64 // bytes of a sample, by series
}

// weigh finds out what a sample of each series takes on the wire.
func (r *reporter) weigh(ctx context.Context) error {
	r.v1, r.v2 = make([]float64, len(r.Series)), make([]float64, len(r.Series))
	if r.BytesPerSample > 0 {
		for i := range r.Series {
			r.v1[i] = r.BytesPerSample
		}
		return nil
	}
	w, err := measure(ctx, r.Series)
	if err != nil {
		return fmt.Errorf("the bytes on the wire cannot be measured: %w", err)
	}
	raw := 0.0
	for _, bytes := range w.raw {
		raw += bytes
	}
	for i, bytes := range w.raw {
		r.v1[i], r.v2[i] = w.v1*bytes/raw, w.v2*bytes/raw
	}
	return nil
}

func (r *reporter) every() []int {
	every := make([]int, len(r.Series))
	for i := range every {
		every[i] = i
	}
	return every
}

// part sums up series. index says which of all series each is.
func (r *reporter) part(name string, series []Series, index []int) Part {
	p := Part{Name: name}
	n := float64(r.Runners)
	for i := range series {
		s := &series[i]
		samples := s.PerSecond * monthSeconds
		p.Series += s.Count
		p.SeriesMonth += float64(s.Count) * r.lives(s.Labels)
		p.Samples += samples
		p.BytesV1 += samples * r.v1[index[i]]
		p.BytesV2 += samples * r.v2[index[i]]
	}
	p.Series *= r.Runners
	p.SeriesMonth, p.Samples, p.BytesV1, p.BytesV2 = p.SeriesMonth*n, p.Samples*n, p.BytesV1*n, p.BytesV2*n
	p.USD = r.plan.share(r.plan.use(series, r.Runners), r.all) * r.plan.usd(r.all)
	return p
}

// lives is how many series a series becomes in a month.
func (r *reporter) lives(ls labels.Labels) float64 {
	ending := false
	ls.Range(func(l labels.Label) { ending = ending || ends(l.Value, r.Bound) })
	if !ending {
		return 1
	}
	return max(1, monthSeconds/r.PodLifetime.Seconds())
}

func (r *reporter) parts(key func(labels.Labels) string) []Part {
	return r.partsOf(r.every(), func(ls labels.Labels) (string, bool) { return key(ls), true })
}

// partsOf sums up by key, the part with most samples first.
func (r *reporter) partsOf(index []int, key func(labels.Labels) (string, bool)) []Part {
	groups := map[string][]int{}
	for _, i := range index {
		if k, in := key(r.Series[i].Labels); in {
			groups[k] = append(groups[k], i)
		}
	}
	parts := make([]Part, 0, len(groups))
	for name, members := range groups {
		series := make([]Series, len(members))
		for i, member := range members {
			series[i] = r.Series[member]
		}
		parts = append(parts, r.part(name, series, members))
	}
	slices.SortFunc(parts, func(a, b Part) int { return cmp.Or(cmp.Compare(b.Samples, a.Samples), cmp.Compare(a.Name, b.Name)) })
	return parts
}

// assumptions is what has to hold, in the order of its importance.
func (r *reporter) assumptions() []string {
	all := []string{
		"The series of one moment stay for a month of 30.4375 days (730.5 hours), and every scrape succeeds.",
		fmt.Sprintf("Prices were read on %s and are list prices without tax, discounts, free tiers and base fees; see docs/prices.md.", PricesRead),
	}
	if r.plan.ID == Own {
		all[1] = "The price is your own. A native histogram counts as one sample."
	}
	if r.Runners > 1 {
		all = append(all, fmt.Sprintf("All %d runners are like this one, and on one bill.", r.Runners))
	}
	if len(r.Bound) > 0 {
		all = append(all, fmt.Sprintf("A pod lives %s (--pod-lifetime): then its name (unless it is of a StatefulSet), address and UID are new, and so are the series that have one of them as a label. No service here bills such a change, but their limits and indexes count it.", model.Duration(r.PodLifetime)))
	}
	if len(r.Bound) == 0 {
		all = append(all, "Nothing is known of pods: the series of a month are those that are active.")
	}
	if r.BytesPerSample > 0 {
		all = append(all, "Bytes are what the collector has sent for a sample so far, repeated attempts with it.")
	} else {
		all = append(all, "Bytes are measured with the exporter's encoders, on one sample of every series in requests of 10,000, compressed, without the texts of HELP. A part has the share that it has before compression.")
	}
	for _, a := range r.plan.Assumptions {
		all = append(all, r.plan.Name+": "+a)
	}
	return append(all, r.Notes...)
}
