// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubiyabot/otelcol-runner/internal/casefile"
	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

type testOptions struct {
	streams  streams
	args     []string
	output   string
	config   string
	match    string
	coverage string // empty: not wanted; else the percentage that there has to be
	update   bool
	watch    bool
	verbose  bool

	matcher    *regexp.Regexp
	wanted     float64 // of coverage, in percent
	configFile *configfile.File
}

// anyCoverage is the percentage of --coverage without one.
const anyCoverage = "0"

func newCmdTest(s streams, runF func(context.Context, *testOptions) error) *cobra.Command {
	opts := &testOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Test what a configuration delivers from manifests and recorded pages",
		Long: `test runs the cases of test files: a configuration and a scene in, exact series out. Discovery, relabelling, scraping, processors
and translation are the real ones; minutes of scraping take milliseconds. A FILE is a path, a glob, or a folder, below which
it reads *_test.yaml and *.test.yaml.

  # yaml-language-server: $schema=https://raw.githubusercontent.com/kubiyabot/otelcol-runner/main/docs/schema/scrape-test.schema.json
  config: collector.yaml
  scene:
    env: {RUNNER_NAMESPACE: runner}
    manifests: [runner.yaml]
    pages: {pod/tool-manager-0:3001/metrics: pages/tool-manager.prom}
  cases:
  - name: tool-manager's request counter arrives with the runner's labels
    at: 30s
    expect:
      series: {'http_requests_total{app="tool-manager", runner="r1", …}': 42}
      labels: {match: 'up{}', have: [organization, runner, app], lack: [pod_ip]}
      targets: {kept: 4, dropped: 1}
      count: {'{app="tool-manager"}': '<= 200'}
      promql: {'sum(rate(http_requests_total[1m])) > 0': true}
      absent: ['{__name__=~"internal_.*"}']
      drops: {out_of_scope: '> 0'}

A selector of a series names all labels, unless it ends in … or ... . docs/schema/scrape-test.schema.json describes all keys.
An empty expect is filled in by --update. A scene is written by hand, or by runnerctl record.`,
		Example: `  runnerctl test tests/
  runnerctl test collector_test.yaml --run 'request counter' --watch
  runnerctl test tests/ --coverage=100
  runnerctl test tests/ --config new-collector.yaml --output junit
  runnerctl test collector_test.yaml --update`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s needs a test file: %s", cmd.CommandPath(), cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.args = args
			if err := opts.complete(); err != nil {
				return err
			}
			return runF(cmd.Context(), opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.output, "output", "text", "text, json, github (workflow commands) or junit")
	flags.StringVar(&opts.config, "config", "", "the configuration to be tested, instead of those that the files name")
	flags.StringVar(&opts.match, "run", "", "only cases whose name matches this regular expression")
	flags.StringVar(&opts.coverage, "coverage", "", "say which jobs, relabel rules and scope entries no case exercises; with a number, fail below that percentage")
	flags.Lookup("coverage").NoOptDefVal = anyCoverage
	flags.BoolVar(&opts.update, "update", false, "write what is delivered into the files, in place of what is expected, after showing the difference")
	flags.BoolVar(&opts.watch, "watch", false, "run again whenever a test file, a configuration, a manifest or a page changes")
	flags.BoolVarP(&opts.verbose, "verbose", "v", false, "list every case")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(report.Formats(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	yamlFiles := cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt)
	_ = cmd.RegisterFlagCompletionFunc("config", yamlFiles)
	_ = cmd.RegisterFlagCompletionFunc("run", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("coverage", cobra.FixedCompletions([]string{"100"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.ValidArgsFunction = yamlFiles
	return cmd
}

func (o *testOptions) complete() (err error) {
	if err := report.CheckFormat(o.output); err != nil {
		return err
	}
	if o.watch && o.output != "text" {
		return fmt.Errorf("--watch writes text for people: leave out --output %s", o.output)
	}
	if o.watch && o.update {
		return fmt.Errorf("--watch and --update: a run that writes its own tests would never end: use one of them")
	}
	if o.match != "" {
		if o.matcher, err = regexp.Compile(o.match); err != nil {
			return fmt.Errorf("--run: %w", err)
		}
	}
	if o.coverage != "" {
		o.wanted, err = strconv.ParseFloat(strings.TrimSuffix(o.coverage, "%"), 64)
		if err != nil || !(o.wanted >= 0 && o.wanted <= 100) {
			return fmt.Errorf("--coverage %q is no percentage: use a number from 0 to 100", o.coverage)
		}
	}
	return o.checkPercentage()
}

// checkPercentage finds the percentage of `--coverage 100`, which is a file for all that the flag knows.
func (o *testOptions) checkPercentage() error {
	if o.coverage != anyCoverage {
		return nil
	}
	for _, arg := range o.args {
		if _, err := strconv.ParseFloat(strings.TrimSuffix(arg, "%"), 64); err != nil {
			continue
		}
		if _, err := os.Stat(arg); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no file %s: the percentage follows --coverage behind an equals sign: --coverage=%s", arg, arg)
		}
	}
	return nil
}

func testRun(ctx context.Context, o *testOptions) error {
	if o.watch {
		return testWatch(ctx, o)
	}
	_, err := o.once(ctx)
	return err
}

// once loads everything and runs it. The files are returned as far as they could be read.
func (o *testOptions) once(ctx context.Context) ([]*casefile.File, error) {
	files, err := casefile.Load(o.args...)
	if err != nil {
		return nil, err
	}
	o.configFile = nil
	if o.config != "" {
		if o.configFile, err = configfile.Load(o.config); err != nil {
			return files, err
		}
	}
	result, err := o.cases(ctx, files)
	if err != nil {
		return files, err
	}
	if o.update {
		if files, result, err = o.updated(ctx, files, result); err != nil {
			return files, err
		}
	}
	return files, o.write(result)
}

func (o *testOptions) cases(ctx context.Context, files []*casefile.File) (*casefile.Report, error) {
	bar := newProgress(o.streams, "cases")
	result, err := casefile.Run(ctx, scrapetest.New(o.streams.clock), files, casefile.Options{
		Config: o.configFile, Match: o.matcher, Coverage: o.coverage != "",
		Progress: func(done, all int) { bar.show("running", uint64(done), uint64(all), "") }, //nolint:gosec // numbers of cases
	})
	bar.end()
	if err != nil {
		return nil, err
	}
	if len(result.Suite.Cases) == 0 {
		return nil, fmt.Errorf("--run %q matches the name of no case", o.match)
	}
	return result, nil
}

// updated shows and writes what has changed, and runs everything again.
func (o *testOptions) updated(ctx context.Context, files []*casefile.File, result *casefile.Report) ([]*casefile.File, *casefile.Report, error) {
	updates, err := result.Updates()
	if err != nil || len(updates) == 0 {
		return files, result, err
	}
	for i := range updates {
		u := &updates[i]
		diff, err := u.Diff()
		if err != nil {
			return files, result, err
		}
		if _, err := io.WriteString(o.streams.err, o.streams.colorDiff(diff)); err != nil {
			return files, result, err
		}
		if err := replaceFile(u.File, u.After); err != nil {
			return files, result, err
		}
		if _, err := fmt.Fprintf(o.streams.err, "%s: %s written anew\n", u.File, count(u.Count, "expectation")); err != nil {
			return files, result, err
		}
	}
	if files, err = casefile.Load(o.args...); err != nil {
		return nil, result, err
	}
	result, err = o.cases(ctx, files)
	return files, result, err
}

// colorDiff colours a unified diff, where that goes to a terminal.
func (s streams) colorDiff(diff string) string {
	if !s.errTTY || !s.color {
		return diff
	}
	lines := strings.SplitAfter(diff, "\n")
	for i, line := range lines {
		color := map[string]string{"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[2m"}[line[:min(1, len(line))]]
		if color != "" {
			lines[i] = color + strings.TrimSuffix(line, "\n") + "\x1b[0m\n"
		}
	}
	return strings.Join(lines, "")
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// write writes what came out. The error is errBroken where a case failed or the coverage is too low.
func (o *testOptions) write(result *casefile.Report) error {
	suite := result.Suite
	failed := 0
	for i := range suite.Cases {
		if suite.Cases[i].Failed() {
			failed++
		}
	}
	suite.Summary = fmt.Sprintf("%s, %d passed, ", count(len(suite.Cases), "case"), len(suite.Cases)-failed)
	if failed > 0 {
		suite.Summary += fmt.Sprintf("%d failed, ", failed)
	}
	suite.Summary += fmt.Sprintf("%.1f s", result.Duration.Seconds())
	if result.Coverage != nil {
		suite.Coverage = result.Coverage
		suite.Summary += fmt.Sprintf(", coverage %s", result.Coverage)
		if c := result.Coverage.Case(o.wanted); len(c.Findings) > 0 {
			suite.Cases = append(suite.Cases, c)
		}
	}
	if o.output == "text" {
		if err := o.before(result); err != nil {
			return err
		}
	}
	if o.output == "text" || o.output == "github" {
		suite.Cases = named(suite.Cases)
	}
	if err := report.Write(o.streams.out, o.output, suite, o.streams.reportOptions()); err != nil {
		return err
	}
	if suite.Failed() {
		return errBroken
	}
	return nil
}

// before writes what stands above the findings: the cases, and what is not covered.
func (o *testOptions) before(result *casefile.Report) error {
	var b strings.Builder
	if o.verbose {
		for i := range result.Suite.Cases {
			c := &result.Suite.Cases[i]
			word := "ok    "
			if c.Failed() {
				word = "FAILED"
			}
			fmt.Fprintf(&b, "%s %s:%d: %s (%d ms)\n", word, c.File, c.Line, c.Name, c.Duration.Round(time.Millisecond).Milliseconds())
		}
		for _, note := range result.Notes {
			fmt.Fprintf(&b, "note: %s\n", note)
		}
	}
	if result.Coverage != nil {
		if err := result.Coverage.WriteText(&b); err != nil {
			return err
		}
	}
	_, err := io.WriteString(o.streams.out, b.String())
	return err
}

// named puts the name of its case in front of each finding.
func named(cases []report.Case) []report.Case {
	all := make([]report.Case, len(cases))
	for i, c := range cases {
		findings := make([]report.Finding, len(c.Findings))
		for k, f := range c.Findings {
			if f.Rule != casefile.CoverageRule {
				f.Message = c.Name + ": " + f.Message
			}
			findings[k] = f
		}
		c.Findings = findings
		all[i] = c
	}
	return all
}
