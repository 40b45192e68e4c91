// SPDX-License-Identifier: Apache-2.0

package configfile

import (
	"fmt"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
)

// Job is a scrape configuration.
type Job struct {
	// Name is job_name, as Prometheus sees it; empty where there is none.
	Name string
	// Receiver is the collector's component that has the job, prometheus or prometheus/2; empty in other kinds of files.
	Receiver string
	// Path is where the job is: receivers::prometheus::config::scrape_configs[2].
	Path string
	// Node is the job's mapping, resolved.
	Node *yaml.Node
	// Global is the mapping with the defaults of all jobs, resolved; nil where there is none.
	Global *yaml.Node
	// Pos is where the job begins.
	Pos Position

	file *File
}

// Rule is a relabel rule: an item of relabel_configs or metric_relabel_configs.
type Rule struct {
	// Index is the rule's place in its list, from 0.
	Index int
	// Path is where the rule is: receivers::prometheus::config::scrape_configs[2]::relabel_configs[0].
	Path string
	// Node is the rule's mapping, resolved. Where the rule comes from an alias, it stands where the anchor is.
	Node *yaml.Node
	// Pos is where the rule begins.
	Pos Position
	// Config is the rule as Prometheus reads it, with its defaults. It is valid, and can be run, when Err is nil.
	Config relabel.Config
	// Unresolved are the keys whose value is only known when the collector starts, because it refers to the environment or to
	// a file. They are left at their defaults in Config. See Expand.
	Unresolved []string
	// Err says why Prometheus would refuse the rule; nil when it would not. What is unresolved is not judged.
	Err error
	// Derived says that the rule does not stand in the file but was derived from the scope of a processor.
	Derived bool
}

// IsPrometheusReceiver says whether a component of the collector is a prometheus receiver: prometheus, prometheus/2.
func IsPrometheusReceiver(id string) bool {
	kind, _, _ := strings.Cut(id, "/")
	return strings.TrimSpace(kind) == "prometheus"
}

// Jobs returns the scrape configurations of the file, in its order: of each prometheus receiver in a collector's. Items that
// are no mapping, and jobs in files that scrape_config_files names, are left out.
func (f *File) Jobs() []Job {
	root := Resolve(f.Root)
	switch {
	case root.Kind == yaml.SequenceNode:
		return f.jobs("", "", nil, root)
	case f.Kind != Collector:
		return f.jobs("", "scrape_configs", Get(root, "global"), Get(root, "scrape_configs"))
	}
	var jobs []Job
	for key, value := range Pairs(Get(root, "receivers")) {
		if !IsPrometheusReceiver(key.Value) {
			continue
		}
		config := Get(value, "config")
		path := "receivers::" + key.Value + "::config::scrape_configs"
		jobs = append(jobs, f.jobs(key.Value, path, Get(config, "global"), Get(config, "scrape_configs"))...)
	}
	return jobs
}

func (f *File) jobs(receiver, path string, global, list *yaml.Node) []Job {
	var jobs []Job
	for i, item := range Items(list) {
		if item.Kind != yaml.MappingNode {
			continue
		}
		j := Job{Receiver: receiver, Path: fmt.Sprintf("%s[%d]", path, i), Node: item, Global: global, Pos: f.Pos(item), file: f}
		if name := j.Get("job_name"); name != nil {
			j.Name = f.Value(name)
		}
		jobs = append(jobs, j)
	}
	return jobs
}

// Get returns a value of the job itself, resolved, or nil.
func (j Job) Get(keys ...string) *yaml.Node { return Get(j.Node, keys...) }

// Setting returns the job's value of a key or, where it has none, the one that all jobs have from global; nil where neither has.
func (j Job) Setting(key string) *yaml.Node {
	if n := j.Get(key); n != nil && !isNull(n) {
		return n
	}
	return Get(j.Global, key)
}

// Relabel returns the rules for the labels of targets.
func (j Job) Relabel() []Rule { return j.rules("relabel_configs") }

// MetricRelabel returns the rules for the labels of scraped series.
func (j Job) MetricRelabel() []Rule { return j.rules("metric_relabel_configs") }

func (j Job) rules(key string) []Rule {
	var rules []Rule
	for i, item := range Items(j.Get(key)) {
		r := Rule{Index: i, Path: fmt.Sprintf("%s::%s[%d]", j.Path, key, i), Node: item, Pos: j.file.Pos(item)}
		r.Config, r.Unresolved, r.Err = j.file.rule(item)
		rules = append(rules, r)
	}
	return rules
}

// rule reads one rule as Prometheus does.
func (f *File) rule(n *yaml.Node) (relabel.Config, []string, error) {
	c := relabel.DefaultRelabelConfig
	if n.Kind != yaml.MappingNode {
		return c, nil, fmt.Errorf("is no mapping: a relabel rule has keys such as source_labels, regex and action")
	}
	known := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	var unresolved []string
	for key, value := range Pairs(n) {
		if f.HasReference(value) {
			unresolved = append(unresolved, key.Value)
			continue
		}
		known.Content = append(known.Content, key, f.plain(value))
	}
	if err := known.Decode(&c); err != nil {
		return relabel.DefaultRelabelConfig, unresolved, err
	}
	c.NameValidationScheme = model.UTF8Validation
	if len(unresolved) > 0 {
		return c, unresolved, nil
	}
	return c, nil, c.Validate(model.UTF8Validation)
}

// plain copies a value with its aliases replaced and its scalars as Prometheus sees them.
func (f *File) plain(n *yaml.Node) *yaml.Node {
	n = Resolve(n)
	c := *n
	c.Anchor = ""
	if n.Kind == yaml.ScalarNode {
		c.Value = f.Value(n)
		return &c
	}
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = f.plain(child)
	}
	return &c
}
