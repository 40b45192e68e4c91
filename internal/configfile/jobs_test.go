// SPDX-License-Identifier: Apache-2.0

package configfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/model/relabel"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const collectorText = `receivers:
  prometheus/a:
    config:
      global: {scrape_interval: 30s, scrape_timeout: 10s}
      scrape_configs:
        - &first
          job_name: cost-$$
          scrape_timeout: ~
          relabel_configs: &rules
            - source_labels: [__address__]
              regex: (.+):\d+$$
              replacement: $${1}
              target_label: host
            - {action: keep, source_labels: [pod], regex: "${env:POD:-x}"}
            - {action: keep, regex: "("}
            - action: labeldrop
            - nothing
        - {<<: *first, job_name: second}
        - nothing
  prometheus_simple: {config: {scrape_configs: [{job_name: no}]}}
  prometheus:
    config: {scrape_configs: [{job_name: third, metric_relabel_configs: *rules}]}
`

func TestJobsAndRules(t *testing.T) {
	f := parse(t, collectorText)
	jobs := f.Jobs()
	require.Len(t, jobs, 3)
	assert.Equal(t, "cost-$", jobs[0].Name)
	assert.Equal(t, "prometheus/a", jobs[0].Receiver)
	assert.Equal(t, "receivers::prometheus/a::config::scrape_configs[0]", jobs[0].Path)
	assert.Equal(t, Position{6, 11}, jobs[0].Pos)
	assert.Equal(t, "10s", jobs[0].Setting("scrape_timeout").Value, "null is no value")
	assert.Equal(t, "second", jobs[1].Name)
	assert.Equal(t, "30s", jobs[1].Setting("scrape_interval").Value)
	assert.Nil(t, jobs[1].Get("scrape_interval"))
	assert.Equal(t, "third", jobs[2].Name)
	assert.Equal(t, "receivers::prometheus::config::scrape_configs[0]", jobs[2].Path)
	assert.Nil(t, jobs[2].Setting("scrape_interval"))

	for _, rules := range [][]Rule{jobs[0].Relabel(), jobs[1].Relabel(), jobs[2].MetricRelabel()} {
		require.Len(t, rules, 5)
		r := rules[0]
		require.NoError(t, r.Err)
		assert.Equal(t, Position{10, 15}, r.Pos)
		assert.Equal(t, `(.+):\d+$`, r.Config.Regex.String())
		assert.Equal(t, "${1}", r.Config.Replacement)
		assert.Equal(t, relabel.Replace, r.Config.Action)
		assert.Equal(t, ";", r.Config.Separator)

		assert.Equal(t, []string{"regex"}, rules[1].Unresolved)
		require.NoError(t, rules[1].Err)
		assert.Equal(t, relabel.Keep, rules[1].Config.Action)
		assert.ErrorContains(t, rules[2].Err, "missing closing )")
		assert.NoError(t, rules[3].Err)
		assert.ErrorContains(t, rules[4].Err, "is no mapping")
	}
	assert.Equal(t, "receivers::prometheus/a::config::scrape_configs[1]::relabel_configs[2]", jobs[1].Relabel()[2].Path)
	assert.Equal(t, jobs[1].Relabel()[0].Pos, f.PathPos(jobs[1].Relabel()[0].Path))
}

func TestJobsOfOtherKinds(t *testing.T) {
	f := parse(t, "global: {scrape_interval: 5s}\nscrape_configs:\n- job_name: a$$\n")
	assert.Equal(t, "a$$", f.Jobs()[0].Name)
	assert.Equal(t, "scrape_configs[0]", f.Jobs()[0].Path)
	assert.Equal(t, "5s", f.Jobs()[0].Setting("scrape_interval").Value)

	f = parse(t, "- job_name: a\n- {}\n")
	assert.Equal(t, "[1]", f.Jobs()[1].Path)
	assert.Empty(t, f.Jobs()[1].Name)
	assert.Equal(t, Position{2, 3}, f.PathPos("[1]"))
	assert.Nil(t, f.Jobs()[0].Setting("scrape_interval"))
}

func TestMergeKeys(t *testing.T) {
	f := parse(t, "scrape_configs: []\na: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\nd: {<<: *a}\ne: {<<: [{q: 1}]}\n")
	value := func(keys ...string) string {
		n := Get(f.Root, keys...)
		if n == nil {
			return ""
		}
		return n.Value
	}
	assert.Equal(t, "3", value("c", "x"))
	assert.Equal(t, "1", value("c", "y"), "the first wins")
	assert.Equal(t, "2", value("c", "z"))
	assert.Equal(t, "1", value("d", "x"))
	assert.Equal(t, "1", value("e", "q"))
	assert.Same(t, Get(f.Root, "a", "y"), Get(f.Root, "c", "y"))

	// The library decodes the same.
	var want, got map[string]any
	require.NoError(t, f.Root.Decode(&want))
	resolved := f.plain(f.Root)
	require.NoError(t, resolved.Decode(&got))
	assert.Equal(t, want["c"], got["c"])
	assert.Equal(t, want["d"], got["d"])
}

func TestWalk(t *testing.T) {
	f := parse(t, "scrape_configs:\n- job_name: a\n  x: [&q 1, *q]\n  hidden: {a: 1}\n")
	var paths []string
	f.Walk(func(path string, key, _ *yaml.Node) bool {
		paths = append(paths, path)
		return key == nil || key.Value != "hidden"
	})
	assert.Equal(t, []string{
		"", "scrape_configs", "scrape_configs[0]", "scrape_configs[0]::job_name", "scrape_configs[0]::x", "scrape_configs[0]::x[0]",
		"scrape_configs[0]::x[1]", "scrape_configs[0]::hidden",
	}, paths)
	for _, path := range paths {
		assert.NotNil(t, f.Lookup(path), path)
	}
	for _, path := range []string{"x", "scrape_configs[1]", "scrape_configs[0]::x[0]::y", "scrape_configs[x]", "scrape_configs[-1]", "[0]"} {
		assert.Nil(t, f.Lookup(path), path)
	}
}

// Every rule of the project's own configurations is one that Prometheus takes.
func TestReferenceConfigurations(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		f, err := Load(path)
		require.NoError(t, err)
		assert.Equal(t, Collector, f.Kind)
		require.NotEmpty(t, f.Jobs(), path)
		for _, j := range f.Jobs() {
			for _, r := range append(j.Relabel(), j.MetricRelabel()...) {
				assert.NoError(t, r.Err, r.Path)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{collectorText, bomb(3), "a: &a [*a]", "- job_name: a\n", "\xef\xbb\xbfreceivers:\r\n\ta: 1", "receivers: {prometheus: {config: {scrape_configs: [{<<: [1]}]}}}", "? [a]\n: b\n", "a: |\n  x\nreceivers: !!str &b 'it''s'\n"} {
		f.Add([]byte(text))
	}
	reference, err := os.ReadFile("../../configs/collector.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(reference)
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("x.yaml", text)
		if err != nil {
			return
		}
		expanded, err := file.Expand(func(name string) (string, bool) { return "[" + name + "]", name != "NONE" })
		if err == nil {
			expanded.Jobs()
		}
		for _, j := range file.Jobs() {
			j.Relabel()
			j.MetricRelabel()
		}
		file.Walk(func(path string, key, value *yaml.Node) bool {
			file.EndColumn(value)
			if value.Kind != yaml.ScalarNode || key == nil || value.Anchor != "" {
				return true
			}
			edit, err := file.ReplaceScalar(value, "re: placed")
			if err != nil {
				return true
			}
			changed, err := file.Apply(edit)
			if err != nil {
				return true
			}
			if n := changed.Lookup(path); n != nil && n.Value != "re: placed" && file.Lookup(path) == value {
				t.Fatalf("%q: %s became %q in %q", text, path, n.Value, changed.Text)
			}
			return true
		})
	})
}
