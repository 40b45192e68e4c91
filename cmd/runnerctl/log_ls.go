// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kubiyabot/otelcol-runner/internal/logtool"
)

type logLsOptions struct{ logOptions }

func newCmdLogLs(s streams, runF func(context.Context, *logLsOptions) error) *cobra.Command {
	opts := &logLsOptions{logOptions{streams: s}}
	cmd := &cobra.Command{
		Use:   "ls DIR",
		Short: "List the segments: samples, series, bytes, times and what has become of them",
		Long: `ls reads all segments and shows what each holds. A segment of the log is

  delivered  when all of it is settled: it is deleted when the collector goes on
  sending    when a part of it is settled
  backlog    when none of it is settled
  empty      when nothing has been written to it yet
  damaged    when a part of it cannot be read

Those of quarantine/ and expired/ are set aside. Times are those of the samples.`,
		Example: `  runnerctl log ls /var/lib/otelcol-runner/log
  runnerctl log ls /var/lib/otelcol-runner/log --output json`,
		Args: oneFolder,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.complete(args); err != nil {
				return err
			}
			return runF(cmd.Context(), opts)
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func logLsRun(_ context.Context, o *logLsOptions) error {
	logs, err := logtool.Open(o.dir)
	if err != nil {
		return err
	}
	rows, err := logs.List()
	if err != nil {
		return err
	}
	if o.output == "json" {
		return json.NewEncoder(o.streams.out).Encode(rows)
	}
	return writeSegments(o.streams.out, rows)
}

func writeSegments(to io.Writer, rows []logtool.Segment) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "samples\tbacklog\tseries\tbytes\tfrom\tto\tstate\t  segment")
	for _, r := range rows {
		backlog := "-"
		if r.Kind == logtool.Main {
			backlog = fmt.Sprint(r.Backlog)
		}
		_, _ = fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%s\t%s\t%s\t  %s\n", r.Samples, backlog, r.Series, size(r.Bytes), when(r.Oldest), when(r.Newest), r.State, r.File)
	}
	return w.Flush()
}
