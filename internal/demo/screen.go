// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lineEvery is how often a screen that is not a terminal gets a line.
const lineEvery = 5 * time.Second

// ANSI sequences. Only a terminal gets them.
const (
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	green = "\x1b[32m"
	red   = "\x1b[31m"
	reset = "\x1b[0m"
	// upAndClear moves up by a number of lines and clears from there.
	upAndClear = "\x1b[%dA\x1b[J"
	// A line that is too long is cut at the edge: one that wrapped would be two lines, and upAndClear one short.
	noWrap = "\x1b[?7l"
	wrap   = "\x1b[?7h"
)

// screen shows a run to a person. A write that fails is not reported: the run matters, the reader may be gone.
type screen struct {
	out    io.Writer
	redraw bool
	color  bool
	keys   bool // the reader can kill the collector with a key
	drawn  int  // lines of the table that are on the terminal now
	last   time.Time
}

func newScreen(opts Options) *screen {
	return &screen{out: opts.Screen, redraw: opts.Redraw, color: opts.Color, keys: opts.Kill != nil}
}

// draw shows the state: the table in place of the last one, or a line now and then.
func (s *screen) draw(state State) {
	if s.redraw {
		s.table(state)
		return
	}
	if s.last.IsZero() {
		s.print(fmt.Sprintf("page: %s", state.Page))
	} else if time.Since(s.last) < lineEvery {
		return
	}
	s.last = time.Now()
	s.print(line(state))
}

func (s *screen) table(state State) {
	lines := table(state, s.paint, s.keys)
	if s.drawn > 0 {
		_, _ = fmt.Fprintf(s.out, upAndClear, s.drawn)
	}
	s.drawn = len(lines)
	if s.redraw {
		_, _ = io.WriteString(s.out, noWrap)
		defer func() { _, _ = io.WriteString(s.out, wrap) }()
	}
	s.print(lines...)
}

// notice says something beside the table.
func (s *screen) notice(text string) {
	if !s.redraw { // the table says its phase itself
		s.print(text)
	}
}

// finish shows the final table and the verdict.
func (s *screen) finish(state State) {
	s.table(state)
	s.print("")
	s.print(verdict(state.Result, s.paint)...)
}

func (s *screen) print(lines ...string) {
	for _, l := range lines {
		_, _ = fmt.Fprintln(s.out, l)
	}
}

// painter wraps a text in a colour, or does not.
type painter func(code, text string) string

func (s *screen) paint(code, text string) string {
	if !s.color {
		return text
	}
	return code + text + reset
}

// line is the state in one line.
func line(state State) string {
	r := state.Result
	text := fmt.Sprintf("%s %s  scraped %s  kept %s  dropped %s  backlog %s  delivered %s  in store %s  lost %s  sent %s  cpu %.1fs",
		clock(r.Seconds), state.Phase, count(r.Scraped), count(r.Kept), count(r.Scraped-r.Kept), count(r.Log.Backlog),
		count(r.Delivered), count(r.Queryable), lost(state), size(r.BytesSent), r.CPUSeconds)
	if r.Kills > 0 {
		text += fmt.Sprintf("  kills %s", count(r.Kills))
	}
	return text
}

// lost is the number of lost samples. Until the counts are final, what is missing is on its way, and what is too
// much was stored between two readings.
func lost(state State) string {
	switch {
	case state.Phase == Done:
		return count(state.Result.Lost)
	case state.Result.Lost > 0:
		return fmt.Sprintf("0 (%s on the way)", count(state.Result.Lost))
	}
	return "0"
}

func table(state State, paint painter, keys bool) []string {
	r := state.Result
	lines := []string{
		fmt.Sprintf("%s  %s", paint(bold, "runner demo"), progress(state)),
		paint(dim, state.Page),
		"",
		row("scraped", count(r.Scraped), "points", rate(r.Scraped, r)),
		row("kept", count(r.Kept), "points", rate(r.Kept, r)),
		row("dropped", count(r.Scraped-r.Kept), "points", rate(r.Scraped-r.Kept, r)),
	}
	for _, reason := range byCount(r.Dropped) {
		lines = append(lines, paint(dim, row("  "+reasonText(reason), count(r.Dropped[reason]), "", "")))
	}
	lines = append(lines,
		"",
		row("kept", count(r.KeptSamples), "samples", rate(r.KeptSamples, r)),
		row("in the log, to be sent", count(r.Log.Backlog), "samples", fmt.Sprintf("%s on disk, the oldest %.1f s old", size(r.Log.Bytes), r.Log.Age)),
		row("delivered", count(r.Delivered), "samples", rate(r.Delivered, r)),
		row("in the store", count(r.Queryable), "samples", fmt.Sprintf("%s series", count(r.Series))),
		lostRow(state, paint),
		killsRow(state, keys),
		"",
		row("sent", size(r.BytesSent), "", perSample(r)),
		row("collector", fmt.Sprintf("%.1f s", r.CPUSeconds), "cpu", fmt.Sprintf("%.0f%% of a core, %.0f MiB", percent(r.CPUSeconds, r.Seconds), r.RSSMiB)),
	)
	return lines
}

func row(name, value, unit, more string) string {
	return strings.TrimRight(fmt.Sprintf("  %-29s %12s %-8s %s", name, value, unit, more), " ")
}

func lostRow(state State, paint painter) string {
	r := state.Result
	switch {
	case state.Phase != Done && r.Lost > 0:
		return row("lost", "0", "samples", count(r.Lost)+" on the way")
	case state.Phase != Done:
		return row("lost", "0", "samples", "")
	case !r.Verified:
		return row("missing", count(r.Lost), "samples", "not checked: they may have been on the way")
	case r.Lost != 0:
		return paint(red, row("lost", count(r.Lost), "samples", ""))
	}
	return paint(green, row("lost", "0", "samples", ""))
}

func killsRow(state State, keys bool) string {
	more := ""
	if keys && (state.Phase == Starting || state.Phase == Running) {
		more = "k kills the collector"
	}
	return row("kill -9 of the collector", count(state.Result.Kills), "times", more)
}

func progress(state State) string {
	elapsed := clock(state.Result.Seconds)
	switch {
	case state.Phase == Starting:
		return "starting"
	case state.Phase == Checking:
		return elapsed + ", checking that every kept sample is stored (Ctrl-C skips it)"
	case state.Phase == Done:
		return elapsed
	case state.Planned > 0:
		return elapsed + " of " + clock(state.Planned)
	}
	return elapsed + ", Ctrl-C ends it"
}

// verdict is what the run showed, one line each.
func verdict(r Result, paint painter) []string {
	if len(r.Broken) > 0 {
		lines := make([]string, 0, len(r.Broken))
		for _, broken := range r.Broken {
			lines = append(lines, paint(red, "  BROKEN  ")+broken)
		}
		return lines
	}
	if !r.Verified {
		return []string{"  Ended before the final check: what is missing may have been on its way."}
	}
	ok := paint(green, "  ok  ")
	return []string{
		ok + fmt.Sprintf("every one of %s kept samples is in the store", count(r.KeptSamples)) + afterKills(r),
		ok + fmt.Sprintf("%s stored series, none from outside the runner", count(r.Series)),
		ok + fmt.Sprintf("another runner's identity on %s series, as exported_* only", count(r.SpoofedSeries)),
		ok + "the leaked token is not in the store",
		ok + fmt.Sprintf("first sample stored %.1f s after the collector started", r.SecondsToFirstSample),
	}
}

// afterKills says what the samples have survived.
func afterKills(r Result) string {
	switch r.Kills {
	case 0:
		return ""
	case 1:
		return ", and the collector was killed once"
	}
	return fmt.Sprintf(", and the collector was killed %s times", count(r.Kills))
}

// reasonText says a drop reason in words.
func reasonText(reason string) string {
	texts := map[string]string{
		"namespace":              "another namespace",
		"object_namespace":       "object of another namespace",
		"component":              "unlisted component",
		"metric":                 "unlisted metric",
		"secret":                 "secret in a label",
		"label_count":            "too many labels",
		"label_name_length":      "label name too long",
		"label_value_length":     "label value too long",
		"series_limit":           "series limit",
		"metric_series_limit":    "series limit of a metric",
		"component_series_limit": "series limit of a component",
		"collision":              "label collision",
		"stale":                  "stale, of a dropped series",
	}
	if text, ok := texts[reason]; ok {
		return text
	}
	return reason
}

// byCount lists the reasons, the most frequent first.
func byCount(reasons map[string]int64) []string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(reasons)), func(name string) bool { return reasons[name] == 0 })
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(reasons[b], reasons[a]) })
	return names
}

// count writes a number with separators for thousands.
func count(n int64) string {
	if n < 0 {
		return "-" + count(-n)
	}
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

func size(bytes int64) string {
	switch {
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	case bytes >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%d B", bytes)
}

func rate(n int64, r Result) string {
	if r.Seconds < 1 {
		return ""
	}
	return count(int64(float64(n)/r.Seconds)) + "/s"
}

func perSample(r Result) string {
	if r.Delivered == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f bytes a sample", float64(r.BytesSent)/float64(r.Delivered))
}

func percent(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * part / whole
}

func clock(seconds float64) string {
	d := time.Duration(seconds) * time.Second
	return fmt.Sprintf("%02d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
