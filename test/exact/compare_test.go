// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"math"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

var staleMarker = floatPoint(math.Float64frombits(value.StaleNaN))

// stored returns the labels under which a series of a page is stored on both sides.
func stored(page string, exposed ...string) labels.Labels {
	b := labels.NewBuilder(labels.FromStrings(exposed...))
	b.Set(pageLabel, page)
	b.Set("job", "default").Set("instance", "x:9090")
	for name, v := range targetLabels {
		b.Set(name, v)
	}
	for _, l := range runnerLabels {
		b.Set(l.name, l.value)
	}
	return b.Labels()
}

func scrapeNumber(n int) instant { return instant{scrape: n} }

func (d dataset) clone() dataset {
	return dataset{series: maps.Clone(d.series), samples: maps.Clone(d.samples), exemplars: maps.Clone(d.exemplars)}
}

func (d dataset) remove(ls labels.Labels, at instant) {
	delete(d.samples, sampleKey{ls.String(), at})
}

func TestPlantedDifferences(t *testing.T) {
	const page = "/default/x"
	requests := stored(page, "__name__", "requests_total", "code", "200")
	latency := stored(page, "__name__", "latency")
	ex := exemplarKey{series: requests.String(), labels: `{trace_id="a"}`, at: scrapeNumber(1), bits: math.Float64bits(1)}
	native := &histogram.Histogram{
		Schema: 3, Count: 3, Sum: 1.5,
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1, 1},
	}
	want := newDataset()
	want.add(requests, scrapeNumber(1), floatPoint(0.1))
	want.add(requests, scrapeNumber(2), staleMarker)
	want.add(latency, scrapeNumber(1), histogramPoint(native, nil))
	want.exemplars[ex] = requests

	for _, tc := range []struct {
		name  string
		plant func(got dataset)
		want  []string
	}{
		{"nothing", func(dataset) {}, nil},
		{"missing stale marker", func(got dataset) {
			got.remove(requests, scrapeNumber(2))
		}, []string{"missing /default/x {__name__=\"requests_total\", code=\"200\"}, scrape 2\n    expected stale marker"}},
		{"stale marker became an ordinary NaN", func(got dataset) {
			got.add(requests, scrapeNumber(2), floatPoint(math.Float64frombits(value.NormalNaN)))
		}, []string{"different /default/x {__name__=\"requests_total\", code=\"200\"}, scrape 2\n    expected stale marker\n    got      NaN (bits 7ff8000000000001)"}},
		{"one ULP", func(got dataset) {
			got.add(requests, scrapeNumber(1), floatPoint(math.Nextafter(0.1, 1)))
		}, []string{"different /default/x {__name__=\"requests_total\", code=\"200\"}, scrape 1\n    expected 0.1 (bits 3fb999999999999a)\n    got      0.10000000000000002 (bits 3fb999999999999b)"}},
		{"shifted timestamp", func(got dataset) {
			got.remove(requests, scrapeNumber(1))
			got.add(requests, instant{timestamp: 1001}, floatPoint(0.1))
		}, []string{
			"extra /default/x {__name__=\"requests_total\", code=\"200\"}, at 1001 ms\n    got      0.1 (bits 3fb999999999999a)",
			"missing /default/x {__name__=\"requests_total\", code=\"200\"}, scrape 1\n    expected 0.1 (bits 3fb999999999999a)",
		}},
		{"extra label", func(got dataset) {
			got.remove(latency, scrapeNumber(1))
			got.add(labels.NewBuilder(latency).Set("pod", "p").Labels(), scrapeNumber(1), want.samples[sampleKey{latency.String(), scrapeNumber(1)}])
		}, []string{
			"extra /default/x {__name__=\"latency\", pod=\"p\"}, scrape 1\n    got      integer histogram schema=3 count=3 sum=1.5(3ff8000000000000) zero=0 within 0 +0:1 +1:2",
			"missing /default/x {__name__=\"latency\"}, scrape 1\n    expected integer histogram schema=3 count=3 sum=1.5(3ff8000000000000) zero=0 within 0 +0:1 +1:2",
		}},
		{"runner label missing", func(got dataset) {
			got.remove(latency, scrapeNumber(1))
			got.add(labels.NewBuilder(latency).Del("runner").Set("exported_runner", "exact-runner").Labels(), scrapeNumber(1), want.samples[sampleKey{latency.String(), scrapeNumber(1)}])
		}, []string{
			"extra /default/x {__name__=\"latency\", exported_runner=\"exact-runner\"}, scrape 1\n    got      integer histogram schema=3 count=3 sum=1.5(3ff8000000000000) zero=0 within 0 +0:1 +1:2",
			"missing /default/x {__name__=\"latency\"}, scrape 1\n    expected integer histogram schema=3 count=3 sum=1.5(3ff8000000000000) zero=0 within 0 +0:1 +1:2",
		}},
		{"one bucket", func(got dataset) {
			h := native.Copy()
			h.PositiveBuckets[1] = 0
			got.add(latency, scrapeNumber(1), histogramPoint(h, nil))
		}, []string{"different /default/x {__name__=\"latency\"}, scrape 1\n    expected integer histogram schema=3 count=3 sum=1.5(3ff8000000000000) zero=0 within 0 +0:1 +1:2\n    got      integer histogram schema=3 count=3 sum=1.5(3ff8000000000000) zero=0 within 0 +0:1 +1:1"}},
		{"missing exemplar", func(got dataset) {
			delete(got.exemplars, ex)
		}, []string{"missing exemplar of /default/x {__name__=\"requests_total\", code=\"200\"}, scrape 1: {trace_id=\"a\"} 1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := want.clone()
			tc.plant(got)
			unexplained, exceptions, _ := explain(durable, facts{}, want, got, compare(want, got))
			var texts []string
			for _, d := range unexplained {
				texts = append(texts, d.String())
			}
			assert.Equal(t, tc.want, texts)
			assert.Empty(t, exceptions)
		})
	}
}

func TestHistogramLayoutIsNotADifference(t *testing.T) {
	oneSpan := &histogram.Histogram{Count: 2, PositiveSpans: []histogram.Span{{Offset: 1, Length: 4}}, PositiveBuckets: []int64{1, -1, 0, 1}}
	twoSpans := &histogram.Histogram{Count: 2, PositiveSpans: []histogram.Span{{Offset: 1, Length: 1}, {Offset: 2, Length: 1}}, PositiveBuckets: []int64{1, 0}}
	assert.Equal(t, histogramPoint(oneSpan, nil), histogramPoint(twoSpans, nil))

	floats := oneSpan.ToFloat(nil)
	assert.NotEqual(t, histogramPoint(oneSpan, nil), histogramPoint(nil, floats), "integer and float histograms differ")
	gauge := oneSpan.Copy()
	gauge.CounterResetHint = histogram.GaugeType
	assert.NotEqual(t, histogramPoint(oneSpan, nil), histogramPoint(gauge, nil), "a gauge histogram differs")
	negativeSum := oneSpan.Copy()
	negativeSum.Sum = math.Copysign(0, -1)
	assert.NotEqual(t, histogramPoint(oneSpan, nil), histogramPoint(negativeSum, nil), "the sum counts bit by bit")
	stale := &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}
	assert.Equal(t, "stale histogram", histogramPoint(stale, nil).String())
}

func TestClock(t *testing.T) {
	arrivals := []int64{1003, 2001, 3002, 4000, 5000}
	up := []prombackend.Sample{
		{T: 1000, F: 1},
		// The second scrape was lost on its way: the third is still the third.
		{T: 3002, F: 1},
		{T: 3998, F: 0},
		{T: 6000, F: math.Float64frombits(value.StaleNaN)},
	}
	c := newClock(up, arrivals)
	assert.Equal(t, 4, c.last)
	f := func(timestamp int64, want string, compared bool) {
		t.Helper()
		at, ok := c.at(timestamp, 3)
		assert.Equal(t, compared, ok)
		assert.Equal(t, want, at.String())
	}
	f(1000, "scrape 1", true)
	f(3002, "scrape 3", true)
	f(3998, "scrape 4", false) // after the last page
	f(6000, "when the target left", true)
	f(2001, "at 2001 ms", true) // no sample of `up` has it, so it is no scrape's timestamp
	f(-500, "at -500 ms", true)
}

// pagesAsDataset is what an ideal scraper stores of all pages, floats only, without report series.
func pagesAsDataset(t *testing.T) (facts, dataset) {
	t.Helper()
	targets, err := loadTargets(time.UnixMilli(1_800_000_000_000))
	require.NoError(t, err)
	scrapeConfig, err := configFiles.ReadFile("config/scrape.yaml")
	require.NoError(t, err)
	f, err := readFacts(targets, string(scrapeConfig))
	require.NoError(t, err)
	d := newDataset()
	for _, tg := range targets {
		if tg.name == "large" { // ten thousand times the same
			continue
		}
		for i, p := range f.pages[tg.path()] {
			if tg.pages[i].fault != noFault {
				continue
			}
			for name, samples := range p {
				if samples[0].native != nil || samples[0].float != nil {
					continue
				}
				at := scrapeNumber(i + 1)
				if samples[0].timestamp != nil {
					at = instant{timestamp: *samples[0].timestamp}
				}
				ls, err := parser.NewParser(parser.Options{}).ParseMetric(name)
				require.NoError(t, err)
				b := labels.NewBuilder(ls)
				stored(tg.path()).Range(func(l labels.Label) {
					if ls.Has(l.Name) {
						b.Set("exported_"+l.Name, ls.Get(l.Name))
					}
					b.Set(l.Name, l.Value)
				})
				d.add(b.Labels(), at, floatPoint(samples[0].value))
			}
		}
	}
	require.Greater(t, len(d.samples), 300)
	return f, d
}

// onPage returns the part of a dataset that is of one page.
func (d dataset) onPage(page string) dataset {
	part := newDataset()
	for key, p := range d.samples {
		if ls := d.series[key.series]; ls.Get(pageLabel) == page {
			part.add(ls, key.at, p)
		}
	}
	return part
}

// TestRulesAreNarrow plants one difference in each sample of every page. A value that is off by one ULP, a sample at
// another time and a sample under other labels may never pass as a known difference, and a missing sample only where
// a rule says that it is lost.
func TestRulesAreNarrow(t *testing.T) {
	for exporter, want := range map[string][]string{
		stock:     {"/default/openmetrics jobs_created", "/default/openmetrics latency_created", "/default/openmetrics sizes_created"},
		durable:   {},
		durableV1: {},
	} {
		t.Run(exporter, func(t *testing.T) { rulesAreNarrow(t, exporter, want) })
	}
}

func rulesAreNarrow(t *testing.T, exporter string, own []string) {
	t.Helper()
	f, all := pagesAsDataset(t)
	excused := map[string]bool{}
	for page := range f.pages {
		want := all.onPage(page)
		require.Empty(t, compare(want, want))
		count := func(k kind, plant func(got dataset)) int {
			got := want.clone()
			plant(got)
			unexplained, _, _ := explain(exporter, f, want, got, compare(want, got))
			return tally(unexplained)[k]
		}
		for key, p := range want.samples {
			ls := want.series[key.series]
			v := math.Float64frombits(p.bits)
			if math.IsNaN(v) {
				v = 1
			}
			require.Equal(t, 1, count(different, func(got dataset) {
				got.add(ls, key.at, floatPoint(math.Nextafter(v, 0.3)))
			}), "one ULP in %s, %s", brief(ls), key.at)
			require.Equal(t, 1, count(extra, func(got dataset) {
				got.remove(ls, key.at)
				got.add(ls, instant{timestamp: 42}, p)
			}), "shifted timestamp in %s, %s", brief(ls), key.at)
			require.Equal(t, 1, count(extra, func(got dataset) {
				got.remove(ls, key.at)
				got.add(labels.NewBuilder(ls).Set("pod", "p").Labels(), key.at, p)
			}), "extra label in %s, %s", brief(ls), key.at)
			if count(missing, func(got dataset) { got.remove(ls, key.at) }) == 0 {
				excused[page+" "+ls.Get(model.MetricNameLabel)] = true
			}
		}
	}
	assert.ElementsMatch(t, append(own,
		"/default/classic_gauge_histogram pending_seconds_count",
		"/default/classic_gauge_histogram pending_seconds_sum",
		"/default/odd_histograms buckets_only_bucket",
		"/default/odd_histograms decreasing_bucket",
		"/default/odd_histograms decreasing_count",
		"/default/odd_histograms decreasing_sum",
		"/default/odd_histograms no_count_bucket",
		"/default/odd_histograms no_count_sum",
		"/default/odd_histograms sum_only_sum",
		"/default/target_info target_info",
	), sortedKeys(excused))
}
