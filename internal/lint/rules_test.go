// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// foundIn returns where a rule finds something in a text, as line:column.
func foundIn(t *testing.T, rule, text string) []string {
	t.Helper()
	out := []string{}
	for _, f := range check(t, text) {
		assert.NotEqual(t, "broken-file", f.Rule, f.Message)
		if f.Rule == rule {
			out = append(out, fmt.Sprintf("%d:%d", f.Line, f.Column))
		}
	}
	return out
}

// found returns what a rule says about the keys of a job.
func found(t *testing.T, rule, job string) []string {
	t.Helper()
	out := []string{}
	for _, f := range check(t, ofJob(job).File()) {
		assert.NotEqual(t, "broken-file", f.Rule, f.Message)
		if f.Rule == rule {
			out = append(out, f.Message)
		}
	}
	return out
}

func TestTimes(t *testing.T) {
	for job, want := range map[string]string{
		"scrape_interval: 15s":                                              "",
		"scrape_interval: 60s":                                              "",
		"scrape_interval: 14s":                                              "interval-range",
		"scrape_interval: 61s":                                              "interval-range",
		"scrape_interval: '${env:X:-10s}'":                                  "interval-range",
		"scrape_interval: '${env:X}'":                                       "",
		"scrape_timeout: 70s":                                               "timeout-above-interval",
		"scrape_timeout: 60s":                                               "",
		"scrape_interval: 30s\nscrape_timeout: 31s":                         "timeout-above-interval",
		"scrape_interval: '${env:X}'\nscrape_timeout: 70s":                  "",
		"scrape_interval: 20s\nscrape_timeout: '${env:X}'":                  "",
		"scrape_interval: '${env:X:-20s}'\nscrape_timeout: '${env:X:-25s}'": "timeout-above-interval",
	} {
		rules := []string{}
		for _, f := range check(t, ofJob(job+"\n").File()) {
			rules = append(rules, f.Rule)
		}
		assert.Equal(t, strings.Fields(want), rules, job)
	}
	// The global timeout is shortened to a job's interval.
	assert.Empty(t, foundIn(t, "timeout-above-interval", "global: {scrape_interval: 60s, scrape_timeout: 40s}\nscrape_configs: [{job_name: a, scrape_interval: 30s}]"))
	assert.Equal(t, []string{"1:48"}, foundIn(t, "timeout-above-interval", "global: {scrape_interval: 30s, scrape_timeout: 40s}\nscrape_configs: [{job_name: a}, {job_name: b}]"))
}

func TestRefused(t *testing.T) {
	for job, want := range map[string]string{
		"scrape_classic_histograms: true":                     `there is no key "scrape_classic_histograms" here`,
		"nothing: 1":                                          `there is no key "nothing" here`,
		"scrape_interval: soon":                               `not a valid duration string: "soon"`,
		"metrics_path: [1]":                                   "cannot unmarshal !!seq",
		"basic_auth: {username: '${env:A}', passwort: b}":     "",
		"kubernetes_sd_configs: [{role: '${env:A}'}]":         "",
		"kubernetes_sd_configs: [{role: pods}]":               `unknown Kubernetes SD role "pods"`,
		"static_configs: [{targets: ['${env:HOST}:80']}]":     "",
		"static_configs: [{targets: ['http://a/b']}]":         `"http://a/b" is not a valid hostname`,
		"relabel_configs: [{action: nothing}]":                `unknown relabel action "nothing"`,
		"relabel_configs: [{action: '${env:A}', regex: '('}]": "error parsing regexp: missing closing ): `^(?s:()$`",
		"relabel_configs: [{regex: '${env:A}('}]":             "",
		"relabel_configs: [7]":                                "is no mapping: a relabel rule has keys such as source_labels, regex and action",
		"scrape_interval: ${env:A}\nnothing: 1":               `there is no key "nothing" here`,
	} {
		got := found(t, "refused", job+"\n")
		if want == "" {
			assert.Empty(t, got, job)
			continue
		}
		assert.Equal(t, []string{"Prometheus refuses it: " + want}, got, job)
	}
	assert.Empty(t, foundIn(t, "refused", "receivers: {prometheus: {config: {scrape_configs: [{job_name: '${env:JOB}', static_configs: [{targets: ['a:1']}]}]}}}"))
	assert.Empty(t, foundIn(t, "refused", "- job_name: a\n- job_name: a\n- job_name: b\n"), "names have a rule of their own")
	many := "scrape_configs:\n" + strings.Repeat("- {job_name: a, scrape_interval: 30s}\n", 9) + "- {job_name: a, bad: 1}\n- 7\n"
	assert.Equal(t, []string{"11:17", "12:3"}, foundIn(t, "refused", many))
	assert.Equal(t, []string{"1:1", "3:1"}, foundIn(t, "refused", "unknown: 1\nglobal: {}\nother: 1\nscrape_configs: []\n"))
	assert.Equal(t, []string{"1:30"}, foundIn(t, "refused", "scrape_config_files: [a.yml, 'b/*/*.yml']\n"))
	assert.Empty(t, foundIn(t, "refused", "receivers: {prometheus: {config: {scrape_config_files: ['${env:FOLDER}/*.yml']}}}\n"))
	assert.Equal(t, []string{"1:10"}, foundIn(t, "refused", "global: {bad: 1}\nscrape_configs: [{job_name: a}]\n"))
	assert.Equal(t, []string{"2:49"}, foundIn(t, "refused", "- job_name: a\n  relabel_configs: [{regex: a, target_label: b, nothing: 1}]\n"), "the key itself")
}

func TestTargetTwice(t *testing.T) {
	for jobs, want := range map[string][]string{
		"- {job_name: a, static_configs: [{targets: ['a:1', 'b:1']}, {targets: ['a:1'], labels: {x: y}}]}":                                                                              {"1:72"},
		"- {job_name: a, static_configs: [{targets: ['a:1']}]}\n- {job_name: b, static_configs: [{targets: ['a:1']}]}":                                                                  {"2:45"},
		"- {job_name: a, static_configs: [{targets: ['a:1']}]}\n- {job_name: b, metrics_path: /b, static_configs: [{targets: ['a:1']}]}":                                                {},
		"- {job_name: a, static_configs: [{targets: ['a:1']}]}\n- {job_name: b, params: {a: [b]}, static_configs: [{targets: ['a:1']}]}":                                                {},
		"- {job_name: a, static_configs: [{targets: ['a:1']}]}\n- {job_name: b, relabel_configs: [{target_label: __address__, replacement: b}], static_configs: [{targets: ['a:1']}]}":  {},
		"- {job_name: a, kubernetes_sd_configs: [{role: pod}]}\n- {job_name: b, kubernetes_sd_configs: [{role: pod}], relabel_configs: [{target_label: x, replacement: y}]}":            {"2:17"},
		"- {job_name: a, kubernetes_sd_configs: [{role: pod}]}\n- {job_name: b, kubernetes_sd_configs: [{role: pod}], relabel_configs: [{action: keep, regex: y, source_labels: [x]}]}": {},
		"- {job_name: a, kubernetes_sd_configs: [{role: pod}]}\n- {job_name: b, kubernetes_sd_configs: [{role: pod}], relabel_configs: [{target_label: __address__, replacement: y}]}":  {},
		"- {job_name: a, kubernetes_sd_configs: [{role: pod}]}\n- {job_name: b, kubernetes_sd_configs: [{role: pod, namespaces: {names: [b]}}]}":                                        {},
		"- {job_name: a, kubernetes_sd_configs: [{role: pod}, {role: endpoints}]}":                                                                                                      {"1:17"},
		"- {job_name: a, kubernetes_sd_configs: [{role: pod}, {role: node}]}":                                                                                                           {},
		"- {job_name: a, kubernetes_sd_configs: [{role: pod}], static_configs: [{targets: ['a:1']}]}":                                                                                   {"1:55"},
	} {
		assert.Equal(t, want, foundIn(t, "target-twice", jobs+"\n"), jobs)
	}
}

func TestNeverSet(t *testing.T) {
	rule := func(discovery, label string) []string {
		return found(t, "never-set-label", discovery+"relabel_configs: [{source_labels: ["+label+"], target_label: x}]\n")
	}
	sd := func(role string) string {
		return "kubernetes_sd_configs: [{role: " + role + ", namespaces: {names: [a]}}]\n"
	}
	for _, c := range []struct {
		role       string
		set, unset []string
	}{
		{"pod", []string{"namespace", "pod_ip", "pod_label_a", "pod_annotationpresent_b"}, []string{"pod_nodename", "service_name", "service_label_a", "node_name", "node_label_a", "namespace_label_a", "endpoint_ready"}},
		{"service", []string{"namespace", "service_port_name", "service_label_a"}, []string{"pod_name", "pod_label_a", "endpoints_name"}},
		{"endpoints", []string{"service_name", "service_label_a", "pod_name", "pod_label_a", "endpoint_port_name", "endpoints_label_a"}, []string{"service_port_name", "endpointslice_name", "endpoint_port"}},
		{"endpointslice", []string{"service_name", "pod_label_a", "endpointslice_port_name", "endpointslice_endpoint_topology_x"}, []string{"endpoint_port_name", "service_type"}},
		{"ingress", []string{"ingress_host", "ingress_annotation_a"}, []string{"pod_name"}},
		{"node", []string{"node_name", "node_label_a", "node_address_InternalIP", "node_condition_Ready"}, []string{"namespace", "pod_name"}},
	} {
		for _, label := range c.set {
			assert.Empty(t, rule(sd(c.role), kubernetesPrefix+label), "%s: %s", c.role, label)
		}
		for _, label := range c.unset {
			assert.Len(t, rule(sd(c.role), kubernetesPrefix+label), 1, "%s: %s", c.role, label)
		}
	}
	assert.Empty(t, rule("kubernetes_sd_configs: [{role: pod, namespaces: {names: [a]}, attach_metadata: {node: true}}]\n", "__meta_kubernetes_node_label_a"))
	assert.Empty(t, rule("kubernetes_sd_configs: [{role: '${env:R}', namespaces: {names: [a]}}]\n", "__meta_kubernetes_x"))
	assert.Empty(t, rule("http_sd_configs: [{url: 'http://a/b'}]\n", "__meta_kubernetes_x"), "who knows what it sets")
	assert.Len(t, rule("static_configs: [{targets: ['a:1']}]\n", "__meta_kubernetes_pod_name"), 1)
	assert.Len(t, rule(sd("pod"), "__meta_kubernetes_pod_label_a-b"), 1)
	assert.Empty(t, found(t, "never-set-label", sd("pod")+"relabel_configs:\n- {replacement: a, target_label: __meta_kubernetes_x}\n- {source_labels: [__meta_kubernetes_x], target_label: y}\n"))
	assert.Equal(t, []string{`label "__address__" is gone when series are relabelled`, `label "__meta_a" is gone when series are relabelled`},
		found(t, "never-set-label", "metric_relabel_configs: [{replacement: a, target_label: __meta_b}, {source_labels: [__meta_b, __address__, __name__, __tmp_x, __meta_a], target_label: x}]\n"))
}

func TestDropsEverything(t *testing.T) {
	const after = "{target_label: x, replacement: y}"
	for rules, want := range map[string]int{
		"{action: drop}": 1,
		"{action: drop, source_labels: [a], regex: '.*'}":                                                                               1,
		"{action: drop, source_labels: [a], regex: '.+'}":                                                                               0,
		"{action: drop, source_labels: [a], regex: '(a|.*)'}":                                                                           1,
		"{action: keep, regex: a}":                                                                                                      1,
		"{action: keep, regex: '.*'}":                                                                                                   0,
		"{action: keep, source_labels: [a], regex: x}, {action: keep, source_labels: [a], regex: y}":                                    1,
		"{action: keep, source_labels: [a], regex: 'x|y'}, {action: keep, source_labels: [a], regex: 'y|z'}":                            0,
		"{action: keep, source_labels: [a], regex: 'x.*'}, {action: keep, source_labels: [a], regex: 'y|z'}":                            1,
		"{action: keep, source_labels: [a], regex: x}, {action: keep, source_labels: [b], regex: y}":                                    0,
		"{action: keep, source_labels: [a], regex: x}, {target_label: a, replacement: y}, {action: keep, source_labels: [a], regex: y}": 0,
		"{action: keep, source_labels: [a], regex: x}, {action: labelmap, regex: b}, {action: keep, source_labels: [a], regex: y}":      0,
		"{action: keep, source_labels: [a], regex: '${env:X}'}, {action: keep, source_labels: [a], regex: y}":                           0,
		"{action: keep, source_labels: [a, b], regex: 'x;y'}, {action: keep, source_labels: [a, b], regex: 'x;z'}":                      1,
		"{action: drop, if: '{a=\"x\"}'}":                                                                                               0,
	} {
		assert.Len(t, found(t, "drops-everything", "relabel_configs: ["+rules+", "+after+"]\n"), want, rules)
		assert.Len(t, found(t, "drops-everything", "relabel_configs: ["+rules+"]\n"), want, rules)
		assert.Len(t, found(t, "drops-everything", "metric_relabel_configs: ["+rules+", "+after+"]\n"), want, rules)
		assert.Empty(t, found(t, "drops-everything", "metric_relabel_configs: ["+rules+"]\n"), "no series but up: that can be wanted")
	}
}

func TestRegexps(t *testing.T) {
	for expression, want := range map[string]bool{
		"a": true, "": true, "a$": true, "^a": true, "a^b": false, "a$b": false, "$^": true, "(a|b$c)": true, "(a^b|c$d)": false, "a*^b": true, "a$b*": true,
		`[^\x00-\x{10FFFF}]`: false, `a\z`: true, `\bfoo\b`: true, "(": true,
	} {
		assert.Equal(t, want, canMatch(expression), expression)
	}
	for expression, want := range map[string]bool{".*": true, "(.*)": true, "^.*$": true, ".*.*": true, "a|.*": true, ".+": false, ".*a": false, "": false, "(": false, "(?:.*)?": true} {
		assert.Equal(t, want, matchesEverything(expression), expression)
	}
	for expression, want := range map[string][]int{
		"a.b": {1}, "1.2.3": {1, 3}, `a\.b`: nil, "a.*b": nil, "a.+": nil, "[a.b]c": nil, "[]a.b]c.d": {7}, "a.": nil, ".a": nil, `\d.5`: nil, "(a).b": nil, "a.(b)": nil, "[a": nil, `\`: nil,
		"[^]a.b]": nil, `[\]a.b]`: nil,
	} {
		assert.Equal(t, want, bareDots(expression), expression)
	}
	for expression, want := range map[string]bool{
		"^a": true, "a$": true, "^a$": false, "a": false, "^a.*": false, ".*a$": false, "(^a)": true, "^a|b": false, "^": false, "^(.+)": false, "(.+)$": false, "^a[0-9]+": false, "^a(b|$)": true,
	} {
		rule := "relabel_configs: [{action: keep, source_labels: [x], regex: '" + strings.ReplaceAll(expression, "$", "$$") + "'}]\n"
		assert.Equal(t, want, len(found(t, "half-anchored", rule)) > 0, expression)
	}
	assert.ElementsMatch(t, []string{"a_count", "a_sum", "bx_count", "bx_sum"}, samples("(a|b.)_(count|sum)"))
	assert.ElementsMatch(t, []string{"ab", "a"}, samples("ab?"))
	assert.LessOrEqual(t, len(samples(strings.Repeat("(a|b)", 50))), maxSamples)
	assert.LessOrEqual(t, len(samples(strings.Repeat("a|", 10_000))), maxSamples)
	assert.Empty(t, samples("("))
}

func TestKnownValues(t *testing.T) {
	const pods = "kubernetes_sd_configs: [{role: pod, namespaces: {names: [a]}}]\n"
	rule := func(label, expression string) int {
		return len(found(t, "never-matches", pods+"relabel_configs: [{action: drop, source_labels: ["+label+"], regex: '"+expression+"'}]\n"))
	}
	assert.Equal(t, 0, rule("__meta_kubernetes_pod_phase", "Pending|Completed"))
	assert.Equal(t, 1, rule("__meta_kubernetes_pod_phase", "Completed"))
	assert.Equal(t, 1, rule("__meta_kubernetes_pod_labelpresent_a", "yes"))
	assert.Equal(t, 0, rule("__meta_kubernetes_pod_labelpresent_a", "true"))
	assert.Equal(t, 0, rule("__meta_kubernetes_pod_labelpresent_a", "(yes)?"), "an absent label is empty")
	assert.Equal(t, 0, rule("__meta_kubernetes_pod_label_a", "yes"))
	assert.Equal(t, 0, rule("__meta_kubernetes_pod_phase, __meta_kubernetes_pod_name", "x;y"))
}

func TestDollar(t *testing.T) {
	for _, c := range []struct {
		text, want, single string
		names              []string
	}{
		{"$1", "$$1", "$1", nil},
		{"$$1", "$$1", "", nil},
		{"$$$1", "$$$$1", "$$$1", nil},
		{"a${2}b${env:X}", "a$${2}b${env:X}", "${2}", nil},
		{"${NAME}", "${NAME}", "", nil},
		{"${name}-$name", "$${name}-$$name", "${name}", []string{"name"}},
		{"$", "$", "", nil},
		{"(a)$", "(a)$", "", nil},
	} {
		value, single := doubled(c.text, c.names)
		assert.Equal(t, c.want, value, c.text)
		assert.Equal(t, c.single, single, c.text)
	}
}

func TestHistogramPart(t *testing.T) {
	for rule, want := range map[string]int{
		"{action: drop, source_labels: [__name__], regex: '.*_count'}":                         1,
		"{action: drop, source_labels: [__name__], regex: 'a|b_count'}":                        1,
		"{action: drop, source_labels: [__name__], regex: '(a|b)_bucket'}":                     1,
		"{action: drop, source_labels: [__name__], regex: 'a_(sum|count)'}":                    1,
		"{action: drop, source_labels: [__name__], regex: 'a(_sum|_count)?'}":                  0,
		"{action: drop, source_labels: [__name__], regex: 'a_sum'}":                            0,
		"{action: drop, source_labels: [__name__], regex: 'a(_bucket|_sum|_count)?'}":          0,
		"{action: drop, source_labels: [__name__], regex: 'a_.*'}":                             0,
		"{action: drop, source_labels: [__name__, le], regex: 'a_bucket;1'}":                   0,
		"{action: keep, source_labels: [__name__], regex: 'a_bucket|b'}":                       1,
		"{action: keep, source_labels: [__name__], regex: 'a_bucket|a_count'}":                 0,
		"{action: keep, source_labels: [__name__], regex: 'a_sum'}":                            1,
		"{action: keep, source_labels: [__name__], regex: 'a_count'}":                          0,
		"{action: replace, source_labels: [__name__], regex: 'a_count', target_label: x}":      0,
		"{action: drop, source_labels: [__name__], regex: '(a_count|a_sum|a_bucket)|b_count'}": 1,
	} {
		assert.Len(t, found(t, "histogram-part", "metric_relabel_configs: ["+rule+"]\n"), want, rule)
		assert.Empty(t, found(t, "histogram-part", "relabel_configs: ["+rule+"]\n"))
	}
}

func TestLabels(t *testing.T) {
	const pods = "kubernetes_sd_configs: [{role: pod, namespaces: {names: [a]}}]\n"
	const one = "static_configs: [{targets: ['a:1']}]\n"
	for _, c := range []struct {
		rule, job string
		want      int
	}{
		{"constant-instance", pods + "relabel_configs: [{target_label: instance, replacement: a}]\n", 1},
		{"constant-instance", pods + "relabel_configs: [{target_label: instance, replacement: '${env:A}'}]\n", 1},
		{"constant-instance", pods + "relabel_configs: [{target_label: instance, source_labels: [organization]}]\n", 1},
		{"constant-instance", pods + "relabel_configs: [{target_label: instance, source_labels: [__meta_kubernetes_pod_name]}]\n", 0},
		{"constant-instance", pods + "relabel_configs: [{target_label: instance, source_labels: [__meta_kubernetes_pod_name], regex: a, replacement: b}]\n", 0},
		{"constant-instance", one + "relabel_configs: [{target_label: instance, replacement: a}]\n", 0},
		{"constant-instance", "static_configs: [{targets: ['a:1', 'b:1'], labels: {instance: x}}]\n", 1},
		{"constant-instance", "static_configs: [{targets: ['a:1'], labels: {instance: x}}]\n", 0},
		{"high-cardinality-label", pods + "relabel_configs: [{target_label: a, source_labels: [__meta_kubernetes_pod_uid]}]\n", 1},
		{"high-cardinality-label", pods + "relabel_configs: [{target_label: __tmp, source_labels: [__meta_kubernetes_pod_uid]}]\n", 0},
		{"high-cardinality-label", pods + "relabel_configs: [{target_label: uid, source_labels: [x]}]\n", 1},
		{"high-cardinality-label", pods + "relabel_configs: [{target_label: uid, source_labels: [x]}, {action: labeldrop, regex: uid}]\n", 0},
		{"high-cardinality-label", pods + "relabel_configs: [{target_label: uid, source_labels: [x], action: hashmod, modulus: 8}]\n", 0},
		{"labelmap-all", pods + "relabel_configs: [{action: labelmap, regex: '__meta_kubernetes_pod_annotation_(.+)'}]\n", 1},
		{"labelmap-all", pods + "relabel_configs: [{action: labelmap, regex: '__meta_kubernetes_pod_label_(a_.+)'}]\n", 0},
		{"labelmap-all", pods + "relabel_configs: [{action: labelmap, regex: '__meta_(.+)'}]\n", 1},
		{"no-namespace", "kubernetes_sd_configs: [{role: pod, namespaces: {names: []}}]\n", 1},
		{"no-namespace", "kubernetes_sd_configs: [{role: pod, namespaces: {own_namespace: true}}]\n", 0},
		{"no-namespace", "kubernetes_sd_configs: [{role: pod, namespaces: {names: ['${env:NS}']}}]\n", 0},
		{"no-namespace", "kubernetes_sd_configs: [{role: pod, namespaces: {names: '${env:NS}'}}]\n", 0},
		{"no-namespace", "kubernetes_sd_configs: [{role: node}]\n", 0},
		{"cluster-rights", "kubernetes_sd_configs: [{role: node}]\n", 1},
		{"cluster-rights", "kubernetes_sd_configs: [{role: pod, attach_metadata: {node: false, namespace: true, deployment: true}}]\n", 1},
		{"honor-labels", one + "honor_labels: true\nmetrics_path: /federate\n", 0},
		{"honor-labels", one + "honor_labels: false\n", 0},
		{"honor-labels", "static_configs: [{targets: ['Pushgateway:9091']}]\nhonor_labels: true\n", 0},
		{"honor-labels", one + "honor_labels: true\nrelabel_configs: [{action: drop, source_labels: [app], regex: pushgateway}]\n", 1},
		{"all-or-nothing-limit", one + "label_limit: 0\n", 0},
		{"all-or-nothing-limit", one + "target_limit: 5\nbody_size_limit: 1MB\n", 1},
	} {
		assert.Len(t, found(t, c.rule, c.job), c.want, c.rule+": "+c.job)
	}
}

func TestAllOrNothingLimits(t *testing.T) {
	for key, want := range map[string]string{
		"sample_limit":             "one sample more fails the whole scrape",
		"label_limit":              "one series with one label more fails the whole scrape",
		"label_name_length_limit":  "one label with a longer name fails the whole scrape",
		"label_value_length_limit": "one label with a longer value fails the whole scrape",
		"target_limit":             "one target more fails the scrapes of all of them",
	} {
		findings := found(t, "all-or-nothing-limit", "static_configs: [{targets: ['a:1']}]\n"+key+": 5\n")
		assert.Equal(t, []string{key + " is all or nothing: " + want}, findings)
	}
}

func TestMissingLabels(t *testing.T) {
	for job, want := range map[string]int{
		"            static_configs: [{targets: ['a:1'], labels: {app: a, namespace: b}}, {targets: ['b:1'], labels: {app: a}}]\n":                                  1,
		"            static_configs: [{targets: ['a:1'], labels: {app: a}}]\n            relabel_configs: [{target_label: kubernetes_namespace, replacement: b}]\n": 0,
		"            http_sd_configs: [{url: 'http://a/'}]\n":                                                                              0,
		"            kubernetes_sd_configs: [{role: pod}]\n            relabel_configs: [{action: labelmap, regex: a}]\n":                  0,
		"            kubernetes_sd_configs: [{role: pod}]\n            relabel_configs: [{source_labels: [a], target_label: 'x_$${1}'}]\n": 0,
		"            kubernetes_sd_configs: [{role: pod}]\n            relabel_configs: [{source_labels: [a], target_label: app}]\n":       1,
	} {
		assert.Len(t, foundIn(t, "missing-label", withProcessor(job)), want, job)
	}
	groups := withProcessor("            static_configs: [{targets: ['a:1'], labels: {app: a, namespace: b}}, {targets: ['b:1'], labels: {app: a}}]\n")
	for _, f := range check(t, groups) {
		assert.Equal(t, `targets of job "example" have no label namespace: all of their series are out of scope`, f.Message)
	}
	assert.Equal(t, []string{"1:23"}, foundIn(t, "missing-label", "processors: {runner: {metadata: {organization: a, runner: b, kubiya_type: c}}}"))
	assert.Empty(t, foundIn(t, "missing-label", ofJob("static_configs: [{targets: ['a:1']}]\n").File()), "no processor, no scope")
}

func TestPipelines(t *testing.T) {
	pipeline := func(processors, exporters string) []string {
		return foundIn(t, "pipeline-order", "exporters: {a: {sending_queue: {storage: file_storage}}, b: {sending_queue: {}}}\nservice: {pipelines: {metrics: {processors: ["+processors+"], exporters: ["+exporters+"]}}}\n")
	}
	assert.Empty(t, pipeline("memory_limiter, runner", "durable_remote_write"))
	assert.Empty(t, pipeline("memory_limiter, batch", "b"))
	assert.Empty(t, pipeline("", "a"))
	assert.Len(t, pipeline("memory_limiter/x, batch/metrics", "a"), 1)
	assert.Len(t, pipeline("runner, memory_limiter/x", "b"), 1)
	assert.Len(t, pipeline("batch", "b, durable_remote_write/2"), 1)
}

func TestRunnerProcessorOwnsLabels(t *testing.T) {
	file := withProcessor("            static_configs: [{targets: ['a:1'], labels: {app: a, namespace: b}}]\n            relabel_configs:\n" +
		"              - {target_label: runner, replacement: x}\n              - {target_label: kubiya, replacement: x}\n              - {action: hashmod, modulus: 2, source_labels: [a], target_label: kubiya_type}\n")
	assert.Equal(t, []string{"8:32", "10:81"}, foundIn(t, "runner-label", file))
	assert.Empty(t, found(t, "runner-label", "relabel_configs: [{target_label: runner, replacement: x}]\n"))
	dropped := strings.Replace(file, "components: [tool-manager]", "components: [tool-manager], labels: {drop: [uid], keep: [pod_ip]}", 1)
	dropped = strings.Replace(dropped, "target_label: kubiya,", "target_label: uid,", 1)
	assert.Len(t, foundIn(t, "high-cardinality-label", dropped), 1, "uid is dropped, pod_ip kept")
}

func TestGoneKeys(t *testing.T) {
	for text, want := range map[string]int{
		"receivers: {prometheus/a: {use_start_time_metric: true, trim_metric_suffixes: true}}": 1,
		"receivers: {prometheus: {config: {remote_write: []}, nothing: 1}}":                    2,
		"exporters: {logging: {}, debug: {loglevel: info}}":                                    2,
		"exporters: {otlp/a: {sending_queue: {blocking: true}}}":                               1,
		"extensions: {memory_ballast: {}}":                                                     1,
		"processors: {memory_limiter: {ballast_size_mib: 1}}":                                  1,
		"service: {telemetry: {metrics: {address: x}}}":                                        1,
		"exporters: {prometheusremotewrite: {sending_queue: {enabled: true}}}":                 1,
	} {
		assert.Len(t, foundIn(t, "refused-key", text), want, text)
	}
	assert.Len(t, foundIn(t, "old-name", "processors: {k8sattributes/a: {}, metricstransform: {}, k8s_attributes: {}}\nexporters: {otlphttp: }\n"), 3)
}

// Where an anchor is used several times, what is wrong with it is found once, where it stands.
func TestAliases(t *testing.T) {
	assert.Equal(t, []string{"2:66"}, foundIn(t, "unescaped-dot",
		"- job_name: a\n  relabel_configs: &r [{action: keep, source_labels: [a], regex: a.b}]\n- {job_name: b, relabel_configs: *r}\n- {job_name: c, metric_relabel_configs: *r}\n")[:1])
}
