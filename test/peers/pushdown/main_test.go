// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
)

// What is sent is what is counted, in all formats and at every step, and a tenth of it at most is in scope.
func TestPages(t *testing.T) {
	metrics, err := scope.NewMetrics("stage1", nil, nil)
	require.NoError(t, err)
	source, ok := scope.SeriesRegexp(metrics)
	require.True(t, ok)
	inScope := regexp.MustCompile("^(?:" + source + ")$")
	all, kept := 0, 0
	f := func(k kind, times int, of func(step int) *page) {
		t.Helper()
		s, err := newServed(k, of)
		require.NoError(t, err)
		server := httptest.NewServer(s)
		defer server.Close()
		bodies := map[string]bool{}
		for range steps {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/"+sideWith+metricsPath, http.NoBody)
			require.NoError(t, err)
			resp, err := http.DefaultClient.Do(req) // takes gzip apart
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, !resp.Uncompressed, !k.compressed)
			bodies[string(body)] = true
			names := parse(t, body, resp.Header.Get("Content-Type"))
			assert.Len(t, names, s.series)
			for _, name := range names {
				all += times
				if inScope.MatchString(name) {
					kept += times
				}
			}
		}
		assert.Len(t, bodies, steps, "values change")
		assert.Equal(t, int64(steps), s.scrapes[sideWith].Load())
		assert.Zero(t, s.scrapes[sideWithout].Load())
	}
	f(pythonKind, components/2, func(step int) *page { return component("tool-manager", seriesPerComponent, step) })
	f(goKind, components/2, func(step int) *page { return component("agent-manager", seriesPerComponent, step) })
	f(kubeStateKind, 1, func(step int) *page { return kubeStateMetrics(pods, step) })
	assert.GreaterOrEqual(t, all/steps, minExposed)
	assert.Less(t, float64(kept), maxKept*float64(all))
	assert.NotZero(t, kept)
}

// parse returns the names of the series.
func parse(t *testing.T, body []byte, contentType string) []string {
	t.Helper()
	p, err := textparse.New(body, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	require.NoError(t, err)
	var names []string
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		require.NoError(t, err)
		if entry == textparse.EntrySeries {
			var ls labels.Labels
			p.Labels(&ls)
			names = append(names, ls.Get("__name__"))
		}
	}
}

func TestFigures(t *testing.T) {
	b := &bench{options: options{rounds: 3}, targets: &targets{info: info{Series: 200_000}}}
	with := measurement{cpu: 1e9, elapsed: 1e10, exposed: 1e6, kept: 5e4, received: 6e4}
	without := with
	without.cpu = 4e9
	f := b.figures(map[string][]measurement{sideWith: {with, with, with}, sideWithout: {without, without, without}})
	assert.InDelta(t, 0.25, f.Ratio, 0)
	assert.Equal(t, 10_000, f.Kept)
	assert.InDelta(t, 0.06, f.AtScrape, 0)
	assert.InDelta(t, 1.0, f.CPU[sideWith], 0)
	assert.InDelta(t, 40.0, f.CPUCores[sideWithout], 0)
	require.NoError(t, f.check())
	assert.Contains(t, f.table(), "0.250 x the CPU without")

	broken := func(message string, change func(*figures)) {
		t.Helper()
		g := f
		change(&g)
		require.ErrorContains(t, g.check(), message)
	}
	broken("0.360 x the CPU without", func(f *figures) { f.Ratio = 0.36 })
	broken("NaN x the CPU without", func(f *figures) { f.Ratio = math.NaN() })
	broken("99999 series are exposed", func(f *figures) { f.Exposed = 99_999 })
	broken("11.0 % of what is exposed is kept", func(f *figures) { f.KeptShare = 0.11 })
	broken("more than nothing", func(f *figures) { f.Kept = 0 })
}

func TestEncodeIsComplete(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, encode(&b, kind{format: pythonKind.format}, newPage(0)))
	assert.Equal(t, "# EOF\n", b.String())
}
