// SPDX-License-Identifier: Apache-2.0

package scopepushdownconverter_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/components/scopepushdownconverter"
	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

var (
	rounds = flag.Int("rounds", 20, "how many random scopes the property is tested with")
	seed   = flag.Uint64("seed", 0, "the seed of the first round; 0 is a new one")
)

const (
	pagesPerRound = 60
	interval      = 30 * time.Second
	lasting       = 3 * interval
)

// afterRules are what Prometheus reports of a scrape after its rules: they count without what is dropped.
var afterRules = []string{"scrape_samples_post_metric_relabeling", "scrape_series_added"}

// What is delivered is the same with and without derived rules: random scopes, jobs and pages, which change and go away, through
// Prometheus's scrape, the receiver, the processor and the translation.
func TestDeliveredIsTheSame(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64N(1_000_000) + 1 //nolint:gosec // a test
	}
	t.Logf("-seed %d -rounds %d", first, *rounds)
	cases, derived, delivered, dropped := 0, 0, 0, 0
	for round := range *rounds {
		n := first + uint64(round)
		r := random{rand.New(rand.NewPCG(n, 0))} //nolint:gosec // a test
		config, s := r.config(), r.scene(t)
		engine := scrapetest.New(virtualtime.FromTest(t))
		file, err := configfile.Parse("config.yaml", []byte(config))
		require.NoError(t, err)
		converted, err := scrapetest.Load(file, nil)
		require.NoError(t, err, config)
		plain, err := scrapetest.LoadUnconverted(file, nil)
		require.NoError(t, err)
		with, without := run(t, engine, converted, s), run(t, engine, plain, s)
		for _, job := range with.Jobs {
			if slices.ContainsFunc(job.Scrape.MetricRelabelConfigs, scopepushdownconverter.IsDerived) {
				derived++
			}
		}
		cases += pagesPerRound
		delivered += len(with.Series)
		dropped += droppedMore(with, without)
		got, want := byTarget(with), byTarget(without)
		for _, target := range slices.Sorted(maps.Keys(want)) {
			if got[target] != want[target] && !canBeSame(t, engine, converted, plain, s, target) {
				t.Fatalf("-seed %d -rounds 1: target %s\n%s\n%s\n--- without\n%s\n--- with\n%s",
					n, target, aboutTarget(config, target), pagesOf(s, target), want[target], got[target])
			}
		}
		require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)))
	}
	t.Logf("%d pages, %d jobs with a derived rule, %d series delivered, %d samples dropped at the scrape", cases, derived, delivered, dropped)
	assert.NotZero(t, derived)
	assert.NotZero(t, dropped)
	assert.Greater(t, delivered, cases*6, "more than what is always delivered")
}

// canBeSame runs both again and again. Where a page has two families that come to have one name, the receiver gives them in any
// order and the processor keeps the first: then each run is another.
func canBeSame(t *testing.T, engine *scrapetest.Engine, converted, plain *scrapetest.Config, s *scene.Scene, target string) bool {
	t.Helper()
	with, without := map[string]bool{}, map[string]bool{}
	for range 12 {
		got, want := byTarget(run(t, engine, converted, s))[target], byTarget(run(t, engine, plain, s))[target]
		with[got], without[want] = true, true
		if with[want] || without[got] {
			return true
		}
	}
	return false
}

func run(t *testing.T, engine *scrapetest.Engine, c *scrapetest.Config, s *scene.Scene) *scrapetest.Result {
	t.Helper()
	result, err := engine.Run(context.Background(), c, s, lasting)
	require.NoError(t, err)
	return result
}

// byTarget writes down what has been delivered of each target.
func byTarget(result *scrapetest.Result) map[string]string {
	lines := map[string]*strings.Builder{}
	for _, s := range result.Series {
		target := s.Labels.Get("target")
		b := lines[target]
		if b == nil {
			b = &strings.Builder{}
			lines[target] = b
		}
		fmt.Fprintf(b, "%s", s.Labels)
		for i := range s.Samples {
			sample := &s.Samples[i]
			fmt.Fprintf(b, " %d:", sample.T-result.Scene.Start.UnixMilli())
			switch {
			case slices.Contains(afterRules, s.Labels.Get("__name__")):
			case sample.H != nil:
				b.WriteString(sample.H.String())
			default:
				fmt.Fprintf(b, "%x", math.Float64bits(sample.F))
			}
		}
		b.WriteString("\n")
	}
	out := map[string]string{}
	for target, b := range lines {
		out[target] = b.String()
	}
	return out
}

// droppedMore counts the samples that derived rules have dropped.
func droppedMore(with, without *scrapetest.Result) int {
	kept := func(r *scrapetest.Result) (sum float64) {
		for _, s := range r.Series {
			if s.Labels.Get("__name__") != afterRules[0] {
				continue
			}
			for _, sample := range s.Samples {
				if !sample.Stale() {
					sum += sample.F
				}
			}
		}
		return sum
	}
	return int(kept(without) - kept(with))
}

func address(i int) string { return fmt.Sprintf("10.0.%d.%d:80", i/200, i%200+1) }

// scene has a page for each target, which changes after the second scrape, and has gone at the last.
func (r random) scene(t *testing.T) *scene.Scene {
	t.Helper()
	spec := &scene.Spec{Namespace: "runner", Pages: map[string]scene.PageSpec{}}
	changed, gone := scene.StepSpec{}, scene.StepSpec{}
	changed.Pages, gone.Pages = map[string]scene.PageSpec{}, map[string]scene.PageSpec{}
	for i := range pagesPerRound {
		key := address(i) + "/metrics"
		p := r.page()
		spec.Pages[key] = scene.PageSpec{Text: p.text(), ContentType: p.contentType()}
		next := r.page()
		if p.protobuf == nil { // the same page with a line less and one more
			next = page{openMetrics: p.openMetrics, lines: slices.Clone(p.lines)}
			next.lines = slices.Delete(next.lines, 0, 1)
		}
		changed.Pages[key] = scene.PageSpec{Text: next.text(), ContentType: next.contentType()}
		if r.oneIn(3) {
			gone.Pages[key] = scene.PageSpec{Status: 500}
		}
	}
	changed.At, gone.At = model.Duration(interval+interval/2), model.Duration(2*interval+interval/2)
	spec.Steps = []scene.StepSpec{changed, gone}
	s, err := spec.Load(t.TempDir())
	require.NoError(t, err)
	return s
}

// aboutTarget is the configuration without the lines that are about other targets.
func aboutTarget(config, target string) string {
	var jobs []string
	head, rest, _ := strings.Cut(config, "- always_scrape")
	for _, job := range strings.Split(rest, "- always_scrape") {
		if strings.Contains(job, target+"\n") {
			before, after, _ := strings.Cut(job, "static_configs:")
			at := strings.Index(after, target+"\n")
			jobs = append(jobs, before+after[max(0, at-200):at+20])
		}
	}
	return head + "- always_scrape" + strings.Join(jobs, "\n")
}

func pagesOf(s *scene.Scene, target string) string {
	var b strings.Builder
	host, port, _ := strings.Cut(target, ":")
	for i := range s.States {
		page, _ := s.States[i].Page(host, port, "/metrics")
		fmt.Fprintf(&b, "--- %s %s\n%s\n", s.States[i].At, page.ContentType, page.Body)
	}
	return b.String()
}

// config has a few jobs, which differ in all that matters here.
func (r random) config() string {
	var jobs []map[string]any
	for i := range 4 {
		jobs = append(jobs, r.job(i))
	}
	runner := map[string]any{
		"metadata": map[string]any{"organization": "acme", "runner": "r1"},
		"scope": map[string]any{
			"namespaces": []string{"runner"}, "components": []string{"tool-manager", "otel-collector"}, "metrics": r.metrics(), "secrets": "off",
		},
		"limits": map[string]any{"series": 0, "series_per_metric": 0, "series_per_component": 0, "label_count": 0},
	}
	config := map[string]any{
		"receivers": map[string]any{"prometheus": map[string]any{"config": map[string]any{
			"global":         map[string]any{"scrape_interval": interval.String(), "scrape_native_histograms": r.IntN(4) > 0},
			"scrape_configs": jobs,
		}}},
		"processors": map[string]any{"runner": runner},
		"exporters":  map[string]any{"durable_remote_write": map[string]any{"endpoint": "http://127.0.0.1:1", "resource_labels": []string{"organization", "runner"}, "log": map[string]any{"directory": "/none"}}},
		"service": map[string]any{"pipelines": map[string]any{"metrics": map[string]any{
			"receivers": []string{"prometheus"}, "processors": []string{"runner"}, "exporters": []string{"durable_remote_write"},
		}}},
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		panic(err) // maps of text
	}
	return strings.ReplaceAll(string(text), "$", "$$")
}

func (r random) metrics() map[string]any {
	pattern := func() string {
		if r.IntN(3) > 0 {
			name := strings.ReplaceAll(r.name(), ".", pick(r, ".", "_"))
			if name[0] == '1' { // as it is stored
				name = "_" + name
			}
			return name
		}
		return pick(r, "a.*", "a_.*", ".*_total", ".*_(sum|count)", "(a|b)_bucket", "(?i)A_SUM", "go_x_[a-z]+", "^kube_.*$", "b(_sum)?", "a{1,2}_b.*_info", "up.*")
	}
	metrics := map[string]any{"profile": pick(r, "none", "none", "stage1")}
	include, exclude := map[string]bool{}, map[string]bool{}
	for range 1 + r.IntN(4) {
		include[pattern()] = true
	}
	for range r.IntN(3) {
		p := pattern()
		if r.oneIn(3) { // a part of what is included
			p = strings.Trim(pick(r, slices.Sorted(maps.Keys(include))...), "^$") + pick(r, suffixes...)
		}
		if !include[p] {
			exclude[p] = true
		}
	}
	metrics["include"] = slices.Sorted(maps.Keys(include))
	metrics["exclude"] = slices.Sorted(maps.Keys(exclude))
	return metrics
}

func (r random) job(n int) map[string]any {
	const jobs = 4
	var static []any
	for i := n; i < pagesPerRound; i += jobs {
		labels := map[string]string{"namespace": "runner", "app": "tool-manager", "target": address(i)}
		if r.oneIn(5) {
			labels["exporter"] = pick(r, "otel-collector", "kube-state-metrics")
		}
		if r.oneIn(10) {
			labels["app"] = "stranger"
		}
		static = append(static, map[string]any{"targets": []string{address(i)}, "labels": labels})
	}
	job := map[string]any{
		"job_name": fmt.Sprintf("job-%d", n), "static_configs": static,
		"always_scrape_classic_histograms":   r.oneIn(2),
		"convert_classic_histograms_to_nhcb": r.oneIn(5),
		"honor_labels":                       r.oneIn(5),
		"metric_relabel_configs":             r.rules(),
	}
	if r.oneIn(4) {
		job["relabel_configs"] = []any{map[string]any{"target_label": "exporter", "replacement": pick(r, "otel-collector", "x")}}
	}
	return job
}

// rules are a user's own, some of which rename.
func (r random) rules() []any {
	rules := []any{}
	for range r.IntN(3) {
		rules = append(rules, pick(r,
			map[string]any{"source_labels": []string{"__name__"}, "regex": r.name(), "action": string(relabel.Drop)},
			map[string]any{"source_labels": []string{"__name__"}, "regex": r.name(), "target_label": "__name__", "replacement": r.name()},
			map[string]any{"source_labels": []string{"__name__"}, "regex": "(.+)_max", "target_label": "__name__", "replacement": "${1}_total"},
			map[string]any{"regex": pick(r, "x", "exporter"), "action": string(relabel.LabelDrop)},
			map[string]any{"target_label": "exporter", "replacement": "otel-collector"},
		))
	}
	return rules
}
