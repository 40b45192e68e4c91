// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

const plainConfig = `
scrape_configs:
  - job_name: a
    scrape_interval: 30s
    static_configs: [{targets: ["10.0.0.1:80"]}]
`

// upOf is the last value of up.
func upOf(t *testing.T, r *Result) float64 {
	t.Helper()
	up := r.Live(r.Until, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "up"))
	require.Len(t, up, 1)
	return up[0].Samples[len(up[0].Samples)-1].F
}

// What a target can answer. Each is a result: the scrape fails, or part of it does, as it would in a cluster.
func TestHostilePages(t *testing.T) {
	c := loadConfig(t, plainConfig, nil)
	pages := map[string]scene.PageSpec{
		"garbage":           {Text: string([]byte{0xff, 0xfe, 0, 1, 2})},
		"html":              {Text: "<html>", ContentType: "text/html"},
		"no type":           {Text: "a 1\n", ContentType: " "},
		"broken protobuf":   {Text: "\xff\xff\xff\xff\x0f", ContentType: contentTypeProtobuf},
		"huge varint":       {Text: "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", ContentType: contentTypeProtobuf},
		"endless label":     {Text: `a{b="` + strings.Repeat("x", 1<<20) + `"} 1` + "\n"},
		"unterminated":      {Text: `a{b="x`},
		"series twice":      {Text: "a 1\na 2\n"},
		"far in the future": {Text: "a 1 99999999999999\n"},
		"redirect":          {Status: 302},
		"nothing":           {Status: 204},
		"no EOF":            {Text: "a 1\n", ContentType: "application/openmetrics-text; version=1.0.0"},
	}
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			s, err := (&scene.Spec{Pages: map[string]scene.PageSpec{"10.0.0.1:80/metrics": page}}).Load(".")
			require.NoError(t, err)
			r, err := New(virtualtime.FromTest(t)).Run(t.Context(), c, s)
			require.NoError(t, err)
			upOf(t, r)
		})
	}
}

const contentTypeProtobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

// TestLargePage runs a page that is as large as one may be, with the limit of the reference configuration and without one.
func TestLargePage(t *testing.T) {
	dir := t.TempDir()
	var page strings.Builder
	for i := 0; page.Len() < 33<<20; i++ {
		fmt.Fprintf(&page, "some_metric_with_a_name{path=\"/%09d/%s\"} 1\n", i, strings.Repeat("x", 200))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "large.prom"), []byte(page.String()), 0o600))
	s, err := (&scene.Spec{Pages: map[string]scene.PageSpec{"10.0.0.1:80/metrics": {File: "large.prom"}}}).Load(dir)
	require.NoError(t, err)
	for limit, want := range map[string]float64{"32MiB": 0, "0": 1} {
		c := loadConfig(t, plainConfig+"    body_size_limit: "+limit+"\n", nil)
		start := time.Now()
		r, err := New(virtualtime.FromTest(t)).Run(t.Context(), c, s, 0)
		require.NoError(t, err)
		assert.InDelta(t, want, upOf(t, r), 0, limit)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		t.Logf("limit %s: %d series, %s, %d MiB from the system", limit, len(r.Series), time.Since(start).Round(time.Millisecond), m.Sys>>20)
	}

	several := loadConfig(t, strings.Replace(plainConfig, `["10.0.0.1:80"]`, `["10.0.0.1:80", "10.0.0.2:80"]`, 1), nil)
	s, err = (&scene.Spec{Pages: map[string]scene.PageSpec{
		"10.0.0.1:80/metrics": {File: "large.prom"}, "10.0.0.2:80/metrics": {File: "large.prom"},
	}}).Load(dir)
	require.NoError(t, err)
	_, err = New(virtualtime.FromTest(t)).Run(t.Context(), several, s)
	require.ErrorContains(t, err, "the targets of the scene expose 66 MiB at once, and 64 MiB can be run")
}

func TestHostileConfigurations(t *testing.T) {
	s := loadScene(t, "{}")
	rule := func(rule string) string {
		return plainConfig + "    relabel_configs: [" + rule + "]\n"
	}
	for text, want := range map[string]string{
		rule(`{source_labels: [a], regex: "(a{1000}){1000}", action: keep}`):            "invalid repeat count",
		rule(`{source_labels: [a], regex: "(", action: keep}`):                          "missing closing )",
		rule(`{action: explode}`):                                                       `unknown relabel action "explode"`,
		plainConfig + "    scrape_timeout: 1h\n":                                        "scrape timeout greater than scrape interval",
		plainConfig + "    nope: 1\n":                                                   "field nope not found",
		strings.Replace(plainConfig, "30s", "1ms", 1):                                   "",
		rule(`{source_labels: [__address__], regex: "(.*)*(.*)*(.*)*x", action: drop}`): "",
		rule(`{target_label: __scrape_interval__, replacement: "0s"}`):                  "",
		rule(`{target_label: __address__, replacement: "a b c"}`):                       "",
		rule(`{target_label: __scheme__, replacement: "gopher"}`):                       "",
	} {
		file, err := configfile.Parse("config.yaml", []byte(text))
		require.NoError(t, err, text)
		c, err := Load(file, nil)
		if err == nil {
			_, err = New(virtualtime.FromTest(t)).Run(t.Context(), c, s, time.Second)
		}
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, want, text)
	}
}

func TestRunIsBounded(t *testing.T) {
	c := loadConfig(t, plainConfig, nil)
	s := loadScene(t, "{}")
	engine := New(virtualtime.FromTest(t))
	_, err := engine.Run(t.Context(), c, s, 8*24*time.Hour)
	require.ErrorContains(t, err, "times are from 0 to 168h0m0s after the first scrape")
	_, err = engine.Run(t.Context(), c, s, -time.Second)
	require.Error(t, err)

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = engine.Run(cancelled, c, s, time.Hour)
	require.ErrorIs(t, err, context.Canceled)
}

// FuzzPage scrapes anything that a target may answer.
func FuzzPage(f *testing.F) {
	f.Add([]byte("# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n"), uint8(0))
	f.Add([]byte("# TYPE a counter\na_total 1 # {trace=\"x\"} 1\na_created 1\n# EOF\n"), uint8(1))
	f.Add([]byte("\x0a\x01a\x18\x00"), uint8(2))
	f.Add([]byte("{\"utf8.name\",\"a b\"=\"c\"} NaN\nup 3\ntarget_info{app=\"x\"} 1\n"), uint8(0))
	f.Fuzz(func(t *testing.T, body []byte, kind uint8) {
		types := []string{"text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0", contentTypeProtobuf, "text/plain; version=1.0.0"}
		page := scene.PageSpec{Text: string(body) + " ", ContentType: types[int(kind)%len(types)]}
		s, err := (&scene.Spec{Namespace: "runner", Pages: map[string]scene.PageSpec{"10.0.0.0:8080/metrics": page}}).Load(".")
		require.NoError(t, err)
		c := loadConfig(t, strings.Replace(plainConfig, "10.0.0.1:80", "10.0.0.0:8080", 1)+"    scrape_native_histograms: true\n    always_scrape_classic_histograms: true\n", nil)
		r, err := New(virtualtime.FromTest(t)).Run(t.Context(), c, s, 30*time.Second)
		require.NoError(t, err)
		upOf(t, r)
	})
}

// TestMutatedPages scrapes a thousand targets at once, each with a page that was broken in its own way. Fuzzing does the same with
// more thought and a hundred times slower: all of the collector is instrumented.
func TestMutatedPages(t *testing.T) {
	seeds := []scene.PageSpec{
		{Text: "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n# TYPE b summary\nb{quantile=\"0.5\"} 1\nb_sum 1\nb_count 1\n"},
		{Text: "# TYPE a counter\n# UNIT a seconds\na_total 1 # {trace=\"x\"} 1 1.0\na_created 1\n# TYPE i info\ni_info{a=\"b\"} 1\n# EOF\n", ContentType: "application/openmetrics-text; version=1.0.0"},
		{Text: "\x1b\x0a\x01a\x12\x04help\x18\x04\x22\x10\x3a\x0e\x08\x02\x11\x00\x00\x00\x00\x00\x00\x08\x40\x28\x04\x62\x00", ContentType: contentTypeProtobuf},
		{Text: "{\"utf8.name\",\"a b\"=\"c\"} NaN\nup 3\ntarget_info{app=\"x\"} 1\n", ContentType: "text/plain; version=1.0.0"},
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same pages in every run
	const targets = 1000
	pages := map[string]scene.PageSpec{}
	for i := range targets {
		page := seeds[random.IntN(len(seeds))]
		body := []byte(page.Text)
		for range random.IntN(3) {
			at := random.IntN(len(body))
			switch random.IntN(4) {
			case 0:
				body[at] = byte(random.IntN(256)) //nolint:gosec // it fits
			case 1:
				body[at] ^= 1 << random.IntN(8)
			case 2:
				body = append(body[:at:at], body[min(len(body)-1, at+1+random.IntN(8)):]...)
			case 3:
				body = slices.Insert(body, at, body[:at]...)
			}
		}
		page.Text = string(body)
		pages[fmt.Sprintf("10.0.%d.%d:80/metrics", i/256, i%256)] = page
	}
	s, err := (&scene.Spec{Pages: pages}).Load(".")
	require.NoError(t, err)
	list := strings.ReplaceAll(addresses(targets, `"%s"`), ":8080", ":80")
	c := loadConfig(t, strings.Replace(plainConfig, `"10.0.0.1:80"`, list, 1)+"    scrape_native_histograms: true\n    always_scrape_classic_histograms: true\n", nil)
	r, err := New(virtualtime.FromTest(t)).Run(t.Context(), c, s, 0)
	require.NoError(t, err)
	up, down := 0, 0
	for _, series := range r.Live(0, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "up")) {
		if series.Samples[0].F == 1 {
			up++
		} else {
			down++
		}
	}
	// A page that exposes a series up takes the place of the scrape's own.
	assert.GreaterOrEqual(t, up+down, targets*9/10)
	assert.Greater(t, up, targets/10)
	assert.Greater(t, down, targets/10)
}
