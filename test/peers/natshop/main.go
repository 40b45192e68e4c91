// SPDX-License-Identifier: Apache-2.0

// Command natshop runs the shop that our collector replaces, in full, and measures the difference: a stock collector that publishes JSON to a
// real NATS server, once over core NATS and once into a stream, and the connector that writes it to Prometheus. `make bench-nats` builds and
// runs it. It prints a table, and one JSON object as its last line, and exits 1 when a promise does not hold. README.md says what is measured
// and how the old path is treated fairly.
//
// All paths scrape the same pages at the same time, and each writes to a Prometheus of its own.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	targets, series           int
	interval, warmUp, measure time.Duration
	maxWait                   string
	costsOnly, keep           bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := func() error {
		if len(os.Args) == 4 && os.Args[1] == roleBackend {
			return serveBackend(ctx, os.Args[2], os.Args[3])
		}
		return run(ctx)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func parseOptions() (o options, err error) {
	flag.IntVar(&o.targets, "targets", 20, "number of targets")
	flag.IntVar(&o.series, "series", 480, "series that a target exposes, about")
	flag.DurationVar(&o.interval, "interval", 10*time.Second, "scrape interval")
	flag.DurationVar(&o.warmUp, "warm-up", 20*time.Second, "how long all run before they are measured")
	flag.DurationVar(&o.measure, "measure", 60*time.Second, "how long they are measured")
	flag.StringVar(&o.maxWait, "max-wait", "", "batch::max_wait of ours; empty: as it ships")
	flag.BoolVar(&o.costsOnly, "costs-only", false, "measure the costs and nothing else; no promise is checked")
	flag.BoolVar(&o.keep, "keep", false, "keep logs, configurations and what was stored")
	flag.Parse()
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
	for _, file := range []string{collectorPath, shopPath, serverPath} {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("%w: run this by `make bench-nats`, which builds it", err)
		}
	}
	dir, err := os.MkdirTemp("", "bench-nats-")
	if err != nil {
		return err
	}
	defer func() {
		if o.keep {
			fmt.Fprintln(os.Stderr, "everything is kept in", dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	costs, err := measureCosts(ctx, o, filepath.Join(dir, "costs"))
	if err != nil {
		return fmt.Errorf("costs: %w", err)
	}
	if o.costsOnly {
		return printFigures(o, newFigures(costs, nil, nil))
	}
	differences, err := compareParity(ctx, filepath.Join(dir, "parity"))
	if err != nil {
		return fmt.Errorf("parity: %w", err)
	}
	losses, err := injectFaults(ctx, filepath.Join(dir, "faults"))
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	f := newFigures(costs, losses, differences)
	return errors.Join(printFigures(o, f), f.check())
}

func printFigures(o options, f figures) error {
	fmt.Println(f.table(o))
	line, err := json.Marshal(f)
	if err == nil {
		fmt.Println(string(line))
	}
	return err
}
