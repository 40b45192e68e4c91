// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubiyabot/otelcol-runner/internal/logtool"
)

type logExportOptions struct {
	logOptions
	selectOptions
	format string
	out    string
}

// The formats of exports.
const (
	formatOpenMetrics = "openmetrics"
	formatTSDB        = "tsdb"
)

func newCmdLogExport(s streams, runF func(context.Context, *logExportOptions) error) *cobra.Command {
	opts := &logExportOptions{logOptions: logOptions{streams: s}}
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "Write samples as OpenMetrics text or as Prometheus TSDB blocks",
		Long: `export writes samples in a form that other programs read. Without a selection it is the backlog: what has been accepted
and not been settled yet. Of samples with the same series and time, the first is written, as a Prometheus server
would keep it.

  openmetrics  OpenMetrics text, for ` + "`promtool tsdb create-blocks-from openmetrics`" + ` and any script. Stale markers and native
               histograms have no form in it: they are left out and counted.
  tsdb         a folder of TSDB blocks of two hours, with stale markers and native histograms. Prometheus takes them over when
               they are moved into its data folder, Thanos and Mimir have tools to upload them, promtool reads them.

A summary goes to standard error. Exit code 1: a part of the log could not be read; the rest has been exported.`,
		Example: `  # what an outage of more than 20 minutes left behind for Azure Monitor
  runnerctl log export /var/lib/otelcol-runner/log --expired --format tsdb --out ./blocks
  promtool tsdb list ./blocks

  runnerctl log export /var/lib/otelcol-runner/log --all --metric 'http_.*' --since 2h > metrics.txt`,
		Args: oneFolder,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.complete(args); err != nil {
				return err
			}
			return runF(cmd.Context(), opts)
		},
	}
	opts.logOptions.addFlags(cmd.Flags())
	cmd.Flags().Lookup("output").Usage = "form of the summary on standard error: text or json"
	opts.selectOptions.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&opts.format, "format", formatOpenMetrics, "openmetrics or tsdb")
	cmd.Flags().StringVar(&opts.out, "out", "", "the file (openmetrics; default: standard output) or the folder (tsdb) to write")
	return cmd
}

func (o *logExportOptions) complete(args []string) error {
	if err := o.logOptions.complete(args); err != nil {
		return err
	}
	switch {
	case o.format != formatOpenMetrics && o.format != formatTSDB:
		return fmt.Errorf("--format %q is not known: use openmetrics or tsdb", o.format)
	case o.format == formatTSDB && o.out == "":
		return errors.New("--format tsdb writes a folder: name it with --out")
	}
	return o.selectOptions.complete(time.Now())
}

func logExportRun(ctx context.Context, o *logExportOptions) error {
	ctx, _, stop := onSignals(ctx)
	defer stop()
	logs, err := logtool.Open(o.dir)
	if err != nil {
		return err
	}
	reader, err := logs.Select(o.selection)
	if err != nil {
		return fmt.Errorf("--metric: %w", err)
	}
	bar := newProgress(o.streams, "samples")
	progress := func(done, all uint64) { bar.show("exporting", done, all, "") }
	var done logtool.Exported
	if o.format == formatTSDB {
		done, err = reader.TSDB(ctx, o.out, progress)
	} else {
		done, err = exportText(ctx, o, reader, progress)
	}
	bar.end()
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: %d samples had been written, the export is not complete", done.Samples)
	case err != nil:
		return err
	}
	if o.output == "json" {
		if err := json.NewEncoder(o.streams.err).Encode(done); err != nil {
			return err
		}
	} else {
		writeExported(o.streams.err, &done)
	}
	return damagedNotice(o.streams, done.DamagedBytes)
}

func exportText(ctx context.Context, o *logExportOptions, reader *logtool.Reader, progress logtool.Progress) (logtool.Exported, error) {
	if o.out == "" {
		return reader.OpenMetrics(ctx, o.streams.out, progress)
	}
	f, err := os.OpenFile(filepath.Clean(o.out), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return logtool.Exported{}, fmt.Errorf("--out: %w", err)
	}
	done, err := reader.OpenMetrics(ctx, f, progress)
	return done, errors.Join(err, f.Close())
}

func writeExported(to io.Writer, e *logtool.Exported) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(to, format+"\n", args...) }
	line("%d samples of %d series exported", e.Samples, e.Series)
	for _, left := range []struct {
		n    uint64
		text string
	}{
		{e.Repeated, "repeated: they have the series and time of another"},
		{e.StaleMarkers, "stale markers, which OpenMetrics text has no form for"},
		{e.NativeHistograms, "native histograms, which OpenMetrics text has no form for"},
		{e.Invalid, "that Prometheus's storage does not take, for example " + e.InvalidExample},
	} {
		if left.n > 0 {
			line("%d samples left out: %s", left.n, left.text)
		}
	}
	if e.Exemplars > 0 {
		line("%d exemplars left out", e.Exemplars)
	}
	for _, b := range e.Blocks {
		line("block %s", b)
	}
}
