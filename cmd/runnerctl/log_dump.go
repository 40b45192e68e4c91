// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubiyabot/otelcol-runner/internal/logtool"
)

type logDumpOptions struct {
	logOptions
	selectOptions
	limit int
}

func newCmdLogDump(s streams, runF func(context.Context, *logDumpOptions) error) *cobra.Command {
	opts := &logDumpOptions{logOptions: logOptions{streams: s}}
	cmd := &cobra.Command{
		Use:   "dump DIR",
		Short: "Print samples, those of the quarantine with the reason",
		Long: `dump prints samples in the order of the log, one a line: series, value, time and, behind #, why it was set aside. A stale
marker has the value "stale", a native histogram is written as PromQL shows it. Without a selection it is the
backlog: what has been accepted and not been settled yet.

Exit code 1: a part of the log could not be read.`,
		Example: `  # what waits, of one metric
  runnerctl log dump /var/lib/otelcol-runner/log --metric http_requests_total --limit 20

  # what the receiver refused in the last hour, and why
  runnerctl log dump /var/lib/otelcol-runner/log --quarantine --since 1h

  # for scripts: one JSON object a line
  runnerctl log dump /var/lib/otelcol-runner/log --all --output json`,
		Args: oneFolder,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.complete(args); err != nil {
				return err
			}
			return runF(cmd.Context(), opts)
		},
	}
	opts.logOptions.addFlags(cmd.Flags())
	opts.selectOptions.addFlags(cmd.Flags())
	cmd.Flags().IntVar(&opts.limit, "limit", 0, "print no more samples than this; 0 means all")
	return cmd
}

func (o *logDumpOptions) complete(args []string) error {
	if o.limit < 0 {
		return fmt.Errorf("--limit %d is negative: use a number of samples, or 0 for all", o.limit)
	}
	return errors.Join(o.logOptions.complete(args), o.selectOptions.complete(time.Now()))
}

// errEnough ends a dump that has printed as much as it may.
var errEnough = errors.New("enough")

func logDumpRun(ctx context.Context, o *logDumpOptions) error {
	logs, err := logtool.Open(o.dir)
	if err != nil {
		return err
	}
	reader, err := logs.Select(o.selection)
	if err != nil {
		return fmt.Errorf("--metric: %w", err)
	}
	w := bufio.NewWriter(o.streams.out)
	printed := 0
	err = reader.Each(func(s *logtool.Sample) error {
		if o.limit > 0 && printed == o.limit {
			return errEnough
		}
		printed++
		if o.output == "json" {
			err = json.NewEncoder(w).Encode(newDumped(s))
		} else {
			_, err = fmt.Fprintln(w, dumpLine(s))
		}
		return errors.Join(err, ctx.Err())
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return damagedNotice(o.streams, reader.DamagedBytes)
}

// dumpLine is a sample as text.
func dumpLine(s *logtool.Sample) string {
	text := fmt.Sprintf("%s %s %s", logtool.SeriesText(s.Labels), valueText(s), when(s.T))
	if s.Note != "" {
		text += " # " + s.Note
	}
	return text
}

func valueText(s *logtool.Sample) string {
	switch {
	case logtool.IsStale(&s.Sample):
		return "stale"
	case s.H != nil:
		return s.H.String()
	case s.FH != nil:
		return s.FH.String()
	default:
		return strconv.FormatFloat(s.V, 'g', -1, 64)
	}
}

// dumped is a sample as JSON. The value is a text: JSON has no NaN and no infinity.
type dumped struct {
	Kind logtool.Kind `json:"kind"`
	// Settled says that the sample has been delivered, set aside or dropped, and is only not deleted yet.
	Settled   bool              `json:"settled,omitempty"`
	Series    map[string]string `json:"series"`
	Value     string            `json:"value"`
	Timestamp int64             `json:"timestamp_ms"`
	Start     int64             `json:"start_timestamp_ms,omitempty"`
	Exemplars []dumpedExemplar  `json:"exemplars,omitempty"`
	Note      string            `json:"note,omitempty"`
}

type dumpedExemplar struct {
	Labels    map[string]string `json:"labels"`
	Value     string            `json:"value"`
	Timestamp int64             `json:"timestamp_ms"`
}

func newDumped(s *logtool.Sample) dumped {
	d := dumped{
		Kind: s.Kind, Settled: s.Settled, Series: s.Labels.Map(), Value: valueText(s), Timestamp: s.T, Start: s.ST, Note: s.Note,
	}
	for _, e := range s.Exemplars {
		d.Exemplars = append(d.Exemplars, dumpedExemplar{e.Labels.Map(), strconv.FormatFloat(e.Value, 'g', -1, 64), e.Ts})
	}
	return d
}
