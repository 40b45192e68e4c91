// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubiyabot/otelcol-runner/internal/logtool"
)

type logStatOptions struct {
	logOptions
	top int
}

func newCmdLogStat(s streams, runF func(context.Context, *logStatOptions) error) *cobra.Command {
	opts := &logStatOptions{logOptions: logOptions{streams: s}}
	cmd := &cobra.Command{
		Use:   "stat DIR",
		Short: "Show the totals, the backlog, and how far delivery has come",
		Long: `stat shows what has become of all samples that the log has accepted since its folder was made:

  accepted = acknowledged + expired + quarantined + dropped + backlog

as of the last checkpoint, which the collector writes with each request, and what is in the log. While the collector
runs, the backlog may be a little behind. Exit code 1: the sum is another, which a damaged checkpoint or log explains.`,
		Example: `  runnerctl log stat /var/lib/otelcol-runner/log
  runnerctl log stat /var/lib/otelcol-runner/log --top 50
  runnerctl log stat /var/lib/otelcol-runner/log --output json | jq .backlog`,
		Args: oneFolder,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.complete(args); err != nil {
				return err
			}
			return runF(cmd.Context(), opts)
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().IntVar(&opts.top, "top", 10, "how many metrics of the backlog, those with the most samples first")
	return cmd
}

func (o *logStatOptions) complete(args []string) error {
	if o.top < 0 {
		return fmt.Errorf("--top %d is negative: use a number of metrics, or 0 for none", o.top)
	}
	return o.logOptions.complete(args)
}

func logStatRun(_ context.Context, o *logStatOptions) error {
	logs, err := logtool.Open(o.dir)
	if err != nil {
		return err
	}
	s, err := logs.Stat(o.top)
	if err != nil {
		return err
	}
	if o.output == "json" {
		err = json.NewEncoder(o.streams.out).Encode(s)
	} else {
		err = writeStat(o.streams.out, &s, logs.Checkpointed, time.Now())
	}
	if err == nil && !s.Balanced {
		return errBroken
	}
	return err
}

func writeStat(to io.Writer, s *logtool.Stat, checkpointed bool, now time.Time) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	line("log\t%d segments, %s", s.Segments, size(s.Bytes))
	line("accepted\t%d", s.Accepted)
	line("  acknowledged\t%d", s.Acknowledged)
	line("  expired\t%d", s.Expired)
	writeCounts(line, "quarantined", s.Quarantined)
	writeCounts(line, "dropped", s.Dropped)
	line("  backlog\t%d", s.Backlog)
	if s.Balanced {
		line("  sum\tok: accepted is the sum of these")
	} else {
		line("  sum\tNOT ok: these are %d, %d less than accepted: see runnerctl log verify", s.Sum()+s.Backlog, int64(s.Accepted)-int64(s.Sum()+s.Backlog)) //nolint:gosec // samples
	}
	if s.Missing > 0 {
		line("  missing\t%d of the backlog are not in the log any more or cannot be read: they will be counted as dropped", s.Missing)
	}
	if s.Oldest != 0 {
		line("oldest\t%s, %s ago", when(s.Oldest), span(s.Oldest, now.UnixMilli()))
		line("newest\t%s, %s ago", when(s.Newest), span(s.Newest, now.UnixMilli()))
	}
	writeDelivery(line, s, checkpointed)
	for _, kind := range slices.Sorted(maps.Keys(s.Kept)) {
		kept := s.Kept[kind]
		line("%s/\t%d samples in %d segments, %s", kind, kept.Samples, kept.Segments, size(kept.Bytes))
		for _, reason := range slices.Sorted(maps.Keys(kept.Reasons)) {
			line("  %s\t%d", reason, kept.Reasons[reason])
		}
	}
	if len(s.Metrics) > 0 {
		line("backlog by metric")
	}
	for _, m := range s.Metrics {
		line("  %s\t%d", m.Metric, m.Samples)
	}
	if s.MoreMetrics > 0 {
		line("  and %d more", s.MoreMetrics)
	}
	return w.Flush()
}

func writeCounts(line func(string, ...any), name string, counts map[string]uint64) {
	sum := uint64(0)
	for _, n := range counts {
		sum += n
	}
	line("  %s\t%d", name, sum)
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		line("    %s\t%d", reason, counts[reason])
	}
}

// writeDelivery shows how far delivery has come and what the receiver has taught.
func writeDelivery(line func(string, ...any), s *logtool.Stat, checkpointed bool) {
	if !checkpointed {
		line("checkpoint\tnone yet: nothing has been sent")
		return
	}
	for shard, state := range s.Shards {
		p := state.Position
		line("shard %d\tsegment %d, offset %d, sample %d of the batch (number %d of run %d)", shard, p.Segment, p.Offset, p.Skip, state.Seq, s.Run)
		if f := state.Frozen; f != nil {
			line("  being sent\t%d samples as remote write %s, %d of them settled, up to segment %d, offset %d", f.EndSeq-state.Seq, f.Protocol, f.Settled, f.End.Segment, f.End.Offset)
		}
	}
	r := s.Remembered
	if r.Protocol != "" {
		line("receiver taught\tremote write %s", r.Protocol)
	}
	if r.MaxSamples > 0 {
		line("receiver taught\tat most %d samples in a request", r.MaxSamples)
	}
}
