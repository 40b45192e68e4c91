// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestPlanMakesExactlySoManyKills(t *testing.T) {
	for _, want := range [][2]int{{30, 10}, {0, 3}, {1, 0}, {2, 0}, {0, 0}, {3, 10}, {100, 7}} {
		for seed := range uint64(20) {
			collector, backend := 0, 0
			for _, s := range makePlan(seed, want[0], want[1]) {
				collector += costs[s.strike].collector
				backend += costs[s.strike].backend
			}
			assert.Equal(t, want, [2]int{collector, backend}, "seed %d", seed)
		}
	}
}

func TestPlanIsThatOfItsSeed(t *testing.T) {
	assert.Equal(t, makePlan(7, 30, 10), makePlan(7, 30, 10))
	assert.NotEqual(t, makePlan(7, 30, 10), makePlan(8, 30, 10))

	kinds := map[strike]int{}
	for _, s := range makePlan(7, 30, 10) {
		kinds[s.strike]++
	}
	assert.Len(t, kinds, len(costs), "30 and 10 kills are of every kind: %v", kinds)
}

func TestTargetsRemember(t *testing.T) {
	values := delivery.NewValues()
	pages := newTargets(2, 3, values)
	server := httptest.NewServer(pages)
	defer server.Close()
	get := func(path string) (int, string) {
		response, err := server.Client().Get(server.URL + path)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode, string(body)
	}
	_, first := get("/target-01?life=life-1")
	_, second := get("/target-01?life=life-2")
	assert.NotEqual(t, first, second)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(second))
	require.NoError(t, err)
	require.Len(t, families, 2)
	exposed := families["scraped_gauge"].GetMetric()
	require.Len(t, exposed, 2)
	assert.Equal(t, "target-01/002", exposed[1].GetLabel()[0].GetValue())
	assert.Equal(t, values.Value("target-01/002", 2), exposed[1].GetGauge().GetValue()) //nolint:testifylint // bit by bit
	assert.Equal(t, values.Value("target-01/001", 2), families["scraped_total"].GetMetric()[0].GetCounter().GetValue())

	for path, expected := range map[string]int{"/target-02": http.StatusNotFound, "/": http.StatusNotFound} {
		status, _ := get(path)
		assert.Equal(t, expected, status, path)
	}
	pages.close()
	status, _ := get("/target-01?life=life-2")
	assert.Equal(t, http.StatusServiceUnavailable, status)

	scrapes := pages.all()
	require.Len(t, scrapes, 2)
	assert.Equal(t, scrape{target: 1, number: 2, life: "life-2", at: scrapes[1].at, written: true}, scrapes[1])

	path := filepath.Join(t.TempDir(), "targets.json")
	require.NoError(t, pages.writeDiscovery(path, "127.0.0.1:1"))
	text, err := os.ReadFile(path) //nolint:gosec // the test's own
	require.NoError(t, err)
	assert.True(t, json.Valid(text))
	assert.Contains(t, string(text), `{"targets":["127.0.0.1:1"],"labels":{"__metrics_path__":"/target-01","instance":"target-01"}}`)
}

func TestSettle(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	up := func(seconds float64, up bool) report {
		return report{at.Add(time.Duration(seconds * float64(time.Second))).UnixMilli(), up}
	}
	s := func(number int, life string, seconds float64) scrape {
		return scrape{target: 1, number: number, life: life, at: at.Add(time.Duration(seconds * float64(time.Second))), written: true}
	}
	cut := s(2, "life-1", 1)
	cut.written = false
	killed := map[string]kill{"life-1": {}}
	for _, tc := range []struct {
		name     string
		scrapes  []scrape
		reports  []report
		expected []fate
	}{
		{"the last of a life that was killed", []scrape{s(1, "life-1", 0), s(2, "life-1", 1), s(3, "life-2", 2)}, nil, []fate{owed, inFlight, owed}},
		{"the last of a life that goes on", []scrape{s(1, "life-2", 0), s(2, "life-2", 1)}, nil, []fate{owed, owed}},
		{"not written, by a kill", []scrape{s(1, "life-1", 0), cut}, nil, []fate{owed, inFlight}},
		{"not written, without a kill", []scrape{cut, s(3, "life-1", 2), s(4, "life-2", 3)}, nil, []fate{failed, inFlight, owed}},
		{"reported as failed", []scrape{s(1, "life-2", 0), s(2, "life-2", 1)}, []report{up(-0.1, true), up(0.9, false)}, []fate{owed, failed}},
		{"the one before is reported as failed", []scrape{s(1, "life-2", 0), s(2, "life-2", 1)}, []report{up(-0.1, false), up(0.9, true)}, []fate{failed, owed}},
		{"a failure long before", []scrape{s(2, "life-2", 2)}, []report{up(0.9, false)}, []fate{owed}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			assert.Equal(t, tc.expected, settle(tc.scrapes, killed, map[string][]report{"target-01": tc.reports}))
		})
	}
}

func TestAwaitFile(t *testing.T) {
	dir := t.TempDir()
	go func() {
		for ctx := t.Context(); ctx.Err() == nil; time.Sleep(time.Millisecond) {
			if f, err := os.CreateTemp(dir, "CHECKPOINT"); err == nil {
				_ = f.Close()
			}
		}
	}()
	seen, err := awaitFile(t.Context(), dir, "CHECKPOINT", fsnotify.Create)
	require.NoError(t, err)
	assert.True(t, seen)

	file := filepath.Join(dir, "journal")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	go func() {
		for ctx := t.Context(); ctx.Err() == nil; time.Sleep(time.Millisecond) {
			_ = os.WriteFile(file, []byte("x"), 0o600) // the test's folder may be gone
		}
	}()
	seen, err = awaitWrite(t.Context(), file)
	require.NoError(t, err)
	assert.True(t, seen)

	_, err = awaitFile(t.Context(), filepath.Join(dir, "absent"), "CHECKPOINT", fsnotify.Create)
	assert.ErrorContains(t, err, "absent")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = awaitFile(ctx, dir, "segment-", fsnotify.Create)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestSummary(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	values := delivery.NewValues()
	o := outcome{
		verdict: delivery.Verdict{
			Exposed: 200, Stored: 149, Lost: []string{"x"}, Duplicated: []string{"y"},
			Missing: map[string][]float64{},
		},
		traffic: delivery.Traffic{Conflicts: []string{"z"}, OutOfOrder: []string{"w"}},
		scrapes: []scrape{{target: 1, number: 3, life: "life-1", at: at}, {target: 2, number: 3, life: "life-1", at: at}, {target: 1, number: 4}},
		fates:   []fate{inFlight, inFlight, failed}, values: values,
		kills: map[string]kill{"life-1": {number: 7, strike: atCut, at: at.Add(80 * time.Millisecond)}},
	}
	for series := range seriesPerTarget {
		id := seriesID(1, series)
		o.verdict.Missing[id] = []float64{values.Value(id, 3)}
	}
	var out bytes.Buffer
	res := summarize(&run{out: &out, exporter: "e", seed: 9}, o)
	assert.Equal(t, result{
		Exporter: "e", Seed: 9, Exposed: 200, Stored: 149, Lost: 1, Duplicated: 2, OutOfOrder: 1,
		InFlight: 50, InFlightAge: 0.08, FailedScrapes: 1, GivenUp: -1,
	}, res)
	assert.EqualError(t, res.broken(), "seed 9: 1 samples lost, 2 duplicated, 1 out of order, 0 given up by the exporter")
	assert.Error(t, result{GivenUp: 1}.broken())
	assert.NoError(t, result{GivenUp: -1}.broken())
	assert.Contains(t, out.String(), "in flight at kill 7 of the collector (segment cut): scrape 3 of target-01, begun 80ms before; 50 of 50 samples missing\n")
	assert.Contains(t, out.String(), "scrape 4 of target-01 failed: ")
	assert.NotContains(t, out.String(), "scrape 3 of target-02", "it is stored")
}

func TestUnknownExporter(t *testing.T) {
	var out, errs bytes.Buffer
	assert.Equal(t, 1, execute(t.Context(), []string{"--exporter", "x", "--keep", t.TempDir()}, &out, &errs))
	assert.Contains(t, errs.String(), `there is no configuration for the exporter "x"`)
	assert.Empty(t, out.String())
	assert.Equal(t, 2, execute(t.Context(), []string{"--seed", "x"}, &out, &errs))
	assert.Zero(t, execute(t.Context(), []string{"--help"}, &out, &errs))
}
