// SPDX-License-Identifier: Apache-2.0

// Package cost says what series cost: how many samples a month they are, how many bytes on the wire, and how much money by the
// published prices of managed Prometheus services. It says the same for every part (job, component, metric), and for every label,
// what would be saved without it.
//
// All figures are estimates from one moment, carried forward for a month. The assumptions are part of the report, ahead of the
// figures.
package cost

import (
	"net"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// componentLabel names the component that a series comes from. A series without it is counted under its job.
const componentLabel = "app"

// Series is a series that is delivered, or several of which only the number is known.
type Series struct {
	// Labels are those of the series. Of several, the labels that they have in common.
	Labels labels.Labels
	// Count is how many series it stands for.
	Count int
	// PerSecond is how many samples they have in a second, together.
	PerSecond float64
	// Native says that the samples are native histograms.
	Native bool
	// Buckets are the buckets of a native histogram that are not empty.
	Buckets int
	// EmptyBucket says that the series is a bucket of a classic histogram in which nothing was observed.
	EmptyBucket bool

	last scrapetest.Sample // what Wire encodes
}

// Input is what a report is about.
type Input struct {
	// Source says in words where the series are from.
	Source string
	// Series are the series of one runner.
	Series []Series
	// Bound are values that end with their pod: its name, its address, its UID.
	Bound map[string]bool
	// BytesPerSample is what the source itself measured on the wire; 0: it is measured from Series.
	BytesPerSample float64
	// Notes are what the source could not say.
	Notes []string
}

// FromResult takes the series that are live at a time after the first scrape. Every series has the interval that its last two
// samples have, or that of its job where there is only one.
func FromResult(result *scrapetest.Result, at time.Duration) Input {
	in := Input{Bound: bound(result.Targets(at)), Notes: result.Notes}
	intervals, longest := map[string]time.Duration{}, time.Duration(0)
	for _, job := range result.Jobs {
		intervals[job.Name] = time.Duration(job.Scrape.ScrapeInterval)
		longest = max(longest, intervals[job.Name])
	}
	below := map[string]float64{} // by histogram: the count of the bucket below
	for _, live := range bucketsInOrder(result.Live(at)) {
		s := Series{Labels: live.Labels, Count: 1, last: live.Samples[len(live.Samples)-1]}
		interval := gap(live.Samples)
		if interval <= 0 {
			if interval = intervals[live.Labels.Get(model.JobLabel)]; interval == 0 {
				interval = longest
			}
		}
		s.PerSecond = 1 / interval.Seconds()
		if s.last.H != nil {
			s.Native, s.Buckets = true, nonEmpty(s.last.H)
		} else if le := live.Labels.Get(model.BucketLabel); le != "" && isBucket(live.Labels) {
			key := string(live.Labels.BytesWithoutLabels(nil, model.BucketLabel))
			s.EmptyBucket = s.last.F <= below[key]
			below[key] = s.last.F
		}
		in.Series = append(in.Series, s)
	}
	return in
}

// gap is the time between the last two samples; 0 where there are not two.
func gap(samples []scrapetest.Sample) time.Duration {
	n := len(samples)
	if n < 2 || samples[n-2].Stale() {
		return 0
	}
	return time.Duration(samples[n-1].T-samples[n-2].T) * time.Millisecond
}

func nonEmpty(h *histogram.FloatHistogram) int {
	n := 0
	for _, count := range h.PositiveBuckets {
		if count != 0 {
			n++
		}
	}
	for _, count := range h.NegativeBuckets {
		if count != 0 {
			n++
		}
	}
	if h.ZeroCount != 0 {
		n++
	}
	return n
}

// bound collects the values that name a pod for as long as it lives. The pods of a StatefulSet keep their names.
func bound(targets []scrapetest.Target) map[string]bool {
	const meta = "__meta_kubernetes_pod_"
	values := map[string]bool{}
	for i := range targets {
		from := targets[i].Discovered
		values[from.Get(meta+"ip")] = true
		values[from.Get(meta+"uid")] = true
		values[from.Get(meta+"container_id")] = true
		if from.Get(meta+"controller_kind") != "StatefulSet" {
			values[from.Get(meta+"name")] = true
		}
	}
	delete(values, "")
	return values
}

// ends says whether a value ends with a pod: it is in bound, or is an address with a port whose host is.
func ends(value string, bound map[string]bool) bool {
	if len(bound) == 0 || value == "" {
		return false
	}
	if bound[value] {
		return true
	}
	if !strings.Contains(value, ":") {
		return false
	}
	host, _, err := net.SplitHostPort(value)
	return err == nil && bound[host]
}

// component is where a series is counted.
func component(ls labels.Labels) string {
	if app := ls.Get(componentLabel); app != "" {
		return app
	}
	return ls.Get(model.JobLabel)
}
