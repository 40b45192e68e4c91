// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/util/compression"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

// There are 24 rows at least; each has a name of its own, and says what it does.
func TestTable(t *testing.T) {
	rows := table()
	require.GreaterOrEqual(t, len(rows), 24)
	names := map[string]bool{}
	for _, x := range rows {
		require.NotEmpty(t, x.fault, x.name)
		require.NotNil(t, x.inject, x.name)
		name := unsafeInName.ReplaceAllString(strings.ToLower(x.name), "-")
		require.False(t, names[name], "two rows have the folder %s", name)
		names[name] = true
	}
	require.Len(t, selected(rows, regexp.MustCompile("^429")), 2)
}

func TestFlags(t *testing.T) {
	var out, errs bytes.Buffer
	require.Equal(t, 0, execute(context.Background(), []string{"--list", "--only", "^413$"}, &out, &errs))
	require.Contains(t, out.String(), "the receiver takes bodies up to a size")
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.Equal(t, 2, execute(context.Background(), []string{"--only", "no such row"}, &out, &errs))
	require.Contains(t, errs.String(), "no row matches --only no such row: --list shows them all")
	require.Equal(t, 2, execute(context.Background(), []string{"--only", "("}, &out, &errs))
	require.Equal(t, 2, execute(context.Background(), []string{"row"}, &out, &errs))
}

// write stores samples as the exporter would.
func write(t *testing.T, store *prombackend.Backend, samples ...sample) {
	t.Helper()
	for i, s := range samples {
		name, id, _ := strings.Cut(s.series, "/")
		plain, err := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
			Labels:  []prompb.Label{{Name: "__name__", Value: name}, {Name: idLabel, Value: id}},
			Samples: []prompb.Sample{{Timestamp: s.t, Value: float64(i)}},
		}}}).Marshal()
		require.NoError(t, err)
		wire, err := compression.Encode(compression.Snappy, plain, nil)
		require.NoError(t, err)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/write", bytes.NewReader(wire))
		r.Header.Set("Content-Type", "application/x-protobuf")
		r.Header.Set("Content-Encoding", "snappy")
		w := httptest.NewRecorder()
		store.Handler().ServeHTTP(w, r)
		require.Equal(t, http.StatusNoContent, w.Code, w.Body.String())
	}
}

func TestCompareFindsEachDifference(t *testing.T) {
	store, err := prombackend.Open(t.TempDir(), prombackend.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	at := func(series string, t int64, text string) sample { return sample{series, t, text} }
	write(t, store, at("m/a", 1000, "0"), at("m/a", 2000, "1"), at("m/b", 1000, "2"))

	all := newTruth()
	all.add(at("m/a", 1000, "0"), at("m/a", 2000, "1"), at("m/b", 1000, "2"))
	d, err := all.compare(t.Context(), store)
	require.NoError(t, err)
	require.Equal(t, difference{stored: 3}, d)

	other := newTruth()
	other.add(at("m/a", 1000, "0"), at("m/a", 2000, "5"), at("m/c", 1000, "2"))
	d, err = other.compare(t.Context(), store)
	require.NoError(t, err)
	require.Equal(t, difference{
		stored: 1, missing: []string{"m/c at 1000: 2"},
		wrong: []string{"m/a at 2000: 1 instead of 5", "m/b at 1000: 2, which nobody pushed"},
	}, d)

	all.forget(at("m/b", 1000, "2"))
	d, err = all.compare(t.Context(), store)
	require.NoError(t, err)
	require.Equal(t, []string{"m/b at 1000: 2, which nobody pushed"}, d.wrong)
}

// Whatever is not as wanted fails a row.
func TestJudge(t *testing.T) {
	good := func() (want, account, difference) {
		return want{dropped: map[string]int{"rejected": 2}, answers: map[string]int{"400": 1}, counted: map[string]int{"shards": 1}, log: []string{"said"}},
			account{
				"accepted_samples_total": 10, "acknowledged_samples_total": 8, "dropped_samples_total{rejected}": 2, "requests_total{400}": 1, "shards": 1,
			}, difference{stored: 8, missing: []string{"a", "b"}}
	}
	for name, x := range map[string]struct {
		spoil func(w *want, a account, d *difference)
		says  string
	}{
		"as wanted":    {func(*want, account, *difference) {}, ""},
		"not accepted": {func(_ *want, a account, _ *difference) { a["accepted_samples_total"] = 9 }, "accepted 9 samples, 10 were acknowledged to the client"},
		"lost":         {func(_ *want, _ account, d *difference) { d.missing = append(d.missing, "c") }, "3 samples are not stored, the account says 2: a; b; c"},
		"wrong":        {func(_ *want, _ account, d *difference) { d.wrong = []string{"x"} }, "1 samples are stored that should not be: x"},
		"other reason": {func(w *want, _ account, _ *difference) { w.dropped = nil }, "dropped as rejected: 2, wanted none"},
		"other number": {func(w *want, _ account, _ *difference) { w.dropped["rejected"] = 3 }, "dropped as rejected: 2, wanted 3"},
		"no reason":    {func(w *want, _ account, _ *difference) { w.quarantined = map[string]int{"other": some} }, "quarantined as other: 0, wanted some"},
		"expired":      {func(w *want, _ account, _ *difference) { w.expired = 1 }, "expired 0, wanted 1"},
		"answers":      {func(w *want, _ account, _ *difference) { w.answers["400"] = 2 }, `requests_total{status="400"} is 1, wanted at least 2`},
		"counted":      {func(w *want, _ account, _ *difference) { w.counted["shards"] = 2 }, "shards is 1, wanted 2"},
		"log":          {func(w *want, _ account, _ *difference) { w.log = []string{"not said"} }, `the log does not say "not said"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := &rig{ctx: t.Context(), dir: t.TempDir(), pushed: 10}
			writeFile(r, r.logPath(), "it was said")
			w, a, d := good()
			x.spoil(&w, a, &d)
			r.judge(w, a, d)
			if x.says == "" {
				require.Empty(t, r.failures)
				return
			}
			require.Equal(t, []string{x.says}, r.failures)
		})
	}
}

func TestAccount(t *testing.T) {
	a := account{
		"accepted_samples_total": 10, "acknowledged_samples_total": 3, "expired_samples_total": 1, "backlog_samples": 1,
		"quarantined_samples_total{other}": 2, "dropped_samples_total{max_age}": 1, "dropped_samples_total{log_full}": 1,
	}
	require.Equal(t, 1, a.open())
	require.Equal(t, 5, a.notStored())
	require.Equal(t, "accepted 10, acknowledged 3, expired 1, backlog 1, quarantined other x 2, dropped log_full x 1 max_age x 1", a.String())
}

func TestFrontTakesSeriesOut(t *testing.T) {
	var passed []sample
	f := &front{backend: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }), arrived: make(chan struct{})}
	f.set(func(c *call) {
		kept, rest, err := c.take(func(series string) bool { return series != "m/b" })
		require.NoError(t, err)
		passed = kept
		c.pass(c.ask(rest))
	})
	store, err := prombackend.Open(t.TempDir(), prombackend.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	f.backend = store.Handler()
	plain, err := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{
		{Labels: []prompb.Label{{Name: "__name__", Value: "m"}, {Name: idLabel, Value: "a"}}, Samples: []prompb.Sample{{Timestamp: 1, Value: 1}}},
		{Labels: []prompb.Label{{Name: "__name__", Value: "m"}, {Name: idLabel, Value: "b"}}, Samples: []prompb.Sample{{Timestamp: 1, Value: 1}}},
	}}).Marshal()
	require.NoError(t, err)
	wire, err := compression.Encode(compression.Snappy, plain, nil)
	require.NoError(t, err)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/write", bytes.NewReader(wire))
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("Content-Encoding", "snappy")
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	require.Equal(t, http.StatusNoContent, w.Code)
	require.Equal(t, []sample{{"m/a", 1, "1"}}, passed)
	require.True(t, f.all()[0].has("m/b"))
	truth := newTruth()
	truth.add(passed...)
	d, err := truth.compare(t.Context(), store)
	require.NoError(t, err)
	require.Equal(t, difference{stored: 1}, d)
}

// A row that fails unwinds, cleans up, and says why.
func TestRowThatFails(t *testing.T) {
	var cleaned []string
	x := row{name: "fails", inject: func(r *rig) {
		r.cleanup(func() error { cleaned = append(cleaned, "first"); return nil })
		r.cleanup(func() error { cleaned = append(cleaned, "second"); return nil })
		require.Fail(r, "on purpose")
		require.Fail(r, "never reached")
	}}
	res := runRow(t.Context(), x, "", t.TempDir(), newPorts())
	require.Len(t, res.failures, 1)
	require.Contains(t, res.failures[0], "on purpose")
	require.Equal(t, []string{"second", "first"}, cleaned)

	var done []string
	runRows(t.Context(), []row{{name: "a"}, {name: "b", alone: true}, {name: "c"}}, 2,
		func(x row) result { return result{name: x.name} }, func(r result) { done = append(done, r.name) })
	require.Equal(t, "b", done[0])
	slices.Sort(done)
	require.Equal(t, []string{"a", "b", "c"}, done)
}
