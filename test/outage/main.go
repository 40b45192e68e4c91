// SPDX-License-Identifier: Apache-2.0

// Command outage lets hours of samples pass while the backend is away, restarts the collector among them, and then
// measures how the backlog drains and whether all of it arrives.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

const (
	// minDrain is how many times faster than real time the backlog has to drain.
	minDrain = 50
	// maxGrowth is how much memory, in MiB, the collector may take above what it has at rest.
	maxGrowth = 64
	// runTimeout ends a run that hangs.
	runTimeout = 15 * time.Minute
)

const usage = `outage pushes hours of samples while the backend is away, and times the drain when it is back.

The collector is the built binary; the backend is a Prometheus TSDB behind its own remote-write handler. Time is
compressed, the volume is real: an OTLP client pushes samples with timestamps that begin hours ago, in order and as fast as
they are acknowledged, until it has caught up with the clock. In the meantime the collector is restarted with SIGTERM,
and with kill -9. Then the backend starts; samples keep coming in real time while the backlog drains.

Progress and findings go to standard error. The last line on standard output is a JSON object. The exit status is 1 when
anything is lost, duplicated or out of order, when the drain is less than 50 times faster than real time, or when the
collector's memory grows by more than 64 MiB.

Usage: go run ./test/outage [flags]

`

// result is the last line of output.
type result struct {
	Exporter   string  `json:"exporter"`
	OutageS    float64 `json:"outage_s"`
	Restarts   int     `json:"restarts"`
	Samples    int     `json:"samples"`
	Lost       int     `json:"lost"`
	Duplicated int     `json:"duplicated"`
	OutOfOrder int     `json:"out_of_order"`
	// DrainX is the outage divided by the drain, 0 for a drain that did not end.
	DrainX    float64 `json:"drain_x"`
	DrainS    float64 `json:"drain_s"`
	RestMiB   float64 `json:"rss_rest_mib"`
	GrowthMiB float64 `json:"rss_growth_mib"`
	LogMiB    float64 `json:"log_mib"`
	// GivenUp are samples that the exporter says it does not try to deliver any more.
	GivenUp int64   `json:"given_up"`
	Seconds float64 `json:"seconds"`
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	os.Exit(code)
}

func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == delivery.BackendCommand {
		return fail(delivery.RunBackend(ctx, args[1:], stderr), stderr)
	}
	r := &run{out: stderr}
	flags := flag.NewFlagSet("outage", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&r.exporter, "exporter", "durable_remote_write", "exporter to test: a `name` in test/outage/config")
	flags.DurationVar(&r.duration, "duration", 6*time.Hour, "how long the backend is away, in the samples' time")
	flags.DurationVar(&r.interval, "interval", 15*time.Second, "time between two samples of a series")
	flags.IntVar(&r.series, "series", 2000, "number of series")
	flags.DurationVar(&r.patience, "patience", 4*time.Minute, "how long the client, and then the drain, may take in real time")
	binary := flags.String("binary", "", "the collector's `path` (default bin/otelcol-runner in this repository)")
	keep := flags.String("keep", "", "a `folder` that keeps the logs, the store and the journal (default: a temporary one, removed)")
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if r.duration <= 0 || r.interval < time.Millisecond || r.series < 1 {
		return fail(errors.New("--duration, --interval and --series must be above 0"), stderr)
	}
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	began := time.Now()
	o, err := runIn(ctx, *keep, *binary, r)
	if err != nil {
		return fail(err, stderr)
	}
	res := summarize(r, o)
	res.Seconds = round(time.Since(began).Seconds())
	if err := json.NewEncoder(stdout).Encode(res); err != nil {
		return fail(err, stderr)
	}
	return fail(res.broken(), stderr)
}

func fail(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintln(stderr, "outage:", err)
	return 1
}

// runIn runs the test in the folder to keep, or in a temporary one.
func runIn(ctx context.Context, keep, binary string, r *run) (o outcome, err error) {
	dir := keep
	if keep == "" {
		if dir, err = os.MkdirTemp("", "outage-"); err != nil {
			return o, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return o, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return o, err
	}
	return r.do(ctx, dir, binary)
}

// summarize prints the findings and counts them.
func summarize(r *run, o outcome) result {
	o.traffic.Print(r.out, printed)
	o.verdict.Print(r.out, printed)
	if o.balance != (delivery.Balance{}) {
		r.say("the exporter's account: %+v", o.balance)
	}
	res := result{
		Exporter: r.exporter, OutageS: round(o.outage.Seconds()), Restarts: o.restarts, Samples: o.verdict.Exposed,
		Lost:       len(o.verdict.Lost),
		Duplicated: len(o.verdict.Duplicated) + len(o.traffic.Conflicts),
		OutOfOrder: len(o.verdict.OutOfOrder) + len(o.traffic.OutOfOrder),
		DrainS:     round(o.drain.Seconds()),
		RestMiB:    mebibytes(o.rest), GrowthMiB: mebibytes(max(o.peakOutage, o.peakDrain) - o.rest),
		LogMiB: mebibytes(o.backlogSize), GivenUp: o.balance.GivenUp(),
	}
	if o.drain > 0 {
		res.DrainX = round(o.outage.Seconds() / o.drain.Seconds())
	}
	r.say("memory: %.1f MiB at rest, at most %.1f in the outage, %.1f in the drain; the log folder had %.1f MiB when the backend came back",
		mebibytes(o.rest), mebibytes(o.peakOutage), mebibytes(o.peakDrain), mebibytes(o.backlogSize))
	r.say("%d samples of %s; %d stored, %d lost, %d duplicated, %d out of order; drained in %s",
		res.Samples, o.outage.Round(time.Second), o.verdict.Stored, res.Lost, res.Duplicated, res.OutOfOrder, o.drain.Round(10*time.Millisecond))
	return res
}

// broken names the promises that the run broke.
func (r result) broken() error {
	var errs []error
	if r.Lost+r.Duplicated+r.OutOfOrder > 0 || r.GivenUp > 0 {
		errs = append(errs, fmt.Errorf("%d samples lost, %d duplicated, %d out of order, %d given up by the exporter",
			r.Lost, r.Duplicated, r.OutOfOrder, r.GivenUp))
	}
	if r.DrainX < minDrain {
		errs = append(errs, fmt.Errorf("the backlog drained %.1f times faster than real time, less than %d", r.DrainX, minDrain))
	}
	if r.GrowthMiB > maxGrowth {
		errs = append(errs, fmt.Errorf("the collector's memory grew by %.1f MiB, more than %d", r.GrowthMiB, maxGrowth))
	}
	return errors.Join(errs...)
}

func round(v float64) float64 { return float64(int64(v*10+0.5)) / 10 }

func mebibytes(bytes int64) float64 { return round(float64(bytes) / (1 << 20)) }
