// SPDX-License-Identifier: Apache-2.0

// Command delivery measures what it costs to scrape and deliver a sample: our collector with remote write 1.0 and 2.0, next to the
// predecessor's shape, the leanest pipeline of stock components and a Prometheus server in agent mode. `make bench-delivery` runs
// it. It prints a table, and one JSON object as its last line, and exits 1 when a promise does not hold.
//
// All sides scrape the same targets and write to the same sink, which counts samples and bytes; both are processes of their own.
// The sides run one at a time, in rounds, in an order that rotates, so that what else the machine does meets all alike. CPU is
// user and system time of the whole process from /proc, after a warm-up, divided by the samples that the sink counted meanwhile.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startStop is about what starting and ending a side takes, for the progress only.
const startStop = 500 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	found, err := runChild(os.Args[1:])
	if !found {
		err = run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func parseOptions() (options, error) {
	var o options
	var only string
	flag.IntVar(&o.rounds, "rounds", 5, "how often each side is measured")
	flag.DurationVar(&o.warmUp, "warm-up", 15*time.Second, "how long a side runs before it is measured")
	flag.DurationVar(&o.measure, "measure", 15*time.Second, "how long a side is measured; a multiple of the interval")
	flag.IntVar(&o.targets, "targets", 40, "number of targets")
	flag.IntVar(&o.series, "series", 2500, "series that a target exposes")
	flag.DurationVar(&o.interval, "interval", 5*time.Second, "scrape interval")
	all := append(slices.Clone(sides), roleExporter)
	flag.StringVar(&only, "only", strings.Join(all, ","), "what to measure, with commas; promises about the rest are then not checked")
	flag.StringVar(&o.profile, "profile", "", "write CPU profiles of ours to files that begin like this; they cost some CPU themselves")
	flag.Parse()
	for _, name := range strings.Split(only, ",") {
		switch {
		case name == roleExporter:
			o.exporter = true
		case slices.Contains(sides, name):
			o.only = append(o.only, name)
		default:
			return o, fmt.Errorf("--only: %q is none of %s", name, strings.Join(all, ", "))
		}
	}
	if o.rounds < 1 || o.targets < 1 || o.series < 100 {
		return o, errors.New("--rounds and --targets must be at least 1, --series at least 100")
	}
	if o.measure < o.interval || o.measure%o.interval != 0 {
		return o, fmt.Errorf("--measure %s is no multiple of --interval %s", o.measure, o.interval)
	}
	return o, nil
}

func run(ctx context.Context) (err error) {
	o, err := parseOptions()
	if err != nil {
		return err
	}
	for _, path := range needed(o.only) {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w: run this by `make bench-delivery`, which builds it", err)
		}
	}
	dir, err := os.MkdirTemp("", "bench-delivery-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{options: o, dir: dir}
	if b.targets, err = startChild(ctx, o.targets+1, roleTargets, strconv.Itoa(o.targets), strconv.Itoa(o.series)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.targets.stop()) }()
	if b.sink, err = startChild(ctx, 1, roleSink); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.sink.stop()) }()
	for i, address := range b.targets.addresses[1:] {
		b.pages = append(b.pages, exposed{Address: address, Component: components[i%len(components)]})
	}
	measured, err := b.measureAll(ctx)
	if err != nil {
		return err
	}
	var exporter *share
	if o.exporter {
		fmt.Fprintf(os.Stderr, "the exporter alone (%s left)\n", b.exporterTime())
		s, err := b.exporterShare(ctx)
		if err != nil {
			return err
		}
		exporter = &s
	}
	return report(measured, o, exporter)
}

// sidesOf returns what is measured in a round, each round beginning with another. Remote write 2.0, of which only the bytes are promised,
// and ours without the image's environment, of which nothing is, take turns.
func (b *bench) sidesOf(round int) []string {
	var out []string
	for i := range b.only {
		side := b.only[(i+round)%len(b.only)]
		if side == oursV2 && round%2 != 0 || side == oursPlain && round%2 == 0 && len(b.only) > 1 {
			continue
		}
		out = append(out, side)
	}
	return out
}

// exporterTime is about how long measuring the exporter alone takes.
func (b *bench) exporterTime() time.Duration {
	if !b.exporter {
		return 0
	}
	return exporterWarmUp*b.interval + b.measure
}

// measureAll runs all sides once a round.
func (b *bench) measureAll(ctx context.Context) (results, error) {
	measured := results{}
	left := 0
	for round := range b.rounds {
		left += len(b.sidesOf(round))
	}
	for round := range b.rounds {
		for _, side := range b.sidesOf(round) {
			m, err := b.run(ctx, side, round, func(what string) {
				remaining := time.Duration(left)*(b.warmUp+b.measure+startStop) + b.exporterTime()
				if what != warmingUp {
					remaining -= b.warmUp
				}
				fmt.Fprintf(os.Stderr, "round %d of %d: %s, %s (%s left)\n", round+1, b.rounds, titles[side], what, remaining.Round(time.Second))
			})
			if err != nil {
				return nil, err
			}
			left--
			measured[side] = append(measured[side], m)
			fmt.Fprintf(os.Stderr, "  %.2f us and %.2f B a sample, %.0f MiB\n", m.cpu, m.bytes, m.rss)
		}
	}
	return measured, nil
}

// report prints, and fails where a promise is broken.
func report(measured results, o options, exporter *share) error {
	f := measured.figures(exporter)
	fmt.Print(measured.table(o, f, exporter))
	line, err := json.Marshal(f)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	return errors.Join(measured.comparable(), f.check())
}
