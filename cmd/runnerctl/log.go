// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubiyabot/otelcol-runner/internal/logtool"
	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
)

func newCmdLog(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Look at the log of the durable_remote_write exporter, and get samples out of it",
		Long: `log works on the folder that the exporter durable_remote_write has as log::directory. It never changes that folder
and locks nothing, so that it can be used while the collector is writing, and on a folder that was copied elsewhere.

In a folder there are the log itself, whose samples are delivered, being sent, or the backlog; quarantine/ with what the
receiver refused, and why; expired/ with what had become older than the receiver takes; damaged/ with segments of
which a part cannot be read.

What durable delivery comes to, by the receiver that the exporter is configured for:

` + receiverNotes(),
		Example: `  runnerctl log stat /var/lib/otelcol-runner/log
  runnerctl log dump /var/lib/otelcol-runner/log --quarantine
  runnerctl log export /var/lib/otelcol-runner/log --expired --format tsdb --out ./blocks`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(
		newCmdLogLs(s, logLsRun), newCmdLogStat(s, logStatRun), newCmdLogDump(s, logDumpRun),
		newCmdLogVerify(s, logVerifyRun), newCmdLogExport(s, logExportRun), newCmdLogReplay(s, logReplayRun),
	)
	return cmd
}

// receiverNotes says for each receiver, on lines of at most 120 characters, what it keeps.
func receiverNotes() string {
	const width = 120
	var b strings.Builder
	for _, p := range remotewrite.Profiles() {
		line := fmt.Sprintf("  %-16s", p.Name)
		for word := range strings.FieldsSeq(p.Note) {
			if len(line)+1+len(word) > width {
				b.WriteString(line + "\n")
				line = strings.Repeat(" ", 18)
			}
			line += " " + word
		}
		b.WriteString(line + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// logOptions are what all commands of log have.
type logOptions struct {
	streams streams
	dir     string
	output  string
}

func (o *logOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.output, "output", "text", "text or json")
}

func (o *logOptions) complete(args []string) error {
	o.dir = args[0]
	return checkOutput(o.output)
}

// oneFolder wants the folder of a log as the only argument.
func oneFolder(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s needs one folder, the exporter's log::directory: %s", cmd.CommandPath(), cmd.UseLine())
	}
	return nil
}

// selectOptions say which samples.
type selectOptions struct {
	selection    logtool.Selection
	since, until string
}

func (o *selectOptions) addFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.selection.Quarantine, "quarantine", false, "the samples that the receiver refused, instead of the backlog")
	flags.BoolVar(&o.selection.Expired, "expired", false, "the samples that had become too old to be sent, instead of the backlog")
	flags.BoolVar(&o.selection.All, "all", false, "everything on disk: also what has been delivered and not been deleted yet")
	flags.StringVar(&o.selection.Metric, "metric", "", "only metrics whose whole name matches this regular expression")
	flags.StringVar(&o.since, "since", "", "only samples from this time on: RFC 3339, or how long ago, such as 90m or 2d")
	flags.StringVar(&o.until, "until", "", "only samples up to this time, in the same forms")
}

func (o *selectOptions) complete(now time.Time) (err error) {
	if o.selection.Since, err = parseTime("--since", o.since, now); err != nil {
		return err
	}
	if o.selection.Until, err = parseTime("--until", o.until, now); err != nil {
		return err
	}
	if o.selection.Until != 0 && o.selection.Since > o.selection.Until {
		return fmt.Errorf("--since %s is behind --until %s", o.since, o.until)
	}
	return nil
}

// parseTime reads a time, or how long ago, and returns milliseconds since the epoch; 0 for none.
func parseTime(flag, text string, now time.Time) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t.UnixMilli(), nil
	}
	ago, err := model.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%s %q is no time: use one such as 2026-11-24T12:00:00Z, or how long ago, such as 90m or 2d", flag, text)
	}
	return max(1, now.Add(-time.Duration(ago)).UnixMilli()), nil
}

func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return fmt.Errorf("--output %q is not known: use text or json", output)
	}
	return nil
}

// damagedNotice says on the side that some of the log could not be read, and makes the exit code say so too.
func damagedNotice(s streams, damagedBytes int64) error {
	if damagedBytes == 0 {
		return nil
	}
	_, _ = fmt.Fprintf(s.err, "runnerctl: %s of the log cannot be read and are left out: see runnerctl log verify\n", size(damagedBytes))
	return errBroken
}

// size writes bytes for people.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	case bytes >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	default:
		return fmt.Sprintf("%d B", bytes)
	}
}

// when writes milliseconds since the epoch for people; 0 is none.
func when(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// span writes how long it is from one time to another.
func span(from, to int64) string {
	d := time.Duration(min(to-from, math.MaxInt64/1_000_000)) * time.Millisecond
	return model.Duration(d.Round(time.Second)).String()
}
