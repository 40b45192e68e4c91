// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

// point is one sample of a test.
type point struct {
	labels labels.Labels
	t      int64
	v      float64
}

// filled returns a path whose backend has the points.
func filled(t *testing.T, asked string, points ...point) *path {
	t.Helper()
	p := &path{name: asked, asked: asked, dir: t.TempDir()}
	store, err := prombackend.Open(filepath.Join(p.dir, "tsdb"), prombackend.Options{})
	require.NoError(t, err)
	appender := store.DB().Appender(context.Background())
	for _, s := range points {
		_, err := appender.Append(0, s.labels, s.t, s.v)
		require.NoError(t, err)
	}
	require.NoError(t, appender.Commit())
	require.NoError(t, store.Close())
	return p
}

func series(pairs ...string) labels.Labels { return labels.FromStrings(pairs...) }

// served are targets that have been scraped so often by each path.
func served(scrapes int, paths ...string) *targets {
	t := &targets{}
	for _, path := range paths {
		for i := range scrapes {
			t.scrapes = append(t.scrapes, scrape{path: path, target: "pod-00", number: i + 1, written: true})
		}
	}
	return t
}

func TestCompare(t *testing.T) {
	const instance = "pod-00:8080"
	a := series("__name__", "a_total", "instance", instance)
	one := func(v float64) []point { return []point{{a, 1000, 1}, {a, 2000, v}} }

	f := func(name string, before, after []point, explained, other string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			c := comparison{targets: served(2, "old", "ours")}
			require.NoError(t, c.compare(t.Context(), filled(t, "old", before...), filled(t, "ours", after...)))
			if explained == "" {
				assert.Empty(t, c.explained)
			} else {
				require.Len(t, c.explained, 1)
				assert.Contains(t, c.explained[0], explained)
			}
			if other == "" {
				assert.NoError(t, c.err())
			} else {
				assert.ErrorContains(t, c.err(), other)
			}
		})
	}
	f("the same", one(2), one(2), "", "")
	f("a stale marker more", one(2), append(one(2), point{a, 3000, math.Float64frombits(value.StaleNaN)}), "", "")
	f("another value", one(2), one(3), "", `other values: {__name__="a_total", instance="pod-00:8080"}`)
	f("a sample less", one(2), one(2)[:1], "", "ours stored 1 samples of the 2 that were served")
	b := series("__name__", "b_total", "instance", instance)
	f("a series more", one(2), append(one(2), point{b, 1000, 1}, point{b, 2000, 1}), "", `only without NATS: {__name__="b_total"`)
	f("a series less", append(one(2), point{b, 1000, 1}, point{b, 2000, 1}), one(2), "", `only over NATS: {__name__="b_total"`)

	le := func(text string) []point {
		s := series("__name__", "c_bucket", "instance", instance, "le", text)
		return []point{{s, 1000, 1}, {s, 2000, 2}}
	}
	f("a number written otherwise", le("1"), le("1.0"), "label le: 1 over NATS is 1.0 now", "")
}

func TestCompareExplainsCollapsedInstances(t *testing.T) {
	collapsed := series("__name__", "a_total", "instance", "acme")
	c := comparison{targets: &targets{scrapes: []scrape{{path: "ours", target: "pod-00"}, {path: "ours", target: "pod-01"}}}}
	require.NoError(t, c.compare(t.Context(),
		filled(t, "old", point{collapsed, 1000, 1}, point{collapsed, 1500, 1}),
		filled(t, "ours", point{series("__name__", "a_total", "instance", "pod-00:8080"), 1000, 1}, point{series("__name__", "a_total", "instance", "pod-01:8080"), 1500, 1})))
	require.NoError(t, c.err())
	require.Len(t, c.explained, 1)
	assert.Contains(t, c.explained[0], "(2 series were 1)")
}

// Of three scrapes the second is not stored: it is lost, unless the collector was killed so soon after it that it may have been at work on it.
func TestAccount(t *testing.T) {
	values := delivery.NewValues()
	start := time.UnixMilli(1_000_000)
	var points []point
	var scrapes []scrape
	for n := 1; n <= 3; n++ {
		scrapes = append(scrapes, scrape{target: "pod-00", number: n, at: start.Add(time.Duration(n) * 10 * time.Second), written: true})
		for i := range faultSeries {
			if id := seriesID("pod-00", i); n != 2 {
				points = append(points, point{series("__name__", "scraped_total", idLabel, id), scrapes[n-1].at.UnixMilli(), values.Value(id, n)})
			}
		}
	}
	p := filled(t, "ours", points...)
	times := []time.Time{start, start.Add(15 * time.Second), start.Add(time.Hour)}
	l, err := p.account(t.Context(), values, scrapes, times, 0)
	require.NoError(t, err)
	assert.Equal(t, 3*faultSeries, l.Owed)
	assert.Equal(t, faultSeries, l.Lost)
	assert.Equal(t, faultSeries, l.Faults[faults[1].name], "counted with the fault during which it was scraped")

	l, err = p.account(t.Context(), values, scrapes, times, faultSeries)
	require.NoError(t, err)
	assert.Zero(t, l.Lost, "what was refused is not lost")
	assert.Positive(t, l.Missing[faults[1].name])

	p.killed = []time.Time{scrapes[1].at.Add(inFlight / 2)}
	l, err = p.account(t.Context(), values, scrapes, times, 0)
	require.NoError(t, err)
	assert.Zero(t, l.Lost)

	scrapes[1].written = false
	p.killed = nil
	l, err = p.account(t.Context(), values, scrapes, times, 0)
	require.NoError(t, err)
	assert.Zero(t, l.Lost, "the collector did not get the page")
}

func TestPercentile(t *testing.T) {
	late := map[int]int64{10: 98, 20: 1, 30: 1}
	assert.Equal(t, 10, percentile(late, 0.5))
	assert.Equal(t, 20, percentile(late, 0.99))
	assert.Equal(t, 30, percentile(late, 1))
}

func TestPromises(t *testing.T) {
	costs := map[string]cost{
		ours: {CPU: 3, Wire: 10, Disk: 10, P99: 100}, core: {CPU: 10, Wire: 100, P99: 300}, jetstream: {CPU: 12, Wire: 90, Disk: 90, P99: 250},
	}
	losses := map[string]loss{ours: {Owed: 10}, core: {Owed: 10, Lost: 5}, jetstream: {Owed: 10, Lost: 1}}
	f := newFigures(costs, losses, nil)
	require.NoError(t, f.check())
	assert.InDelta(t, 0.3, f.CPU, 1e-9, "of the better of the two")
	assert.InDelta(t, 0.2, f.Bytes, 1e-9)
	assert.InDelta(t, 0.4, f.Freshness, 1e-9)
	assert.Equal(t, map[string]int{ours: 0, core: 5, jetstream: 1}, f.Lost)

	costs[ours] = cost{CPU: 4, Wire: 30, P99: 125}
	losses[ours] = loss{Owed: 10, Lost: 1}
	err := newFigures(costs, losses, nil).check()
	for _, want := range []string{"cpu_ratio", "bytes_ratio", "freshness_p99_ratio", "ours lost 1 samples"} {
		assert.ErrorContains(t, err, want)
	}
}

// What was refused has not arrived.
func TestRecorderCountsWhatWasTaken(t *testing.T) {
	r := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }), seen: arrivals{Late: map[int]int64{}}}
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, writePath, http.NoBody))
	assert.Equal(t, http.StatusBadRequest, answer.Code)
	assert.Zero(t, r.seen.Bytes)
}
