// SPDX-License-Identifier: Apache-2.0

package confdiff

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/cost"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path) //nolint:gosec // a file of the test's
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "go test ./internal/confdiff -update writes it anew")
}

var prices = cost.Options{Plans: cost.Plans(), Runners: 1, PodLifetime: 7 * 24 * time.Hour}

// deliver runs a configuration on the scene of testdata.
func deliver(t *testing.T, name, text string) Side {
	t.Helper()
	s, err := scene.Load("testdata/scene.yaml")
	require.NoError(t, err)
	file, err := configfile.Parse(name, []byte(text))
	require.NoError(t, err)
	config, err := scrapetest.Load(file, s.Env)
	require.NoError(t, err)
	const at = 2 * time.Minute
	result, err := scrapetest.New(virtualtime.FromTest(t)).Run(t.Context(), config, s, at)
	require.NoError(t, err)
	return Side{Name: name, Result: result, At: at}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path) //nolint:gosec // a file of the test's
	require.NoError(t, err)
	return string(text)
}

func queries(t *testing.T) []Query {
	t.Helper()
	board, err := Dashboard("dashboard.json", []byte(read(t, "testdata/dashboard.json")))
	require.NoError(t, err)
	rules, err := Rules("rules.yaml", []byte(read(t, "testdata/rules.yaml")))
	require.NoError(t, err)
	return append(board, rules...)
}

func compare(t *testing.T, before, after Side) *Diff {
	t.Helper()
	d, err := New(t.Context(), before, after, queries(t), prices)
	require.NoError(t, err)
	return d
}

func TestGolden(t *testing.T) {
	before, after := deliver(t, "old.yaml", read(t, "testdata/old.yaml")), deliver(t, "new.yaml", read(t, "testdata/new.yaml"))
	d := compare(t, before, after)
	var text, md, asJSON bytes.Buffer
	require.NoError(t, WriteText(&text, d))
	golden(t, "testdata/diff.txt", text.String())
	require.NoError(t, WriteMarkdown(&md, d))
	golden(t, "testdata/diff.md", md.String())
	e := json.NewEncoder(&asJSON)
	e.SetIndent("", "  ")
	require.NoError(t, e.Encode(d))
	golden(t, "testdata/diff.json", asJSON.String())
}

// rules to be put together at random.
var relabelRules = []string{
	"{source_labels: [__address__], target_label: pod_ip}",
	"{source_labels: [__address__], regex: '(.*):.*', target_label: host}",
	"{source_labels: [__address__], regex: 10.0.0.2:80, action: drop}",
	"{target_label: app, replacement: other}",
	"{target_label: team, replacement: a}",
	"{regex: app, action: labeldrop}",
}

var metricRules = []string{
	"{source_labels: [__name__], regex: 'shop_latency_seconds_(.*)', target_label: __name__, replacement: 'shop_duration_seconds_$1'}",
	"{source_labels: [__name__], regex: shop_orders_total, target_label: __name__, replacement: shop_orders}",
	"{source_labels: [__name__], regex: 'queue_.*', action: drop}",
	"{source_labels: [kind], regex: book, action: drop}",
	"{source_labels: [kind], target_label: sort}",
	"{regex: kind, action: labeldrop}",
	"{source_labels: [le], regex: '10|1', action: drop}",
}

func randomConfig(random *rand.Rand) string {
	pick := func(rules []string) string {
		var some []string
		for _, r := range rules {
			if random.IntN(3) == 0 {
				some = append(some, r)
			}
		}
		return "[" + strings.Join(some, ", ") + "]"
	}
	var b strings.Builder
	b.WriteString("global: {scrape_interval: 30s}\nscrape_configs:\n")
	for i, target := range []string{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.9:80"} {
		if i > 0 && random.IntN(5) == 0 {
			continue
		}
		fmt.Fprintf(&b, "- job_name: job%d\n  scrape_interval: %ds\n  static_configs: [{targets: ['%s', '10.0.0.1:80'], labels: {app: shop}}]\n  relabel_configs: %s\n  metric_relabel_configs: %s\n",
			i, 30+30*random.IntN(2), target, pick(relabelRules), pick(metricRules))
	}
	return b.String()
}

func TestNothingChangesBetweenTheSame(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	for range 10 {
		text := randomConfig(random)
		d := compare(t, deliver(t, "a.yaml", text), deliver(t, "b.yaml", text))
		assert.False(t, d.Changed(), text)
		assert.Empty(t, d.Losses())
		assert.Equal(t, d.Cost.Before, d.Cost.After)
	}
}

func TestTheOtherWayRound(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test
	changed := 0
	for range 25 {
		a, b := deliver(t, "a.yaml", randomConfig(random)), deliver(t, "b.yaml", randomConfig(random))
		forward, back := compare(t, a, b), compare(t, b, a)
		if forward.Changed() {
			changed++
		}
		assert.JSONEq(t, undirected(t, *forward), undirected(t, *mirrored(back)))
		for _, d := range []*Diff{forward, back} {
			moved := 0
			for _, r := range d.Renamed {
				moved += r.Series
			}
			for _, r := range d.Relabelled {
				moved += r.Series
			}
			assert.Equal(t, d.Before-len(d.Removed)-moved, d.After-len(d.Added)-moved, "each series is in one place")
		}
	}
	assert.Greater(t, changed, 20)
}

// undirected leaves out what is said in words that have a direction, and sorts what is in the order of either side.
func undirected(t *testing.T, d Diff) string {
	t.Helper()
	slices.Sort(d.Cost.Assumptions)
	for i := range d.Queries {
		for _, list := range [][]Finds{d.Queries[i].Losses, d.Queries[i].Gains} {
			for k := range list {
				list[k].Reason = ""
			}
		}
	}
	text, err := json.Marshal(d)
	require.NoError(t, err)
	return string(text)
}

// mirrored exchanges before and after.
func mirrored(d *Diff) *Diff {
	d.Old, d.New = d.New, d.Old
	d.Before, d.After = d.After, d.Before
	d.Added, d.Removed = d.Removed, d.Added
	for i := range d.Renamed {
		r := &d.Renamed[i]
		r.From, r.To = r.To, r.From
		turned(r.Changes)
	}
	slices.SortFunc(d.Renamed, func(a, b Rename) int { return strings.Compare(a.From, b.From) })
	for i := range d.Relabelled {
		r := &d.Relabelled[i]
		r.Before, r.After = r.After, r.Before
		turned(r.Changes)
	}
	sortRelabellings(d.Relabelled)
	for i := range d.Values {
		v := &d.Values[i]
		v.Before, v.After = v.After, v.Before
	}
	for i := range d.Intervals {
		c := &d.Intervals[i]
		c.Before, c.After = c.After, c.Before
	}
	t := &d.Targets
	t.Before, t.After, t.Added, t.Removed = t.After, t.Before, t.Removed, t.Added
	for i := range t.Repeated {
		r := &t.Repeated[i]
		r.Before, r.After = r.After, r.Before
	}
	for i := range d.Drops {
		x := &d.Drops[i]
		x.Before, x.After = x.After, x.Before
	}
	for i := range d.Queries {
		e := &d.Queries[i]
		e.Losses, e.Gains = e.Gains, e.Losses
		for _, list := range [][]Finds{e.Losses, e.Gains} {
			for k := range list {
				list[k].Before, list[k].After = list[k].After, list[k].Before
			}
		}
	}
	d.Cost.Before, d.Cost.After = d.Cost.After, d.Cost.Before
	return d
}

func TestAnotherInterval(t *testing.T) {
	const config = "scrape_configs: [{job_name: queue, scrape_interval: %ds, scrape_timeout: 5s, static_configs: [{targets: ['10.0.0.9:80']}]}]"
	d := compare(t, deliver(t, "a.yaml", fmt.Sprintf(config, 60)), deliver(t, "b.yaml", fmt.Sprintf(config, 15)))
	assert.True(t, d.Changed())
	require.Len(t, d.Intervals, 1)
	assert.Equal(t, "1m 15s 7", fmt.Sprintf("%s %s %d", d.Intervals[0].Before, d.Intervals[0].After, d.Intervals[0].Series))
	assert.InDelta(t, 4*d.Cost.Before.Samples, d.Cost.After.Samples, 1)
}

// A metric that is gone and a new one, of which few series have anything to do with each other, are no rename.
func TestNoRename(t *testing.T) {
	series := func(name string, values ...float64) []scrapetest.Series {
		var all []scrapetest.Series
		for i, v := range values {
			all = append(all, scrapetest.Series{Labels: labels.FromStrings("__name__", name, "i", fmt.Sprint(i)), Samples: []scrapetest.Sample{{F: v}}})
		}
		return all
	}
	for name, c := range map[string]struct {
		before, after []scrapetest.Series
		renamed       int
	}{
		"all the same":              {series("a_b", 5, 6, 7), series("c_d", 5, 6, 7), 3},
		"one of three":              {series("a_b", 5, 6, 7), series("a_d", 5, 1, 2), 0},
		"two of three":              {series("a_b", 5, 6, 7), series("a_d", 5, 6, 2), 2},
		"zeros, and no word alike":  {series("a_b", 0, 0, 0), series("c_d", 0, 0, 0), 0},
		"zeros, and one word alike": {series("a_b", 0, 0, 0), series("a_d", 0, 0, 0), 3},
	} {
		d := &Diff{}
		d.series(c.before, c.after)
		renamed := 0
		for _, r := range d.Renamed {
			renamed += r.Series
		}
		assert.Equal(t, c.renamed, renamed, name)
		assert.Len(t, d.Removed, 3-c.renamed, name)
		assert.Len(t, d.Added, 3-c.renamed, name)
	}
}

func turned(changes []LabelChange) {
	for i := range changes {
		c := &changes[i]
		c.From, c.To = c.To, c.From
		c.Kind = map[string]string{"added": "removed", "removed": "added", "changed": "changed"}[c.Kind]
	}
	slices.SortFunc(changes, compareChanges)
}

func TestDashboardVariables(t *testing.T) {
	v := variables{"step": "10m", "n": "3", "app": ""}
	for expr, want := range map[string]string{
		"rate(x[$__rate_interval])":              "rate(x[5m])",
		"rate(x[$step])":                         "rate(x[10m])",
		"rate(x[$unknown])":                      "rate(x[5m])",
		"rate(x[1h:$unknown])":                   "rate(x[1h:5m])",
		"x offset $unknown":                      "x offset 5m",
		"topk($n, x)":                            "topk(3, x)",
		`x{app=~"${app:regex}"}`:                 `x{app=~"` + anyText + `"}`,
		`x{app=~"[[app]]-.*"}`:                   `x{app=~"` + anyText + `-.*"}`,
		"sum by ($app) (${app}_total)":           "sum by (" + anyText + ") (" + anyText + "_total)",
		"x / $__interval_ms * 1000 > $__range_s": "x / 300000 * 1000 > 3600",
	} {
		assert.Equal(t, want, v.replace(expr))
	}
}

func TestSelectors(t *testing.T) {
	for expr, want := range map[string]string{
		`sum by (a) (rate(x{app="$app"}[5m])) / on (a) group_left (b) y`: `x{app=~".+"} [a] y [a b]`,
		`x * on (a) group_right (b) y`:                                   `x [a b] y [a shown]`,
		`label_replace(x, "dst", "$1", "src", "(.*)")`:                   `x [shown src]`,
		`x{app!="$app"} > $threshold`:                                    `x [shown]`,
		`sum without (shown) (x)`:                                        `x []`,
		`max(x)`:                                                         `x []`,
		`{__name__=~"$metric"}`:                                          `{__name__=~".+"} [shown]`,
		`$metric{a="1"}`:                                                 `{a="1",__name__=~".+"} [shown]`,
		`x{a="1+$b"}`:                                                    `x{a=~"1\\+.+"} [shown]`,
		`x and on (a) y`:                                                 `x [a shown] y [a]`,
	} {
		q := Query{}
		q.read(variables{}.replace(expr), []string{"shown"})
		require.Empty(t, q.Err, expr)
		var got []string
		for i := range q.selectors {
			got = append(got, fmt.Sprintf("%s %v", q.selectors[i].String(), q.selectors[i].needs))
		}
		assert.Equal(t, want, strings.Join(got, " "), expr)
	}
}

func TestRulesOfTheOperator(t *testing.T) {
	qs, err := Rules("r.yaml", []byte("kind: PrometheusRule\nspec:\n  groups:\n  - rules:\n    - alert: A\n      expr: up == 0\n---\ngroups:\n- rules: [{record: b, expr: sum(}]\n"))
	require.NoError(t, err)
	require.Len(t, qs, 2)
	assert.Equal(t, "A", qs[0].Name)
	assert.Equal(t, 6, qs[0].Line)
	assert.NotEmpty(t, qs[1].Err)
	for _, bad := range []string{"", "a: 1", "groups: 3", "\x00", "- x"} {
		_, err := Rules("bad.yaml", []byte(bad))
		require.ErrorContains(t, err, "bad.yaml: ", bad)
	}
}

func TestBadDashboards(t *testing.T) {
	for _, bad := range []string{"", "{", "[]", "3", `{"a": 1} x`, `{"panels": [`, strings.Repeat("[", 100_000)} {
		_, err := Dashboard("bad.json", []byte(bad))
		require.ErrorContains(t, err, "bad.json: ", bad)
	}
}

func TestAnEndlessExpression(t *testing.T) {
	q := Query{}
	q.read(strings.Repeat("(", 1<<20), nil)
	assert.Equal(t, "it has more than 64 KiB", q.Err)
	q = Query{}
	q.read(strings.Repeat("(", 30_000)+"x"+strings.Repeat(")", 30_000), nil)
	assert.Empty(t, q.Err)
}

func TestARuleThatReadsItself(t *testing.T) {
	qs, err := Rules("r.yaml", []byte("groups:\n- rules:\n  - {record: a, expr: b}\n  - {record: b, expr: a}\n"))
	require.NoError(t, err)
	d := &Diff{}
	d.queries(nil, nil, qs)
	assert.Empty(t, d.Queries)
}

func TestSecretsAreNotShown(t *testing.T) {
	d := &Diff{Added: []labels.Labels{labels.FromStrings("__name__", "m", "who", "somebody@example.com")}}
	d.redact()
	assert.NotContains(t, d.Added[0].String(), "somebody")
}

func TestMarkdownIsSafe(t *testing.T) {
	d := &Diff{New: "new.yaml", Before: 1, Removed: []labels.Labels{labels.FromStrings("__name__", "m", "x", "`</details><script>\x1b")},
		Queries: []Effect{{Query: Query{Kind: Panel, File: "d.json", Name: "*<b>*"}, Losses: []Finds{{Selector: "m", Before: 1}}}}}
	var md bytes.Buffer
	require.NoError(t, WriteMarkdown(&md, d))
	assert.NotContains(t, md.String(), "\x1b")
	assert.NotContains(t, md.String(), "<b>")
	assert.Contains(t, md.String(), "``")
}

func FuzzQueries(f *testing.F) {
	for _, path := range []string{"testdata/dashboard.json", "testdata/rules.yaml"} {
		text, err := os.ReadFile(path) //nolint:gosec // a file of the test's
		require.NoError(f, err)
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text []byte) {
		board, _ := Dashboard("d.json", text)
		rules, _ := Rules("r.yaml", text)
		d := &Diff{}
		d.queries(nil, nil, append(board, rules...))
	})
}
