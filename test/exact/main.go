// SPDX-License-Identifier: Apache-2.0

// Command exact is the oracle: it scrapes the same pages with Prometheus's own scrape manager and with the collector's
// binary, which remote-writes into an embedded Prometheus, and compares what the two store: names, labels, the bits of
// values, timestamps, native histograms, exemplars and stale markers.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

// attempts is how often a run is tried on a machine that is too slow for the scrape timeout.
const attempts = 3

// maxPrinted is how many differences are printed in full.
const maxPrinted = 400

const usage = `exact compares what Prometheus stores with what the collector delivers, sample by sample.

The same pages (pages/README.md) are scraped by Prometheus's own scrape manager into a TSDB, and by the collector's
binary, which remote-writes them into an embedded Prometheus. Differences go to standard error. The last line on
standard output is a JSON object: series and samples that were expected, how many of the samples and exemplars are
missing, extra or different, and in "exceptions" the known differences of the exporter, each with how many samples it
explains, its reason and the upstream file and line; "out_of_scope" is what the product leaves out on purpose. The exit status is 1 when anything is missing, extra or different.

Usage: go run ./test/exact [flags]

`

// report is the last line of output.
type report struct {
	Exporter   string   `json:"exporter"`
	Series     int      `json:"series"`
	Samples    int      `json:"samples"`
	Exemplars  int      `json:"exemplars"`
	Missing    int      `json:"missing"`
	Extra      int      `json:"extra"`
	Different  int      `json:"different"`
	Exceptions []string `json:"exceptions"`
	OutOfScope []string `json:"out_of_scope"`
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	os.Exit(code)
}

func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("exact", flag.ContinueOnError)
	flags.SetOutput(stderr)
	exporter := flags.String("exporter", durable, "exporter to compare: one of "+strings.Join(exporters(), ", "))
	binary := flags.String("binary", "", "the collector's `path` (default bin/otelcol-runner in this repository)")
	keep := flags.String("keep", "", "a `folder` that keeps the stores, the configuration and the collector's log (default: a temporary one, removed)")
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
	r, err := compareExporter(ctx, *exporter, *binary, *keep, stderr)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "exact:", err)
		return 1
	}
	if err := json.NewEncoder(stdout).Encode(r); err != nil {
		_, _ = fmt.Fprintln(stderr, "exact:", err)
		return 1
	}
	if r.Missing+r.Extra+r.Different > 0 {
		return 1
	}
	return 0
}

func compareExporter(ctx context.Context, exporter, binary, keep string, stderr io.Writer) (report, error) {
	exporterConfig, err := configFiles.ReadFile("config/exporter/" + exporter + ".yaml")
	if err != nil {
		return report{}, fmt.Errorf("there is no configuration for the exporter %q; known are %s", exporter, strings.Join(exporters(), ", "))
	}
	if binary == "" {
		root, err := testbed.FindRoot()
		if err != nil {
			return report{}, err
		}
		binary = filepath.Join(root, "bin", "otelcol-runner")
	}
	progress := func(format string, args ...any) { _, _ = fmt.Fprintf(stderr, format, args...) }

	for attempt := 1; ; attempt++ {
		result, err := runIn(ctx, keep, &oracle{
			binary: binary, exporterConfig: string(exporterConfig),
			logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError})), progress: progress,
		})
		if errors.Is(err, errTooSlow) && attempt < attempts {
			progress("%v; trying again\n", err)
			continue
		}
		if err != nil {
			return report{}, err
		}
		return judge(exporter, result, progress), nil
	}
}

// runIn runs the oracle in the folder to keep, or in a temporary one.
func runIn(ctx context.Context, keep string, o *oracle) (result outcome, err error) {
	o.dir = keep
	if keep == "" {
		if o.dir, err = os.MkdirTemp("", "exact-"); err != nil {
			return result, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return result, err
	}
	return o.run(ctx)
}

// judge compares, explains what is known, prints the rest.
func judge(exporter string, o outcome, progress func(string, ...any)) report {
	unexplained, exceptions, outOfScope := explain(exporter, o.facts, o.want, o.got, compare(o.want, o.got))
	for i, d := range unexplained {
		if i == maxPrinted {
			progress("... and %d more\n", len(unexplained)-maxPrinted)
			break
		}
		progress("%s\n", d)
	}
	counts := tally(unexplained)
	return report{
		Exporter: exporter, Series: len(o.want.series), Samples: len(o.want.samples), Exemplars: len(o.want.exemplars),
		Missing: counts[missing], Extra: counts[extra], Different: counts[different],
		Exceptions: exceptions, OutOfScope: outOfScope,
	}
}

// exporters returns the names of the exporter configurations.
func exporters() []string {
	entries, err := configFiles.ReadDir("config/exporter")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}
