// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// What is promised: ours divided by the other, and the exporter's own share.
const (
	maxCPULegacy   = 0.45
	maxCPULeanest  = 0.70
	maxRSSLeanest  = 1.0
	maxBytesV1     = 1.0 // of the agent's
	maxBytesV2     = 0.6 // of the agent's
	maxExporter    = 1.5 // microseconds a sample
	maxAllocations = 0
)

// figures is the result. Where a map has a key `ours`, that is remote write 1.0, which the others speak as well.
type figures struct {
	SamplesPerSecond float64            `json:"samples_per_s"`
	CPU              map[string]float64 `json:"cpu_us"`
	Bytes            map[string]float64 `json:"bytes"`
	RSS              map[string]float64 `json:"rss_mib"`
	Exporter         *float64           `json:"exporter_us,omitempty"`
	Allocations      *float64           `json:"allocs_per_sample,omitempty"`
	// What follows is more than is asked for.
	RawAllocations *float64              `json:"allocs_per_sample_and_request,omitempty"`
	Peak           map[string]float64    `json:"peak_rss_mib"`
	Ratios         map[string]float64    `json:"ratios"`
	Ranges         map[string][2]float64 `json:"cpu_us_ranges"`
	Rounds         int                   `json:"rounds"`
}

// results are the measurements of every round by side.
type results map[string][]measurement

func (r results) values(side string, of func(measurement) float64) []float64 {
	var out []float64
	for _, m := range r[side] {
		out = append(out, of(m))
	}
	return out
}

func cpuOf(m measurement) float64     { return m.cpu }
func rssOf(m measurement) float64     { return m.rss }
func peakOf(m measurement) float64    { return m.peak }
func bytesOf(m measurement) float64   { return m.bytes }
func rateOf(m measurement) float64    { return m.rate }
func labelsOf(m measurement) float64  { return m.labels }
func requestOf(m measurement) float64 { return m.request }

// median returns NaN of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[half-1] + sorted[half]) / 2
	}
	return sorted[half]
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// figures puts the medians together.
func (r results) figures(exporter *share) figures {
	f := figures{
		CPU: map[string]float64{}, Bytes: map[string]float64{}, RSS: map[string]float64{}, Peak: map[string]float64{},
		Ratios: map[string]float64{}, Ranges: map[string][2]float64{},
	}
	for side, measured := range r {
		name := side
		if side == oursV1 {
			name = "ours"
		}
		cpu := r.values(side, cpuOf)
		f.CPU[name] = round(median(cpu))
		f.Ranges[name] = [2]float64{round(slices.Min(cpu)), round(slices.Max(cpu))}
		f.RSS[name] = round(median(r.values(side, rssOf)))
		f.Peak[name] = round(median(r.values(side, peakOf)))
		f.Bytes[side] = round(median(r.values(side, bytesOf)))
		f.Rounds = max(f.Rounds, len(measured))
	}
	for _, side := range sides { // ours, where it was measured
		if v := r.values(side, rateOf); len(v) > 0 && f.SamplesPerSecond == 0 {
			f.SamplesPerSecond = round(median(v))
		}
	}
	for _, p := range f.promises() {
		if p.isRatio && !math.IsNaN(p.value) {
			f.Ratios[p.key] = round(p.value)
		}
	}
	if exporter != nil {
		us, allocations, raw := round(exporter.Microseconds), exporter.wholeAllocations(), round(exporter.Allocations)
		f.Exporter, f.Allocations, f.RawAllocations = &us, &allocations, &raw
	}
	return f
}

// promise is one bound. Its value is NaN where it was not measured.
type promise struct {
	key, what  string
	isRatio    bool
	value, max float64
	strict     bool // below max, not at most
}

func (f figures) promises() []promise {
	ratio := func(values map[string]float64, ours, other string) float64 {
		a, foundOurs := values[ours]
		b, foundOther := values[other]
		if !foundOurs || !foundOther {
			return math.NaN()
		}
		return a / b
	}
	value := func(v *float64) float64 {
		if v == nil {
			return math.NaN()
		}
		return *v
	}
	return []promise{
		{key: "cpu_legacy", what: "CPU a sample, of the legacy shape's", isRatio: true, value: ratio(f.CPU, "ours", legacy), max: maxCPULegacy},
		{key: "cpu_leanest", what: "CPU a sample, of the leanest stock pipeline's", isRatio: true, value: ratio(f.CPU, "ours", leanest), max: maxCPULeanest},
		{key: "cpu_agent", what: "CPU a sample, of the Prometheus agent's", isRatio: true, value: ratio(f.CPU, "ours", agent), max: math.Inf(1)},
		{key: "rss_leanest", what: "RSS, of the leanest stock pipeline's", isRatio: true, value: ratio(f.RSS, "ours", leanest), max: maxRSSLeanest},
		{key: "rss_agent", what: "RSS, of the Prometheus agent's", isRatio: true, value: ratio(f.RSS, "ours", agent), max: math.Inf(1)},
		{key: "bytes_v1_agent", what: "bytes a sample with remote write 1.0, of the agent's", isRatio: true, value: ratio(f.Bytes, oursV1, agent), max: maxBytesV1},
		{key: "bytes_v2_agent", what: "bytes a sample with remote write 2.0, of the agent's", isRatio: true, value: ratio(f.Bytes, oursV2, agent), max: maxBytesV2},
		{key: "exporter_us", what: "CPU a sample in the exporter alone, microseconds", value: value(f.Exporter), max: maxExporter, strict: true},
		{key: "allocs_per_sample", what: "allocations a sample in the exporter", value: value(f.Allocations), max: maxAllocations},
	}
}

func (p promise) broken() bool { return p.value > p.max || (p.strict && p.value == p.max) }

// check returns an error for each promise that does not hold. What was not measured is not broken.
func (f figures) check() error {
	var errs []error
	for _, p := range f.promises() {
		if p.broken() {
			errs = append(errs, fmt.Errorf("%s: %s is %.3g, promised is %s", p.key, p.what, p.value, p.bound()))
		}
	}
	return errors.Join(errs...)
}

func (p promise) bound() string {
	switch {
	case math.IsInf(p.max, 1):
		return "nothing"
	case p.strict:
		return fmt.Sprintf("less than %g", p.max)
	case p.max == 0:
		return "none"
	}
	return fmt.Sprintf("at most %g", p.max)
}

var titles = map[string]string{
	oursV1: "ours, remote write 1.0", oursV2: "ours, remote write 2.0", oursPlain: "ours, 1.0, Go's default GC", legacy: "legacy shape",
	leanest: "leanest stock pipeline", agent: "Prometheus agent",
}

// table is the result for people.
func (r results) table(o options, f figures, exporter *share) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d targets x %d series every %s: %.0f samples a second, %d rounds of %s after %s. Medians, and ranges.\n\n",
		o.targets, o.series, o.interval, o.samplesPerSecond(), o.rounds, o.measure, o.warmUp)
	out.WriteString(columns(func(add func(cells ...string)) {
		add("", "CPU us/sample", "from, to", "RSS MiB", "from, to", "peak MiB", "bytes/sample", "labels/series", "samples/request", "samples/s")
		for _, side := range sides {
			if len(r[side]) == 0 {
				continue
			}
			number := func(format string, of func(measurement) float64) string {
				return fmt.Sprintf(format, median(r.values(side, of)))
			}
			spread := func(format string, of func(measurement) float64) string {
				values := r.values(side, of)
				return fmt.Sprintf(format+", "+format, slices.Min(values), slices.Max(values))
			}
			add(titles[side], number("%.2f", cpuOf), spread("%.2f", cpuOf), number("%.0f", rssOf), spread("%.0f", rssOf), number("%.0f", peakOf),
				number("%.2f", bytesOf), number("%.2f", labelsOf), number("%.0f", requestOf), number("%.0f", rateOf))
		}
	}))
	out.WriteString("\n")
	out.WriteString(columns(func(add func(cells ...string)) {
		for _, p := range f.promises() {
			if math.IsNaN(p.value) {
				continue
			}
			verdict := "promised: " + p.bound()
			switch {
			case math.IsInf(p.max, 1):
				verdict = "no promise"
			case p.broken():
				verdict += ", BROKEN"
			}
			add(p.what, fmt.Sprintf("%.3g", p.value), verdict)
		}
	}))
	out.WriteString("\n")
	if exporter != nil {
		fmt.Fprintf(&out, "The exporter alone: %s. %.4f allocations a sample with those of requests and pushes.\n\n", exporter, exporter.Allocations)
	}
	for _, group := range r.alike() {
		m := r[group[0]][0]
		fmt.Fprintf(&out, "%d series with the labels %s: %s\n", m.series, strings.Join(m.names, " "), strings.Join(group, ", "))
	}
	return out.String()
}

// columns aligns the rows that fill adds.
func columns(fill func(add func(cells ...string))) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fill(func(cells ...string) {
		_, _ = io.WriteString(w, strings.Join(cells, "\t")+"\n") // to memory
	})
	_ = w.Flush()
	return out.String()
}

// alike groups the sides by the label sets that they delivered.
func (r results) alike() [][]string {
	var groups [][]string
	for _, side := range sides {
		if len(r[side]) == 0 {
			continue
		}
		i := slices.IndexFunc(groups, func(g []string) bool { return r[g[0]][0].fingerprint == r[side][0].fingerprint })
		if i < 0 {
			groups = append(groups, []string{side})
			continue
		}
		groups[i] = append(groups[i], side)
	}
	return groups
}

// comparable returns an error where sides whose bytes are compared did not deliver the same series. The legacy shape cannot: it makes
// a label of every resource attribute.
func (r results) comparable() error {
	var different []string
	for _, group := range r.alike() {
		if group[0] != legacy {
			different = append(different, strings.Join(group, ", "))
		}
	}
	if len(different) > 1 {
		return fmt.Errorf("the sides did not deliver the same series, their bytes cannot be compared: %s", strings.Join(different, " / "))
	}
	return nil
}
