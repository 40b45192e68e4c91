// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

// kind says what is wrong with a sample or an exemplar.
type kind string

const (
	missing   kind = "missing"   // Prometheus stores it, the collector does not deliver it
	extra     kind = "extra"     // the collector delivers it, Prometheus does not store it
	different kind = "different" // both have it, with another value
)

// difference is one sample or exemplar on which the two sides disagree.
type difference struct {
	kind     kind
	series   labels.Labels
	key      sampleKey
	want     point
	got      point
	exemplar *exemplarKey // set when this is about an exemplar; key.series and key.at are its own
}

func (d difference) String() string {
	var b strings.Builder
	if d.exemplar != nil {
		fmt.Fprintf(&b, "%s exemplar of %s, %s: %s %v", d.kind, brief(d.series), d.key.at, d.exemplar.labels, math.Float64frombits(d.exemplar.bits))
		return b.String()
	}
	fmt.Fprintf(&b, "%s %s, %s", d.kind, brief(d.series), d.key.at)
	if d.kind != extra {
		fmt.Fprintf(&b, "\n    expected %s", d.want)
	}
	if d.kind != missing {
		fmt.Fprintf(&b, "\n    got      %s", d.got)
	}
	return b.String()
}

// brief formats a series for reading: the page that it is of, then its labels without those that every series of this
// page has.
func brief(ls labels.Labels) string {
	page := ls.Get(pageLabel)
	job, name := path.Split(page)
	b := labels.NewBuilder(ls).Del(pageLabel)
	drop := func(name, value string) {
		if ls.Get(name) == value {
			b.Del(name)
		}
	}
	drop("job", strings.Trim(job, "/"))
	drop("instance", name+":9090")
	for name, value := range targetLabels {
		drop(name, value)
	}
	for _, l := range runnerLabels {
		drop(l.name, l.value)
	}
	return page + " " + b.Labels().String()
}

// compare returns every difference between what Prometheus stored and what came through the collector, in the order of
// series and time.
func compare(want, got dataset) []difference {
	var all []difference
	for key, w := range want.samples {
		g, found := got.samples[key]
		switch {
		case !found:
			all = append(all, difference{kind: missing, series: want.series[key.series], key: key, want: w})
		case g != w:
			all = append(all, difference{kind: different, series: want.series[key.series], key: key, want: w, got: g})
		}
	}
	for key, g := range got.samples {
		if _, found := want.samples[key]; !found {
			all = append(all, difference{kind: extra, series: got.series[key.series], key: key, got: g})
		}
	}
	exemplars := func(from, in dataset, k kind) {
		for key, series := range from.exemplars {
			if _, found := in.exemplars[key]; !found {
				all = append(all, difference{kind: k, series: series, key: sampleKey{key.series, key.at}, exemplar: &key})
			}
		}
	}
	exemplars(want, got, missing)
	exemplars(got, want, extra)
	slices.SortFunc(all, func(a, b difference) int { return strings.Compare(a.order(), b.order()) })
	return all
}

func (d difference) order() string {
	return fmt.Sprintf("%s %t %09d %020d %s", brief(d.series), d.key.at.gone, d.key.at.scrape, d.key.at.timestamp, d.kind)
}

// tally counts differences by kind.
func tally(all []difference) map[kind]int {
	counts := map[kind]int{}
	for _, d := range all {
		counts[d.kind]++
	}
	return counts
}

// sortedKeys is for output that does not change from run to run.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
