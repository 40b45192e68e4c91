// SPDX-License-Identifier: Apache-2.0

// Package explain shows the way of one target or one series through a configuration: what each step made of its labels, and where
// and why it ended.
//
// Nothing is worked out here that a collector would work out: targets, pages and series come from runs of the real parts (package
// scrapetest), relabel rules are applied one by one with Prometheus's own code, and what a processor does to a series is seen by
// scraping nothing but that series. Where the trace of the rules and the run of everything disagree, the explanation says so.
//
// Whatever comes from outside is shown with the values redacted that look like secrets (package secrets).
package explain

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// maxWays is how many targets or series are shown in full; of the others there is one line each, maxOthers at most.
const (
	maxWays   = 5
	maxOthers = 20
)

// Options say what to explain: one of Target and Series.
type Options struct {
	// Target is the name of a pod, pod/NAME, an address, a URL, the label instance, a job, or a selector on the labels before or
	// after relabelling: {app="tool-manager"}.
	Target string
	// Series is a selector: http_requests_total{app="tool-manager"}. Labels are those of any step.
	Series string
	// At is the time after the scene's first scrape.
	At time.Duration
}

// Explanation is the answer, and the JSON of `runnerctl explain --output json`. Labels are lists in the order of their names.
type Explanation struct {
	// File is the configuration.
	File string `json:"file"`
	// Asked is the target or the series that was asked for.
	Asked string `json:"asked"`
	// At is the time after the first scrape, such as 30s.
	At string `json:"at"`
	// Flow are the numbers of the whole configuration, step by step.
	Flow []Station `json:"flow"`
	// Ways are the targets or series that match, the first ones of them.
	Ways []Way `json:"ways"`
	// Others name more that match; MoreOthers is how many are not even named.
	Others     []string `json:"others,omitempty"`
	MoreOthers int      `json:"more_others,omitempty"`
	// Nearest are names like the one that was asked for, where nothing matches: the nearest first.
	Nearest []string `json:"nearest,omitempty"`
	// Notes say what is not as it would be in a cluster.
	Notes []string `json:"notes,omitempty"`
}

// Station is one step of the whole configuration, in numbers.
type Station struct {
	// Stage is one of those of Step.
	Stage string `json:"stage"`
	// In and Out are how much came and how much went on.
	In  int `json:"in"`
	Out int `json:"out"`
	// Unit is what is counted: targets, samples, points, series.
	Unit string `json:"unit"`
	// Lost says what became of the difference, by reason.
	Lost []Lost `json:"lost,omitempty"`
}

// Lost is how much of a station was lost for one reason.
type Lost struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

// Outcomes of a way.
const (
	Scraped   = "scraped"   // a target that answers
	Failed    = "failed"    // a target that is scraped in vain
	Dropped   = "dropped"   // by a rule or a processor
	Invalid   = "invalid"   // relabelling left something that cannot be scraped
	Duplicate = "duplicate" // the job has the same target already
	Delivered = "delivered" // a series that arrives
	Unclear   = "unclear"   // the parts disagree: see the reason
)

// Way is what happened to one target or series.
type Way struct {
	// Kind is target or series.
	Kind string `json:"kind"`
	// Name is an address, or a series as the page has it.
	Name     string `json:"name"`
	Job      string `json:"job"`
	Receiver string `json:"receiver,omitempty"`
	// Source is the object that discovery took the target from: pod/NAMESPACE/NAME. Empty where there is none.
	Source string `json:"source,omitempty"`
	// Outcome is one of scraped, failed, dropped, invalid, duplicate, delivered, unclear.
	Outcome string `json:"outcome"`
	// Reason is a sentence about the outcome.
	Reason string `json:"reason"`
	Steps  []Step `json:"steps"`
}

// Stages of a step, in order.
const (
	StageDiscovery = "discovery"
	StageRelabel   = "relabel"
	StageScrape    = "scrape"
	StageExposed   = "exposed"
	StageTarget    = "target labels"
	StageMetric    = "metric relabel"
	StageReceiver  = "receiver"
	StageProcessor = "processor"
	StageExporter  = "exporter"
)

// Step is one step of a way.
type Step struct {
	Stage string `json:"stage"`
	// Name is what did it: a rule by its number, a component by its name.
	Name string `json:"name"`
	// Where is file:line:column; empty where nothing in a file says so.
	Where string `json:"where,omitempty"`
	// Pipeline is the collector's pipeline, where there is more than one.
	Pipeline string `json:"pipeline,omitempty"`
	// Rule is set for a relabel rule.
	Rule *Rule `json:"rule,omitempty"`
	// Changes are those of the labels.
	Changes []Change `json:"changes,omitempty"`
	// Labels are all there are before the first rule, and after the last.
	Labels []Label `json:"labels,omitempty"`
	Facts  []Fact  `json:"facts,omitempty"`
	// Ended says that the way ends here, Why for what reason.
	Ended bool   `json:"ended,omitempty"`
	Why   string `json:"why,omitempty"`
}

// Idle says whether it is a rule that did nothing.
func (s *Step) Idle() bool {
	return s.Rule != nil && len(s.Changes) == 0 && !s.Ended && !s.Rule.decides()
}

// Rule is a relabel rule, as Prometheus reads it.
type Rule struct {
	// Number counts from 1.
	Number int    `json:"number"`
	Action string `json:"action"`
	// Source are the labels whose values, joined, are Value.
	Source []string `json:"source,omitempty"`
	Value  string   `json:"value"`
	Regex  string   `json:"regex,omitempty"`
	// Target and Replacement are what is set.
	Target      string `json:"target,omitempty"`
	Replacement string `json:"replacement,omitempty"`
	// Derived says that the rule is not in the file: it was derived from the scope of the runner processor.
	Derived bool `json:"derived,omitempty"`
}

// decides says whether the rule is about keeping, which is worth a line even if it changes nothing.
func (r *Rule) decides() bool {
	switch r.Action {
	case "keep", "drop", "keepequal", "dropequal":
		return true
	}
	return false
}

// Change is what a step did to one label. The name of a metric is the label __name__, and a resource attribute of the collector is
// named resource:NAME.
type Change struct {
	// Op is + for a new label, - for one that is gone, ~ for a changed value.
	Op     string `json:"op"`
	Label  string `json:"label"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Label is a label.
type Label struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Fact is something to know about a step.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Run explains. Nothing that matches is no error: Ways are empty then and Nearest say what there is.
func Run(ctx context.Context, engine *scrapetest.Engine, c *scrapetest.Config, s *scene.Scene, o Options) (*Explanation, error) {
	e, err := newExplainer(ctx, engine, c, s, o.At)
	if err != nil {
		return nil, err
	}
	return e.explain(ctx, o)
}

func (e *explainer) explain(ctx context.Context, o Options) (out *Explanation, err error) {
	out = &Explanation{File: e.file.Name, At: span(e.at), Flow: e.flow(), Notes: e.result.Notes}
	switch {
	case (o.Target == "") == (o.Series == ""):
		return nil, errors.New("either a target or a series is to be explained: name one of them")
	case o.Target != "":
		out.Asked = o.Target
		err = e.targets(ctx, o.Target, out)
	default:
		out.Asked = o.Series
		err = e.series(ctx, o.Series, out)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Arrives says whether something of what was asked for is scraped or delivered.
func (e *Explanation) Arrives() bool {
	return slices.ContainsFunc(e.Ways, func(w Way) bool { return w.arrives() })
}
