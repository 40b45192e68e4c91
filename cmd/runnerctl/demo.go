// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubiyabot/otelcol-runner/configs"
	"github.com/kubiyabot/otelcol-runner/internal/demo"
)

type demoOptions struct {
	streams   streams
	duration  time.Duration
	output    string
	collector string
	dir       string
	listen    string
	chaos     bool
}

func newCmdDemo(s streams, runF func(context.Context, *demoOptions) error) *cobra.Command {
	opts := &demoOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the real collector against a sample runner and a local Prometheus, and count what arrives",
		Long: `demo runs the real collector with the reference configuration, on loopback and without Kubernetes: a sample
runner to scrape, and a Prometheus in this process as the managed backend. Around the sample runner things go
wrong: a neighbour from another namespace, a component whose series never stop growing, a target that claims to
be another runner, a token in a label.

It shows what is scraped, kept, dropped and why, delivered, stored and lost, in the terminal and on a local page that
also answers PromQL. At the end it stops scraping and checks that every kept sample is in the store, to the last one.
Ctrl-C ends it with that check; Ctrl-C again skips the check.

The key k kills the collector (kill -9), which is started again at once, and --chaos does that every few seconds. What the
collector had accepted is in its log on disk, and delivered by the next one: lost stays 0. A scrape that was in flight or
did not take place is not a kept sample; it shows as a gap.

Exit codes: 0 every promise held; 1 one did not; 2 the demo could not run to its end.`,
		Example: `  # until Ctrl-C
  runnerctl demo

  # for a script: the last line on standard output is one JSON object, the rest goes to standard error
  runnerctl demo --duration 60s --output json

  # the collector is killed every few seconds, and nothing is lost
  runnerctl demo --chaos --duration 60s

  # the page on a port of your choice, the store and the collector's log kept
  runnerctl demo --listen 127.0.0.1:8090 --dir ./demo`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.complete(); err != nil {
				return err
			}
			return runF(cmd.Context(), opts)
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&opts.duration, "duration", 0, "how long to scrape; 0 means until Ctrl-C")
	flags.StringVar(&opts.output, "output", "text", "text or json")
	flags.StringVar(&opts.collector, "collector", "", "the collector's binary (default: otelcol-runner next to runnerctl)")
	flags.StringVar(&opts.dir, "dir", "", "an empty folder to keep the store, the configuration, the exporter's log and the collector's messages in (default: a temporary one)")
	flags.BoolVar(&opts.chaos, "chaos", false, "kill the collector every few seconds (kill -9), and start it again")
	flags.StringVar(&opts.listen, "listen", "127.0.0.1:0", "address of the page; port 0 is any free one")
	return cmd
}

func (o *demoOptions) complete() error {
	if o.output != "text" && o.output != "json" {
		return fmt.Errorf("--output %q is not known: use text or json", o.output)
	}
	if o.duration < 0 {
		return fmt.Errorf("--duration %s is negative: use a time such as 60s, or 0 to run until Ctrl-C", o.duration)
	}
	if o.collector == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("where runnerctl is cannot be told: %w; name the collector with --collector", err)
		}
		o.collector = filepath.Join(filepath.Dir(self), "otelcol-runner")
	}
	return nil
}

func demoRun(ctx context.Context, o *demoOptions) error {
	screen, tty := o.streams.out, o.streams.outTTY
	if o.output == "json" {
		screen, tty = o.streams.err, o.streams.errTTY
	}
	ctx, skip, stop := onSignals(ctx)
	defer stop()
	kill := make(chan struct{}, 1)
	letGo, keys := watchKeys(o.streams.in, func(key byte) {
		if key != 'k' {
			return
		}
		select {
		case kill <- struct{}{}:
		default: // it is being killed already
		}
	})
	defer letGo()
	if !keys {
		kill = nil
	}

	result, err := demo.Run(ctx, demo.Options{
		Duration: o.duration, Collector: o.collector, Config: configs.Collector, Dir: o.dir, Listen: o.listen,
		Screen: screen, Redraw: tty, Color: tty && o.streams.color, Kill: kill, Chaos: o.chaos, Skip: skip,
	})
	if err != nil {
		return err
	}
	if o.output == "json" {
		if err := json.NewEncoder(o.streams.out).Encode(result); err != nil {
			return err
		}
	}
	switch {
	case len(result.Broken) > 0:
		return errBroken
	case !result.Verified:
		return errors.New("interrupted before the final check")
	}
	return nil
}

// onSignals returns a context that the first SIGINT or SIGTERM ends, and a channel that the second one closes.
func onSignals(parent context.Context) (context.Context, <-chan struct{}, func()) {
	ctx, cancel := context.WithCancel(parent)
	skip := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for count := 0; count < 2; count++ {
			select {
			case <-signals:
			case <-done:
				return
			}
			if count == 0 {
				cancel()
				continue
			}
			close(skip)
		}
		// A third is the user's impatience: let it end the process as it would have.
		signal.Stop(signals)
	}()
	return ctx, skip, func() {
		signal.Stop(signals)
		close(done)
		<-ended
		cancel()
	}
}
