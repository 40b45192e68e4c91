// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"github.com/kubiyabot/otelcol-runner/components/scopepushdownconverter"
	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// explainer holds what all answers about one time need.
type explainer struct {
	engine *scrapetest.Engine
	config *scrapetest.Config
	scene  *scene.Scene
	at     time.Duration

	file   *configfile.File // with references replaced
	jobs   map[jobKey]*job
	result *scrapetest.Result
	// exposed are the pages without metric_relabel_configs, kept the scrapes as they are. Both in the order of targets.
	exposed, kept []scrapetest.Scraped
	// delivered are the series at the time, by their labels.
	delivered map[string]*scrapetest.Series
	// live are the targets that a running collector scrapes, by liveKey; nil without one.
	live map[string]*liveTarget
}

type jobKey struct{ receiver, name string }

// job is a scrape configuration, as it is run and as it is written.
type job struct {
	scrapetest.Job
	written *configfile.Job // nil where it stands in another file
}

func newExplainer(ctx context.Context, engine *scrapetest.Engine, c *scrapetest.Config, s *scene.Scene, at time.Duration) (*explainer, error) {
	e := &explainer{engine: engine, config: c, scene: s, at: at, jobs: map[jobKey]*job{}}
	var err error
	if e.file, err = c.File.Expand(func(name string) (string, bool) { value, ok := s.Env[name]; return value, ok }); err != nil {
		return nil, err
	}
	if e.result, err = engine.Run(ctx, c, s, at); err != nil {
		return nil, err
	}
	if e.exposed, err = engine.Scrape(ctx, c, s, at, false); err != nil {
		return nil, err
	}
	if e.kept, err = engine.Scrape(ctx, c, s, at, true); err != nil {
		return nil, err
	}
	e.delivered = map[string]*scrapetest.Series{}
	for _, s := range e.result.Live(at) {
		e.delivered[string(s.Labels.Bytes(nil))] = &s
	}
	written := e.file.Jobs()
	for _, j := range e.result.Jobs {
		one := &job{Job: j}
		for i := range written {
			if written[i].Name == j.Name && (written[i].Receiver == j.Receiver || e.file.Kind != configfile.Collector) {
				one.written = &written[i]
			}
		}
		e.jobs[jobKey{j.Receiver, j.Name}] = one
	}
	return e, nil
}

func (e *explainer) job(t *scrapetest.Target) *job { return e.jobs[jobKey{t.Receiver, t.Job}] }

// flow counts what happens to everything.
func (e *explainer) flow() []Station {
	var (
		lost                    = map[string]int{}
		kept, up                int
		scraped, after, derived int
	)
	for i := range e.kept {
		s := &e.kept[i]
		switch t := &s.Target; {
		case t.DroppedBy >= 0:
			lost["dropped by a rule"]++
			continue
		case t.Duplicate:
			lost["duplicate"]++
			continue
		case t.Err != nil:
			lost["invalid"]++
			continue
		}
		kept++
		if s.Err == nil {
			up++
		}
		exposed := int(s.Report["scrape_samples_scraped"])
		scraped += exposed
		after += int(s.Report["scrape_samples_post_metric_relabeling"])
		if s.Err == nil {
			derived += e.derivedDrops(&e.exposed[i])
		}
	}
	relabelled := Station{Stage: StageRelabel, In: len(e.kept), Out: kept, Unit: "targets", Lost: sortedLost(lost)}
	answered := Station{Stage: StageScrape, In: kept, Out: up, Unit: "targets"}
	if failed := kept - up; failed > 0 {
		answered.Lost = []Lost{{"scrape failed", failed}}
	}
	metric := Station{Stage: StageMetric, In: scraped, Out: after, Unit: "samples"}
	if derived > 0 {
		metric.Lost = append(metric.Lost, Lost{"out of scope", derived})
	}
	if rest := scraped - after - derived; rest > 0 {
		metric.Lost = append(metric.Lost, Lost{"dropped by a rule", rest})
	}
	out := []Station{{Stage: StageDiscovery, In: len(e.kept), Out: len(e.kept), Unit: "targets"}, relabelled, answered, metric}
	if drops := e.result.Drops(e.at); len(drops) > 0 || e.hasProcessors() {
		lost := map[string]int{}
		for reason, n := range drops {
			lost[reason] = int(n)
		}
		out = append(out, Station{Stage: StageProcessor, Unit: "points", Lost: sortedLost(lost)})
	}
	live := len(e.delivered)
	return append(out, Station{Stage: StageExporter, In: live, Out: live, Unit: "series"})
}

func (e *explainer) hasProcessors() bool {
	return configfile.Get(e.file.Root, "processors", "runner") != nil
}

// derivedDrops counts what rules drop that are not in the file.
func (e *explainer) derivedDrops(s *scrapetest.Scraped) int {
	j := e.job(&s.Target)
	own := ownRules(j)
	if own == len(j.Scrape.MetricRelabelConfigs) {
		return 0
	}
	n := 0
	for i := range s.Series {
		before, ok := process(s.Series[i].Labels, j.Scrape.MetricRelabelConfigs[:own])
		if !ok {
			continue
		}
		if _, ok := process(before, j.Scrape.MetricRelabelConfigs[own:]); !ok {
			n++
		}
	}
	return n
}

// ownRules is how many of a job's metric_relabel_configs were written by somebody. Derived ones come behind them.
func ownRules(j *job) int {
	rules := j.Scrape.MetricRelabelConfigs
	if i := slices.IndexFunc(rules, scopepushdownconverter.IsDerived); i >= 0 {
		return i
	}
	return len(rules)
}

func sortedLost(counts map[string]int) []Lost {
	var all []Lost
	for reason, n := range counts {
		if n > 0 {
			all = append(all, Lost{reason, n})
		}
	}
	slices.SortFunc(all, func(a, b Lost) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Reason, b.Reason)) })
	return all
}

// where is a place in the file.
func (e *explainer) where(pos configfile.Position) string {
	if pos.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", e.file.Name, pos.Line, pos.Column)
}

// ruleSteps makes steps of the trace of some rules. Written are those of the file.
func (e *explainer) ruleSteps(stage string, trace []scrapetest.Step, rules []*relabel.Config, written []configfile.Rule) []Step {
	var steps []Step
	for _, t := range trace {
		rule := rules[t.Rule]
		s := Step{Stage: stage, Name: "rule " + strconv.Itoa(t.Rule+1), Rule: newRule(t.Rule, rule, t.Before)}
		if t.Rule < len(written) {
			s.Where = e.where(written[t.Rule].Pos)
		}
		if t.Kept {
			s.Changes = diff(t.Before, t.After)
		} else {
			s.Ended, s.Why = true, s.Rule.why()
		}
		steps = append(steps, s)
	}
	return steps
}

func newRule(index int, c *relabel.Config, before labels.Labels) *Rule {
	r := &Rule{Number: index + 1, Action: string(c.Action), Target: c.TargetLabel, Derived: scopepushdownconverter.IsDerived(c)}
	var joined string
	for i, name := range c.SourceLabels {
		r.Source = append(r.Source, string(name))
		if i > 0 {
			joined += c.Separator
		}
		joined += before.Get(string(name))
	}
	r.Value = show(joined)
	switch c.Action {
	case relabel.KeepEqual, relabel.DropEqual:
		r.Regex = ""
	default:
		r.Regex = show(bounded(c.Regex.String()))
	}
	switch c.Action {
	case relabel.Replace, relabel.LabelMap, relabel.HashMod:
		r.Replacement = show(c.Replacement)
	}
	if c.Action == relabel.KeepEqual || c.Action == relabel.DropEqual {
		r.Replacement = show(before.Get(c.TargetLabel))
	}
	return r
}

// why says why a rule dropped.
func (r *Rule) why() string {
	source := strings.Join(r.Source, ", ")
	if r.Derived {
		return fmt.Sprintf("it is not in scope::metrics of the runner processor: rule %d, which is derived from that, drops it already at the scrape", r.Number)
	}
	switch r.Action {
	case "keep":
		return fmt.Sprintf("rule %d keeps only where %s matches %s; it is %s", r.Number, source, excerpt(r.Regex), strconv.Quote(r.Value))
	case "drop":
		return fmt.Sprintf("rule %d drops where %s matches %s; it is %s", r.Number, source, excerpt(r.Regex), strconv.Quote(r.Value))
	case "keepequal":
		return fmt.Sprintf("rule %d keeps only where %s equals %s; they are %q and %q", r.Number, source, r.Target, r.Value, r.Replacement)
	case "dropequal":
		return fmt.Sprintf("rule %d drops where %s equals %s; both are %q", r.Number, source, r.Target, r.Value)
	}
	return fmt.Sprintf("rule %d (%s) dropped it", r.Number, r.Action)
}

func span(d time.Duration) string { return model.Duration(d).String() }
