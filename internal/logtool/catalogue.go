// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"cmp"
	"context"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/record"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// maxInMemory is how many samples are sorted at a time: a log is larger than what memory should hold. With more, the log is read
// several times.
const maxInMemory = 1_000_000

// catalogue is what a first pass finds: how much there is of what, so that the next ones can take a part each.
type catalogue struct {
	series  []catalogued // by the number of the reader
	samples uint64
	minutes map[int64]uint64 // samples by the minute, since the epoch, of their time
}

// catalogued is a series.
type catalogued struct {
	labels  labels.Labels
	name    string
	kind    model.MetricType
	unit    string
	help    string
	samples uint64
}

const minute = 60_000 // milliseconds

// minuteOf is the minute of a time, in milliseconds, also before the epoch.
func minuteOf(t int64) int64 {
	if t < 0 {
		return (t+1)/minute - 1
	}
	return t / minute
}

func (r *Reader) catalogue(ctx context.Context) (*catalogue, error) {
	c := &catalogue{minutes: map[int64]uint64{}}
	err := r.Each(func(s *Sample) error {
		if s.series == len(c.series) {
			c.series = append(c.series, catalogued{labels: s.Labels, name: s.Labels.Get(model.MetricNameLabel)})
		}
		x := &c.series[s.series]
		x.samples++
		if x.kind == "" {
			x.kind, x.unit, x.help = record.ToMetricType(s.meta.Type), s.view.Text(s.meta.Unit), s.view.Text(s.meta.Help)
		}
		c.samples++
		c.minutes[minuteOf(s.T)]++
		return everyNow(ctx, c.samples)
	})
	return c, err
}

// everyNow tells whether a context has ended, now and then.
func everyNow(ctx context.Context, n uint64) error {
	if n%4096 == 0 {
		return ctx.Err()
	}
	return nil
}

// collected is a sample that is kept for sorting.
type collected struct {
	series int
	samplelog.Sample
}

// collect returns the samples that keep wants, in the order of the log.
func (r *Reader) collect(ctx context.Context, size uint64, keep func(series int, t int64) bool) ([]collected, error) {
	kept := make([]collected, 0, size)
	n := uint64(0)
	err := r.Each(func(s *Sample) error {
		if n++; keep(s.series, s.T) {
			kept = append(kept, collected{s.series, s.Sample})
		}
		return everyNow(ctx, n)
	})
	return kept, err
}

// sortSeries puts samples in the order of their series' ranks, then of time. Those of one time stay in the order of the log.
func sortSeries(samples []collected, rank []int) {
	slices.SortStableFunc(samples, func(a, b collected) int {
		return cmp.Or(cmp.Compare(rank[a.series], rank[b.series]), cmp.Compare(a.T, b.T))
	})
}

// ranks returns the place of each series when they are sorted by name and labels.
func (c *catalogue) ranks() (order, rank []int) {
	order = make([]int, len(c.series))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(c.series[a].name, c.series[b].name), labels.Compare(c.series[a].labels, c.series[b].labels))
	})
	rank = make([]int, len(order))
	for place, i := range order {
		rank[i] = place
	}
	return order, rank
}

// dropRepeats leaves of each series, whose samples are neighbours, one sample of each time: the first in the order of the log, as a
// Prometheus server would.
func dropRepeats(samples []collected) (left []collected, repeated uint64) {
	left = samples[:0]
	for i := range samples {
		if n := len(left); n > 0 && left[n-1].series == samples[i].series && left[n-1].T == samples[i].T {
			repeated++
			continue
		}
		left = append(left, samples[i])
	}
	return left, repeated
}

// IsStale says whether a sample is a stale marker.
func IsStale(s *samplelog.Sample) bool {
	switch {
	case s.H != nil:
		return value.IsStaleNaN(s.H.Sum)
	case s.FH != nil:
		return value.IsStaleNaN(s.FH.Sum)
	default:
		return value.IsStaleNaN(s.V)
	}
}
