// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubiyabot/otelcol-runner/internal/logtool"
	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
)

type logReplayOptions struct {
	logOptions
	selectOptions
	replay logtool.ReplayOptions
	// keep says that the user has named the folder of the state.
	keep bool
}

func newCmdLogReplay(s streams, runF func(context.Context, *logReplayOptions) error) *cobra.Command {
	opts := &logReplayOptions{logOptions: logOptions{streams: s}}
	cmd := &cobra.Command{
		Use:   "replay DIR --endpoint URL",
		Short: "Send samples to another remote-write endpoint",
		Long: `replay sends samples as the collector sends them, the oldest first: again until the receiver has them, in smaller requests
where it wants that, and what it refuses is set aside with its answer. It tells the collector nothing: what is replayed
from the backlog, the collector still sends to its own receiver.

The selected samples are copied to the folder of --state first, where it is also written down how far the replay has
come: with the same options it goes on after Ctrl-C, a crash, or another day. Without --state it is a temporary folder, which
is removed when all is sent, and kept and named otherwise.

Exit codes: 0 all was delivered; 1 some samples were refused, expired or could not be read; 2 it did not come to its end.`,
		Example: `  # what the receiver did not take any more, to one that does
  runnerctl log replay /var/lib/otelcol-runner/log --expired --endpoint https://mimir.example.com/api/v1/push \
    --bearer-token-file ./token --state ./replay

  # all that is still on disk, to a Prometheus on this machine
  runnerctl log replay ./copy-of-a-log --all --endpoint http://127.0.0.1:9090/api/v1/write`,
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
	flags := cmd.Flags()
	flags.StringVar(&opts.replay.Target.Endpoint, "endpoint", "", "full URL of the receiver (required)")
	flags.StringVar(&opts.replay.Target.BearerTokenFile, "bearer-token-file", "", "file with a bearer token, read for each request")
	flags.StringVar(&opts.replay.Target.User, "user", "", "user name, with --password-file")
	flags.StringVar(&opts.replay.Target.PasswordFile, "password-file", "", "file with the user's password, read for each request")
	flags.StringVar(&opts.replay.Receiver, "receiver", remotewrite.Auto, "what is at the endpoint: "+strings.Join(receivers(), ", "))
	flags.StringVar(&opts.replay.Protocol, "protocol", "auto", "version of remote write: auto, 1.0 or 2.0")
	flags.Float64Var(&opts.replay.Rate, "rate", 0, "samples a second; 0 means as fast as the receiver takes them")
	flags.StringVar(&opts.replay.State, "state", "", "folder of the replay, with which it can go on (default: a temporary one)")
	return cmd
}

func receivers() (names []string) {
	for _, p := range remotewrite.Profiles() {
		names = append(names, p.Name)
	}
	return names
}

func (o *logReplayOptions) complete(args []string) error {
	if err := o.logOptions.complete(args); err != nil {
		return err
	}
	switch {
	case o.replay.Target.Endpoint == "":
		return errors.New("--endpoint is missing: name the receiver's full URL, for example https://prometheus.example/api/v1/write")
	case o.replay.Rate < 0:
		return fmt.Errorf("--rate %v is negative: use samples a second, or 0 for no limit", o.replay.Rate)
	}
	o.keep = o.replay.State != ""
	o.replay.Target.Version = version()
	return o.selectOptions.complete(time.Now())
}

func logReplayRun(ctx context.Context, o *logReplayOptions) error {
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
	if !o.keep {
		if o.replay.State, err = os.MkdirTemp("", "runnerctl-replay-"); err != nil {
			return fmt.Errorf("no temporary folder: %w; name one with --state", err)
		}
	}
	bar := newProgress(o.streams, "samples")
	r, err := reader.Replay(ctx, o.replay,
		func(done, all uint64) { bar.show("copying", done, all, "") },
		func(r logtool.Replayed) {
			bar.show("sending", r.Selected-min(r.Left, r.Selected), r.Selected, sendingText(&r))
		})
	bar.end()
	complete := err == nil && r.Acknowledged == r.Selected
	if !o.keep && (complete || r.Selected == 0) {
		err = errors.Join(err, os.RemoveAll(o.replay.State))
		r.State = ""
	}
	if err == nil || r.Selected > 0 {
		if writeErr := writeReplayed(o, &r); writeErr != nil {
			return errors.Join(err, writeErr)
		}
	}
	switch {
	case errors.Is(err, context.Canceled) && r.State == "":
		return errors.New("interrupted before anything was sent")
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: %d samples are left, and are sent with the same options and --state %s", r.Left, r.State)
	case err != nil:
		return err
	case !complete:
		return errors.Join(damagedNotice(o.streams, r.DamagedBytes), errBroken)
	default:
		return damagedNotice(o.streams, r.DamagedBytes)
	}
}

// sendingText is what there is to know beside the bar.
func sendingText(r *logtool.Replayed) string {
	text := fmt.Sprintf("%s in %d requests", size(r.Bytes), r.Requests)
	if r.Failing != "" {
		text += ", trying again: " + firstBytes(r.Failing, 60)
	}
	return text
}

func firstBytes(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "..."
}

func writeReplayed(o *logReplayOptions, r *logtool.Replayed) error {
	if o.output == "json" {
		return json.NewEncoder(o.streams.out).Encode(r)
	}
	return replayedText(o.streams.out, r)
}

func replayedText(to io.Writer, r *logtool.Replayed) error {
	var err error
	line := func(format string, args ...any) {
		if _, e := fmt.Fprintf(to, format+"\n", args...); err == nil {
			err = e
		}
	}
	line("%d of %d samples delivered, %s in %d requests", r.Acknowledged, r.Selected, size(r.Bytes), r.Requests)
	if r.Repeated > 0 {
		line("%d samples were not sent because they have the series and time of another", r.Repeated)
	}
	if r.Expired > 0 {
		line("%d samples were older than the receiver takes", r.Expired)
	}
	for _, counts := range []struct {
		what string
		by   map[string]uint64
	}{{"refused by the receiver", r.Quarantined}, {"dropped", r.Dropped}} {
		for _, reason := range slices.Sorted(maps.Keys(counts.by)) {
			line("%d samples %s: %s", counts.by[reason], counts.what, reason)
		}
	}
	if len(r.Quarantined) > 0 && r.State != "" {
		line("why: runnerctl log dump --quarantine %s", filepath.Join(r.State, "log"))
	}
	if r.Failing != "" {
		line("the last attempt failed: %s", r.Failing)
	}
	return err
}
