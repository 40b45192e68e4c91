// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

// timedScene has one page, whose samples have times of their own.
func timedScene(contentType, text string) string {
	return fmt.Sprintf("{pages: {'10.0.0.1:80/metrics': {content_type: '%s', text: %q}}}", contentType, text)
}

const timedConfig = `[{job_name: a, scrape_interval: 30s, static_configs: [{targets: ["10.0.0.1:80"]}]}]`

func TestTimesOfPagesThatDoNotFitAreNoted(t *testing.T) {
	const openMetrics = "application/openmetrics-text; version=1.0.0"
	start := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	ms := func(d time.Duration) string { return fmt.Sprint(start.Add(d).UnixMilli()) }
	for name, test := range map[string]struct{ config, contentType, page, note string }{
		"none":         {page: "x 1\ny 2\n"},
		"fitting":      {page: "x 1 " + ms(0) + "\ny 1 " + ms(-299*time.Second) + "\n"},
		"not honoured": {config: strings.Replace(timedConfig, "job_name", "honor_timestamps: false, job_name", 1), page: "x 1 " + ms(time.Hour) + "\n"},
		"ahead":        {page: "x 1 " + ms(time.Hour+time.Millisecond) + "\nz 1\n", note: "from 2026-01-01T01:00:00Z to 2026-01-01T01:00:00Z, and is scraped first at 2026-01-01T00:00:00Z"},
		"a start":      {page: "x 1 " + ms(time.Hour+time.Millisecond) + "\n", note: "give the scene `start: 2026-01-01T01:00:01Z`, or the job a `honor_timestamps: false`"},
		"to come":      {page: "x 1 " + ms(31*time.Second) + "\n", note: "`start: 2026-01-01T00:00:31Z`"},
		"old":          {page: "x 1 " + ms(-5*time.Minute) + "\n", note: "`start: 2025-12-31T23:55:00Z`"},
		"some old":     {page: "x 1 " + ms(0) + "\ny 1 " + ms(-time.Hour) + "\n", note: "give the job a `honor_timestamps: false`"},
		"seconds":      {page: "x 1 1767225600\n", note: "give the job a `honor_timestamps: false`"},
		"openmetrics":  {contentType: openMetrics, page: "# TYPE x gauge\nx 1 1767229200.5\n# EOF\n", note: "`start: 2026-01-01T01:00:01Z`"},
		"broken":       {page: "x 1 " + ms(time.Hour) + "\n{{{\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.config == "" {
				test.config = timedConfig
			}
			r, err := New(virtualtime.FromTest(t)).Run(t.Context(), loadConfig(t, test.config, nil), loadScene(t, timedScene(test.contentType, test.page)), 30*time.Second)
			require.NoError(t, err)
			if test.note == "" {
				assert.Empty(t, r.Notes)
				return
			}
			require.Len(t, r.Notes, 1)
			assert.Contains(t, r.Notes[0], "the page 10.0.0.1:80/metrics gives samples times of its own")
			assert.Contains(t, r.Notes[0], test.note)
		})
	}
}

// What a note proposes is enough.
func TestProposedStartFits(t *testing.T) {
	page := "x 1 1767229200500\ny 1 1767229180000\n"
	e := New(virtualtime.FromTest(t))
	s := loadScene(t, timedScene("", page))
	s.Start = time.Date(2026, time.January, 1, 1, 0, 1, 0, time.UTC)
	r, err := e.Run(t.Context(), loadConfig(t, timedConfig, nil), s, 0)
	require.NoError(t, err)
	assert.Empty(t, r.Notes)
	assert.Subset(t, format(r.Live(0)), []string{
		`{__name__="x", instance="10.0.0.1:80", job="a"} 1`, `{__name__="y", instance="10.0.0.1:80", job="a"} 1`,
	})
}

func TestManyPagesGiveFewNotes(t *testing.T) {
	pages, targets := "", ""
	for i := range maxPageNotes + 2 {
		pages += fmt.Sprintf("'10.0.0.%d:80/metrics': {text: \"x 1 1000\\n\"}, ", i)
		targets += fmt.Sprintf("'10.0.0.%d:80', ", i)
	}
	c := loadConfig(t, strings.Replace(timedConfig, `"10.0.0.1:80"`, targets, 1), nil)
	r, err := New(virtualtime.FromTest(t)).Run(t.Context(), c, loadScene(t, "{pages: {"+pages+"}}"), 0)
	require.NoError(t, err)
	require.Len(t, r.Notes, maxPageNotes+1)
	assert.Equal(t, "2 more pages have times of their own that do not fit the scene", r.Notes[maxPageNotes])
}

// Without rules every series is handed over, and says why its sample is not to be found.
func TestUntimely(t *testing.T) {
	e, c := New(virtualtime.FromTest(t)), loadConfig(t, timedConfig, nil)
	s := loadScene(t, timedScene("", "x 1 1798761600000\ny 1\nz 1 1000\nnow 1 1767225600000\nsoon 1 1767225601000\n"))
	all, err := e.Scrape(t.Context(), c, s, 0, false)
	require.NoError(t, err)
	require.Len(t, all[0].Series, 5)
	for i, want := range []struct {
		why     string
		dropped bool
	}{
		{"Prometheus drops it, because the page gives it the time 2027-01-01T00:00:00Z, more than 10 minutes after that of the scrape, 2026-01-01T00:00:00Z", true},
		{"", false},
		{"at which no query of now looks", false},
		{"", false},
		{"still to come", false},
	} {
		why, dropped, err := all[0].Untimely(i)
		require.NoError(t, err)
		assert.Equal(t, want.dropped, dropped, i)
		if want.why == "" {
			assert.Empty(t, why, i)
		}
		assert.Contains(t, why, want.why, i)
	}
	all, err = e.Scrape(t.Context(), c, s, 0, true)
	require.NoError(t, err)
	assert.Len(t, all[0].Series, 4, "the scraper that runs drops what is too far ahead")
}
