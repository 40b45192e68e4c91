// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// What is promised: ours divided by the better of the two others.
const (
	maxCPU       = 0.35
	maxBytes     = 0.25
	maxFreshness = 0.5
)

// figures is the result.
type figures struct {
	CPU         float64        `json:"cpu_ratio"`
	Bytes       float64        `json:"bytes_ratio"`
	Freshness   float64        `json:"freshness_p99_ratio"`
	Lost        map[string]int `json:"lost"`
	Differences []string       `json:"parity_differences"`
	// What follows is more than is asked for.
	RSS    float64         `json:"rss_ratio"`
	Costs  map[string]cost `json:"costs"`
	Losses map[string]loss `json:"losses"`
}

func newFigures(costs map[string]cost, losses map[string]loss, differences []string) figures {
	ratio := func(of func(cost) float64) float64 {
		return math.Round(1000*of(costs[ours])/min(of(costs[core]), of(costs[jetstream]))) / 1000
	}
	f := figures{
		CPU: ratio(func(c cost) float64 { return c.CPU }), Bytes: ratio(cost.bytes), RSS: ratio(func(c cost) float64 { return c.RSS }),
		Freshness: ratio(func(c cost) float64 { return float64(c.P99) }), Lost: map[string]int{},
		Differences: differences, Costs: costs, Losses: losses,
	}
	for name, l := range losses {
		f.Lost[name] = l.Lost
	}
	return f
}

// check returns an error for each promise that does not hold.
func (f figures) check() error {
	var errs []error
	for _, p := range []struct {
		what       string
		value, max float64
		strict     bool
	}{
		{"cpu_ratio: CPU a sample", f.CPU, maxCPU, false},
		{"bytes_ratio: bytes a sample, on wires and disk", f.Bytes, maxBytes, false},
		{"freshness_p99_ratio: from exposed to queryable", f.Freshness, maxFreshness, true},
	} {
		if p.value > p.max || p.strict && p.value == p.max {
			errs = append(errs, fmt.Errorf("%s is %.3g of the better path over NATS, promised is %g", p.what, p.value, p.max))
		}
	}
	if f.Lost[ours] > 0 {
		errs = append(errs, fmt.Errorf("lost: ours lost %d samples, promised is none", f.Lost[ours]))
	}
	return errors.Join(errs...)
}

var titles = map[string]string{ours: "ours", core: "core NATS", jetstream: "JetStream"}

// table is the result for people.
func (f figures) table(o options) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d targets x about %d series every %s, all three at the same time, %s after %s.\n\n", o.targets, o.series, o.interval, o.measure, o.warmUp)
	columns(&out, func(row func(...any)) {
		row("", "processes", "CPU us/sample", "RSS MiB", "wire B/sample", "disk B/sample", "fresh p50 ms", "p99 ms")
		for _, name := range pathNames {
			c := f.Costs[name]
			row(titles[name], c.Processes, fmt.Sprintf("%.1f", c.CPU), fmt.Sprintf("%.0f", c.RSS), fmt.Sprintf("%.1f", c.Wire), fmt.Sprintf("%.1f", c.Disk), c.P50, c.P99)
		}
	})
	fmt.Fprintf(&out, "\nSamples lost, of %d to %d that each path was given:\n\n", f.least(), f.most())
	columns(&out, func(row func(...any)) {
		row("", titles[ours], titles[core], titles[jetstream])
		for _, fault := range faults {
			row(strings.ReplaceAll(fault.name, "_", " "), f.Losses[ours].Faults[fault.name], f.Losses[core].Faults[fault.name], f.Losses[jetstream].Faults[fault.name])
		}
		row("together", f.Lost[ours], f.Lost[core], f.Lost[jetstream])
	})
	fmt.Fprintf(&out, "\nSamples that nobody can query, be they lost, refused (and counted) or never scraped, where they are %d or more:\n\n", edge)
	columns(&out, func(row func(...any)) {
		row("", titles[ours], titles[core], titles[jetstream])
		for _, fault := range faults {
			row(strings.ReplaceAll(fault.name, "_", " "), f.Losses[ours].Missing[fault.name], f.Losses[core].Missing[fault.name], f.Losses[jetstream].Missing[fault.name])
		}
	})
	out.WriteString("\nWithout a fault the unchanged configuration delivers the same series and samples, but for:\n\n")
	for _, d := range f.Differences {
		fmt.Fprintf(&out, "- %s\n", d)
	}
	return out.String()
}

func (f figures) least() int {
	return min(f.Losses[ours].Owed, f.Losses[core].Owed, f.Losses[jetstream].Owed)
}

func (f figures) most() int {
	return max(f.Losses[ours].Owed, f.Losses[core].Owed, f.Losses[jetstream].Owed)
}

// columns aligns the rows that fill adds.
func columns(out io.Writer, fill func(row func(cells ...any))) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fill(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				_, _ = io.WriteString(w, "\t") // to memory, as all here
			}
			_, _ = fmt.Fprint(w, cell)
		}
		_, _ = io.WriteString(w, "\n")
	})
	_ = w.Flush()
}
