// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

// pageLabel is the target label that says which target a series came from, also where a page overrides job and instance.
const pageLabel = "page"

// instant is when a sample was taken, in a form that is equal on both sides: the ordinal of the scrape where its
// timestamp is exactly that scrape's, else the timestamp itself.
type instant struct {
	scrape    int   // 1 is the target's first scrape
	gone      bool  // the end-of-run stale markers of a target that left discovery
	timestamp int64 // milliseconds; set when neither of the above is
}

func (i instant) String() string {
	switch {
	case i.gone:
		return "when the target left"
	case i.scrape > 0:
		return fmt.Sprintf("scrape %d", i.scrape)
	default:
		return fmt.Sprintf("at %d ms", i.timestamp)
	}
}

// point is the value of a sample. Two points are the same when they are equal as Go values.
type point struct {
	bits      uint64 // math.Float64bits of a float
	histogram string // of a native histogram: its canonical form, which has every float's bits
}

func (p point) String() string {
	if p.histogram != "" {
		return p.histogram
	}
	f := math.Float64frombits(p.bits)
	if value.IsStaleNaN(f) {
		return "stale marker"
	}
	return fmt.Sprintf("%v (bits %016x)", f, p.bits)
}

func floatPoint(f float64) point { return point{bits: math.Float64bits(f)} }

// staleHistogram is the point of a stale marker in a series of native histograms: only its sum has a meaning.
const staleHistogram = "stale histogram"

// histogramPoint brings a histogram into a form that does not depend on how its buckets are laid out in spans, which
// TSDB changes freely, nor on the counter reset hint, which TSDB works out again. A gauge stays a gauge.
func histogramPoint(h *histogram.Histogram, fh *histogram.FloatHistogram) point {
	kind := "float histogram"
	if h != nil {
		kind, fh = "integer histogram", h.ToFloat(nil)
	}
	if value.IsStaleNaN(fh.Sum) {
		return point{histogram: staleHistogram}
	}
	if fh.CounterResetHint == histogram.GaugeType {
		kind = "gauge " + kind
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s schema=%d count=%s sum=%s zero=%s within %s", kind, fh.Schema,
		exactly(fh.Count), exactly(fh.Sum), exactly(fh.ZeroCount), exactly(fh.ZeroThreshold))
	buckets := func(sign string, spans []histogram.Span, counts []float64) {
		index, i := int32(0), 0
		for _, s := range spans {
			index += s.Offset
			for range s.Length {
				if counts[i] != 0 {
					fmt.Fprintf(&b, " %s%d:%s", sign, index, exactly(counts[i]))
				}
				index++
				i++
			}
		}
	}
	buckets("-", fh.NegativeSpans, fh.NegativeBuckets)
	buckets("+", fh.PositiveSpans, fh.PositiveBuckets)
	if len(fh.CustomValues) > 0 {
		fmt.Fprintf(&b, " bounds=%v", fh.CustomValues)
	}
	return point{histogram: b.String()}
}

// exactly formats a float so that different bits give different text; integers stay readable.
func exactly(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 && !(f == 0 && math.Signbit(f)) {
		return fmt.Sprint(int64(f))
	}
	return fmt.Sprintf("%v(%016x)", f, math.Float64bits(f))
}

// sampleKey and exemplarKey identify what is compared.
type sampleKey struct {
	series string // labels.Labels.String
	at     instant
}

type exemplarKey struct {
	series string
	labels string
	at     instant
	bits   uint64
}

// dataset is what one side stored, within the scrapes that are compared.
type dataset struct {
	series    map[string]labels.Labels
	samples   map[sampleKey]point
	exemplars map[exemplarKey]labels.Labels // of the series
}

func newDataset() dataset {
	return dataset{series: map[string]labels.Labels{}, samples: map[sampleKey]point{}, exemplars: map[exemplarKey]labels.Labels{}}
}

func (d dataset) add(ls labels.Labels, at instant, p point) {
	name := ls.String()
	d.series[name] = ls
	d.samples[sampleKey{name, at}] = p
}

// clock is the scrapes of one target as its `up` series has them.
type clock struct {
	scrapes map[int64]int // timestamp to ordinal
	last    int           // the highest ordinal
	gone    int64         // timestamp of the end-of-run stale markers, 0 if there are none
}

// readClocks returns every target's clock by its page label. arrivals returns when a target's scrapes arrived: a scrape
// has the ordinal of the first arrival that is not before its timestamp, so that the loss of one does not shift the rest.
func readClocks(ctx context.Context, store *prombackend.Backend, arrivals func(page string) []int64) (map[string]clock, error) {
	clocks := map[string]clock{}
	up := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "up")
	for s, err := range store.Series(ctx, math.MinInt64, math.MaxInt64, up) {
		if err != nil {
			return nil, err
		}
		name := s.Labels.Get(pageLabel)
		if _, twice := clocks[name]; twice {
			return nil, fmt.Errorf("two `up` series have %s=%q", pageLabel, name)
		}
		clocks[name] = newClock(s.Samples, arrivals(name))
	}
	return clocks, nil
}

func newClock(up []prombackend.Sample, arrivals []int64) clock {
	c := clock{scrapes: map[int64]int{}}
	for _, sample := range up {
		if value.IsStaleNaN(sample.F) {
			c.gone = sample.T
			continue
		}
		index, _ := slices.BinarySearch(arrivals, sample.T)
		c.last = index + 1
		c.scrapes[sample.T] = c.last
	}
	return c
}

// at translates a timestamp. Scrapes after the last page repeat it: they are outside of the comparison, and so is
// everything at their time, for which it returns false.
func (c clock) at(timestamp int64, pages int) (instant, bool) {
	if c.gone != 0 && timestamp == c.gone {
		return instant{gone: true}, true
	}
	if ordinal, found := c.scrapes[timestamp]; found {
		return instant{scrape: ordinal}, ordinal <= pages
	}
	return instant{timestamp: timestamp}, true
}

// readDataset reads everything that one side stored. pages has the number of pages by page label.
func readDataset(ctx context.Context, store *prombackend.Backend, pages map[string]int, arrivals func(page string) []int64) (dataset, error) {
	d := newDataset()
	clocks, err := readClocks(ctx, store, arrivals)
	if err != nil {
		return d, err
	}
	for s, err := range store.Series(ctx, math.MinInt64, math.MaxInt64) {
		if err != nil {
			return d, err
		}
		name := s.Labels.Get(pageLabel)
		for _, sample := range s.Samples {
			at, compared := clocks[name].at(sample.T, pages[name])
			if !compared {
				continue
			}
			p := floatPoint(sample.F)
			if sample.H != nil || sample.FH != nil {
				p = histogramPoint(sample.H, sample.FH)
			} else if s.Labels.Get(model.MetricNameLabel) == "scrape_duration_seconds" && !value.IsStaleNaN(sample.F) {
				p = floatPoint(0) // a measurement of time: each side has its own
			}
			d.add(s.Labels, at, p)
		}
	}
	results, err := store.Exemplars(ctx, math.MinInt64, math.MaxInt64)
	if err != nil {
		return d, err
	}
	for _, r := range results {
		name := r.SeriesLabels.Get(pageLabel)
		for _, e := range r.Exemplars {
			if at, compared := clocks[name].at(e.Ts, pages[name]); compared {
				d.exemplars[keyOf(r.SeriesLabels, e, at)] = r.SeriesLabels
			}
		}
	}
	return d, nil
}

func keyOf(series labels.Labels, e exemplar.Exemplar, at instant) exemplarKey {
	return exemplarKey{series: series.String(), labels: e.Labels.String(), at: at, bits: math.Float64bits(e.Value)}
}
