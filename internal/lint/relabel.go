// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
)

func relabelRules() []Rule {
	const static = "static_configs: [{targets: ['tool-manager:3001']}]\n"
	const pods = "kubernetes_sd_configs:\n  - {role: pod, namespaces: {names: [runner]}}\n"
	return []Rule{
		{
			ID: "drops-everything", Severity: report.Error, Elsewhere: report.Warning,
			Summary: "A rule that drops everything there is, or two keep rules that no value can satisfy.",
			Why:     "The job has no targets, or no series, and the rules behind it never run.",
			Fix:     "give it source_labels and a regex that some do not match, or one keep rule with both values: a|b",
			Bad:     ofJob(static + "relabel_configs:\n  - action: drop\n  - {source_labels: [__address__], target_label: address}\n"),
			Good:    ofJob(static + "relabel_configs:\n  - {action: drop, source_labels: [__address__], regex: 'other:3001'}\n  - {source_labels: [__address__], target_label: address}\n"),
			check:   checkDropsEverything,
		},
		{
			ID: "labelmap-all", Severity: report.Warning, Elsewhere: report.Info,
			Summary: "A labelmap over all labels or annotations of an object.",
			Why:     "Whoever labels a pod adds a label to every series: one that changes multiplies them, and annotations hold whole manifests, with what is secret in them.",
			Fix:     "copy the labels that are needed, one rule for each",
			Bad:     ofJob(pods + "relabel_configs:\n  - {action: labelmap, regex: __meta_kubernetes_pod_label_(.+)}\n"),
			Good:    ofJob(pods + "relabel_configs:\n  - {source_labels: [__meta_kubernetes_pod_label_team], target_label: team}\n"),
			check:   checkLabelmap,
		},
		{
			ID: "runner-label", Severity: report.Error,
			Summary: "A rule or a static label that sets a label of the runner's identity.",
			Why:     "The runner processor owns these labels: what a target has of the same name becomes exported_<name>.",
			Fix:     "remove it, and set it in metadata of the runner processor",
			Bad:     ofFile(withProcessor("            static_configs: [{targets: ['tool-manager:3001'], labels: {app: tool-manager, namespace: runner, organization: acme}}]\n")),
			Good:    ofFile(withProcessor("            static_configs: [{targets: ['tool-manager:3001'], labels: {app: tool-manager, namespace: runner}}]\n")),
			check:   checkRunnerLabel,
		},
		{
			ID: "constant-instance", Severity: report.Error, Elsewhere: report.Warning,
			Summary: "The label instance set to one value for several targets.",
			Why:     "instance tells the targets of a job apart. With one value their series become the same series, with several samples for one time: they collide, and receivers refuse them.",
			Fix:     "leave instance alone, and give the value a label of its own",
			Bad:     ofJob(pods + "relabel_configs:\n  - {target_label: instance, replacement: acme}\n"),
			Good:    ofJob(pods + "relabel_configs:\n  - {target_label: organization, replacement: acme}\n"),
			check:   checkInstance,
		},
		{
			ID: "high-cardinality-label", Severity: report.Warning, Elsewhere: report.Info,
			Summary: "A label with a new value for every pod, container or request: pod_ip, uid, container_id.",
			Why:     "Each restart makes all series of the target new ones. That is what managed Prometheus is paid for, and no dashboard reads it.",
			Fix:     "leave the label out; pod and container tell targets apart",
			Bad:     ofJob(pods + "relabel_configs:\n  - {source_labels: [__meta_kubernetes_pod_ip], target_label: pod_ip}\n"),
			Good:    ofJob(pods + "relabel_configs:\n  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}\n"),
			check:   checkHighCardinality,
		},
	}
}

// ruleKeys are all keys of a relabel rule. With another one, such as VictoriaMetrics's `if`, its author has meant something else.
var ruleKeys = []string{"source_labels", "separator", "regex", "modulus", "target_label", "replacement", "action"}

// usable says whether a rule can be judged.
func usable(r configfile.Rule) bool {
	if r.Err != nil || len(r.Unresolved) > 0 {
		return false
	}
	for key := range configfile.Pairs(r.Node) {
		if !slices.Contains(ruleKeys, key.Value) {
			return false
		}
	}
	return true
}

func checkDropsEverything(c *checker) {
	for _, j := range c.jobs {
		c.checkChain(j.relabel, "target")
		c.checkChain(j.metricRelabel, "series")
	}
}

// checkChain looks for the first rule behind which nothing is left.
func (c *checker) checkChain(rules []configfile.Rule, what string) {
	kept := map[string]configfile.Rule{} // keep rules by their source
	for _, r := range rules {
		if !usable(r) {
			clear(kept)
			continue
		}
		source := joined(r.Config)
		switch r.Config.Action {
		case relabel.Drop:
			if matchesEverything(r.Config.Regex.String()) || source == "" && r.Config.Regex.MatchString("") {
				c.addDropping(r, rules, what, "drops every "+what)
				return
			}
		case relabel.Keep:
			if source == "" && !r.Config.Regex.MatchString("") {
				c.addDropping(r, rules, what, "has no source_labels: it keeps no "+what)
				return
			}
			if first, found := kept[source]; found && exclude(first.Config, r.Config) {
				c.addDropping(r, rules, what, "keeps nothing that the one on line "+itoa(first.Pos.Line)+" has kept")
				return
			}
			kept[source] = r
		case relabel.LabelMap, relabel.LabelDrop, relabel.LabelKeep:
			clear(kept)
		default:
			for key, first := range kept {
				if slices.Contains(first.Config.SourceLabels, labelName(r.Config.TargetLabel)) || strings.Contains(r.Config.TargetLabel, "$") {
					delete(kept, key)
				}
			}
		}
	}
}

func (c *checker) addDropping(r configfile.Rule, rules []configfile.Rule, what, message string) {
	at := configfile.Get(r.Node, "action")
	if at == nil {
		at = r.Node
	}
	if behind := len(rules) - 1 - r.Index; behind > 0 {
		message += "; no rule behind it ever runs (" + itoa(behind) + ")"
	} else if what == "series" {
		return // nothing but up and its like: that can be wanted
	}
	c.add(at, "rule %s", message)
}

// joined names what a rule looks at.
func joined(r relabel.Config) string {
	var b strings.Builder
	for _, name := range r.SourceLabels {
		b.WriteString(string(name) + r.Separator)
	}
	return b.String()
}

// exclude says whether no value matches both rules. It is only known of lists of values.
func exclude(a, b relabel.Config) bool {
	first, second := values(a.Regex.String()), values(b.Regex.String())
	if len(first) > 0 {
		return !slices.ContainsFunc(first, b.Regex.MatchString)
	}
	return len(second) > 0 && !slices.ContainsFunc(second, a.Regex.MatchString)
}

// values returns all that a regular expression matches, where these are few.
func values(expression string) []string {
	m, err := labels.NewFastRegexMatcher(expression)
	if err != nil {
		return nil
	}
	return m.SetMatches()
}

func checkLabelmap(c *checker) {
	c.eachRule(func(_ job, r configfile.Rule, _ bool) {
		if !usable(r) || r.Config.Action != relabel.LabelMap {
			return
		}
		for _, kind := range []string{"pod", "service", "node", "namespace", "endpoints", "endpointslice", "ingress"} {
			for _, of := range []string{"annotation", "label"} {
				// Names that nobody has written a rule for.
				if r.Config.Regex.MatchString(kubernetesPrefix+kind+"_"+of+"_x_q0") && r.Config.Regex.MatchString(kubernetesPrefix+kind+"_"+of+"_qz_example_com_y") {
					c.add(regexNode(r), "labelmap copies every %s of the %s", of, kind)
					return
				}
			}
		}
	})
}

// regexNode is where a rule's regex is, or the rule.
func regexNode(r configfile.Rule) *yaml.Node {
	if n := configfile.Get(r.Node, "regex"); n != nil {
		return n
	}
	return r.Node
}

// identity returns the labels that the runner processors own. `namespace` is a label of targets as well: the scope goes by it.
func (c *checker) identity() []string {
	var names []string
	for _, p := range c.components("processors", "runner") {
		for key := range configfile.Pairs(configfile.Get(p.config, "metadata")) {
			if key.Value != "namespace" && !slices.Contains(names, key.Value) {
				names = append(names, key.Value)
			}
		}
	}
	return names
}

func checkRunnerLabel(c *checker) {
	owned := c.identity()
	for _, j := range c.jobs {
		for _, group := range configfile.Items(j.Get("static_configs")) {
			for key := range configfile.Pairs(configfile.Get(group, "labels")) {
				if slices.Contains(owned, key.Value) {
					c.add(key, "label %s belongs to the runner's identity", shown(key.Value))
				}
			}
		}
	}
	c.eachRule(func(_ job, r configfile.Rule, _ bool) {
		if writes(r) && slices.Contains(owned, r.Config.TargetLabel) {
			c.add(configfile.Get(r.Node, "target_label"), "label %s belongs to the runner's identity", shown(r.Config.TargetLabel))
		}
	})
}

// writes says whether a rule sets its target_label.
func writes(r configfile.Rule) bool {
	if r.Err != nil {
		return false
	}
	switch r.Config.Action {
	case relabel.Replace, relabel.Lowercase, relabel.Uppercase, relabel.HashMod:
		return true
	}
	return false
}

func checkInstance(c *checker) {
	for _, j := range c.jobs {
		targets := 0
		for _, group := range configfile.Items(j.Get("static_configs")) {
			here := len(configfile.Items(configfile.Get(group, "targets")))
			targets += here
			if key := configfile.Key(configfile.Get(group, "labels"), "instance"); key != nil && here > 1 {
				c.add(key, "%d targets get the same instance", here)
			}
		}
		several := targets > 1
		for key := range configfile.Pairs(j.Node) {
			several = several || isDiscovery(key.Value) && key.Value != "static_configs"
		}
		for _, r := range slices.Concat(j.relabel, j.metricRelabel) {
			if several && writes(r) && r.Config.TargetLabel == "instance" && c.isConstant(r) {
				c.add(configfile.Get(r.Node, "target_label"), "all targets of %s get the same instance", j.title())
			}
		}
	}
	c.checkProcessorsOfInstance()
}

// isConstant says whether a replace rule gives all targets one value: a text without groups, or a label of the whole runner.
func (c *checker) isConstant(r configfile.Rule) bool {
	if r.Config.Action != relabel.Replace {
		return false
	}
	if len(r.Config.SourceLabels) == 1 && slices.Contains([]string{"organization", "runner", "job", "__meta_kubernetes_namespace"}, string(r.Config.SourceLabels[0])) {
		return true
	}
	n := configfile.Get(r.Node, "replacement")
	// A rule with a regex of its own may be meant for one target.
	if n == nil || configfile.Get(r.Node, "regex") != nil || len(r.Config.SourceLabels) > 0 {
		return false
	}
	return !strings.Contains(referenceText.ReplaceAllString(c.file.Value(n), ""), "$")
}

// checkProcessorsOfInstance looks at processors of the collector that write the label.
func (c *checker) checkProcessorsOfInstance() {
	for _, p := range c.components("processors", "metrics_transform", "metricstransform") {
		for _, t := range configfile.Items(configfile.Get(p.config, "transforms")) {
			for _, o := range configfile.Items(configfile.Get(t, "operations")) {
				action := c.text(configfile.Get(o, "action"), "")
				label, renamed := configfile.Get(o, "label"), configfile.Get(o, "new_label")
				switch {
				case action == "update_label" && c.text(label, "") == "instance":
					c.add(label, "%s overwrites instance", shown(p.id))
				case action == "add_label" && c.text(renamed, "") == "instance":
					c.add(renamed, "%s overwrites instance", shown(p.id))
				}
			}
		}
	}
	for _, p := range c.components("processors", "resource", "attributes") {
		list := configfile.Get(p.config, "attributes")
		if list == nil {
			list = configfile.Get(p.config, "actions")
		}
		for _, a := range configfile.Items(list) {
			key := configfile.Get(a, "key")
			if name := c.text(key, ""); (name == "instance" || name == "service.instance.id") && configfile.Get(a, "value") != nil && c.text(configfile.Get(a, "action"), "") != "insert" {
				c.add(key, "%s gives all series the same %s", shown(p.id), name)
			}
		}
	}
}

// unique are the labels of discovery whose value is new for every pod or container.
var unique = []string{
	"__meta_kubernetes_pod_ip", "__meta_kubernetes_pod_uid", "__meta_kubernetes_pod_container_id", "__meta_kubernetes_pod_host_ip",
}

// uniqueNames are names under which such labels are usually kept.
var uniqueNames = []string{"pod_ip", "pod_host_ip", "host_ip", "uid", "pod_uid", "container_id", "request_id", "trace_id"}

func checkHighCardinality(c *checker) {
	dropped := c.droppedLabels()
	for _, j := range c.jobs {
		removed := removals(j)
		for _, r := range j.relabel {
			name := r.Config.TargetLabel
			if !writes(r) || strings.HasPrefix(name, "__") || name == "instance" || slices.Contains(dropped, name) {
				continue
			}
			fromUnique := slices.ContainsFunc(unique, func(source string) bool { return slices.Contains(r.Config.SourceLabels, labelName(source)) })
			if r.Config.Action == relabel.Replace && (fromUnique || slices.Contains(uniqueNames, name)) && !removed(name) {
				c.add(configfile.Get(r.Node, "target_label"), "label %s has a new value for every pod", shown(name))
			}
		}
	}
	for _, p := range c.components("processors", "runner") {
		for _, n := range configfile.Items(configfile.Get(p.config, "scope", "labels", "keep")) {
			if name := c.file.Value(n); slices.Contains(uniqueNames, name) || name == "id" || name == "path" {
				c.add(n, "label %s is kept, and has a value for every pod, object or request", shown(name))
			}
		}
	}
}

// droppedLabels are those that a runner processor does not let out.
func (c *checker) droppedLabels() []string {
	var names []string
	for _, p := range c.components("processors", "runner") {
		for _, n := range configfile.Items(configfile.Get(p.config, "scope", "labels", "drop")) {
			names = append(names, c.file.Value(n))
		}
	}
	return names
}

// removals says of a label whether a labeldrop of the job takes it away again.
func removals(j job) func(name string) bool {
	var drops []configfile.Rule
	for _, r := range slices.Concat(j.relabel, j.metricRelabel) {
		if usable(r) && r.Config.Action == relabel.LabelDrop {
			drops = append(drops, r)
		}
	}
	known := map[string]bool{}
	return func(name string) bool {
		answer, found := known[name]
		if !found {
			answer = slices.ContainsFunc(drops, func(r configfile.Rule) bool { return r.Config.Regex.MatchString(name) })
			known[name] = answer
		}
		return answer
	}
}
