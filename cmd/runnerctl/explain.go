// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/explain"
	"github.com/kubiyabot/otelcol-runner/internal/report"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

type explainOptions struct {
	streams    streams
	file       string
	scene      string
	collectors []string
	output     string
	html       string
	explain.Options
}

var explainFormats = []string{"text", "json", "html", "github", "junit"}

func newCmdExplain(s streams, runF func(context.Context, *explainOptions) error) *cobra.Command {
	opts := &explainOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "explain [FILE] (--target X | --series 'm{…}') (--scene SCENE | --collector URL)",
		Short: "Show the way of one target or series through a configuration, and where it ended",
		Long: `explain shows what each step makes of a target or of a series: discovery, each relabel rule, the scrape, each
metric_relabel rule, the receiver, each processor and the exporter, with the labels before and after, and where and why it
ended. FILE is a collector's configuration, a prometheus.yml, or a list of scrape configurations.

What is explained is a run of the real parts on a scene (--scene): manifests and recorded pages, written by hand or by
runnerctl record. Or it is what a running collector has found and what its targets answer now (--collector). Then FILE may be
left out, and what comes behind the scrape is not shown; with it, ${env:NAME} is taken from the environment of this process. The
collector has to have receivers::prometheus::api_server::enabled: true. --collector may be given again, with the address of the
collector's own metrics, to see what it has dropped so far.

A target is named by pod, pod/NAME, address, URL, instance or job, or selected by labels before or after relabelling. Where
several match, the five that got furthest are shown. Values that look like secrets are redacted.

Exit codes: 0 it arrives; 1 nothing matches, or none of what is shown arrives; 2 it could not be run.`,
		Example: `  # why is this pod not scraped?
  runnerctl explain configs/collector.yaml --scene scene.yaml --target pod/tool-manager-0

  # where does this series get lost, and what becomes of its labels?
  runnerctl explain configs/collector.yaml --scene scene.yaml --series 'http_requests_total{app="tool-manager"}'

  # as a page to send to somebody
  runnerctl explain configs/collector.yaml --scene scene.yaml --series up --html up.html

  # of a running collector
  runnerctl explain --collector http://127.0.0.1:9090 --collector http://127.0.0.1:8888 --target '{app="tool-manager"}'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("explain takes one configuration, not %d: quote a selector that has spaces in it", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.complete(args); err != nil {
				return err
			}
			return runF(cmd.Context(), opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.scene, "scene", "", "the scene to run on: a file, or the folder of a recording")
	flags.StringArrayVar(&opts.collectors, "collector", nil, "the address of a running collector: its receiver's api_server, and its own metrics")
	flags.StringVar(&opts.Target, "target", "", "a pod, an address, a URL, an instance, a job, or a selector: {app=\"x\"}")
	flags.StringVar(&opts.Series, "series", "", "a selector: http_requests_total{app=\"x\"}")
	flags.DurationVar(&opts.At, "at", 0, "the time after the scene's first scrape")
	flags.StringVar(&opts.output, "output", "text", "text, json, html, github (workflow commands) or junit")
	flags.StringVar(&opts.html, "html", "", "write a page that stands alone to this file as well")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(explainFormats, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	yamlFiles := cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt)
	_ = cmd.RegisterFlagCompletionFunc("scene", yamlFiles)
	cmd.ValidArgsFunction = yamlFiles
	return cmd
}

func (o *explainOptions) complete(args []string) error {
	if len(args) == 1 {
		o.file = args[0]
	}
	switch {
	case !slices.Contains(explainFormats, o.output):
		return fmt.Errorf("--output %q is not known: use %s", o.output, strings.Join(explainFormats, ", "))
	case (o.Target == "") == (o.Series == ""):
		return errors.New("one of --target and --series says what to explain: give one of them, such as --target pod/tool-manager-0")
	case o.scene != "" && len(o.collectors) > 0:
		return errors.New("--scene and --collector exclude each other: a scene is recorded, a collector runs")
	case o.scene == "" && len(o.collectors) == 0:
		return errors.New("explain needs a scene to run the configuration on: record one with `runnerctl record`, or write it, and give it with --scene; or give a running collector with --collector")
	case o.file == "" && o.scene != "":
		return errors.New("explain needs the configuration to run: runnerctl explain FILE --scene " + o.scene)
	case o.At < 0 || o.At > 0 && len(o.collectors) > 0:
		return fmt.Errorf("--at %s: it is a time after a scene's first scrape, such as 30s", o.At)
	}
	return nil
}

func explainRun(ctx context.Context, o *explainOptions) error {
	explanation, err := o.explanation(ctx)
	if err != nil {
		return err
	}
	if o.html != "" {
		if err := writePage(o.html, explanation); err != nil {
			return err
		}
	}
	switch o.output {
	case "json":
		encoder := json.NewEncoder(o.streams.out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(explanation)
	case "html":
		err = explain.WriteHTML(o.streams.out, explanation)
	case "text":
		err = explain.WriteText(o.streams.out, explanation, o.streams.outTTY && o.streams.color)
	default:
		err = report.Write(o.streams.out, o.output, explanation.Suite(), o.streams.reportOptions())
	}
	if err != nil {
		return err
	}
	if !explanation.Arrives() {
		return errBroken
	}
	return nil
}

func (o *explainOptions) explanation(ctx context.Context) (*explain.Explanation, error) {
	engine := scrapetest.New(o.streams.clock)
	var file *configfile.File
	if o.file != "" {
		var err error
		if file, err = configfile.Load(o.file); err != nil {
			return nil, err
		}
	}
	if len(o.collectors) > 0 {
		return explain.Live(ctx, engine, file, environment(), o.collectors, o.Options)
	}
	s, err := loadScene(o.scene)
	if err != nil {
		return nil, err
	}
	c, err := scrapetest.Load(file, s.Env)
	if err != nil {
		return nil, err
	}
	return explain.Run(ctx, engine, c, s, o.Options)
}

func writePage(path string, e *explain.Explanation) (err error) {
	f, err := os.Create(filepath.Clean(path))
	if err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return explain.WriteHTML(f, e)
}

// environment is that of the process, for the configuration of a collector that runs in the same one.
func environment() map[string]string {
	all := map[string]string{}
	for _, pair := range os.Environ() {
		if name, value, ok := strings.Cut(pair, "="); ok {
			all[name] = value
		}
	}
	return all
}
