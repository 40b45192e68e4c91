// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

// shown is how many findings are listed.
const shown = 10

// reports are the series that the receiver adds to each scrape. Their values are not the target's.
var reports = []string{
	"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added",
}

// storedSeries is one series in a backend.
type storedSeries struct {
	labels labels.Labels
	values []uint64 // bits, in the order of time, without stale markers
}

// comparison is of what two paths stored of the same targets.
type comparison struct {
	targets *targets
	// explained are the differences that are known and meant, other what is different beside them.
	explained, other []string
}

func (c *comparison) explain(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.explained, text) {
		c.explained = append(c.explained, text)
	}
}

func (c *comparison) differ(format string, args ...any) {
	c.other = append(c.other, fmt.Sprintf(format, args...))
}

func (c *comparison) err() error {
	if len(c.other) == 0 {
		return nil
	}
	return fmt.Errorf("%d differences that nothing explains:\n%s", len(c.other), strings.Join(c.other[:min(shown, len(c.other))], "\n"))
}

// compare compares series by series, and both with what the targets served.
func (c *comparison) compare(ctx context.Context, old, new *path) error {
	before, err := old.series(ctx)
	if err != nil {
		return err
	}
	after, err := new.series(ctx)
	if err != nil {
		return err
	}
	c.complete(new, after)
	collapsed := instances(before) < instances(after)
	if collapsed {
		c.collapse(before, after)
	} else {
		c.complete(old, before)
	}
	was, is := c.keys(before, false), c.keys(after, collapsed)
	for _, key := range slices.Sorted(maps.Keys(was)) {
		if _, found := is[key]; !found {
			c.differ("only over NATS: %s", was[key].labels)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(is)) {
		a, found := was[key]
		if found {
			c.format(a, is[key])
		}
		switch {
		case !found:
			c.differ("only without NATS: %s", is[key].labels)
		case !collapsed && !isReport(a.labels) && !samePrefix(a.values, is[key].values):
			c.differ("other values: %s", a.labels)
		}
	}
	return nil
}

// complete looks whether everything is stored that the targets served to the path.
func (c *comparison) complete(p *path, stored []storedSeries) {
	served := map[string]int{}
	for _, s := range c.targets.of(p.asked) {
		served[s.target]++
	}
	for _, s := range stored {
		target, _, _ := strings.Cut(s.labels.Get(model.InstanceLabel), ":")
		if n := len(s.values); !isReport(s.labels) && n != served[target] {
			c.differ("%s stored %d samples of the %d that were served: %s", p.asked, n, served[target], s.labels)
		}
	}
}

// collapse explains what the old path did when it put the organization in the place of the target.
func (c *comparison) collapse(before, after []storedSeries) {
	c.explain("label instance: the old path put the organization there, so that pods of a component that no other label tells apart were one series, "+
		"in which each wrote its samples among the others' (%d series were %d); ours keeps the target, and RUNNER_INSTANCE=organization is as it was",
		len(after), len(before))
}

// format explains how numbers in labels are written.
func (c *comparison) format(before, after storedSeries) {
	for _, name := range []string{model.BucketLabel, model.QuantileLabel} {
		if was, is := before.labels.Get(name), after.labels.Get(name); was != is {
			c.explain("label %s: %s over NATS is %s now, as Prometheus itself writes it; the converter of OpenTelemetry drops a number's form", name, was, is)
		}
	}
}

// keys returns the series by their labels, as they would be without the differences that are explained.
func (c *comparison) keys(stored []storedSeries, collapsed bool) map[string]storedSeries {
	out := make(map[string]storedSeries, len(stored))
	for _, s := range stored {
		b := labels.NewBuilder(s.labels)
		if collapsed {
			b.Set(model.InstanceLabel, "acme")
		}
		for _, name := range []string{model.BucketLabel, model.QuantileLabel} {
			if number, err := strconv.ParseFloat(s.labels.Get(name), 64); err == nil {
				b.Set(name, labels.FormatOpenMetricsFloat(number))
			}
		}
		out[b.Labels().String()] = s
	}
	return out
}

func instances(stored []storedSeries) int {
	seen := map[string]struct{}{}
	for _, s := range stored {
		seen[s.labels.Get(model.InstanceLabel)] = struct{}{}
	}
	return len(seen)
}

func isReport(l labels.Labels) bool { return slices.Contains(reports, l.Get(model.MetricNameLabel)) }

// samePrefix says whether one begins like the other. A path that was started later was served less.
func samePrefix(a, b []uint64) bool {
	n := min(len(a), len(b))
	return slices.Equal(a[:n], b[:n])
}

// series reads what the backend of the path has, after it has ended.
func (p *path) series(ctx context.Context) (out []storedSeries, err error) {
	store, err := prombackend.Open(filepath.Join(p.dir, "tsdb"), prombackend.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for series, err := range store.Series(ctx, 0, math.MaxInt64) {
		if err != nil {
			return nil, err
		}
		s := storedSeries{labels: series.Labels}
		for _, sample := range series.Samples {
			if !value.IsStaleNaN(sample.F) {
				s.values = append(s.values, math.Float64bits(sample.F))
			}
		}
		out = append(out, s)
	}
	return out, nil
}
