// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
)

// mutant is a configuration with one thing changed.
type mutant struct {
	// file is what was changed.
	file *configfile.File
	// pos is where.
	pos configfile.Position
	// path is where in the configuration: the same in every file that is made alike.
	path string
	// change says what was changed.
	change string

	edits []configfile.Edit
}

func (m *mutant) String() string {
	return fmt.Sprintf("%s:%d: %s", m.file.Name, m.pos.Line, m.change)
}

// subject is what was changed: a job, or the runner processor.
func (m *mutant) subject() string {
	subject, _, _ := strings.Cut(m.change, ",")
	return subject
}

// apply returns the changed configuration.
func (m *mutant) apply() (*configfile.File, error) { return m.file.Apply(m.edits...) }

// The lists of rules of a job.
const (
	relabelConfigs       = "relabel_configs"
	metricRelabelConfigs = "metric_relabel_configs"
)

// mutate returns the mutants of a configuration, in the order of its lines. Those that Prometheus would not load are left out: the
// collector would not start with them, which takes no test to notice.
func mutate(f *configfile.File) ([]*mutant, error) {
	var all []*mutant
	for _, job := range f.Jobs() {
		for key, rules := range map[string][]configfile.Rule{relabelConfigs: job.Relabel(), metricRelabelConfigs: job.MetricRelabel()} {
			some, err := mutateList(f, &job, key, rules)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
	}
	some, err := mutateScope(f)
	if err != nil {
		return nil, err
	}
	all = append(all, some...)
	slices.SortStableFunc(all, func(a, b *mutant) int { return a.pos.Line - b.pos.Line })
	return all, nil
}

// list is a list of rules that can be rewritten.
type list struct {
	file *configfile.File
	job  *configfile.Job
	key  string
	node *yaml.Node // as it stands in the file: an alias perhaps
}

func mutateList(f *configfile.File, job *configfile.Job, key string, rules []configfile.Rule) ([]*mutant, error) {
	l := list{file: f, job: job, key: key}
	for k, v := range configfile.Pairs(job.Node) {
		if k.Value == key {
			l.node = v
		}
	}
	var all []*mutant
	for i := range rules {
		variants := mutateRule(f, &rules[i])
		variants = append(variants, variant{change: "rule deleted"})
		if i+1 < len(rules) && dependent(&rules[i].Config, &rules[i+1].Config) {
			variants = append(variants, variant{change: "rule swapped with the next", swap: true})
		}
		for _, v := range variants {
			edits, err := l.rewrite(rules, i, v)
			if err != nil {
				return nil, err
			}
			all = append(all, &mutant{
				file: f, pos: l.pos(&rules[i]), path: rules[i].Path, edits: edits,
				change: fmt.Sprintf("%s, %s[%d] (%s): %s", job.Name, key, i, brief(&rules[i].Config), v.change),
			})
		}
	}
	return all, nil
}

// pos is where a rule stands for this job: an alias stands for all of its rules.
func (l *list) pos(r *configfile.Rule) configfile.Position {
	if l.node.Kind == yaml.AliasNode {
		return l.file.Pos(l.node)
	}
	return r.Pos
}

// brief is what a rule is called in a line.
func brief(c *relabel.Config) string {
	names := make([]string, len(c.SourceLabels))
	for i, name := range c.SourceLabels {
		names[i] = strings.TrimPrefix(string(name), "__meta_kubernetes_")
	}
	from := strings.Join(names, ", ")
	switch {
	case c.TargetLabel == "":
		return string(c.Action) + " " + from
	case from == "":
		return "set " + c.TargetLabel
	}
	return string(c.Action) + " " + from + " -> " + c.TargetLabel
}

// variant is a rule to put in the place of another.
type variant struct {
	change string
	node   *yaml.Node // nil: none
	swap   bool       // exchange it with the next one instead
}

// rewrite is the edits that put a variant in the place of rule i.
func (l *list) rewrite(rules []configfile.Rule, i int, v variant) ([]configfile.Edit, error) {
	if l.node.Kind == yaml.AliasNode {
		return l.rewriteAlias(rules, i, v)
	}
	edit, err := l.file.DeleteItem(l.node, i)
	if err != nil {
		return nil, err
	}
	indent := l.indent(edit)
	switch {
	case v.swap:
		next, err := l.file.DeleteItem(l.node, i+1)
		if err != nil {
			return nil, err
		}
		edit.New, next.New = indent+"- "+flow(rules[i+1].Node)+"\n", indent+"- "+flow(rules[i].Node)+"\n"
		return []configfile.Edit{edit, next}, nil
	case v.node != nil:
		edit.New = indent + "- " + flow(v.node) + "\n"
	case len(rules) == 1:
		edit.New = indent + "[]\n"
	}
	return []configfile.Edit{edit}, nil
}

// rewriteAlias writes out the list that an alias stands for, changed for this job alone.
func (l *list) rewriteAlias(rules []configfile.Rule, i int, v variant) ([]configfile.Edit, error) {
	edit, err := l.file.DeleteKey(l.job.Node, l.key)
	if err != nil {
		return nil, err
	}
	nodes := make([]*yaml.Node, len(rules))
	for k := range rules {
		nodes[k] = rules[k].Node
	}
	switch {
	case v.swap:
		nodes[i], nodes[i+1] = nodes[i+1], nodes[i]
	case v.node != nil:
		nodes[i] = v.node
	default:
		nodes = slices.Delete(nodes, i, i+1)
	}
	written := &yaml.Node{Kind: yaml.SequenceNode, Content: nodes}
	edit.New = l.indent(edit) + l.key + ": " + flow(written) + "\n"
	return []configfile.Edit{edit}, nil
}

// indent is what the line of an edit begins with.
func (l *list) indent(e configfile.Edit) string {
	line := string(l.file.Text[e.Start:e.End])
	return line[:len(line)-len(strings.TrimLeft(line, " "))]
}

// flow writes a node on one line.
func flow(n *yaml.Node) string {
	text, err := yaml.Marshal(inFlow(n))
	if err != nil {
		panic(err) // it was read from YAML
	}
	return strings.TrimRight(string(text), "\n")
}

// inFlow copies a node without comments, anchors and aliases.
func inFlow(n *yaml.Node) *yaml.Node {
	n = configfile.Resolve(n)
	c := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style}
	if n.Kind != yaml.ScalarNode {
		c.Style = yaml.FlowStyle
	}
	for _, child := range n.Content {
		c.Content = append(c.Content, inFlow(child))
	}
	return c
}

// otherActions are what an action is changed to.
var otherActions = map[relabel.Action][]relabel.Action{
	relabel.Replace:   {relabel.Keep, relabel.Drop, relabel.Uppercase, relabel.LabelMap},
	relabel.Keep:      {relabel.Drop},
	relabel.Drop:      {relabel.Keep},
	relabel.KeepEqual: {relabel.DropEqual},
	relabel.DropEqual: {relabel.KeepEqual},
	relabel.LabelMap:  {relabel.LabelDrop, relabel.LabelKeep},
	relabel.LabelDrop: {relabel.LabelKeep},
	relabel.LabelKeep: {relabel.LabelDrop},
	relabel.Lowercase: {relabel.Uppercase},
	relabel.Uppercase: {relabel.Lowercase},
}

// mutateRule returns the variants of a rule that Prometheus would load.
func mutateRule(f *configfile.File, r *configfile.Rule) []variant {
	var all []variant
	change := func(what, key string, value *yaml.Node) {
		node := with(r.Node, key, value)
		if loads(f, node) {
			all = append(all, variant{change: what, node: node})
		}
	}
	for _, action := range otherActions[r.Config.Action] {
		change(fmt.Sprintf("action %s", action), "action", scalar(f, string(action)))
	}
	if regex := configfile.Get(r.Node, "regex"); regex != nil {
		for _, other := range mutateRegex(f.Value(regex)) {
			change(fmt.Sprintf("regex %s", other), "regex", scalar(f, other))
		}
	}
	sources := r.Config.SourceLabels
	for i, name := range sources {
		other := slices.Clone(sources)
		other[i] = name + "_x"
		change(fmt.Sprintf("source label %s", other[i]), "source_labels", sequence(f, other))
		if len(sources) > 1 {
			change(fmt.Sprintf("without source label %s", name), "source_labels", sequence(f, slices.Delete(slices.Clone(sources), i, i+1)))
		}
	}
	if r.Config.TargetLabel != "" {
		change("target label "+r.Config.TargetLabel+"_x", "target_label", scalar(f, r.Config.TargetLabel+"_x"))
	}
	if configfile.Get(r.Node, "replacement") != nil {
		change("replacement "+r.Config.Replacement+"x", "replacement", scalar(f, r.Config.Replacement+"x"))
	}
	return all
}

// with is a copy of a mapping with one key set.
func with(mapping *yaml.Node, key string, value *yaml.Node) *yaml.Node {
	c := &yaml.Node{Kind: yaml.MappingNode}
	found := false
	for k, v := range configfile.Pairs(mapping) {
		if k.Value == key {
			v, found = value, true
		}
		c.Content = append(c.Content, k, v)
	}
	if !found {
		c.Content = append(c.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
	}
	return c
}

// scalar is a text as it stands in a file.
func scalar(f *configfile.File, text string) *yaml.Node {
	if f.Kind == configfile.Collector {
		text = strings.ReplaceAll(text, "$", "$$")
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

func sequence(f *configfile.File, names model.LabelNames) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, name := range names {
		n.Content = append(n.Content, scalar(f, string(name)))
	}
	return n
}

// loads says whether Prometheus takes a rule.
func loads(f *configfile.File, n *yaml.Node) bool {
	read, err := configfile.Parse(f.Name, []byte("- job_name: x\n  relabel_configs: ["+strings.ReplaceAll(flow(n), "$$", "$")+"]\n"))
	if err != nil {
		return false
	}
	return read.Jobs()[0].Relabel()[0].Err == nil
}

// dependent says whether the order of two rules can matter: one of them writes what the other reads or writes. Two that only keep or
// drop, or that have nothing to do with each other, give the same in either order.
func dependent(a, b *relabel.Config) bool {
	return overlap(writes(a), reads(b)) || overlap(writes(b), reads(a)) || overlap(writes(a), writes(b))
}

// anyLabel stands for labels that are not known.
const anyLabel = "*"

func writes(c *relabel.Config) []string {
	switch c.Action {
	case relabel.Keep, relabel.Drop, relabel.KeepEqual, relabel.DropEqual:
		return nil
	case relabel.LabelMap, relabel.LabelDrop, relabel.LabelKeep:
		return []string{anyLabel}
	default:
		if strings.Contains(c.TargetLabel, "$") {
			return []string{anyLabel}
		}
		return []string{c.TargetLabel}
	}
}

func reads(c *relabel.Config) []string {
	var names []string
	for _, name := range c.SourceLabels {
		names = append(names, string(name))
	}
	switch c.Action {
	case relabel.KeepEqual, relabel.DropEqual:
		names = append(names, c.TargetLabel)
	case relabel.LabelMap, relabel.LabelDrop, relabel.LabelKeep:
		names = append(names, anyLabel)
	default:
	}
	return names
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(name string) bool {
		return slices.Contains(b, name) || len(b) > 0 && (name == anyLabel || slices.Contains(b, anyLabel))
	})
}
