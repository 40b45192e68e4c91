// SPDX-License-Identifier: Apache-2.0

// Command crash kills the collector and its backend, again and again, while samples go through, and then looks whether
// each sample that the collector took responsibility for is stored, once and in order.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

const usage = `crash kills the collector and its backend with SIGKILL and counts what that costs.

The collector is the built binary; the backend is a Prometheus TSDB behind its own remote-write handler, in a process of
its own. Samples take two ways: OTLP clients push, and owed is what was acknowledged to them; targets are scraped, and
owed is each scrape but those that were in flight when the collector was killed, which are named. The kills come at
random moments and at chosen ones: when the log cuts a segment, writes a checkpoint, recovers, or drains.

Progress and findings go to standard error. The last line on standard output is a JSON object. The exit status is 1 when
anything is lost, duplicated or out of order, when the exporter gave samples up, or when its own account does not balance.

Usage: go run ./test/crash [flags]

`

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
	flags := flag.NewFlagSet("crash", flag.ContinueOnError)
	flags.SetOutput(stderr)
	exporter := flags.String("exporter", "durable_remote_write", "exporter to test: a `name` in test/crash/config")
	binary := flags.String("binary", "", "the collector's `path` (default bin/otelcol-runner in this repository)")
	seed := flags.Uint64("seed", 0, "seed of the kills (default a random one, which is printed)")
	collectorKills := flags.Int("collector-kills", 30, "how often the collector is killed")
	backendKills := flags.Int("backend-kills", 10, "how often the backend is killed")
	keep := flags.String("keep", "", "a `folder` that keeps the logs, the stores and the journals (default: a temporary one, removed)")
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
	if *seed == 0 {
		*seed = uint64(rand.Uint32()) //nolint:gosec // to be printed, not to be secret
	}
	r := &run{exporter: *exporter, seed: *seed, steps: makePlan(*seed, *collectorKills, *backendKills), out: stderr}
	r.say("exporter %s, seed %d: %d kills of the collector, %d of the backend, in %d steps", r.exporter, r.seed, *collectorKills, *backendKills, len(r.steps))
	began := time.Now()
	o, err := runIn(ctx, *keep, *binary, r)
	if err != nil {
		return fail(fmt.Errorf("seed %d: %w", r.seed, err), stderr)
	}
	res := summarize(r, o)
	res.Seconds = time.Since(began).Round(100 * time.Millisecond).Seconds()
	if err := json.NewEncoder(stdout).Encode(res); err != nil {
		return fail(err, stderr)
	}
	return fail(res.broken(), stderr)
}

func fail(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintln(stderr, "crash:", err)
	return 1
}

// runIn runs the test in the folder to keep, or in a temporary one.
func runIn(ctx context.Context, keep, binary string, r *run) (o outcome, err error) {
	dir := keep
	if keep == "" {
		if dir, err = os.MkdirTemp("", "crash-"); err != nil {
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
