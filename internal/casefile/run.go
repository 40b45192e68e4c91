// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"cmp"
	"context"

	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/components/scopepushdownconverter"
	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// Options say what is run, and how.
type Options struct {
	// Config takes the place of the configurations that files name; nil: theirs. Nothing is read from a disk for it.
	Config *configfile.File
	// Match selects cases by their name; nil: all.
	Match *regexp.Regexp
	// StopAtFirst ends the run at the first case that fails, without the reasons of it that take another run to find out.
	StopAtFirst bool
	// Coverage finds out what of the configurations the cases exercise. It takes another run for each configuration and scene.
	Coverage bool
	// Progress is told how many of all cases have been run whenever it is more; nil: nobody asks. It is not called twice at a time.
	Progress func(done, all int)
}

// Report is what came out of a run.
type Report struct {
	// Suite has a case for each case and configuration, in the order of the files. After a stop at the first failure those that were
	// run by then are in it.
	Suite report.Suite
	// Duration is how long all of it took.
	Duration time.Duration
	// Coverage is nil unless it was asked for.
	Coverage *Coverage
	// Notes say what was left out of the runs, and why.
	Notes []string

	outcomes []outcome
}

// outcome is what came out of one case with one configuration.
type outcome struct {
	file     *File
	config   *configfile.File
	test     *Case
	verdicts []verdict // of the case's expectations, in their order; nil where there was no result
	result   report.Case
}

// Run runs the cases of files. An error is that they cannot be run: a configuration that cannot be read, a file without one. That a case
// fails is none: see Suite.
func Run(ctx context.Context, e *scrapetest.Engine, files []*File, o Options) (*Report, error) {
	begin := time.Now()
	groups, err := plan(files, o)
	if err != nil {
		return nil, err
	}
	outside := ctx
	ctx, stop := context.WithCancel(outside)
	defer stop()
	r := runner{engine: e, options: o, stop: stop}
	if o.Coverage {
		r.coverage = newCollectedCoverage()
	}
	workers := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	tell := o.progress(groups)
	for _, g := range groups {
		wg.Go(func() {
			workers <- struct{}{}
			defer func() { <-workers }()
			if ctx.Err() == nil {
				g.outcomes = r.run(ctx, g)
				tell(len(g.cases))
			}
		})
	}
	wg.Wait()
	if r.coverage != nil && r.coverage.err != nil {
		return nil, r.coverage.err
	}
	rep := &Report{Suite: report.Suite{Name: "test", Unit: "case"}, Duration: time.Since(begin)}
	for _, g := range groups {
		rep.outcomes = append(rep.outcomes, g.outcomes...)
		rep.Notes = append(rep.Notes, g.notes...)
	}
	if err := outside.Err(); err != nil { // a case that it has cut short has not failed
		return nil, err
	}
	slices.SortStableFunc(rep.outcomes, func(a, b outcome) int {
		return cmp.Or(
			cmp.Compare(slices.Index(files, a.file), slices.Index(files, b.file)), cmp.Compare(a.config.Name, b.config.Name),
			cmp.Compare(a.test.Pos.Line, b.test.Pos.Line), cmp.Compare(a.test.Pos.Column, b.test.Pos.Column))
	})
	for i := range rep.outcomes {
		rep.Suite.Cases = append(rep.Suite.Cases, rep.outcomes[i].result)
	}
	slices.Sort(rep.Notes)
	rep.Notes = slices.Compact(rep.Notes)
	if r.coverage != nil {
		rep.Coverage = r.coverage.result()
	}
	return rep, nil
}

// progress counts the cases that have been run.
func (o *Options) progress(groups []*group) func(more int) {
	if o.Progress == nil {
		return func(int) {}
	}
	all := 0
	for _, g := range groups {
		all += len(g.cases)
	}
	var mu sync.Mutex // guards done
	done := 0
	return func(more int) {
		mu.Lock()
		defer mu.Unlock()
		done += more
		o.Progress(done, all)
	}
}

// group is the cases that one run of the engine serves.
type group struct {
	file     *File
	config   *configfile.File
	several  bool // the file is run with more than one configuration
	scene    *scene.Scene
	cases    []*Case
	outcomes []outcome
	notes    []string
}

// plan finds out what has to be run.
func plan(files []*File, o Options) ([]*group, error) {
	var all []*group
	for _, f := range files {
		configs, err := configsOf(f, o)
		if err != nil {
			return nil, err
		}
		for _, config := range configs {
			byScene := map[string]*group{}
			for i := range f.Cases {
				c := &f.Cases[i]
				if o.Match != nil && !o.Match.MatchString(c.Name) {
					continue
				}
				g := byScene[c.key]
				if g == nil {
					g = &group{file: f, config: config, several: len(configs) > 1, scene: c.scene}
					byScene[c.key] = g
					all = append(all, g)
				}
				g.cases = append(g.cases, c)
			}
		}
	}
	return all, nil
}

func configsOf(f *File, o Options) ([]*configfile.File, error) {
	if o.Config != nil {
		return []*configfile.File{o.Config}, nil
	}
	if len(f.ConfigPaths) == 0 {
		return nil, fmt.Errorf("%s: no configuration to be tested: name one under `config`, or give --config", f.Name)
	}
	return f.configs()
}

type runner struct {
	engine   *scrapetest.Engine
	options  Options
	stop     context.CancelFunc
	coverage *collectedCoverage // nil where it is not wanted
}

// run runs a group and judges its cases.
func (r *runner) run(ctx context.Context, g *group) []outcome {
	begin := time.Now()
	v, at, err := r.deliver(ctx, g)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		g.notes = v.result.Notes
		if r.coverage != nil {
			r.coverage.add(v, at)
		}
	}
	share := time.Since(begin) / time.Duration(len(g.cases))
	all := make([]outcome, 0, len(g.cases))
	told := false // what the error is
	for i, c := range g.cases {
		begin := time.Now()
		o := outcome{file: g.file, config: g.config, test: c}
		o.result = report.Case{Name: c.Name, File: g.file.Name, Line: c.Pos.Line}
		if g.several {
			o.result.Name += " [" + filepath.Base(g.config.Name) + "]"
		}
		switch {
		case err != nil:
			o.result.Findings = c.judgeError(g.file, err, told)
			told = told || len(o.result.Findings) > 0
		case c.err != nil:
			o.result.Findings = []report.Finding{finding(g.file, kindError, c.err.at, fmt.Sprintf("the configuration is not refused: expected an error that matches %q", c.err.regexp))}
		default:
			own := *v
			own.at = at[i]
			o.verdicts = own.judge(c)
			for k := range o.verdicts {
				if o.verdicts[k].message != "" {
					e := &c.expect[k]
					o.result.Findings = append(o.result.Findings, finding(g.file, e.kind, e.at, o.verdicts[k].message))
				}
			}
		}
		o.result.Duration = share + time.Since(begin)
		all = append(all, o)
		if r.options.StopAtFirst && o.result.Failed() {
			r.stop()
			break
		}
	}
	return all
}

// deliver runs the engine for a group. The times are those of its cases.
func (r *runner) deliver(ctx context.Context, g *group) (*view, []time.Duration, error) {
	config, err := scrapetest.Load(g.config, g.scene.Env)
	if err != nil {
		return nil, nil, err
	}
	times := make([]time.Duration, len(g.cases))
	for i, c := range g.cases {
		times[i] = c.at
		if c.at < 0 {
			times[i] = config.LongestInterval()
		}
	}
	result, err := r.engine.Run(ctx, config, g.scene, times...)
	if err != nil {
		return nil, nil, err
	}
	v := &view{ctx: ctx, engine: r.engine, result: result, config: config, brief: r.options.StopAtFirst}
	v.drops = sync.OnceValues(func() (*scrapetest.Result, error) { return r.undiverted(ctx, g, v, times) })
	v.scrapes = &scrapes{at: map[time.Duration]func() ([]scrapetest.Scraped, error){}}
	return v, times, nil
}

// undiverted is the result by which drops are counted: of the configuration with nothing derived from it, where all that is out of scope
// comes to the processor.
func (r *runner) undiverted(ctx context.Context, g *group, v *view, times []time.Duration) (*scrapetest.Result, error) {
	if !slices.ContainsFunc(v.result.Jobs, func(j scrapetest.Job) bool {
		return slices.ContainsFunc(j.Scrape.MetricRelabelConfigs, scopepushdownconverter.IsDerived)
	}) {
		return v.result, nil
	}
	config, err := scrapetest.LoadUnconverted(g.config, g.scene.Env)
	if err != nil {
		return nil, err
	}
	return r.engine.Run(ctx, config, g.scene, times...)
}

// judgeError is the verdict about a case whose configuration is refused. told says that another case has
// told the error already.
func (c *Case) judgeError(f *File, err error, told bool) []report.Finding {
	switch {
	case c.err == nil && told:
		return []report.Finding{finding(f, kindError, c.node, "cannot be run either, for the same reason")}
	case c.err == nil:
		return []report.Finding{finding(f, kindError, c.node, "cannot be run: "+err.Error())}
	case c.err.regexp.MatchString(err.Error()):
		return nil
	}
	return []report.Finding{finding(f, kindError, c.err.at, fmt.Sprintf("expected an error that matches %s, got: %s", wanted(c.err.regexp.String()), got(err.Error())))}
}

// judge checks the expectations of a case.
func (v *view) judge(c *Case) []verdict {
	all := make([]verdict, len(c.expect))
	for i := range c.expect {
		all[i] = c.expect[i].check(v)
		if v.brief && all[i].message != "" {
			return all
		}
	}
	return all
}

func finding(f *File, rule string, at *yaml.Node, message string) report.Finding {
	pos := f.yaml.Pos(at)
	return report.Finding{
		Rule: rule, Severity: report.Error, File: f.Name, Line: pos.Line, Column: pos.Column, EndColumn: f.yaml.EndColumn(at),
		Message: message, Source: f.yaml.Line(pos.Line),
	}
}

// view is what a case is judged by.
type view struct {
	ctx    context.Context //nolint:containedctx // it lives as long as the call of Run
	engine *scrapetest.Engine
	result *scrapetest.Result
	config *scrapetest.Config
	at     time.Duration
	brief  bool // nobody reads the reasons

	// Shared by the views of a run.
	scrapes *scrapes
	drops   func() (*scrapetest.Result, error)
}

// jobInFile is the job in the configuration as it is written. Its name may come from the environment.
func (v *view) jobInFile(receiver, name string) (configfile.Job, bool) {
	expanded, err := v.config.File.Expand(func(variable string) (string, bool) {
		value, ok := v.result.Scene.Env[variable]
		return value, ok
	})
	if err != nil {
		return configfile.Job{}, false
	}
	for _, j := range expanded.Jobs() {
		if j.Name == name && (j.Receiver == receiver || j.Receiver == "") {
			return j, true
		}
	}
	return configfile.Job{}, false
}
