// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
	"github.com/kubiyabot/otelcol-runner/internal/scope"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// CoverageRule is the rule of the findings about coverage.
const CoverageRule = "coverage"

// The kinds of what can be covered.
const (
	kindJob        = "job"
	kindRelabel    = "relabel rule"
	kindMetric     = "metric relabel rule"
	kindScopeEntry = "scope entry"
)

// Coverage is what of the configurations the cases exercise, in the order of the files. A rule that several jobs share by an alias stands in
// one place and is one rule.
type Coverage struct {
	Items []CoverageItem
}

// CoverageItem is a part of a configuration.
//
// A job is covered when a case keeps a target of it. A rule that keeps or drops is covered when it has done both in some case, and any other
// rule when it has changed labels. An entry of processors::runner::scope is covered when it has matched.
type CoverageItem struct {
	// Kind is job, relabel rule, metric relabel rule or scope entry.
	Kind string `json:"kind"`
	// File, Line and Column are where it stands.
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	// Path is where it is in the configuration.
	Path string `json:"path"`
	// What is the name of the job, the action of the rule, or the entry.
	What string `json:"what"`
	// Missing says what no case does; empty where it is covered.
	Missing string `json:"missing,omitempty"`
}

// Percent is how many of the parts are covered. It is 100 only for all of them, and 0 where no configuration could be run.
func (c *Coverage) Percent() float64 {
	if len(c.Items) == 0 {
		return 0
	}
	return 100 * float64(c.covered("")) / float64(len(c.Items))
}

// covered counts the covered parts of a kind, or of all.
func (c *Coverage) covered(kind string) int {
	n := 0
	for i := range c.Items {
		if c.Items[i].Missing == "" && (kind == "" || kind == c.Items[i].Kind) {
			n++
		}
	}
	return n
}

// String writes the percentage, rounded down.
func (c *Coverage) String() string { return fmt.Sprintf("%.1f %%", math.Floor(c.Percent()*10)/10) }

// MarshalJSON writes {"percent": 98.5, "covered": 64, "total": 65, "items": […]}.
func (c *Coverage) MarshalJSON() ([]byte, error) {
	items := c.Items
	if items == nil {
		items = []CoverageItem{}
	}
	return json.Marshal(struct {
		Percent float64        `json:"percent"`
		Covered int            `json:"covered"`
		Total   int            `json:"total"`
		Items   []CoverageItem `json:"items"`
	}{c.Percent(), c.covered(""), len(c.Items), items})
}

// WriteText writes a table with a line for each configuration.
func (c *Coverage) WriteText(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "jobs\trelabel rules\tmetric relabel rules\tscope entries\t  covered")
	var files []string
	for i := range c.Items {
		if !slices.Contains(files, c.Items[i].File) {
			files = append(files, c.Items[i].File)
		}
	}
	for _, file := range files {
		own := Coverage{}
		for i := range c.Items {
			if c.Items[i].File == file {
				own.Items = append(own.Items, c.Items[i])
			}
		}
		for _, kind := range []string{kindJob, kindRelabel, kindMetric, kindScopeEntry} {
			total := 0
			for i := range own.Items {
				if own.Items[i].Kind == kind {
					total++
				}
			}
			_, _ = fmt.Fprintf(w, "%d/%d\t", own.covered(kind), total)
		}
		_, _ = fmt.Fprintf(w, "  %s\n", file)
	}
	return w.Flush()
}

// Case is what is not covered, as findings: errors when there is less than the wanted percentage, else for information.
func (c *Coverage) Case(wanted float64) report.Case {
	severity := report.Info
	if c.Percent() < wanted {
		severity = report.Error
	}
	out := report.Case{Name: CoverageRule}
	for i := range c.Items {
		item := &c.Items[i]
		if item.Missing == "" {
			continue
		}
		out.Findings = append(out.Findings, report.Finding{
			Rule: CoverageRule, Severity: severity, File: item.File, Line: item.Line, Column: item.Column,
			Message: fmt.Sprintf("the %s %s: %s", item.Kind, item.What, item.Missing),
		})
	}
	return out
}

// collectedCoverage gathers what runs exercise. It is safe for concurrent use.
type collectedCoverage struct {
	mu    sync.Mutex // guards all below
	files map[string]*coveredFile
	err   error
}

// coveredFile is what is known of one configuration, by kind and position.
type coveredFile struct {
	name  string
	parts map[partKey]*part
}

type partKey struct {
	kind string
	pos  configfile.Position
}

// part is a job, a rule or an entry, and what it has done in any case.
type part struct {
	path, what             string
	action                 relabel.Action // of a rule
	kept, dropped, changed bool           // a job keeps targets; an entry changes when it matches
}

func newCollectedCoverage() *collectedCoverage {
	return &collectedCoverage{files: map[string]*coveredFile{}}
}

// add takes in what a run exercises at the times of its cases.
func (c *collectedCoverage) add(v *view, times []time.Duration) {
	scene := v.result.Scene
	file, err := v.config.File.Expand(func(name string) (string, bool) {
		value, ok := scene.Env[name]
		return value, ok
	})
	if err != nil {
		c.fail(err)
		return
	}
	c.mu.Lock()
	covered := c.files[file.Name]
	if covered == nil {
		covered = &coveredFile{name: file.Name, parts: map[partKey]*part{}}
		c.files[file.Name] = covered
	}
	covered.list(file)
	c.mu.Unlock()
	for _, at := range slices.Compact(slices.Sorted(slices.Values(times))) {
		own := *v
		own.at = at
		all, err := own.scraped()
		if err != nil {
			c.fail(err)
			return
		}
		c.mu.Lock()
		covered.exercise(&own, file, all)
		c.mu.Unlock()
	}
}

func (c *collectedCoverage) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

// list makes sure that every part of the file is there.
func (f *coveredFile) list(file *configfile.File) {
	for _, j := range file.Jobs() {
		f.part(kindJob, j.Pos, j.Path, j.Name)
		for _, r := range j.Relabel() {
			f.part(kindRelabel, r.Pos, r.Path, ruleText(&r)).action = r.Config.Action
		}
		for _, r := range j.MetricRelabel() {
			f.part(kindMetric, r.Pos, r.Path, ruleText(&r)).action = r.Config.Action
		}
	}
	for e := range scopeEntries(file) {
		f.part(kindScopeEntry, e.pos, e.path, e.text)
	}
}

func (f *coveredFile) part(kind string, pos configfile.Position, path, what string) *part {
	key := partKey{kind, pos}
	p := f.parts[key]
	if p == nil {
		p = &part{path: path, what: what}
		f.parts[key] = p
	}
	return p
}

// ruleText names a rule by what it does: drop of __name__.
func ruleText(r *configfile.Rule) string {
	text := string(r.Config.Action)
	if r.Config.TargetLabel != "" {
		text += " to " + r.Config.TargetLabel
	}
	if len(r.Config.SourceLabels) > 0 {
		text += " by " + r.Config.SourceLabels.String()
	}
	return short(text)
}

// exercise notes what the targets and pages of one time have made the parts do.
func (f *coveredFile) exercise(v *view, file *configfile.File, all []scrapetest.Scraped) {
	rules := map[string]configfile.Job{}
	for _, j := range file.Jobs() {
		receiver := j.Receiver
		if file.Kind != configfile.Collector {
			receiver = "prometheus"
		}
		rules[receiver+"\x00"+j.Name] = j
	}
	seen := newSeen()
	for i := range all {
		t := &all[i].Target
		j, found := rules[t.Receiver+"\x00"+t.Job]
		if !found {
			continue // from another file, which scrape_config_files names
		}
		p := f.part(kindJob, j.Pos, j.Path, j.Name)
		p.kept = p.kept || t.Kept()
		job := v.job(t)
		f.trace(kindRelabel, j.Relabel(), t.Discovered, job.Scrape.RelabelConfigs)
		for name := range all[i].Report { // what Prometheus adds to a scrape has only the labels of the target
			seen.add(t.Labels, name)
		}
		metric := j.MetricRelabel()
		for k := range all[i].Series {
			s := &all[i].Series[k]
			if last, kept := f.trace(kindMetric, metric, s.Labels, job.Scrape.MetricRelabelConfigs); kept {
				seen.add(last, s.Family)
			}
		}
	}
	for e := range scopeEntries(file) {
		if p := f.part(kindScopeEntry, e.pos, e.path, e.text); !p.changed {
			p.changed = seen.matches(e)
		}
	}
}

// trace notes what rules do to labels, and returns what is left of them. Rules that stand in no file are applied as well.
func (f *coveredFile) trace(kind string, written []configfile.Rule, ls labels.Labels, rules []*relabel.Config) (labels.Labels, bool) {
	for _, step := range scrapetest.Trace(ls, rules) {
		if step.Rule < len(written) {
			p := f.parts[partKey{kind, written[step.Rule].Pos}]
			p.kept = p.kept || step.Kept
			p.dropped = p.dropped || !step.Kept
			p.changed = p.changed || step.Kept && !labels.Equal(step.Before, step.After)
		}
		if !step.Kept {
			return labels.EmptyLabels(), false
		}
		ls = step.After
	}
	return ls, true
}

// missing says what no case makes a part do.
func (p *part) missing(kind string) string {
	switch {
	case kind == kindJob && !p.kept:
		return "no case keeps a target of it"
	case kind == kindJob:
		return ""
	case kind == kindScopeEntry && !p.changed:
		return "nothing matches it in any case"
	case kind == kindScopeEntry:
		return ""
	case !p.kept && !p.dropped:
		return "no case reaches it"
	}
	switch p.action {
	case relabel.Keep, relabel.Drop, relabel.KeepEqual, relabel.DropEqual:
		if !p.dropped {
			return "it drops nothing in any case"
		}
		if !p.kept {
			return "it keeps nothing in any case"
		}
	default:
		if !p.changed && !p.dropped {
			return "it changes nothing in any case"
		}
	}
	return ""
}

// result is the coverage of all files.
func (c *collectedCoverage) result() *Coverage {
	all := &Coverage{}
	for _, f := range c.files {
		for key, p := range f.parts {
			all.Items = append(all.Items, CoverageItem{
				Kind: key.kind, File: f.name, Line: key.pos.Line, Column: key.pos.Column, Path: p.path, What: p.what, Missing: p.missing(key.kind),
			})
		}
	}
	slices.SortFunc(all.Items, func(a, b CoverageItem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

// scopeEntry is an item of a list below processors::runner::scope.
type scopeEntry struct {
	list    string // the key of the list: metrics::include
	path    string
	text    string
	pos     configfile.Position
	matcher *scope.Matcher
}

// scopeLists are the lists of a scope, each with what its entries are matched with.
var scopeLists = map[string]func(*seen) map[string]bool{
	"namespaces":       func(s *seen) map[string]bool { return s.namespaces },
	"components":       func(s *seen) map[string]bool { return s.components },
	"metrics::include": func(s *seen) map[string]bool { return s.metrics },
	"metrics::exclude": func(s *seen) map[string]bool { return s.metrics },
	"labels::drop":     func(s *seen) map[string]bool { return s.labels },
	"labels::keep":     func(s *seen) map[string]bool { return s.labels },
}

// scopeEntries iterates over the entries of all scopes of a file.
func scopeEntries(file *configfile.File) func(yield func(scopeEntry) bool) {
	return func(yield func(scopeEntry) bool) {
		for key, processor := range configfile.Pairs(configfile.Get(file.Root, "processors")) {
			if kind, _, _ := strings.Cut(key.Value, "/"); kind != "runner" {
				continue
			}
			for list := range scopeLists {
				for i, item := range configfile.Items(configfile.Get(processor, append([]string{"scope"}, strings.Split(list, "::")...)...)) {
					matcher, err := scope.NewMatcher([]scope.Pattern{scope.Pattern(item.Value)})
					if item.Kind != yaml.ScalarNode || err != nil {
						continue // the configuration does not start with it
					}
					path := fmt.Sprintf("processors::%s::scope::%s[%d]", key.Value, list, i)
					if !yield(scopeEntry{list: list, path: path, text: list + " " + short(item.Value), pos: file.Pos(item), matcher: matcher}) {
						return
					}
				}
			}
		}
	}
}

// seen are the values that entries of a scope are matched with, of the series that come out of the scrapes.
type seen struct{ namespaces, components, metrics, labels map[string]bool }

func newSeen() *seen {
	return &seen{namespaces: map[string]bool{}, components: map[string]bool{}, metrics: map[string]bool{}, labels: map[string]bool{}}
}

// add takes in a series. family is the name of its family, or of the metric where the labels have none.
func (s *seen) add(ls labels.Labels, family string) {
	ls.Range(func(l labels.Label) { s.labels[l.Name] = true })
	s.namespaces[ls.Get("namespace")] = true
	s.components[ls.Get("app")] = true
	s.metrics[ls.Get(model.MetricNameLabel)] = true
	s.metrics[family] = true
}

// matches says whether an entry matches any of the values. The empty text never matches.
func (s *seen) matches(e scopeEntry) bool {
	for value := range scopeLists[e.list](s) {
		if e.matcher.Match(value) {
			return true
		}
	}
	return false
}
