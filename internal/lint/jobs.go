// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
)

func jobRules() []Rule {
	return []Rule{
		{
			ID: "interval-range", Severity: report.Warning, Elsewhere: report.Info,
			Summary: "A scrape interval below 15 s or above 60 s.",
			Why: "Below 15 s each series costs several times as much, and no dashboard of the runner looks closer. Above 60 s rate() over the usual " +
				"windows has too few samples, and above 150 s series look stale between scrapes.",
			Fix:   "use 15s to 60s",
			Bad:   ofJob("scrape_interval: 10s\nstatic_configs: [{targets: ['tool-manager:3001']}]\n"),
			Good:  ofJob("scrape_interval: 30s\nstatic_configs: [{targets: ['tool-manager:3001']}]\n"),
			check: checkInterval,
		},
		{
			ID: "timeout-above-interval", Severity: report.Error, Elsewhere: report.Error,
			Summary: "A scrape timeout that is longer than the scrape interval.",
			Why:     "A slow scrape would run into the next one; Prometheus refuses it at start.",
			Fix:     "make scrape_timeout shorter than scrape_interval",
			Bad:     ofJob("scrape_interval: 30s\nscrape_timeout: 45s\nstatic_configs: [{targets: ['tool-manager:3001']}]\n"),
			Good:    ofJob("scrape_interval: 30s\nscrape_timeout: 10s\nstatic_configs: [{targets: ['tool-manager:3001']}]\n"),
			check:   checkTimeout,
		},
		{
			ID: "target-twice", Severity: report.Error, Elsewhere: report.Warning,
			Summary: "One target in two jobs, or twice in one job: named twice, named and discovered, or found by the same discovery.",
			Why:     "Each of its series is scraped, delivered and paid twice, and sums over jobs count it twice.",
			Fix:     "keep the target in one place; leave it out of the others with a drop rule",
			Bad: ofJob("static_configs: [{targets: ['tool-manager:3001']}]\nkubernetes_sd_configs:\n" +
				"  - {role: pod, namespaces: {names: [runner]}}\n"),
			Good:  ofJobs("- job_name: a\n  static_configs: [{targets: ['10.0.0.7:8888']}]\n- job_name: b\n  kubernetes_sd_configs:\n    - {role: pod, namespaces: {names: [runner]}}\n"),
			check: checkTargetTwice,
		},
		{
			ID: "honor-labels", Severity: report.Warning, Elsewhere: report.Info,
			Summary: "honor_labels: true in a job that is neither a federation nor a Pushgateway's.",
			Why:     "What a target says about itself then overrides what is known about it: it can pass for another component, namespace or instance.",
			Fix:     "remove it; labels of a target that are taken become exported_<name>",
			Bad:     ofJob("honor_labels: true\nstatic_configs: [{targets: ['tool-manager:3001']}]\n"),
			Good:    ofJob("static_configs: [{targets: ['tool-manager:3001']}]\n"),
			check:   checkHonorLabels,
		},
		{
			ID: "all-or-nothing-limit", Severity: report.Warning,
			Summary: "A limit of Prometheus (sample_limit, label_limit, …) without the limits of the runner processor.",
			Why:     "What is above it fails the whole scrape, and of target_limit the scrapes of all targets of the job: up becomes 0 and every series goes stale. The processor's limits cut only the surplus.",
			Fix:     "use limits of the runner processor; keep this one only as a guard, far above them",
			Bad:     ofJob("sample_limit: 1000\nstatic_configs: [{targets: ['tool-manager:3001']}]\n"),
			Good:    ofJob("static_configs: [{targets: ['tool-manager:3001']}]\n"),
			check:   checkLimits,
		},
		{
			ID: "missing-label", Severity: report.Error,
			Summary: "A job whose targets do not have the labels app and namespace that the runner processor goes by, or a processor without the runner's identity.",
			Why:     "The processor fails closed: a series whose component or namespace is unknown is dropped. Dashboards select by organization, runner, kubiya_type and namespace.",
			Fix:     "set it with a relabel rule or in the labels of static_configs",
			Bad:     ofFile(withProcessor("            static_configs: [{targets: ['tool-manager:3001']}]\n")),
			Good:    ofFile(withProcessor("            static_configs: [{targets: ['tool-manager:3001'], labels: {app: tool-manager, namespace: runner}}]\n")),
			check:   checkMissingLabels,
		},
	}
}

// withProcessor is an example with a runner processor and one job.
func withProcessor(job string) string {
	return "receivers:\n  prometheus:\n    config:\n      scrape_configs:\n          - job_name: example\n" + job +
		"processors:\n  runner:\n    metadata: {organization: acme, runner: r1, kubiya_type: customers-runners, namespace: runner}\n" +
		"    scope: {namespaces: [runner], components: [tool-manager]}\n"
}

// duration reads a duration that may have a reference with a default.
func (c *checker) duration(n *yaml.Node) (time.Duration, bool) {
	if n == nil {
		return 0, false
	}
	value, known := c.file.Known(n)
	if !known || value == "" {
		return 0, false
	}
	d, err := model.ParseDuration(value)
	return time.Duration(d), err == nil
}

const (
	shortest, longest = 15 * time.Second, 60 * time.Second
	defaultInterval   = time.Minute // of Prometheus
	defaultTimeout    = 10 * time.Second
)

func checkInterval(c *checker) {
	for _, j := range c.jobs {
		n := j.Setting("scrape_interval")
		if d, ok := c.duration(n); ok && (d < shortest || d > longest) {
			c.add(n, "scrape_interval %s is outside of %s to %s", model.Duration(d), model.Duration(shortest), model.Duration(longest))
		}
	}
}

func checkTimeout(c *checker) {
	for _, j := range c.jobs {
		n := j.Setting("scrape_timeout")
		timeout, ok := c.duration(n)
		if !ok {
			continue
		}
		interval := defaultInterval
		if at := j.Setting("scrape_interval"); at != nil {
			if interval, ok = c.duration(at); !ok {
				continue
			}
		}
		// Prometheus shortens a timeout that is only inherited, but not below the interval of the same place.
		if inherited := j.Get("scrape_timeout") == nil; inherited && j.Get("scrape_interval") != nil {
			continue
		}
		if timeout > interval {
			c.add(n, "scrape_timeout %s is longer than the scrape_interval %s", model.Duration(timeout), model.Duration(interval))
		}
	}
}

func checkTargetTwice(c *checker) {
	static := map[string]*yaml.Node{}
	found := map[string]*yaml.Node{}
	for _, j := range c.jobs {
		kubernetes := configfile.Items(j.Get("kubernetes_sd_configs"))
		if n := configfile.Key(j.Node, "static_configs"); n != nil && len(kubernetes) > 0 {
			c.add(n, "%s names targets and discovers them: what is both is scraped twice, and its relabel rules apply to either", j.title())
		}
		if role := rolesOfPods(kubernetes); len(role) > 1 {
			c.add(configfile.Key(j.Node, "kubernetes_sd_configs"), "%s finds the same pods by the roles %s", j.title(), strings.Join(role, " and "))
		}
		if !choosesTargets(j) {
			c.checkStaticTwice(j, static)
		}
		if len(kubernetes) > 0 {
			key := c.discoveryKey(j)
			if first := found[key]; first != nil {
				c.add(configfile.Key(j.Node, "kubernetes_sd_configs"), "%s finds the same targets as the one on line %d", j.title(), first.Line)
			} else {
				found[key] = j.Node
			}
		}
	}
}

// rolesOfPods returns the different roles of a job's discovery that give the addresses of pods.
func rolesOfPods(kubernetes []*yaml.Node) []string {
	var roles []string
	for _, sd := range kubernetes {
		role := configfile.Get(sd, "role")
		if role == nil {
			continue
		}
		if r := strings.ToLower(role.Value); slices.Contains([]string{"pod", "endpoints", "endpointslice"}, r) && !slices.Contains(roles, r) {
			roles = append(roles, r)
		}
	}
	return roles
}

// choosesTargets says whether the rules of a job decide which targets it has, or where they are.
func choosesTargets(j job) bool {
	return slices.ContainsFunc(j.relabel, func(r configfile.Rule) bool {
		switch r.Config.Action {
		case relabel.Keep, relabel.Drop, relabel.KeepEqual, relabel.DropEqual, relabel.LabelMap:
			return true
		}
		return r.Err != nil || len(r.Unresolved) > 0 || strings.HasPrefix(r.Config.TargetLabel, "__")
	})
}

func (c *checker) checkStaticTwice(j job, first map[string]*yaml.Node) {
	for _, group := range configfile.Items(j.Get("static_configs")) {
		for _, target := range configfile.Items(configfile.Get(group, "targets")) {
			address := c.file.Value(target)
			key := strings.Join([]string{c.text(j.Get("scheme"), "http"), address, c.text(j.Get("metrics_path"), "/metrics"), c.canonical(j.Get("params"))}, " ")
			if other := first[key]; other != nil {
				c.add(target, "target %s is also on line %d", shown(address), other.Line)
				continue
			}
			first[key] = target
		}
	}
}

// text returns a scalar as it is written, or what stands for none.
func (c *checker) text(n *yaml.Node, none string) string {
	if n == nil {
		return none
	}
	return c.file.Value(n)
}

// discoveryKey is equal for jobs that find the same targets: the same discovery and the same rules to choose among them.
func (c *checker) discoveryKey(j job) string {
	parts := []string{
		c.canonical(j.Get("kubernetes_sd_configs")), c.text(j.Get("scheme"), "http"), c.text(j.Get("metrics_path"), "/metrics"), c.canonical(j.Get("params")),
	}
	for _, r := range j.relabel {
		switch r.Config.Action {
		case relabel.Keep, relabel.Drop, relabel.KeepEqual, relabel.DropEqual, relabel.LabelMap, relabel.LabelDrop, relabel.LabelKeep:
		default:
			if !strings.HasPrefix(r.Config.TargetLabel, "__") && len(r.Unresolved) == 0 && r.Err == nil {
				continue
			}
		}
		parts = append(parts, c.canonical(r.Node))
	}
	return strings.Join(parts, "\n")
}

// canonical writes a value so that equal ones are equal texts.
func (c *checker) canonical(n *yaml.Node) string {
	n = configfile.Resolve(n)
	if n == nil {
		return "~"
	}
	var parts []string
	switch n.Kind {
	case yaml.ScalarNode:
		return fmt.Sprintf("%q", n.Value)
	case yaml.MappingNode:
		for key, value := range configfile.Pairs(n) {
			parts = append(parts, fmt.Sprintf("%q: %s", key.Value, c.canonical(value)))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	}
	for _, item := range n.Content {
		parts = append(parts, c.canonical(item))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func checkHonorLabels(c *checker) {
	for _, j := range c.jobs {
		n := j.Get("honor_labels")
		if n == nil || n.Value != "true" || strings.HasSuffix(c.text(j.Get("metrics_path"), ""), "/federate") {
			continue
		}
		// What it holds is about others: without it, all would be about the Pushgateway.
		if strings.Contains(strings.ToLower(j.Name+c.canonical(j.Get("static_configs"))), "pushgateway") {
			continue
		}
		c.add(n, "%s believes its targets what they say about themselves", j.title())
	}
}

// allOrNothing are the limits, and what is enough to fail for them.
var allOrNothing = []struct{ key, failure string }{
	{"sample_limit", "one sample more fails the whole scrape"},
	{"label_limit", "one series with one label more fails the whole scrape"},
	{"label_name_length_limit", "one label with a longer name fails the whole scrape"},
	{"label_value_length_limit", "one label with a longer value fails the whole scrape"},
	{"target_limit", "one target more fails the scrapes of all of them"},
}

func checkLimits(c *checker) {
	if len(c.components("processors", "runner")) > 0 {
		return
	}
	for _, j := range c.jobs {
		for _, limit := range allOrNothing {
			n := j.Setting(limit.key)
			if n == nil || n.Value == "0" {
				continue
			}
			c.add(n, "%s is all or nothing: %s", limit.key, limit.failure)
		}
	}
}

func checkMissingLabels(c *checker) {
	processors := c.components("processors", "runner")
	for _, p := range processors {
		metadata := configfile.Get(p.config, "metadata")
		if metadata == nil || c.file.HasReference(metadata) && metadata.Kind == yaml.ScalarNode {
			continue
		}
		for _, name := range []string{"organization", "runner", "kubiya_type", "namespace"} {
			if configfile.Get(metadata, name) == nil {
				c.add(configfile.Key(p.config, "metadata"), "the identity of the runner has no %s", name).Fix = "add it to metadata of the runner processor"
			}
		}
	}
	if len(processors) == 0 {
		return
	}
	for _, j := range c.jobs {
		names, all := c.labelsOf(j)
		if !all {
			continue
		}
		var missing []string
		if !names["app"] {
			missing = append(missing, "app")
		}
		if !names["namespace"] && !names["kubernetes_namespace"] {
			missing = append(missing, "namespace")
		}
		if len(missing) > 0 {
			c.add(j.Get("job_name"), "targets of %s have no label %s: all of their series are out of scope", j.title(), strings.Join(missing, " and no label "))
		}
	}
}

// labelsOf returns the labels that a job gives its targets, and whether these are all: discovery other than static's and
// Kubernetes's sets labels of its own.
func (c *checker) labelsOf(j job) (names map[string]bool, all bool) {
	names, all = map[string]bool{}, true
	for key := range configfile.Pairs(j.Node) {
		if isDiscovery(key.Value) && key.Value != "static_configs" && key.Value != "kubernetes_sd_configs" {
			all = false
		}
	}
	for i, group := range configfile.Items(j.Get("static_configs")) {
		here := map[string]bool{}
		for key := range configfile.Pairs(configfile.Get(group, "labels")) {
			here[key.Value] = true
		}
		if i == 0 {
			names = here
			continue
		}
		for name := range names {
			if !here[name] {
				delete(names, name)
			}
		}
	}
	for _, r := range j.relabel {
		switch r.Config.Action {
		case relabel.LabelMap:
			all = false
		case relabel.Replace, relabel.Lowercase, relabel.Uppercase, relabel.HashMod:
			if slices.Contains(r.Unresolved, "target_label") || strings.Contains(r.Config.TargetLabel, "$") {
				all = false
			}
			names[r.Config.TargetLabel] = true
		}
	}
	return names, all
}
