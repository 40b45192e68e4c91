// SPDX-License-Identifier: Apache-2.0

package cost

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

var update = flag.Bool("update", false, "write docs/prices.md and the golden files")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path) //nolint:gosec // a file of the test's
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "go test ./internal/cost -update writes it anew")
}

// shop runs the configuration of testdata.
func shop(t *testing.T) Input {
	t.Helper()
	s, err := scene.Load("testdata/scene.yaml")
	require.NoError(t, err)
	file, err := configfile.Load("testdata/config.yaml")
	require.NoError(t, err)
	config, err := scrapetest.Load(file, s.Env)
	require.NoError(t, err)
	const at = 2 * time.Minute
	result, err := scrapetest.New(virtualtime.FromTest(t)).Run(t.Context(), config, s, at)
	require.NoError(t, err)
	in := FromResult(result, at)
	in.Source = "testdata/config.yaml on testdata/scene.yaml"
	in.Bound = map[string]bool{"10.0.0.1": true, "10.0.0.2": true} // of pods, which this scene has not got
	return in
}

func options() Options { return Options{Plans: Plans(), Runners: 1, PodLifetime: 7 * 24 * time.Hour} }

func TestGolden(t *testing.T) {
	r, err := New(t.Context(), shop(t), options())
	require.NoError(t, err)
	var text, asJSON, page bytes.Buffer
	require.NoError(t, WriteText(&text, r))
	golden(t, "testdata/cost.txt", text.String())
	e := json.NewEncoder(&asJSON)
	e.SetIndent("", "  ")
	require.NoError(t, e.Encode(r))
	golden(t, "testdata/cost.json", asJSON.String())
	require.NoError(t, WriteHTML(&page, r))
	golden(t, "testdata/cost.html", page.String())
}

func TestPricesPage(t *testing.T) {
	golden(t, filepath.Join("..", "..", "docs", "prices.md"), PricesPage())
}

// The figures of the shop by hand: 2 pods with 8 series, and 5 that a scrape adds, at 30 s; one with 2 and 5 at 60 s.
func TestFigures(t *testing.T) {
	r, err := New(t.Context(), shop(t), options())
	require.NoError(t, err)
	assert.Equal(t, 2*(8+5)+2+5, r.Total.Series)
	samples := monthSeconds * (26.0/30 + 7.0/60)
	assert.InDelta(t, samples, r.Total.Samples, 1e-3)
	assert.InDelta(t, 26*monthDays/7+7, r.Total.SeriesMonth, 1e-9)

	byService := map[string]float64{}
	for _, s := range r.Services {
		byService[s.ID] = s.USD
	}
	assert.InDelta(t, samples/10e6*0.16, byService["azure"], 1e-9)
	// One of four buckets of each pod has nothing of its own: 1 in 26 less. The +Inf bucket has not either.
	assert.InDelta(t, monthSeconds*(22.0/30+7.0/60)/1e6*0.06, byService["google"], 1e-9)
	// 52 + 7 samples a minute are more than 33 series.
	assert.InDelta(t, 59*6.50/1000, byService["grafana_cloud"], 1e-9)
	stored := samples / monthDays * 150 * 2 / (1 << 30)
	assert.InDelta(t, samples/10e6*0.90+stored*0.03, byService["aws"], 1e-9)

	for kind, parts := range map[string][]Part{"job": r.Jobs, "component": r.Components, "metric": r.Metrics} {
		sum := Part{}
		for _, p := range parts {
			sum.Series += p.Series
			sum.SeriesMonth += p.SeriesMonth
			sum.Samples += p.Samples
			sum.BytesV1 += p.BytesV1
			sum.BytesV2 += p.BytesV2
			sum.USD += p.USD
		}
		assert.Equal(t, r.Total.Series, sum.Series, kind)
		for what, pair := range map[string][2]float64{
			"series a month": {r.Total.SeriesMonth, sum.SeriesMonth}, "samples": {r.Total.Samples, sum.Samples},
			"1.0": {r.Total.BytesV1, sum.BytesV1}, "2.0": {r.Total.BytesV2, sum.BytesV2}, "usd": {r.Total.USD, sum.USD},
		} {
			assert.InEpsilon(t, pair[0], pair[1], 1e-9, "%s by %s", what, kind)
		}
	}
	assert.Equal(t, "shop_latency_seconds", r.Metrics[0].Name, "a histogram is one metric")
}

func TestLabels(t *testing.T) {
	r, err := New(t.Context(), shop(t), options())
	require.NoError(t, err)
	byName := map[string]Label{}
	for _, l := range r.Labels {
		byName[l.Name] = l
	}
	// pod_ip and instance say the same: without one of them, the other still tells the pods apart.
	assert.Zero(t, byName["pod_ip"].Saved)
	assert.Zero(t, byName["pod_ip"].Colliding)
	assert.True(t, byName["pod_ip"].EndsWithPod)
	assert.True(t, byName["instance"].EndsWithPod, "an address with a port")
	assert.False(t, byName["app"].EndsWithPod)
	assert.Positive(t, byName["pod_ip"].SavedBytes)
	assert.InDelta(t, r.Total.SeriesMonth, byName["pod_ip"].Without.SeriesMonth, 1e-9)
	both := byName["instance + pod_ip"]
	assert.Equal(t, 26, both.Colliding, "all of the two pods")
	assert.Equal(t, 3, both.Values)
	assert.Equal(t, 33, both.Series)
	assert.InDelta(t, 13.0/30*monthSeconds/r.Total.Samples, both.Saved, 1e-9)
	assert.InDelta(t, 13+7, both.Without.SeriesMonth, 1e-9, "nothing ends with a pod any more")
	// kind tells two series of each pod apart.
	assert.Equal(t, 4, byName["kind"].Colliding)
	assert.InDelta(t, 2.0/30*monthSeconds/r.Total.Samples, byName["kind"].Saved, 1e-9)
	assert.InDelta(t, byName["kind"].Saved*r.Total.USD, byName["kind"].SavedUSD, 1e-9)
	assert.NotContains(t, byName, "__name__")
}

func TestALabelThatOnlyChurns(t *testing.T) {
	series := func(pod string) Series {
		return Series{Labels: labels.FromStrings("__name__", "m", "pod", pod, "job", "j"), Count: 1, PerSecond: 1}
	}
	in := Input{Series: []Series{series("a"), series("b")}, Bound: map[string]bool{"a": true, "b": true}}
	o := options()
	o.PodLifetime = monthSeconds / 10 * time.Second
	r, err := New(t.Context(), in, o)
	require.NoError(t, err)
	assert.InDelta(t, 20, r.Total.SeriesMonth, 1e-6)
	i := 0
	for r.Labels[i].Name != "pod" {
		i++
	}
	assert.InDelta(t, 1, r.Labels[i].Without.SeriesMonth, 1e-9)
	assert.InDelta(t, 0.5, r.Labels[i].Saved, 1e-9)
	assert.Equal(t, 2, r.Labels[i].Colliding)
}

func TestRunners(t *testing.T) {
	in := shop(t)
	one, err := New(t.Context(), in, options())
	require.NoError(t, err)
	o := options()
	o.Runners = 1000
	many, err := New(t.Context(), in, o)
	require.NoError(t, err)
	assert.Equal(t, 1000*one.Total.Series, many.Total.Series)
	assert.InEpsilon(t, 1000*one.Total.Samples, many.Total.Samples, 1e-9)
	assert.InEpsilon(t, 1000*one.Services[0].USD, many.Services[0].USD, 1e-9)
	assert.Less(t, many.Services[1].USD, 1000*one.Services[1].USD, "Amazon's second tier is cheaper")
}

func TestPlans(t *testing.T) {
	p := Plan{Tiers: []Tier{{UpTo: 2e6, PerMillion: 10}, {UpTo: 5e6, PerMillion: 4}, {PerMillion: 1}}}
	for samples, want := range map[float64]float64{0: 0, 1e6: 10, 2e6: 20, 3e6: 24, 5e6: 32, 7e6: 34} {
		assert.InDelta(t, want, p.usd(use{samples: samples}), 1e-9, "%g samples", samples)
	}
	bucketed := Plan{Buckets: true}
	assert.InDelta(t, 5, bucketed.weight(&Series{Native: true, Buckets: 3}), 0)
	assert.Zero(t, bucketed.weight(&Series{EmptyBucket: true}))
	assert.InDelta(t, 1, p.weight(&Series{EmptyBucket: true}), 0)
	assert.Equal(t, 4, nonEmpty(&histogram.FloatHistogram{ZeroCount: 1, PositiveBuckets: []float64{1, 0, 2}, NegativeBuckets: []float64{4}}))
	for _, p := range Plans() {
		assert.NotEmpty(t, p.Figures, p.ID)
		for i, tier := range p.Tiers {
			assert.Equal(t, i == len(p.Tiers)-1, tier.UpTo == 0, "%s: only the last tier has no end", p.ID)
		}
	}
}

func TestParsePrice(t *testing.T) {
	for text, want := range map[string]Plan{
		"0.16/10M-samples": {Tiers: []Tier{{PerMillion: 0.016}}},
		"3/G-samples":      {Tiers: []Tier{{PerMillion: 0.003}}},
		"1/samples":        {Tiers: []Tier{{PerMillion: 1e6}}},
		"6.50/1k-series":   {PerThousandSeries: 6.50},
	} {
		p, err := ParsePrice(text)
		require.NoError(t, err, text)
		assert.InDelta(t, want.PerThousandSeries, p.PerThousandSeries, 1e-12, text)
		require.Len(t, p.Tiers, len(want.Tiers), text)
		for i := range want.Tiers {
			assert.InDelta(t, want.Tiers[i].PerMillion, p.Tiers[i].PerMillion, 1e-12, text)
		}
	}
	for _, text := range []string{"", "cheap", "0.16", "0.16/10M", "-1/M-samples", "1/0k-series", "1/10m-samples", "1e3/samples"} {
		_, err := ParsePrice(text)
		require.ErrorContains(t, err, "0.16/10M-samples", text)
	}
}

func TestBudgets(t *testing.T) {
	r := &Report{Total: Part{Series: 6000, Samples: 2e9, BytesV1: 3e9, USD: 25}, Services: []Service{{Plan: Plan{Name: "Azure"}}}}
	for text, want := range map[string]string{
		"series <= 6000":    "",
		"series<=5k":        "6,000 series are 1,000 more than the budget allows (series<=5k)",
		"<= 20 USD":         "25.00 USD a month by Azure are 5.00 more than the budget allows (<= 20 USD)",
		"usd <= 25":         "",
		"samples <= 1.5G":   "2.0 G samples a month are 500.0 M more than the budget allows (samples <= 1.5G)",
		"bytes <= 2 G":      "3.0 GB on the wire a month are 1.0 GB more than the budget allows (bytes <= 2 G)",
		"<= 5000000 series": "",
	} {
		b, err := ParseBudget(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, b.check(r), text)
	}
	for _, text := range []string{"", "<= 20", "series < 5", "series <= many", "series <= 5 USD", "euro <= 5"} {
		_, err := ParseBudget(text)
		require.ErrorContains(t, err, "no budget", text)
	}
}

func TestCollector(t *testing.T) {
	page := `# TYPE otelcol_process_uptime_seconds_total counter
otelcol_process_uptime_seconds_total 100
# TYPE otelcol_processor_runner_series gauge
otelcol_processor_runner_series{component="shop"} 26
otelcol_processor_runner_series{component="queue"} 7
# TYPE otelcol_processor_runner_samples_total counter
otelcol_processor_runner_samples_total{component="shop"} 200
otelcol_processor_runner_samples_total{component="queue"} 50
# TYPE otelcol_exporter_durable_remote_write_sent_bytes_total counter
otelcol_exporter_durable_remote_write_sent_bytes_total{protocol="1.0"} 2500
# TYPE otelcol_exporter_durable_remote_write_sent_samples_total counter
otelcol_exporter_durable_remote_write_sent_samples_total{protocol="1.0"} 250
`
	in, err := parseCollector(strings.NewReader(page))
	require.NoError(t, err)
	r, err := New(t.Context(), in, options())
	require.NoError(t, err)
	assert.Equal(t, 33, r.Total.Series)
	assert.InDelta(t, 2.5*monthSeconds, r.Total.Samples, 1e-6)
	assert.InDelta(t, 25*monthSeconds, r.Total.BytesV1, 1e-3)
	assert.Equal(t, "shop", r.Components[0].Name)
	assert.Empty(t, r.Metrics)
	assert.Empty(t, r.Labels)
	var text bytes.Buffer
	require.NoError(t, WriteText(&text, r))
	assert.Contains(t, text.String(), "since the collector was started")

	for name, bad := range map[string]string{
		"not a collector": "up 1\n",
		"just started":    strings.Replace(page, "_seconds_total 100", "_seconds_total 0", 1),
		"not text":        "\x00\x01",
		"not a number":    strings.Replace(page, "_seconds_total 100", "_seconds_total NaN", 1),
	} {
		_, err := parseCollector(strings.NewReader(bad))
		require.Error(t, err, name)
	}
}

func TestTreemapFillsItsArea(t *testing.T) {
	weights := []float64{50, 20, 10, 10, 5, 3, 1, 1, 0}
	area := rect{10, 20, 300, 200}
	rects := squarify(area, weights)
	for i, r := range rects {
		assert.InDelta(t, weights[i]/100*area.W*area.H, r.W*r.H, 1e-6)
		if r.W > 0 {
			assert.GreaterOrEqual(t, r.X, area.X-1e-9)
			assert.LessOrEqual(t, r.X+r.W, area.X+area.W+1e-6)
			assert.LessOrEqual(t, r.Y+r.H, area.Y+area.H+1e-6)
			assert.Less(t, max(r.W/r.H, r.H/r.W), 5.0, "not a sliver")
		}
		for _, other := range rects[:i] {
			overlap := max(0, min(r.X+r.W, other.X+other.W)-max(r.X, other.X)) * max(0, min(r.Y+r.H, other.Y+other.H)-max(r.Y, other.Y))
			assert.InDelta(t, 0, overlap, 1e-6)
		}
	}
	assert.Equal(t, []rect{{}}, squarify(area, []float64{0}))
}

func TestPageIsSafe(t *testing.T) {
	evil := `<script>alert(1)</script>`
	in := Input{Source: evil, Series: []Series{{Labels: labels.FromStrings("__name__", evil, "app", evil, "job", "\x1b[31m"), Count: 1, PerSecond: 1}}}
	r, err := New(t.Context(), in, options())
	require.NoError(t, err)
	var page, text bytes.Buffer
	require.NoError(t, WriteHTML(&page, r))
	assert.NotContains(t, page.String(), "<script>")
	require.NoError(t, WriteText(&text, r))
	assert.NotContains(t, text.String(), "\x1b")
}

func TestNothing(t *testing.T) {
	r, err := New(t.Context(), Input{Source: "nothing"}, options())
	require.NoError(t, err)
	assert.Zero(t, r.Total)
	require.NoError(t, WriteText(&bytes.Buffer{}, r))
	require.NoError(t, WriteHTML(&bytes.Buffer{}, r))
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"0.16/10M-samples", "series <= 5000", "<= 20 USD", "otelcol_process_uptime_seconds_total 1\n", "9/9k-series"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := ParsePrice(text); err == nil {
			assert.NotNil(t, p)
		}
		if b, err := ParseBudget(text); err == nil {
			(&Report{Services: []Service{{}}}).Check([]Budget{b})
		}
		if in, err := parseCollector(strings.NewReader(text)); err == nil {
			_, err := New(t.Context(), in, options())
			assert.NoError(t, err)
		}
	})
}
