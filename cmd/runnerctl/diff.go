// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubiyabot/otelcol-runner/internal/confdiff"
	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

type diffOptions struct {
	streams    streams
	before     string
	after      string
	scene      string
	dashboards []string
	rules      []string
	at         time.Duration
	output     string
	failOn     string
	priceOptions
}

var diffFormats = []string{"text", "json", "markdown", "github", "junit"}

// What --fail-on takes: what a difference has to be to be a finding.
const (
	failOnLosses  = "losses"
	failOnData    = "data"
	failOnChanges = "changes"
	failOnNothing = "never"
)

var failures = []string{failOnLosses, failOnData, failOnChanges, failOnNothing}

func newCmdDiff(s streams, runF func(context.Context, *diffOptions) error) *cobra.Command {
	opts := &diffOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "diff OLD NEW --scene SCENE",
		Short: "Compare what two configurations deliver: series, targets, dashboards, alerts and money",
		Long: `diff runs both configurations on the same scene and compares what is delivered: series that are added, removed, renamed or have
other labels, targets, values, intervals, drops, samples a month and money (see runnerctl cost).

With --dashboards (JSON of Grafana) and --rules (rule files of Prometheus, PrometheusRules) it says which panels, variables, alerts
and recording rules find less: no series any more, fewer, or none with a label by which they group or join or which they show.
Variables stand for any value. What a recording rule loses, what reads its metric loses too. Only selectors are compared: what
an expression makes of the series is not.

OLD and NEW are configurations as for runnerctl test; git:REV:PATH is the file as it was in a revision. --output markdown is for
the comment of a review.

Exit codes: 0 nothing is lost; 1 there is what --fail-on says: losses (a query finds less, the default), data (a query finds
nothing any more, or a label is gone), changes (any difference) or never; 2 it could not be run.`,
		Example: `  runnerctl diff git:main:configs/collector.yaml configs/collector.yaml --scene scene.yaml
  runnerctl diff old.yaml new.yaml --scene scene.yaml --dashboards 'dashboards/*.json' --rules 'rules/*.yaml'
  runnerctl diff old.yaml new.yaml --scene scene.yaml --rules rules.yaml --output markdown >> "$GITHUB_STEP_SUMMARY"
  runnerctl diff old.yaml new.yaml --scene scene.yaml --fail-on changes`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("%s needs two configurations, the old and the new one: %s", cmd.CommandPath(), cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.before, opts.after = args[0], args[1]
			if err := opts.complete(); err != nil {
				return err
			}
			return runF(cmd.Context(), opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.scene, "scene", "", "the scene to run on: a file, or the folder of a recording")
	flags.StringArrayVar(&opts.dashboards, "dashboards", nil, "dashboards of Grafana, as JSON: a file or a glob; may be given again")
	flags.StringArrayVar(&opts.rules, "rules", nil, "rule files: a file, a glob or a folder; may be given again")
	flags.DurationVar(&opts.at, "at", 0, "the time after the scene's first scrape (default: two intervals)")
	flags.StringVar(&opts.output, "output", "text", strings.Join(diffFormats, ", "))
	flags.StringVar(&opts.failOn, "fail-on", failOnLosses, "what exit code 1 is for: "+strings.Join(failures, ", "))
	opts.addFlags(flags)
	yamlFiles := cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt)
	cmd.ValidArgsFunction = yamlFiles
	for _, flag := range []string{"scene", "rules"} {
		_ = cmd.RegisterFlagCompletionFunc(flag, yamlFiles) // the flags are there
	}
	_ = cmd.RegisterFlagCompletionFunc("dashboards", cobra.FixedCompletions([]string{"json"}, cobra.ShellCompDirectiveFilterFileExt))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(diffFormats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions(failures, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("service", cobra.FixedCompletions(services(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *diffOptions) complete() error {
	switch {
	case !slices.Contains(diffFormats, o.output):
		return fmt.Errorf("--output %q is not known: use %s", o.output, strings.Join(diffFormats, ", "))
	case !slices.Contains(failures, o.failOn):
		return fmt.Errorf("--fail-on %q is not known: use %s", o.failOn, strings.Join(failures, ", "))
	case o.scene == "":
		return errors.New("diff needs a scene to run both configurations on: record one with `runnerctl record`, or write it, and give it with --scene")
	case o.at < 0:
		return fmt.Errorf("--at %s: it is a time after the scene's first scrape, such as 5m", o.at)
	}
	return o.priceOptions.complete()
}

func diffRun(ctx context.Context, o *diffOptions) error {
	queries, err := o.queries()
	if err != nil {
		return err
	}
	s, err := loadScene(o.scene)
	if err != nil {
		return err
	}
	sides, err := o.deliver(ctx, s)
	if err != nil {
		return err
	}
	d, err := confdiff.New(ctx, sides[0], sides[1], queries, o.Options)
	if err != nil {
		return err
	}
	suite := o.findings(d)
	switch o.output {
	case "text":
		err = confdiff.WriteText(o.streams.out, d)
	case "markdown":
		err = confdiff.WriteMarkdown(o.streams.out, d)
	case "json":
		encoder := json.NewEncoder(o.streams.out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(d)
	default:
		err = report.Write(o.streams.out, o.output, suite, o.streams.reportOptions())
	}
	if err != nil {
		return err
	}
	if suite.Failed() {
		return errBroken
	}
	return nil
}

// deliver runs both configurations, to the same time.
func (o *diffOptions) deliver(ctx context.Context, s *scene.Scene) (sides [2]confdiff.Side, err error) {
	var configs [2]*scrapetest.Config
	at := o.at
	for i, name := range []string{o.before, o.after} {
		file, err := loadRevision(ctx, name)
		if err != nil {
			return sides, err
		}
		if configs[i], err = scrapetest.Load(file, s.Env); err != nil {
			return sides, err
		}
		if o.at == 0 {
			at = max(at, 2*configs[i].LongestInterval())
		}
	}
	engine := scrapetest.New(o.streams.clock)
	for i, name := range []string{o.before, o.after} {
		result, err := engine.Run(ctx, configs[i], s, at)
		if err != nil {
			return sides, err
		}
		sides[i] = confdiff.Side{Name: name, Result: result, At: at}
	}
	return sides, nil
}

// maxQueryFile bounds a dashboard or a rule file, in bytes.
const maxQueryFile = 32 << 20

// queries reads the dashboards and rule files.
func (o *diffOptions) queries() ([]confdiff.Query, error) {
	var all []confdiff.Query
	for _, kind := range []struct {
		flag  string
		paths []string
		read  func(name string, text []byte) ([]confdiff.Query, error)
	}{{"--dashboards", o.dashboards, confdiff.Dashboard}, {"--rules", o.rules, confdiff.Rules}} {
		paths, err := expandPaths(kind.paths)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind.flag, err)
		}
		for _, path := range paths {
			text, err := scene.ReadFile(path, maxQueryFile)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", kind.flag, err)
			}
			queries, err := kind.read(path, text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", kind.flag, err)
			}
			all = append(all, queries...)
		}
	}
	return all, nil
}

// findings is what --fail-on asks for.
func (o *diffOptions) findings(d *confdiff.Diff) report.Suite {
	c := report.Case{Name: o.after, File: o.after}
	severity := report.Error
	if o.failOn == failOnNothing {
		severity = report.Info
	}
	for _, e := range d.Losses() {
		for i, message := range e.Messages() {
			f := report.Finding{Rule: "query-loses-series", Severity: severity, File: e.File, Line: e.Line, Message: message}
			loss := &e.Losses[i]
			switch {
			case loss.Label != "":
				f.Rule = "query-loses-label"
			case loss.Data():
				f.Rule = "query-loses-data"
			case o.failOn == failOnData:
				f.Severity = report.Info
			}
			c.Findings = append(c.Findings, f)
		}
	}
	if o.failOn == failOnChanges && d.Changed() {
		c.Findings = append(c.Findings, report.Finding{Rule: "delivery-changes", Severity: report.Error, Message: "what is delivered is not what " + o.before + " delivers: " + d.Summary()})
	}
	return report.Suite{Name: "diff", Unit: "file", Cases: []report.Case{c}}
}

// gitPrefix stands before a file in a revision: git:REV:PATH.
const gitPrefix = "git:"

// loadRevision loads a configuration, also as it was in a revision.
func loadRevision(ctx context.Context, name string) (*configfile.File, error) {
	reference, ok := strings.CutPrefix(name, gitPrefix)
	if !ok {
		return configfile.Load(name)
	}
	revision, path, ok := strings.Cut(reference, ":")
	if !ok || revision == "" || path == "" {
		return nil, fmt.Errorf("%s: a file in a revision is git:REV:PATH, such as git:main:configs/collector.yaml", name)
	}
	if !strings.HasPrefix(path, "/") {
		path = "./" + path // of this folder, not of the top of the repository
	}
	var text, wrong bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", "cat-file", "blob", revision+":"+path) //nolint:gosec // the user names the revision, which cannot be an option: cat-file takes what follows the type as an object
	cmd.Stdout, cmd.Stderr = &text, &wrong
	if err := cmd.Run(); err != nil {
		why := strings.Join(strings.Fields(wrong.String()), " ") // what git says has several lines
		if why == "" {
			why = err.Error()
		}
		return nil, fmt.Errorf("%s: git: %s: check the revision and the path", name, why)
	}
	return configfile.Parse(name, text.Bytes())
}
