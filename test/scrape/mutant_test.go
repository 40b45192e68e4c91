// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
)

func TestMutateRegex(t *testing.T) {
	f := func(regex string, want ...string) {
		t.Helper()
		assert.Equal(t, append([]string{".*", neverMatches}, want...), mutateRegex(regex))
	}
	f("true", "urue")
	f("TCP", "UCP")
	f(".+", `\.+`, ".")
	f("(.+)", "(?:.+)", `(\.+)`, "(.)", "(.*)")
	f("Succeeded|Failed", "Tucceeded|Failed", "Succeeded|Gailed", "Failed", "Succeeded")
	f("kube-?state", "lube-?state", "kube-state")
	f(`a\.b`, `b\.b`, "a.b")
	f("^z9$", "z9$", "^y9$", "^z9")
	f(`\[?([^\]]+)\]?:\d+`,
		`\[([^\]]+)\]?:\d+`, `\[?(?:[^\]]+)\]?:\d+`, `\[?([^\]])\]?:\d+`, `\[?([^\]]*)\]?:\d+`, `\[?([^\]]+)\]:\d+`, `\[?([^\]]+)\]?:\d`, `\[?([^\]]+)\]?:\d*`)
	f("(a|b)|c", "(?:a|b)|c", "(b|b)|c", "(a|c)|c", "(a|b)|d", "c", "(a|b)")
	f("[]x]y", "[]x]z")
	assert.Equal(t, []string{neverMatches, `\.*`, ".", ".+"}, mutateRegex(".*"))
}

// Whatever a regular expression is, what is made of it is another one that compiles.
func FuzzMutateRegex(f *testing.F) {
	for _, regex := range []string{"", "(.+)", `[^\]]+\]?`, "a|(b|c)*", `\`, "[", "(?i)x{2,3}", "[[:alpha:]]|$$"} {
		f.Add(regex)
	}
	f.Fuzz(func(t *testing.T, regex string) {
		for _, other := range mutateRegex(regex) {
			assert.NotEqual(t, regex, other)
			_, err := regexp.Compile(other)
			assert.NoError(t, err)
		}
	})
}

const small = `receivers:
  prometheus:
    config:
      scrape_configs:
        - job_name: one
          relabel_configs:
            # A comment.
            - source_labels: [a, b]
              regex: x;y$$
              action: keep
            - source_labels: [b]
              target_label: c
            - source_labels: [c]
              target_label: d
              replacement: e
          metric_relabel_configs: &drop
            - source_labels: [__name__]
              regex: f
              action: drop
        - job_name: two
          metric_relabel_configs: *drop
processors:
  runner:
    required_env: [X]
    metadata:
      organization: ${env:ORG}
    instance: ${env:INSTANCE:-target}
    scope:
      namespaces: [n]
      components: [p, q]
      metrics:
        profile: stage1
        include: []
        exclude: []
      labels:
        drop: [r]
        keep: []
      secrets: redact
service:
  pipelines:
    metrics:
      receivers: [prometheus]
      processors: [runner]
`

// changed are the lines that a mutant has and its original has not, and what is gone.
func changed(t *testing.T, m *mutant) string {
	t.Helper()
	after, err := m.apply()
	require.NoError(t, err)
	before := strings.Split(string(m.file.Text), "\n")
	var added []string
	for line := range strings.SplitSeq(string(after.Text), "\n") {
		i := -1
		for k := range before {
			if before[k] == line {
				i = k
				break
			}
		}
		if i < 0 {
			added = append(added, strings.TrimSpace(line))
			continue
		}
		before = append(before[:i], before[i+1:]...)
	}
	return strings.Join(added, "\n")
}

func TestMutate(t *testing.T) {
	f, err := configfile.Parse("small.yaml", []byte(small))
	require.NoError(t, err)
	all, err := mutate(f)
	require.NoError(t, err)
	have := map[string]string{}
	for _, m := range all {
		assert.NotContains(t, have, m.change, "twice")
		have[m.change] = changed(t, m)
		assert.Positive(t, m.pos.Line)
	}
	for change, want := range map[string]string{
		"one, relabel_configs[0] (keep a, b): action drop":                     `- {source_labels: [a, b], regex: x;y$$, action: drop}`,
		"one, relabel_configs[0] (keep a, b): regex .*":                        `- {source_labels: [a, b], regex: .*, action: keep}`,
		"one, relabel_configs[0] (keep a, b): regex y;y$":                      `- {source_labels: [a, b], regex: y;y$$, action: keep}`,
		"one, relabel_configs[0] (keep a, b): without source label a":          `- {source_labels: [b], regex: x;y$$, action: keep}`,
		"one, relabel_configs[0] (keep a, b): source label b_x":                `- {source_labels: [a, b_x], regex: x;y$$, action: keep}`,
		"one, relabel_configs[0] (keep a, b): rule deleted":                    ``,
		"one, relabel_configs[1] (replace b -> c): action uppercase":           `- {source_labels: [b], target_label: c, action: uppercase}`,
		"one, relabel_configs[1] (replace b -> c): target label c_x":           `- {source_labels: [b], target_label: c_x}`,
		"one, relabel_configs[1] (replace b -> c): rule swapped with the next": "- {source_labels: [c], target_label: d, replacement: e}\n- {source_labels: [b], target_label: c}",
		"one, relabel_configs[2] (replace c -> d): replacement ex":             `- {source_labels: [c], target_label: d, replacement: ex}`,
		"one, metric_relabel_configs[0] (drop __name__): action keep":          `- {source_labels: [__name__], regex: f, action: keep}`,
		"one, metric_relabel_configs[0] (drop __name__): rule deleted":         `[]`,
		"two, metric_relabel_configs[0] (drop __name__): action keep":          `metric_relabel_configs: [{source_labels: [__name__], regex: f, action: keep}]`,
		"two, metric_relabel_configs[0] (drop __name__): rule deleted":         `metric_relabel_configs: []`,
		"runner, scope::namespaces: n becomes .*":                              `namespaces: [.*]`,
		"runner, scope::components: without p":                                 `components: [q]`,
		"runner, scope::components: q becomes qx":                              `components: [p, qx]`,
		"runner, scope::metrics::profile: stage1 becomes none":                 `profile: none`,
		`runner, scope::metrics::include: becomes [".*"]`:                      `include: [".*"]`,
		"runner, scope::labels::keep: becomes [app]":                           `keep: [app]`,
		"runner, scope::secrets: redact becomes off":                           `secrets: off`,
		"runner, instance: target becomes organization":                        `instance: '${env:INSTANCE:-organization}'`,
		"runner, metadata: organization has another value":                     `organization: '${env:ORG}x'`,
		"runner, metadata: organization becomes organization_x":                `organization_x: ${env:ORG}`,
	} {
		got, ok := have[change]
		if assert.Contains(t, have, change) && ok {
			assert.Equal(t, want, got, change)
		}
	}
	for change := range have {
		assert.NotContains(t, change, "labeldrop", "Prometheus would not load it")
		assert.NotEqual(t, "one, relabel_configs[0] (keep a, b): rule swapped with the next", change, "neither reads what the other writes")
	}
}

func TestFingerprint(t *testing.T) {
	parse := func(old, text string) string {
		f, err := configfile.Parse("small.yaml", []byte(strings.Replace(small, old, text, 1)))
		require.NoError(t, err)
		return fingerprint(f)
	}
	same := parse("", "")
	assert.Equal(t, same, parse("required_env: [X]", "required_env: [Y]"))
	assert.Equal(t, same, parse("# A comment.", "# Another."))
	assert.Equal(t, same, parse("service:\n", "exporters: {debug: {}}\nservice:\n"))
	assert.NotEqual(t, same, parse("profile: stage1", "profile: none"))
	assert.NotEqual(t, same, parse("regex: f", "regex: g"))
	assert.NotEqual(t, same, parse("processors: [runner]", "processors: []"))
}
