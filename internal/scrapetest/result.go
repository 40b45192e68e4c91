// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/kubiyabot/otelcol-runner/internal/scene"
)

// Result is what a run has delivered.
type Result struct {
	// Scene is what was run on.
	Scene *scene.Scene
	// Jobs are the scrape configurations that were run.
	Jobs []Job
	// Until is how long the run was, from the first scrape on.
	Until time.Duration
	// Series are the delivered ones, in the order of their labels. Stale markers are samples of them.
	Series []Series
	// Notes say what was left out of the run, and why.
	Notes []string

	targets []snapshot
	drops   map[time.Duration]map[string]int64
}

// Series is a delivered series with its samples in the order of time.
type Series struct {
	Labels  labels.Labels
	Samples []Sample
}

// Sample is one value. H is set for a native histogram, and F counts otherwise.
type Sample struct {
	T int64 // milliseconds since the epoch
	F float64
	H *histogram.FloatHistogram
}

// Stale says whether it is a stale marker.
func (s *Sample) Stale() bool {
	if s.H != nil {
		return value.IsStaleNaN(s.H.Sum)
	}
	return value.IsStaleNaN(s.F)
}

type snapshot struct {
	at      time.Duration
	targets []Target
}

// Targets are the targets of a time after the first scrape, kept and dropped, in the order of the jobs and of discovery.
func (r *Result) Targets(at time.Duration) []Target {
	i := len(r.targets) - 1
	for i > 0 && r.targets[i].at > at {
		i--
	}
	return r.targets[i].targets
}

// Drops are the points that runner processors had dropped by a time after the first scrape, by reason. The time is one of those
// that Run was called with.
func (r *Result) Drops(at time.Duration) map[string]int64 { return r.drops[at] }

// result puts together what the run has left.
func (r *run) result() *Result {
	res := &Result{Scene: r.scene, Jobs: r.jobs, Until: r.times[len(r.times)-1], drops: r.drops, Notes: r.notes(), targets: r.targets}
	// Shutting down may deliver more than there was at the last of the times.
	res.Series = r.delivered.sorted(r.scene.Start.Add(res.Until).UnixMilli())
	return res
}

func (r *run) notes() []string {
	notes := map[string]bool{}
	for i := range r.config.pipelines {
		for _, id := range r.config.pipelines[i].processors {
			if why, left := notRun[id.Type().String()]; left {
				notes[fmt.Sprintf("%s is not run: %s", id, why)] = true
			}
		}
		for _, note := range r.config.exporterNotes(&r.config.pipelines[i]) {
			notes[note] = true
		}
	}
	for reason, n := range r.delivered.refused {
		notes[fmt.Sprintf("samples that the exporter refuses, and that are missing here: %d (%s); it counts them as refused_samples", n, reason)] = true
	}
	return slices.Sorted(maps.Keys(notes))
}

// maxSamples bounds what a run may deliver: some 500 MB of memory.
const maxSamples = 10_000_000

var errTooManySamples = fmt.Errorf("more than %d samples: make the run shorter or the pages smaller", maxSamples)

// collection gathers samples by their series.
type collection struct {
	series  map[string]*Series
	refused map[string]int // samples that the exporter's translation has no form for, by its reason
	samples int
	key     []byte
}

func (c *collection) add(ls labels.Labels, sample Sample) error {
	if c.samples++; c.samples > maxSamples {
		return errTooManySamples
	}
	c.key = ls.Bytes(c.key)
	s, ok := c.series[string(c.key)]
	if !ok {
		s = &Series{Labels: ls}
		if c.series == nil {
			c.series = map[string]*Series{}
		}
		c.series[string(c.key)] = s
	}
	s.Samples = append(s.Samples, sample)
	return nil
}

// refuse counts what the translation refuses.
func (c *collection) refuse(reason string, n int) {
	if n == 0 {
		return
	}
	if c.refused == nil {
		c.refused = map[string]int{}
	}
	c.refused[reason] += n
}

// sorted returns all series with a sample up to a time, in milliseconds.
func (c *collection) sorted(until int64) []Series {
	all := make([]Series, 0, len(c.series))
	for _, s := range c.series {
		slices.SortStableFunc(s.Samples, func(a, b Sample) int { return cmp.Compare(a.T, b.T) })
		s.Samples = slices.DeleteFunc(s.Samples, func(sample Sample) bool { return sample.T > until })
		if len(s.Samples) > 0 {
			all = append(all, *s)
		}
	}
	slices.SortFunc(all, func(a, b Series) int { return labels.Compare(a.Labels, b.Labels) })
	return all
}
