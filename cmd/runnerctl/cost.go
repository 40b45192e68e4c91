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
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/cost"
	"github.com/kubiyabot/otelcol-runner/internal/report"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

type costOptions struct {
	streams   streams
	files     []string
	scene     string
	collector string
	output    string
	html      string
	at        time.Duration
	budgets   []string
	priceOptions

	limits []cost.Budget
}

// priceOptions say how samples become money.
type priceOptions struct {
	service  string
	price    string
	runners  int
	lifetime string

	cost.Options
}

func (o *priceOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.service, "service", cost.Plans()[0].ID, "whose prices the parts are priced by: "+strings.Join(services(), ", "))
	flags.StringVar(&o.price, "price", "", "a price of your own instead: 0.16/10M-samples, or 6.50/1k-series, in US dollars a month")
	flags.IntVar(&o.runners, "runners", 1, "how many runners like this one there are")
	flags.StringVar(&o.lifetime, "pod-lifetime", "1w", "how long a pod lives on average, for the series of a month")
}

func services() []string {
	var ids []string
	for _, p := range cost.Plans() {
		ids = append(ids, p.ID)
	}
	return ids
}

// complete puts the price list that is asked for first.
func (o *priceOptions) complete() error {
	o.Plans, o.Runners = cost.Plans(), o.runners
	if o.runners < 1 {
		return fmt.Errorf("--runners %d: it is a number from 1 on", o.runners)
	}
	lifetime, err := model.ParseDuration(o.lifetime)
	if err != nil || lifetime < model.Duration(time.Minute) {
		return fmt.Errorf("--pod-lifetime %q: it is a time of a minute at least, such as 12h or 1w", o.lifetime)
	}
	o.PodLifetime = time.Duration(lifetime)
	if o.price != "" {
		own, err := cost.ParsePrice(o.price)
		if err != nil {
			return fmt.Errorf("--price: %w", err)
		}
		o.Plans = []cost.Plan{*own}
		return nil
	}
	i := slices.IndexFunc(o.Plans, func(p cost.Plan) bool { return p.ID == o.service })
	if i < 0 {
		return fmt.Errorf("--service %q is not known: use %s", o.service, strings.Join(services(), ", "))
	}
	first := o.Plans[i]
	o.Plans = slices.Insert(slices.Delete(o.Plans, i, i+1), 0, first)
	return nil
}

var costFormats = []string{"text", "json", "html", "github", "junit"}

func newCmdCost(s streams, runF func(context.Context, *costOptions) error) *cobra.Command {
	opts := &costOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "cost (FILE... --scene SCENE | --collector URL)",
		Short: "Say what a configuration's series cost: samples, bytes and money, by job, component, metric and label",
		Long: `cost says what is delivered in a month, and what it costs at Azure Monitor, Amazon, Google and Grafana Cloud. FILE is a
collector's configuration, a prometheus.yml or a list of scrape configurations, also as a glob or a folder. It is run on a scene
(--scene, a file or a folder that runnerctl record has written) with the real parts, so that what is counted is what is delivered.
Without a file, --collector asks a running collector for its own metrics: it knows its series and samples by component only.

For each label it says what would be saved without it, and how many series only that label tells apart.

The figures are estimates. The assumptions stand above them, and docs/prices.md says where each price is from, when it was
read, and which could not be verified. A price of your own is better: --price.

Exit codes: 0 within the budget; 1 over it; 2 it could not be run.`,
		Example: `  runnerctl cost configs/collector.yaml --scene scene.yaml
  runnerctl cost configs/collector.yaml --scene scene.yaml --service aws --runners 1000 --html cost.html
  runnerctl cost configs/collector.yaml --scene scene.yaml --price 0.16/10M-samples --budget '<= 20 USD' --budget 'series <= 5000'
  runnerctl cost --collector http://127.0.0.1:8888/metrics`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.files = args
			if err := opts.complete(); err != nil {
				return err
			}
			return runF(cmd.Context(), opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.scene, "scene", "", "the scene to run on: a file, or the folder of a recording")
	flags.StringVar(&opts.collector, "collector", "", "the address of a running collector's own metrics, instead of a file and a scene")
	flags.DurationVar(&opts.at, "at", 0, "the time after the scene's first scrape (default: two intervals)")
	flags.StringVar(&opts.output, "output", "text", strings.Join(costFormats, ", "))
	flags.StringVar(&opts.html, "html", "", "write a page that stands alone to this file as well")
	flags.StringArrayVar(&opts.budgets, "budget", nil, "what it may be at most: 'series <= 5000', 'samples <= 1.5G', 'bytes <= 10G', '<= 20 USD'; may be given again")
	opts.addFlags(flags)
	yamlFiles := cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt)
	cmd.ValidArgsFunction = yamlFiles
	_ = cmd.RegisterFlagCompletionFunc("scene", yamlFiles) // the flags are there
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(costFormats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("service", cobra.FixedCompletions(services(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *costOptions) complete() error {
	switch {
	case !slices.Contains(costFormats, o.output):
		return fmt.Errorf("--output %q is not known: use %s", o.output, strings.Join(costFormats, ", "))
	case o.collector != "" && (len(o.files) > 0 || o.scene != ""):
		return errors.New("--collector asks what is running: leave out the file and --scene")
	case o.collector == "" && len(o.files) == 0:
		return errors.New("cost needs a configuration and a scene, or a running collector: runnerctl cost FILE --scene SCENE, or runnerctl cost --collector URL")
	case o.collector == "" && o.scene == "":
		return errors.New("cost needs a scene to run the configuration on: record one with `runnerctl record`, or write it, and give it with --scene")
	case o.at < 0 || o.at > 0 && o.collector != "":
		return fmt.Errorf("--at %s: it is a time after a scene's first scrape, such as 5m", o.at)
	}
	for _, text := range o.budgets {
		b, err := cost.ParseBudget(text)
		if err != nil {
			return fmt.Errorf("--budget: %w", err)
		}
		o.limits = append(o.limits, b)
	}
	return o.priceOptions.complete()
}

func costRun(ctx context.Context, o *costOptions) error {
	suite := report.Suite{Name: "cost", Unit: "file"}
	reports, err := o.reports(ctx, &suite)
	if err != nil {
		return err
	}
	if len(reports) > 1 && (o.html != "" || o.output == "html") {
		return fmt.Errorf("a page is for one file, not %d: name one", len(reports))
	}
	if o.html != "" {
		if err := createFile(o.html, func(w io.Writer) error { return cost.WriteHTML(w, reports[0]) }); err != nil {
			return err
		}
	}
	if err := o.write(reports, suite); err != nil {
		return err
	}
	if suite.Failed() {
		return errBroken
	}
	return nil
}

// reports makes a report for each file, and a case of the suite.
func (o *costOptions) reports(ctx context.Context, suite *report.Suite) ([]*cost.Report, error) {
	names, inputs := []string{o.collector}, []cost.Input{}
	if o.collector != "" {
		in, err := cost.FromCollector(ctx, o.collector)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, in)
	} else {
		s, err := loadScene(o.scene)
		if err != nil {
			return nil, err
		}
		if names, err = expandPaths(o.files); err != nil {
			return nil, err
		}
		engine := scrapetest.New(o.streams.clock)
		for _, name := range names {
			file, err := configfile.Load(name)
			if err != nil {
				return nil, err
			}
			result, at, err := deliver(ctx, engine, file, s, o.at)
			if err != nil {
				return nil, err
			}
			in := cost.FromResult(result, at)
			in.Source = fmt.Sprintf("%s on %s, %s after the first scrape", name, o.scene, model.Duration(at))
			inputs = append(inputs, in)
		}
	}
	var reports []*cost.Report
	for i, in := range inputs {
		r, err := cost.New(ctx, in, o.Options)
		if err != nil {
			return nil, err
		}
		r.Check(o.limits)
		c := report.Case{Name: names[i], File: names[i]}
		for _, exceeded := range r.Exceeded {
			c.Findings = append(c.Findings, report.Finding{Rule: "budget", Severity: report.Error, Message: exceeded})
		}
		suite.Cases = append(suite.Cases, c)
		reports = append(reports, r)
	}
	return reports, nil
}

func (o *costOptions) write(reports []*cost.Report, suite report.Suite) error {
	switch o.output {
	case "github", "junit":
		return report.Write(o.streams.out, o.output, suite, o.streams.reportOptions())
	case "html":
		return cost.WriteHTML(o.streams.out, reports[0])
	}
	encoder := json.NewEncoder(o.streams.out)
	encoder.SetIndent("", "  ")
	for i, r := range reports {
		var err error
		if o.output == "json" {
			err = encoder.Encode(r)
		} else {
			if i > 0 {
				_, _ = fmt.Fprintln(o.streams.out) // the next one reports it
			}
			err = cost.WriteText(o.streams.out, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sceneFile is what runnerctl record calls the scene of a recording.
const sceneFile = "scene.yaml"

// loadScene loads a scene from its file, or from the folder of a recording.
func loadScene(path string) (*scene.Scene, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, sceneFile)
	}
	return scene.Load(path)
}

// deliver runs a configuration on a scene until a time after the first scrape; 0 is long enough for two samples of every series.
func deliver(ctx context.Context, engine *scrapetest.Engine, file *configfile.File, s *scene.Scene, at time.Duration) (*scrapetest.Result, time.Duration, error) {
	config, err := scrapetest.Load(file, s.Env)
	if err != nil {
		return nil, 0, err
	}
	if at == 0 {
		at = 2 * config.LongestInterval()
	}
	result, err := engine.Run(ctx, config, s, at)
	return result, at, err
}

// createFile writes a new file. An error names it.
func createFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(filepath.Clean(path))
	if err != nil {
		return fmt.Errorf("%w: name a file in a folder that can be written to", err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
