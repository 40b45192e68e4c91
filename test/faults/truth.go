// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

// sample is a sample as it is compared: series is its id, text its value.
type sample struct {
	series string
	t      int64 // milliseconds since the epoch
	text   string
}

func (s sample) String() string { return fmt.Sprintf("%s at %d: %s", s.series, s.t, s.text) }

// seriesOf returns the id of a series: its name and the label that tells the pushed series apart.
func seriesOf(ls labels.Labels) string { return ls.Get(model.MetricNameLabel) + "/" + ls.Get(idLabel) }

func floatText(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// histogramText stands for a native histogram: how its buckets are converted is tested elsewhere.
func histogramText(count, sum float64) string {
	return "histogram of " + floatText(count) + ", sum " + floatText(sum)
}

// truth is what has to be stored: the samples that the collector has acknowledged. It is safe for concurrent use.
type truth struct {
	mu      sync.Mutex // guards samples
	samples map[string]map[int64]string
}

func newTruth() *truth { return &truth{samples: map[string]map[int64]string{}} }

func (t *truth) add(samples ...sample) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range samples {
		if t.samples[s.series] == nil {
			t.samples[s.series] = map[int64]string{}
		}
		t.samples[s.series][s.t] = s.text
	}
}

// forget says that samples need not be stored, and must not.
func (t *truth) forget(samples ...sample) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range samples {
		delete(t.samples[s.series], s.t)
	}
}

// difference is what a comparison found.
type difference struct {
	stored         int
	missing, wrong []string
}

// compare looks for each sample in a store. Samples that nobody pushed, and those with another value, are wrong.
func (t *truth) compare(ctx context.Context, store *prombackend.Backend) (difference, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var d difference
	left := map[string]map[int64]string{}
	for id, samples := range t.samples {
		left[id] = maps.Clone(samples)
	}
	for series, err := range store.Series(ctx, math.MinInt64, math.MaxInt64) {
		if err != nil {
			return d, err
		}
		id := seriesOf(series.Labels)
		for _, s := range series.Samples {
			got := sample{series: id, t: s.T, text: storedText(s)}
			text, pushed := t.samples[id][s.T]
			_, unseen := left[id][s.T]
			switch {
			case !pushed:
				d.wrong = append(d.wrong, got.String()+", which nobody pushed")
			case text != got.text:
				d.wrong = append(d.wrong, got.String()+" instead of "+text)
			case !unseen:
				d.wrong = append(d.wrong, got.String()+", which is stored in another series too")
			default:
				d.stored++
			}
			delete(left[id], s.T)
		}
	}
	for id, samples := range left {
		for at, text := range samples {
			d.missing = append(d.missing, sample{id, at, text}.String())
		}
	}
	slices.Sort(d.missing)
	return d, nil
}

func storedText(s prombackend.Sample) string {
	switch {
	case s.H != nil:
		return histogramText(float64(s.H.Count), s.H.Sum)
	case s.FH != nil:
		return histogramText(s.FH.Count, s.FH.Sum)
	default:
		return floatText(s.F)
	}
}
