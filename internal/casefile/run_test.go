// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

const webConfig = `global: {scrape_interval: 30s}
scrape_configs:
  - job_name: web
    static_configs: [{targets: ["10.0.0.1:80", "10.0.0.2:80"]}]
    relabel_configs:
      - {source_labels: [__address__], regex: "10\\.0\\.0\\.2.*", action: drop}
`

// folder writes files to a folder of the test's own.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

// names lists the cases that failed, and those that passed behind a +.
func names(r *Report) []string {
	var all []string
	for _, c := range r.Suite.Cases {
		if c.Failed() {
			all = append(all, c.Name)
		} else {
			all = append(all, "+"+c.Name)
		}
	}
	return all
}

func TestSeveralConfigurations(t *testing.T) {
	dir := folder(t, map[string]string{
		"a.yaml": webConfig, "b.yaml": strings.Replace(webConfig, `10\\.0\\.0\\.2`, "nothing", 1),
		"scene.yaml": `scene: {pages: {"10.0.0.1:80/metrics": page.prom}}`, "page.prom": "x 1\n",
		"x_test.yaml": `configs: ['[ab].yaml']
scene: scene.yaml
cases:
  - name: one
    expect: {targets: {kept: 1}, series: {'x{…}': 2}}
  - name: two
    scene: {pages: {"10.0.0.2:80/metrics": {text: "y 1\n"}}}
    expect: {count: {y: 0, x: 1}}
`,
	})
	files := load(t, dir)
	r := run(t, files, Options{})
	assert.Equal(t, []string{"one [a.yaml]", "+two [a.yaml]", "one [b.yaml]", "two [b.yaml]"}, names(r))
	assert.Len(t, r.Suite.Cases[0].Findings, 1)
	assert.Len(t, r.Suite.Cases[2].Findings, 2)

	// What both deliver is written, what only one does is not.
	updates, err := r.Updates()
	require.NoError(t, err)
	require.Len(t, updates, 1)
	assert.Equal(t, 1, updates[0].Count)
	assert.Contains(t, string(updates[0].After), "{kept: 1}, series: {'x{…}': 1}}")
	assert.Contains(t, string(updates[0].After), "count: {y: 0, x: 1}")

	assert.Equal(t, []string{"a.yaml", "b.yaml", "page.prom", "scene.yaml", "x_test.yaml"}, relative(t, dir, files[0].Paths()))

	r = run(t, files, Options{Match: regexp.MustCompile("^tw")})
	assert.Equal(t, []string{"+two [a.yaml]", "two [b.yaml]"}, names(r))
	r = run(t, files, Options{StopAtFirst: true})
	assert.NotEmpty(t, r.Suite.Cases)
	last := r.Suite.Cases[len(r.Suite.Cases)-1]
	assert.Len(t, last.Findings[:1], 1)
	assert.NotContains(t, last.Findings[0].Message, "nearest", "nobody reads it")
}

func relative(t *testing.T, dir string, paths []string) []string {
	t.Helper()
	for i, path := range paths {
		var err error
		paths[i], err = filepath.Rel(dir, path)
		require.NoError(t, err)
	}
	return paths
}

// A test of changed configurations gives each in memory, and nothing is read for it.
func TestConfigurationInMemory(t *testing.T) {
	dir := folder(t, map[string]string{"x_test.yaml": `config: gone.yaml
scene: {pages: {"10.0.0.1:80/metrics": page.prom}}
cases: [{name: one, expect: {targets: {kept: 1}, series: {'x{…}': 1}}}]
`, "page.prom": "x 1\n"})
	files := load(t, dir)
	require.NoError(t, os.RemoveAll(dir))
	engine := scrapetest.New(virtualtime.FromTest(t))
	for text, passes := range map[string]bool{webConfig: true, strings.Replace(webConfig, "drop", "keep", 1): false, strings.Replace(webConfig, "drop", "drip", 1): false} {
		config, err := configfile.Parse("mutant.yaml", []byte(text))
		require.NoError(t, err)
		r, err := Run(t.Context(), engine, files, Options{Config: config, StopAtFirst: true})
		require.NoError(t, err)
		assert.Equal(t, !passes, r.Suite.Failed(), text)
	}
	_, err := Run(t.Context(), engine, files, Options{})
	assert.ErrorContains(t, err, "gone.yaml: no such file")
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, scrapetest.New(virtualtime.FromTest(t)), load(t, "testdata/passing_test.yaml"), Options{})
	require.ErrorIs(t, err, context.Canceled)

	ctx, cancel = context.WithCancel(t.Context())
	_, err = Run(ctx, scrapetest.New(virtualtime.FromTest(t)), load(t, "testdata/failing.yaml"), Options{Progress: func(int, int) { cancel() }})
	assert.ErrorIs(t, err, context.Canceled, "what is cut short has not failed")
}

func TestProgress(t *testing.T) {
	var told []int
	r := run(t, load(t, "testdata/passing_test.yaml"), Options{Progress: func(done, all int) {
		assert.Equal(t, 3, all)
		told = append(told, done)
	}})
	require.False(t, r.Suite.Failed())
	assert.IsIncreasing(t, append([]int{0}, told...))
	assert.Equal(t, 3, told[len(told)-1])
}

func TestNativeHistograms(t *testing.T) {
	page, err := filepath.Abs("../../configs/tests/pages/native.pb")
	require.NoError(t, err)
	dir := folder(t, map[string]string{
		"c.yaml": strings.Replace(webConfig, "global: {", "global: {scrape_native_histograms: true, scrape_protocols: [PrometheusProto, PrometheusText0.0.4], ", 1),
		"x_test.yaml": "config: c.yaml\nscene: {pages: {'10.0.0.1:80/metrics': " + page + "}}\ncases:\n- name: one\n" +
			"  expect: {series: {'agent_manager_http_request_duration_seconds{…}': '{{schema:3 count:2 sum:4 buckets:[1 1]}}'}}\n",
	})
	r := run(t, load(t, dir), Options{})
	require.True(t, r.Suite.Failed())
	updates, err := r.Updates()
	require.NoError(t, err)
	require.Len(t, updates, 1, text(t, r.Suite))
	assert.Regexp(t, `{…}': '{{count:4 sum:4\.5 .*buckets:\[2 1\]}}'}}`, string(updates[0].After))
	f, err := Parse(filepath.Join(dir, "x_test.yaml"), updates[0].After)
	require.NoError(t, err)
	r = run(t, []*File{f}, Options{})
	assert.False(t, r.Suite.Failed(), text(t, r.Suite))
}

func TestLaidOver(t *testing.T) {
	f, err := Parse("testdata/x_test.yaml", []byte(`
config: collector.yaml
scene:
  start: 2026-02-03T00:00:00Z
  env: {A: a, B: b}
  pages: {"10.0.0.1:80/a": {text: "a 1\n"}, "10.0.0.1:80/b": {text: "b 1\n"}}
  steps:
    - {at: 10s, pages: {"10.0.0.1:80/a": {text: "a 2\n"}}}
    - {at: 30s, pages: {"10.0.0.1:80/a": {text: "a 4\n"}}}
cases:
  - {name: below, expect: {}}
  - {name: same, expect: {}}
  - name: above
    scene:
      namespace: ns
      env: {B: c, C: d}
      pages: {"10.0.0.1:80/b": {text: "b 2\n"}}
      steps:
        - {at: 20s, pages: {"10.0.0.1:80/a": {text: "a 3\n"}}}
        - {at: 10s, pages: {"10.0.0.1:80/b": {text: "b 3\n"}}, targets: {x: []}}
    expect: {}
`))
	require.NoError(t, err)
	assert.Same(t, f.Cases[0].scene, f.Cases[1].scene)
	assert.Len(t, f.Cases[0].scene.States, 3)
	above := f.Cases[2].scene
	assert.Equal(t, "ns", above.Namespace)
	assert.Equal(t, 2026, above.Start.Year())
	assert.Equal(t, time.February, above.Start.Month())
	assert.Equal(t, map[string]string{"A": "a", "B": "c", "C": "d"}, above.Env)
	var have []string
	for i := range above.States {
		for _, path := range []string{"/a", "/b"} {
			page, _ := above.States[i].Page("10.0.0.1", "80", path)
			have = append(have, strings.TrimSpace(string(page.Body)))
		}
	}
	assert.Equal(t, []string{"a 1", "b 2", "a 2", "b 3", "a 3", "b 3", "a 4", "b 3"}, have)
	assert.Contains(t, above.States[1].Targets, "x")
}

// A series is on the page, but its sample has a time of its own that hides it.
func TestUntimelySeries(t *testing.T) {
	dir := folder(t, map[string]string{"c.yaml": webConfig, "x_test.yaml": `config: c.yaml
scene:
  pages: {"10.0.0.1:80/metrics": {text: "late 1 1798761600000\nold 1 1700000000000\nhere 1\n"}}
cases:
- {name: late, expect: {series: {'late{…}': 1}}}
- {name: old, expect: {count: {old: 1}}}
- {name: here, expect: {series: {'here{…}': 1}}}
`})
	r := run(t, load(t, dir), Options{})
	assert.Equal(t, []string{"late", "old", "+here"}, names(r))
	out := text(t, r.Suite)
	assert.Contains(t, out, "10.0.0.1:80 exposes it (http://10.0.0.1:80/metrics), and Prometheus drops it, because the page gives it the time 2027-01-01T00:00:00Z")
	assert.Contains(t, out, "and it is delivered with the time that the page gives it, 2023-11-14T22:13:20Z, at which no query of now looks")
	assert.NotContains(t, out, "no page of a target")
	assert.NotContains(t, out, "other labels")
	require.Len(t, r.Notes, 1)
	assert.Contains(t, r.Notes[0], "`start: 2027-01-01T00:00:00Z`")
}

// A configuration or a target can say anything; neither a message nor a file that --update writes repeats what looks like a secret.
func TestSecretsAreNotShown(t *testing.T) {
	token := "ghp_" + strings.Repeat("a1", 18)
	dir := folder(t, map[string]string{"c.yaml": webConfig, "x_test.yaml": `config: c.yaml
scene:
  pages: {"10.0.0.1:80/metrics": {text: "x{token=\"` + token + `\"} 1\nx{token=\"` + token[:len(token)-1] + `2\"} 1\ny{token=\"` + token + `\"} 2\n"}}
cases:
- {name: different, expect: {series: {'x{a="b"}': 1}, labels: {match: x, lack: [token]}, promql: {x: 3}}}
- {name: empty, expect: {series: {}}}
- name: block
  expect:
- {name: whole, expect: {}}
`})
	r := run(t, load(t, dir), Options{})
	require.True(t, r.Suite.Failed())
	assert.NotContains(t, text(t, r.Suite), token[:20])
	assert.Contains(t, text(t, r.Suite), `token="<redacted:api_token>"`)
	updates, err := r.Updates()
	require.NoError(t, err)
	require.Len(t, updates, 1)
	written := string(updates[0].After)[strings.Index(string(updates[0].After), "cases:"):]
	assert.NotContains(t, written, token[:20])
	assert.Contains(t, written, `'y{instance="10.0.0.1:80", job="web", ...}': 2`)
	assert.NotContains(t, written, "'x{instance=\"10.0.0.1:80\", job=\"web\", ...}'", "it would select two series")
	assert.Equal(t, 3, strings.Count(written, "# Only what looks like a secret tells these apart. Expect their number under count: 'x{instance=\"10.0.0.1:80\", job=\"web\"}': 2\n"), written)
	f, err := Parse(filepath.Join(dir, "x_test.yaml"), updates[0].After)
	require.NoError(t, err)
	assert.Equal(t, []string{"different", "+empty", "+block", "+whole"}, names(run(t, []*File{f}, Options{})))
}

// Nothing can be written that would select one of them.
func TestOnlySecretsTellApart(t *testing.T) {
	token := "ghp_" + strings.Repeat("a1", 18)
	drop := "    metric_relabel_configs: [{action: keep, source_labels: [__name__], regex: x}]\n"
	dir := folder(t, map[string]string{"c.yaml": webConfig + drop, "x_test.yaml": `config: c.yaml
scene:
  pages: {"10.0.0.1:80/metrics": {text: "x{token=\"` + token + `\"} 1\nx{a=\"b\"} 1\nx{a=\"b\",token=\"` + token + `\"} 1\n"}}
cases: [{name: empty, expect: {}}]
`})
	updates, err := run(t, load(t, dir), Options{}).Updates()
	require.NoError(t, err)
	require.Len(t, updates, 1)
	written := string(updates[0].After)
	assert.Contains(t, written, `'x{a="b", instance="10.0.0.1:80", job="web"}': 1`, "no further label is allowed")
	assert.Contains(t, written, `under count: 'x{instance="10.0.0.1:80", job="web"}': 3`, "it selects those with a as well")
	assert.Contains(t, written, `'x{a="b", instance="10.0.0.1:80", job="web"}': 2`)
	f, err := Parse(filepath.Join(dir, "x_test.yaml"), updates[0].After)
	require.NoError(t, err)
	assert.Equal(t, []string{"+empty"}, names(run(t, []*File{f}, Options{})))

	// Of nothing but such series nothing is written.
	dir = folder(t, map[string]string{"c.yaml": withoutUp, "x_test.yaml": `config: c.yaml
scene:
  pages: {"10.0.0.1:80/metrics": {text: "x{token=\"` + token + `\"} 1\nx{token=\"` + token[:len(token)-1] + `2\"} 1\n"}}
cases: [{name: empty, expect: {series: {}}}]
`})
	r := run(t, load(t, dir), Options{})
	assert.Contains(t, text(t, r.Suite), "only what looks like a secret tells the series apart")
	updates, err = r.Updates()
	require.NoError(t, err)
	assert.Empty(t, updates)
}

// withoutUp delivers what the page has, and of what Prometheus adds only what --update leaves out.
const withoutUp = `
receivers:
  prometheus: {config: {scrape_configs: [{job_name: a, static_configs: [{targets: ["10.0.0.1:80"]}]}]}}
processors:
  metrics_transform: {transforms: [{include: up, action: update, new_name: scrape_up}]}
exporters: {debug: {}}
service: {pipelines: {metrics: {receivers: [prometheus], processors: [metrics_transform], exporters: [debug]}}}
`

func TestCoverageOfNothingThatRan(t *testing.T) {
	dir := folder(t, map[string]string{"c.yaml": strings.Replace(webConfig, "drop", "drip", 1), "x_test.yaml": "config: c.yaml\nscene: {}\ncases: [{name: one, expect: {targets: {kept: 1}}}]\n"})
	r := run(t, load(t, dir), Options{Coverage: true})
	assert.Equal(t, "0.0 %", r.Coverage.String())
}
