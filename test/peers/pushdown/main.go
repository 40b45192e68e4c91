// SPDX-License-Identifier: Apache-2.0

// Command pushdown measures what it saves to drop at the scrape what is out of scope: the built collector with configs/collector.yaml,
// which derives rules for it, next to the same with scope::pushdown: false. `make bench-pushdown` runs it. It prints a table,
// and one JSON object as its last line, and exits 1 when the promise does not hold.
//
// Both sides scrape the same targets, a process of their own that sends what a runner's components send: protobuf and OpenMetrics,
// compressed, and the text of kube-state-metrics, which is not. Both sides run at once, so that what else the machine does meets both
// alike, and are started anew for each round. CPU is user and system time of the whole collector from /proc, after a warm-up, divided by the
// samples that it has been sent meanwhile. What a collector takes at rest, some 1 % of a core, is in it on both sides: the default
// interval is short, so that it is about scraping.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// What is promised.
	maxRatio   = 0.35
	minExposed = 100_000
	maxKept    = 0.10

	// maxShortfall is how far what was scraped may be from what should have been: a scrape at the end of a window is in it or not.
	maxShortfall = 0.02
)

// options are the flags.
type options struct {
	rounds                    int
	warmUp, measure, interval time.Duration
	profile                   string
}

// figures is the result.
type figures struct {
	Exposed int     `json:"exposed"`   // series of all targets
	Kept    int     `json:"kept"`      // of those, that leave the processor
	Ratio   float64 `json:"cpu_ratio"` // the median of the rounds
	// What follows is more than is asked for.
	KeptShare float64            `json:"kept_share"`
	Ratios    []float64          `json:"cpu_ratio_by_round"`
	CPU       map[string]float64 `json:"cpu_us"`          // of a sample that is exposed
	CPUCores  map[string]float64 `json:"cpu_per_cent"`    // of one core
	RSS       map[string]float64 `json:"rss_mib"`         // at the end of the window
	AtScrape  float64            `json:"left_at_scrape"`  // share of the samples that the derived rules keep
	Interval  float64            `json:"interval_s"`      // between scrapes
	Rounds    int                `json:"rounds"`          // of both sides
	Bytes     map[string]int64   `json:"bytes_by_format"` // of all pages, as they are sent
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	what := run
	if len(os.Args) == 2 && os.Args[1] == roleTargets {
		what = serveTargets
	}
	if err := what(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context) (err error) {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often each side is measured")
	flag.DurationVar(&o.warmUp, "warm-up", 6*time.Second, "how long a side runs before it is measured")
	flag.DurationVar(&o.measure, "measure", 15*time.Second, "how long a side is measured; a multiple of the interval")
	flag.DurationVar(&o.interval, "interval", time.Second, "scrape interval; the longer, the more does what the collector takes at rest count")
	flag.StringVar(&o.profile, "profile", "", "write CPU profiles to files that begin like this; they cost some CPU themselves")
	flag.Parse()
	if o.rounds < 1 {
		return fmt.Errorf("--rounds %d: use 1 or more", o.rounds)
	}
	if o.measure < o.interval || o.measure%o.interval != 0 {
		return fmt.Errorf("--measure %s is no multiple of --interval %s", o.measure, o.interval)
	}
	if _, err := os.Stat(collectorPath); err != nil {
		return fmt.Errorf("%w: run this by `make bench-pushdown`, which builds it", err)
	}
	dir, err := os.MkdirTemp("", "bench-pushdown-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	targets, err := startTargets(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, targets.stop()) }()
	b := &bench{options: o, dir: dir, targets: targets}
	measured, err := b.measureAll(ctx)
	if err != nil {
		return err
	}
	f := b.figures(measured)
	fmt.Print(f.table())
	line, err := json.Marshal(f)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	return f.check()
}

// bench is what all measurements share.
type bench struct {
	options
	dir     string
	targets *targets
}

// measureAll runs both sides once a round. The result has the rounds of each side.
func (b *bench) measureAll(ctx context.Context) (map[string][]measurement, error) {
	measured := map[string][]measurement{}
	for round := range b.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d (%s left)\n", round+1, b.rounds, time.Duration(b.rounds-round)*(b.warmUp+b.measure))
		ms, err := b.round(ctx, filepath.Join(b.dir, strconv.Itoa(round)))
		if err != nil {
			return nil, err
		}
		for i, side := range sides {
			measured[side] = append(measured[side], ms[i])
			fmt.Fprintf(os.Stderr, "  %s: %.3f us of CPU an exposed sample, %.0f %% of a core, %.0f MiB\n", titles[side], ms[i].cpuOfSample(), ms[i].share(), ms[i].rss)
		}
	}
	return measured, nil
}

func (b *bench) figures(measured map[string][]measurement) figures {
	f := figures{
		Exposed: b.targets.info.Series, Interval: b.interval.Seconds(), Rounds: b.rounds, Bytes: b.targets.info.Bytes,
		CPU: map[string]float64{}, CPUCores: map[string]float64{}, RSS: map[string]float64{},
	}
	for i := range b.rounds {
		f.Ratios = append(f.Ratios, round(measured[sideWith][i].cpuOfSample()/measured[sideWithout][i].cpuOfSample()))
	}
	f.Ratio = median(f.Ratios)
	values := func(side string, of func(measurement) float64) float64 {
		var all []float64
		for _, m := range measured[side] {
			all = append(all, of(m))
		}
		return median(all)
	}
	for _, side := range sides {
		f.CPU[side] = values(side, measurement.cpuOfSample)
		f.CPUCores[side] = values(side, measurement.share)
		f.RSS[side] = values(side, func(m measurement) float64 { return m.rss })
	}
	f.KeptShare = values(sideWith, func(m measurement) float64 { return m.kept / m.exposed })
	f.Kept = int(math.Round(f.KeptShare * float64(f.Exposed)))
	f.AtScrape = values(sideWith, func(m measurement) float64 { return m.received / m.exposed })
	return f
}

func (f figures) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%16s  %18s  %11s  %8s\n", "", "us of CPU a sample", "% of a core", "RSS MiB")
	for _, side := range sides {
		fmt.Fprintf(&b, "%16s  %18.3f  %11.1f  %8.0f\n", titles[side], f.CPU[side], f.CPUCores[side], f.RSS[side])
	}
	fmt.Fprintf(&b, "%d series every %.0f s, %d in scope (%.1f %%); %.1f %% are left after the rules of the scrape\n",
		f.Exposed, f.Interval, f.Kept, 100*f.KeptShare, 100*f.AtScrape)
	fmt.Fprintf(&b, "CPU with pushdown is %.3f x the CPU without, by round %v; promised is at most %.2f\n", f.Ratio, f.Ratios, maxRatio)
	return b.String()
}

// check compares with what is promised.
func (f figures) check() error {
	var errs []error
	if f.Exposed < minExposed {
		errs = append(errs, fmt.Errorf("%d series are exposed, promised are at least %d", f.Exposed, minExposed))
	}
	if !(f.KeptShare <= maxKept) || f.Kept == 0 {
		errs = append(errs, fmt.Errorf("%.1f %% of what is exposed is kept, promised are at most %.0f %% and more than nothing", 100*f.KeptShare, 100*maxKept))
	}
	if !(f.Ratio <= maxRatio) {
		errs = append(errs, fmt.Errorf("CPU with pushdown is %.3f x the CPU without, promised is at most %.2f", f.Ratio, maxRatio))
	}
	return errors.Join(errs...)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return math.NaN()
	}
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return round(sorted[half])
	}
	return round((sorted[half-1] + sorted[half]) / 2)
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }
