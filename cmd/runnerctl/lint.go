// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/lint"
	"github.com/kubiyabot/otelcol-runner/internal/report"
)

type lintOptions struct {
	streams streams
	stdin   io.Reader
	files   []string
	output  string
	fix     bool
	list    bool
}

func newCmdLint(s streams, runF func(context.Context, *lintOptions) error) *cobra.Command {
	opts := &lintOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Find what is wrong in a configuration that scrapes, without running it",
		Long: `lint reads configurations of the collector, prometheus.yml files, and lists of scrape configurations, and finds what would
not start, what would be scraped twice or never, and what leaks, costs or lies. A FILE is a path, a glob (also one that
the shell did not expand), a folder, of which it reads the *.yaml and *.yml, or - for standard input.

The rules, with examples, are in docs/lint-rules.md; --list shows them in short. A comment silences one where there is a reason:

  scrape_interval: 10s # runnerctl-lint: disable=interval-range the test bed is slow to start`,
		Example: `  runnerctl lint configs/*.yaml
  runnerctl lint --fix collector.yaml
  runnerctl lint --output github configs
  kubectl get configmap collector -o jsonpath='{.data.config\.yaml}' | runnerctl lint -
  runnerctl lint --list`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !opts.list {
				return fmt.Errorf("%s needs a file: %s", cmd.CommandPath(), cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.files, opts.stdin = args, cmd.InOrStdin()
			if err := opts.check(); err != nil {
				return err
			}
			return runF(cmd.Context(), opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.output, "output", "text", "text, json, github (workflow commands) or junit; with --list text or json")
	flags.BoolVar(&opts.fix, "fix", false, "write to the files what can be mended safely, and say what that was")
	flags.BoolVar(&opts.list, "list", false, "list the rules")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(report.Formats(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	cmd.ValidArgsFunction = cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt)
	return cmd
}

func (o *lintOptions) check() error {
	if !o.list {
		if o.fix && slices.Contains(o.files, stdinPath) {
			return errors.New("--fix cannot write to standard input: name a file")
		}
		return report.CheckFormat(o.output)
	}
	if err := checkOutput(o.output); err != nil {
		return fmt.Errorf("--list: %w", err)
	}
	return nil
}

func lintRun(ctx context.Context, o *lintOptions) error {
	if o.list {
		return writeRules(o.streams.out, o.output)
	}
	paths, err := expandPaths(o.files)
	if err != nil {
		return err
	}
	suite := report.Suite{Name: "lint", Unit: "file"}
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		begin := time.Now()
		findings, err := o.lintFile(path)
		if err != nil {
			return err
		}
		suite.Cases = append(suite.Cases, report.Case{Name: path, File: path, Duration: time.Since(begin), Findings: findings})
	}
	if err := report.Write(o.streams.out, o.output, suite, o.streams.reportOptions()); err != nil {
		return err
	}
	if suite.Failed() {
		return errBroken
	}
	return nil
}

// reportOptions is how findings look on this output.
func (s streams) reportOptions() report.Options {
	return report.Options{Color: s.outTTY && s.color, Excerpts: s.outTTY}
}

// lintFile returns what is found in a file. The error is that of reading it; what is wrong in it are findings.
func (o *lintOptions) lintFile(path string) ([]report.Finding, error) {
	f, err := o.load(path)
	if finding, broken := lint.Broken(err); broken {
		return []report.Finding{finding.Finding}, nil
	}
	if err != nil {
		return nil, err
	}
	if o.fix {
		if f, err = o.mend(path, f); err != nil {
			return nil, err
		}
	}
	var findings []report.Finding
	for _, finding := range lint.Check(f) {
		findings = append(findings, finding.Finding)
	}
	return findings, nil
}

func (o *lintOptions) load(path string) (*configfile.File, error) {
	if path == stdinPath {
		return configfile.Read("<stdin>", o.stdin)
	}
	return configfile.Load(path)
}

// mend writes a file with its safe fixes, and says on the side what they were.
func (o *lintOptions) mend(path string, f *configfile.File) (*configfile.File, error) {
	mended, done := lint.Fix(f)
	if len(done) == 0 {
		return f, nil
	}
	if err := replaceFile(path, mended.Text); err != nil {
		return nil, err
	}
	for _, d := range done {
		if _, err := fmt.Fprintf(o.streams.err, "%s:%d:%d: mended: %s: %s (%s)\n", d.File, d.Line, d.Column, d.Message, d.Fix, d.Rule); err != nil {
			return nil, err
		}
	}
	return mended, nil
}

// replaceFile writes a file as a whole or not at all, with the rights that it has. A link stays a link.
func replaceFile(path string, text []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(info.Mode().Perm()), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// ruleRow is a rule in the JSON of --list.
type ruleRow struct {
	ID         string `json:"id"`
	Severity   string `json:"severity,omitempty"`
	Prometheus string `json:"prometheus,omitempty"`
	Fixable    bool   `json:"fixable"`
	Summary    string `json:"summary"`
	Why        string `json:"why"`
}

func writeRules(to io.Writer, output string) error {
	rows := []ruleRow{}
	for _, r := range lint.Rules() {
		rows = append(rows, ruleRow{r.ID, severityWord(r.Severity), severityWord(r.Elsewhere), r.Fixable, r.Summary, r.Why})
	}
	if output == "json" {
		e := json.NewEncoder(to)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(rows)
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "rule\tcollector\tPrometheus\tfinds")
	for _, r := range rows {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.ID, orDash(r.Severity), orDash(r.Prometheus), r.Summary)
	}
	return w.Flush()
}

func severityWord(s report.Severity) string {
	if s == 0 {
		return ""
	}
	return s.String()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
