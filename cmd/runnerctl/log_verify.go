// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kubiyabot/otelcol-runner/internal/logtool"
)

type logVerifyOptions struct{ logOptions }

func newCmdLogVerify(s streams, runF func(context.Context, *logVerifyOptions) error) *cobra.Command {
	opts := &logVerifyOptions{logOptions{streams: s}}
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Check everything in the folder, and name each fault with file and offset",
		Long: `verify reads all of the folder and checks the checksum of each batch and of the checkpoint, that the numbers of the samples
have no gap, that the position of delivery is at a batch, and that the totals add up with it.

What is no fault is a note: the last batch of a log that is being written or that a crash has torn, which was never
acknowledged, and what is in damaged/.

Exit code 1: there are findings.`,
		Example: `  runnerctl log verify /var/lib/otelcol-runner/log
  runnerctl log verify /var/lib/otelcol-runner/log --output json`,
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

func logVerifyRun(_ context.Context, o *logVerifyOptions) error {
	logs, err := logtool.Open(o.dir)
	if err != nil {
		return err
	}
	v, err := logs.Verify()
	if err != nil {
		return err
	}
	if o.output == "json" {
		err = json.NewEncoder(o.streams.out).Encode(v)
	} else {
		err = writeVerification(o.streams, &v)
	}
	if err == nil && len(v.Findings) > 0 {
		return errBroken
	}
	return err
}

func writeVerification(s streams, v *logtool.Verification) error {
	var err error
	line := func(to io.Writer, format string, args ...any) {
		if _, e := fmt.Fprintf(to, format+"\n", args...); err == nil {
			err = e
		}
	}
	for _, n := range v.Notes {
		line(s.out, "note     %s", n)
	}
	for _, f := range v.Findings {
		line(s.out, "%s  %s", s.paint(red, "FINDING"), f)
	}
	verdict := s.paint(green, "ok")
	if n := len(v.Findings); n > 0 {
		verdict = s.paint(red, fmt.Sprintf("%d findings", n))
	}
	line(s.out, "%s: %d segments, %d batches, %d samples, %s read", verdict, v.Segments, v.Batches, v.Samples, size(v.Bytes))
	return err
}

// ANSI colours, for terminals.
const (
	red   = "\x1b[31m"
	green = "\x1b[32m"
	reset = "\x1b[0m"
)

// paint colours a text for standard output where that is a terminal.
func (s streams) paint(color, text string) string {
	if !s.outTTY || !s.color {
		return text
	}
	return color + text + reset
}
