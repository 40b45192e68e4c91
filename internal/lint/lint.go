// SPDX-License-Identifier: Apache-2.0

// Package lint finds what is wrong in a configuration that scrapes, without running it: what would not start, what would be
// scraped twice or never, what leaks, costs or lies. Its rules are documented in docs/lint-rules.md, which is written from them.
package lint

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

// Rule is one thing that is looked for.
type Rule struct {
	// ID is its name in output and in comments that silence it, in kebab case.
	ID string
	// Severity is that of its findings in a configuration of the collector; 0: the rule does not look at those.
	Severity report.Severity
	// Elsewhere is that of its findings in files of Prometheus; 0: the rule does not look at those.
	Elsewhere report.Severity
	// Summary says what it finds.
	Summary string
	// Why says in a sentence or two what happens otherwise.
	Why string
	// Fix says what to do.
	Fix string
	// Fixable says that --fix mends at least some of its findings, without a change of meaning that the author cannot have wanted.
	Fixable bool
	// Bad and Good are what it finds and what it does not.
	Bad, Good Example

	check func(*checker)
}

// Finding is a report's finding, with the edits that mend it.
type Finding struct {
	report.Finding
	edits []configfile.Edit // in the order of the text
}

// Fixable says whether Fix mends it.
func (f Finding) Fixable() bool { return len(f.edits) > 0 }

// Rules returns all rules, in the order of the documentation.
func Rules() []Rule {
	return slices.Concat(loadingRules(), jobRules(), discoveryRules(), relabelRules(), regexpRules(), seriesRules(), collectorRules(), fileRules())
}

// Check returns what is wrong in a file, in the order of its lines. What comments in the file silence is left out.
func Check(f *configfile.File) []Finding {
	c := newChecker(f)
	for _, rule := range Rules() {
		if rule.check == nil || c.severity(rule) == 0 {
			continue
		}
		c.rule = rule
		rule.check(c)
	}
	silences := readSilences(f)
	kept := silences.apply(c.findings)
	c.findings = kept
	c.rule = silenceRule()
	silences.check(c)
	slices.SortStableFunc(c.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return c.findings
}

// Broken makes a finding of a file that cannot be read as a configuration. It reports false for other errors.
func Broken(err error) (Finding, bool) {
	var e *configfile.Error
	if !errors.As(err, &e) {
		return Finding{}, false
	}
	rule := brokenRule()
	return Finding{Finding: report.Finding{
		Rule: rule.ID, Severity: rule.Severity, File: e.File, Line: e.Line, Column: e.Column, Message: e.Message, Why: rule.Why,
	}}, true
}

// maxPasses of Fix: mending one finding may show another.
const maxPasses = 10

// Fix mends what can be mended safely, and returns the file that comes out with what was mended in it. When nothing was, the
// file is the one that was given.
func Fix(f *configfile.File) (*configfile.File, []Finding) {
	var mended []Finding
	for range maxPasses {
		edits, now := selectEdits(Check(f))
		if len(edits) == 0 {
			break
		}
		next, err := f.Apply(edits...)
		if err != nil {
			break // an edit that spoils the file is not made
		}
		f, mended = next, append(mended, now...)
	}
	return f, mended
}

// selectEdits returns the edits of findings that can be made together, and these findings.
func selectEdits(findings []Finding) (edits []configfile.Edit, chosen []Finding) {
	findings = slices.DeleteFunc(findings, func(f Finding) bool { return !f.Fixable() })
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(a.edits[0].Start, b.edits[0].Start) })
	end := -1
	for _, f := range findings {
		if f.edits[0].Start <= end {
			continue
		}
		edits, chosen = append(edits, f.edits...), append(chosen, f)
		end = f.edits[len(f.edits)-1].End
	}
	return edits, chosen
}

// job is a scrape configuration with its rules read once.
type job struct {
	configfile.Job
	relabel, metricRelabel []configfile.Rule
}

// checker is what a rule sees of a file, and where it puts what it finds.
type checker struct {
	file     *configfile.File
	jobs     []job
	rule     Rule
	findings []Finding
	seen     map[string]bool
}

func newChecker(f *configfile.File) *checker {
	c := &checker{file: f, seen: map[string]bool{}}
	for _, j := range f.Jobs() {
		c.jobs = append(c.jobs, job{Job: j, relabel: j.Relabel(), metricRelabel: j.MetricRelabel()})
	}
	return c
}

func (c *checker) severity(r Rule) report.Severity {
	if c.file.Kind == configfile.Collector {
		return r.Severity
	}
	return r.Elsewhere
}

// add puts a finding at a node. What comes from an alias is found once, where it stands. The finding may be refined through
// the pointer that is returned until the next one is added.
func (c *checker) add(n *yaml.Node, format string, args ...any) *Finding {
	pos := c.file.Pos(n)
	return c.addAt(pos, c.file.EndColumn(n), fmt.Sprintf(format, args...))
}

func (c *checker) addAt(pos configfile.Position, endColumn int, message string) *Finding {
	f := Finding{Finding: report.Finding{
		Rule: c.rule.ID, Severity: c.severity(c.rule), File: c.file.Name, Line: pos.Line, Column: pos.Column, EndColumn: endColumn,
		Message: message, Why: c.rule.Why, Fix: c.rule.Fix,
	}}
	if line := c.file.Line(pos.Line); secrets.Find(line) == "" {
		f.Source = line
	}
	key := fmt.Sprintf("%s %d %d", f.Rule, f.Line, f.Column)
	if c.seen[key] && f.Line > 0 {
		return &Finding{}
	}
	c.seen[key] = true
	c.findings = append(c.findings, f)
	return &c.findings[len(c.findings)-1]
}

// replace makes a finding mendable by a new text for a scalar, where that can be done in place.
func (c *checker) replace(f *Finding, n *yaml.Node, value string) {
	if edit, err := c.file.ReplaceScalar(n, value); err == nil {
		f.edits = append(f.edits, edit)
	}
}

// components returns the ids and configurations of a section of the collector whose type is one of kinds.
func (c *checker) components(section string, kinds ...string) []component {
	var out []component
	for key, value := range configfile.Pairs(configfile.Get(c.file.Root, section)) {
		if slices.Contains(kinds, kindOf(key.Value)) {
			out = append(out, component{key.Value, key, configfile.Resolve(value)})
		}
	}
	return out
}

// component is a part of a collector.
type component struct {
	id          string
	key, config *yaml.Node
}

// kindOf returns the type of a component: batch of batch/metrics.
func kindOf(id string) string {
	kind, _, _ := strings.Cut(id, "/")
	return strings.TrimSpace(kind)
}

// receivers returns the prometheus receivers.
func (c *checker) receivers() []component {
	return c.components("receivers", "prometheus")
}

// eachRule calls visit for every relabel rule; metric says that it is one for the labels of series.
func (c *checker) eachRule(visit func(j job, r configfile.Rule, metric bool)) {
	for _, j := range c.jobs {
		for _, r := range j.relabel {
			visit(j, r, false)
		}
		for _, r := range j.metricRelabel {
			visit(j, r, true)
		}
	}
}

// title names a job in messages.
func (j job) title() string {
	if j.Name == "" {
		return "the job without a name"
	}
	return "job " + shown(j.Name)
}

// shown quotes a value from the file for a message, shortened, and hides what looks like a secret.
func shown(value string) string {
	const limit = 60
	if name := secrets.Find(value); name != "" {
		return "<redacted:" + name + ">"
	}
	if r := []rune(value); len(r) > limit {
		value = string(r[:limit]) + "…"
	}
	return fmt.Sprintf("%q", value)
}
