// SPDX-License-Identifier: Apache-2.0

// Command faults injects faults into the path from the collector to its backend, one row of a table for each, and looks at what
// is lost, what is counted, and what the collector says about it.
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
	"regexp"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

const usage = `faults injects faults into the path from the collector to its backend, one row of a table for each.

The collector is the built binary. The backend is Prometheus's own remote-write handler and TSDB, behind a small HTTP server
in this process that injects what a network or a receiver does. Disks are real mounts: a tmpfs that is full, a file system
that answers EIO, one that is read-only. Samples are pushed over OTLP; owed is what was acknowledged.

At the end of each row the exporter's account has to balance, what is stored has to be what was pushed but for the samples that
the account names, and the counters and the collector's log have to say what the row expects.

It runs in a mount and a network namespace of its own, which needs root, or a system that lets a user make namespaces.

Progress goes to standard error. The last line on standard output is a JSON object. The exit status is 1 when a row fails.

Usage: go run ./test/faults [flags]

`

// options are the flags.
type options struct {
	binary   string
	only     *regexp.Regexp
	keep     string
	list     bool
	parallel int
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	os.Exit(code)
}

func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	inside := len(args) > 0 && args[0] == insideCommand
	if inside {
		args = args[1:]
	}
	o, code, ok := parse(args, stderr)
	if !ok {
		return code
	}
	rows := selected(table(), o.only)
	if o.list {
		list(stdout, rows)
		return 0
	}
	if len(rows) == 0 {
		_, _ = fmt.Fprintf(stderr, "faults: no row matches --only %s: --list shows them all\n", o.only) // progress only
		return 2
	}
	if !inside {
		return enter(ctx, args, stdout, stderr)
	}
	s, err := runAll(ctx, o, rows, stderr)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "faults:", err) // progress only
		return 1
	}
	if err := json.NewEncoder(stdout).Encode(s); err != nil || s.Passed < s.Rows {
		return 1
	}
	return 0
}

// parse reads the flags. ok is false when there is nothing to run.
func parse(args []string, stderr io.Writer) (o options, code int, ok bool) {
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.binary, "binary", "", "the collector's `path` (default bin/otelcol-runner in this repository)")
	only := flags.String("only", "", "run the rows whose name matches this `regexp`")
	flags.StringVar(&o.keep, "keep", "", "a `folder` that keeps the rows' logs, configurations and stores (default: a temporary one, removed)")
	flags.BoolVar(&o.list, "list", false, "list the rows, and run none")
	flags.IntVar(&o.parallel, "parallel", 4, "how many rows run at a time")
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, usage) // progress only
		flags.PrintDefaults()
	}
	err := flags.Parse(args)
	if err == nil {
		o.only, err = regexp.Compile(*only)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return o, 0, false
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "faults:", err) // progress only
		return o, 2, false
	case flags.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "faults: %q is no flag: see --help\n", flags.Arg(0)) // progress only
		return o, 2, false
	}
	return o, 0, true
}

// summary is the last line.
type summary struct {
	Rows    int      `json:"rows"`
	Passed  int      `json:"passed"`
	Failed  []string `json:"failed,omitempty"`
	Seconds float64  `json:"seconds"`
}

// firstPort is below those that the kernel gives to clients.
const firstPort = 20000

func newPorts() *atomic.Int32 {
	ports := &atomic.Int32{}
	ports.Store(firstPort)
	return ports
}

// runAll runs the rows in a folder of their own.
func runAll(ctx context.Context, o options, rows []row, out io.Writer) (s summary, err error) {
	if o.binary == "" {
		root, err := testbed.FindRoot()
		if err != nil {
			return s, err
		}
		o.binary = filepath.Join(root, "bin", "otelcol-runner")
	}
	if _, err := os.Stat(o.binary); err != nil {
		return s, fmt.Errorf("the collector's binary is missing: run `make build` first (%w)", err)
	}
	dir := o.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "faults-"); err != nil {
			return s, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return s, err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return s, err
	}
	if err := furnish(dir); err != nil {
		return s, err
	}
	ports := newPorts()
	began := time.Now()
	s.Rows = len(rows)
	results := newPrinter(out, len(rows))
	runRows(ctx, rows, o.parallel, func(x row) result { return runRow(ctx, x, o.binary, dir, ports) }, func(r result) {
		results.print(r)
		if len(r.failures) > 0 {
			s.Failed = append(s.Failed, r.name)
			return
		}
		s.Passed++
	})
	s.Seconds = time.Since(began).Round(100 * time.Millisecond).Seconds()
	return s, ctx.Err()
}
