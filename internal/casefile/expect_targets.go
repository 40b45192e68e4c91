// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// fates are what can become of a target.
var fates = map[string]func(*scrapetest.Target) bool{
	"kept":      (*scrapetest.Target).Kept,
	"dropped":   func(t *scrapetest.Target) bool { return t.DroppedBy >= 0 },
	"duplicate": func(t *scrapetest.Target) bool { return t.Duplicate },
	"invalid":   func(t *scrapetest.Target) bool { return t.Err != nil },
}

func (p *parsing) targets(c *Case, n *yaml.Node) error {
	readers := p.fates(c, "")
	readers["job"] = func(_, value *yaml.Node) error {
		return p.pairs(value, "job", func(key, value *yaml.Node) error {
			return p.fields(value, "the targets of a job", p.fates(c, key.Value))
		})
	}
	return p.fields(n, kindTargets, readers)
}

// fates read what is expected of the targets of a job, or of all.
func (p *parsing) fates(c *Case, job string) map[string]reader {
	readers := map[string]reader{}
	for fate, has := range fates {
		what := fate + " targets"
		if job != "" {
			what += " of the job " + job
		}
		readers[fate] = func(key, value *yaml.Node) error {
			if value.Kind == yaml.SequenceNode {
				names, err := p.strings(value, fate)
				c.add(expectation{kind: kindTargets, at: key, value: value, check: func(v *view) verdict {
					return v.targetNames(what, job, names, has)
				}})
				return err
			}
			want, err := p.quantityAt(value, "a number of targets")
			if err != nil {
				return err
			}
			c.add(expectation{kind: kindTargets, at: key, value: value, check: func(v *view) verdict {
				return v.targetNumber(what, job, want, has)
			}})
			return nil
		}
	}
	return readers
}

// targetsOf are the targets of a job, or of all, that have met a fate.
func (v *view) targetsOf(job string, has func(*scrapetest.Target) bool) []*scrapetest.Target {
	var some []*scrapetest.Target
	all := v.result.Targets(v.at)
	for i := range all {
		if (job == "" || all[i].Job == job) && has(&all[i]) {
			some = append(some, &all[i])
		}
	}
	return some
}

// noJob says that there is no such job.
func (v *view) noJob(job string) string {
	if job == "" || slices.ContainsFunc(v.result.Jobs, func(j scrapetest.Job) bool { return j.Name == job }) {
		return ""
	}
	names := make([]string, len(v.result.Jobs))
	for i, j := range v.result.Jobs {
		names[i] = j.Name
	}
	return fmt.Sprintf("the configuration has no job %q: it has %s", job, strings.Join(names, ", "))
}

func (v *view) targetNumber(what, job string, want quantity, has func(*scrapetest.Target) bool) verdict {
	if message := v.noJob(job); message != "" {
		return verdict{message: message}
	}
	some := v.targetsOf(job, has)
	result := compare(what, want, float64(len(some)))
	if result.message != "" {
		result.message += listed(v.targetLines(some), maxTargets)
	}
	return result
}

func (v *view) targetNames(what, job string, names []string, has func(*scrapetest.Target) bool) verdict {
	if message := v.noJob(job); message != "" {
		return verdict{message: message}
	}
	some := v.targetsOf(job, has)
	var lines []string
	items := []string{}
	for _, name := range names {
		if slices.ContainsFunc(some, func(t *scrapetest.Target) bool { return isCalled(t, name) }) {
			items = append(items, name)
			continue
		}
		lines = append(lines, missing(name)+v.whatBecameOf(job, name))
	}
	for _, t := range some {
		if !slices.ContainsFunc(names, func(name string) bool { return isCalled(t, name) }) {
			lines = append(lines, surplus(nameOf(t))+"  "+v.fate(t))
			items = append(items, nameOf(t))
		}
	}
	if len(lines) == 0 {
		return verdict{}
	}
	return verdict{message: what + " are not the ones expected" + listed(lines, maxTargets), items: items}
}

// whatBecameOf says what became of the targets that have a name.
func (v *view) whatBecameOf(job, name string) string {
	var what []string
	for _, t := range v.targetsOf(job, func(t *scrapetest.Target) bool { return isCalled(t, name) }) {
		what = append(what, v.fate(t))
	}
	if len(what) == 0 {
		return "  was not discovered"
	}
	return "  " + strings.Join(what, "; ")
}

func (v *view) targetLines(some []*scrapetest.Target) []string {
	lines := make([]string, len(some))
	for i, t := range some {
		lines[i] = nameOf(t) + "  " + v.fate(t)
	}
	return lines
}

const (
	metaPod     = "__meta_kubernetes_pod_name"
	metaAddress = "__address__"
)

// nameOf is what a target is called: pod/NAME:PORT, or its address.
func nameOf(t *scrapetest.Target) string {
	pod := t.Discovered.Get(metaPod)
	if pod == "" {
		return addressOf(t)
	}
	if _, port, err := net.SplitHostPort(addressOf(t)); err == nil {
		return "pod/" + pod + ":" + port
	}
	return "pod/" + pod
}

// addressOf is the address that is scraped, or that was discovered where a target is not scraped.
func addressOf(t *scrapetest.Target) string {
	if t.URL != "" {
		rest := t.URL[strings.Index(t.URL, "://")+len("://"):]
		host, _, _ := strings.Cut(rest, "/")
		return host
	}
	return t.Discovered.Get(metaAddress)
}

// isCalled says whether a name is one of a target's. By its URL, a target that is scraped by another scheme or path is another one.
func isCalled(t *scrapetest.Target, name string) bool {
	if pod := t.Discovered.Get(metaPod); pod != "" && (name == "pod/"+pod || name == nameOf(t)) {
		return true
	}
	return name == addressOf(t) || name == t.URL && name != ""
}

// fate says in words what became of a target, and by which rule.
func (v *view) fate(t *scrapetest.Target) string {
	switch {
	case t.Err != nil:
		return fmt.Sprintf("is invalid: %v (job %s)", t.Err, t.Job)
	case t.DroppedBy >= 0:
		return "was dropped by " + v.relabelRule(t.Receiver, t.Job, t.DroppedBy)
	case t.Duplicate:
		return "is in the job " + t.Job + " already"
	}
	return "is scraped by the job " + t.Job
}

// relabelRule names a rule of relabel_configs with its place.
func (v *view) relabelRule(receiver, job string, index int) string {
	return v.rule(receiver, job, "relabel_configs", index, configfile.Job.Relabel)
}

// rule names a rule, with its place where the file has it.
func (v *view) rule(receiver, job, key string, index int, rules func(configfile.Job) []configfile.Rule) string {
	name := fmt.Sprintf("%s[%d] of the job %s", key, index, job)
	j, ok := v.jobInFile(receiver, job)
	if !ok {
		return name
	}
	all := rules(j)
	if index >= len(all) {
		return name
	}
	r := &all[index]
	return fmt.Sprintf("%s (%s:%d:%d, action %s)", name, v.config.File.Name, r.Pos.Line, r.Pos.Column, r.Config.Action)
}
