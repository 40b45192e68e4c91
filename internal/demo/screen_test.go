// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func plain(_, text string) string { return text }

func someState(phase Phase) State {
	return State{
		Phase: phase, Planned: 60, Page: "http://127.0.0.1:4242/",
		Result: Result{
			Scraped: 1_234_567, Kept: 1_000_000, Dropped: map[string]int64{"metric": 200_000, "namespace": 34_567, "collision": 0},
			KeptSamples: 2_000_000, Delivered: 1_999_000, Queryable: 1_999_000, Lost: 1000, Series: 1500,
			Log:       Log{Accepted: 2_000_000, Acknowledged: 1_999_000, Backlog: 1000, Bytes: 1 << 20, Age: 0.7},
			BytesSent: 3 << 20, Requests: 400, CPUSeconds: 3, RSSMiB: 90.4, Seconds: 60, SecondsToFirstSample: 1.25, SpoofedSeries: 12,
		},
	}
}

func TestTable(t *testing.T) {
	got := strings.Join(table(someState(Running), plain, true), "\n")
	assert.Equal(t, `runner demo  01:00 of 01:00
http://127.0.0.1:4242/

  scraped                          1,234,567 points   20,576/s
  kept                             1,000,000 points   16,666/s
  dropped                            234,567 points   3,909/s
    unlisted metric                  200,000
    another namespace                 34,567

  kept                             2,000,000 samples  33,333/s
  in the log, to be sent               1,000 samples  1.0 MiB on disk, the oldest 0.7 s old
  delivered                        1,999,000 samples  33,316/s
  in the store                     1,999,000 samples  1,500 series
  lost                                     0 samples  1,000 on the way
  kill -9 of the collector                 0 times    k kills the collector

  sent                               3.0 MiB          1.6 bytes a sample
  collector                            3.0 s cpu      5% of a core, 90 MiB`, got)
}

func TestLostIsOnlyCertainAtTheEnd(t *testing.T) {
	at := func(phase Phase, verified bool, missing int64) string {
		state := someState(phase)
		state.Result.Verified, state.Result.Lost = verified, missing
		return strings.Join(strings.Fields(lostRow(state, plain)), " ")
	}
	assert.Equal(t, "lost 0 samples 7 on the way", at(Running, false, 7))
	assert.Equal(t, "lost 0 samples", at(Checking, false, -7))
	assert.Equal(t, "lost 7 samples", at(Done, true, 7))
	assert.Equal(t, "lost -7 samples", at(Done, true, -7))
	assert.Equal(t, "lost 0 samples", at(Done, true, 0))
	assert.Equal(t, "missing 7 samples not checked: they may have been on the way", at(Done, false, 7))
}

func TestLine(t *testing.T) {
	assert.Equal(t, "01:00 running  scraped 1,234,567  kept 1,000,000  dropped 234,567  backlog 1,000  delivered 1,999,000  "+
		"in store 1,999,000  lost 0 (1,000 on the way)  sent 3.0 MiB  cpu 3.0s", line(someState(Running)))
}

func TestVerdict(t *testing.T) {
	state := someState(Done)
	assert.Equal(t, []string{"  Ended before the final check: what is missing may have been on its way."}, verdict(state.Result, plain))

	state.Result.Verified = true
	assert.Contains(t, verdict(state.Result, plain), "  ok  every one of 2,000,000 kept samples is in the store")

	state.Result.Kills = 7
	assert.Contains(t, verdict(state.Result, plain), "  ok  every one of 2,000,000 kept samples is in the store, and the collector was killed 7 times")

	state.Result.Broken = []string{"lost: 3", "scope: 1"}
	assert.Equal(t, []string{"  BROKEN  lost: 3", "  BROKEN  scope: 1"}, verdict(state.Result, plain))
}

func TestScreen(t *testing.T) {
	t.Run("a terminal gets one table, redrawn in place", func(t *testing.T) {
		var out bytes.Buffer
		s := newScreen(Options{Screen: &out, Redraw: true})
		s.draw(someState(Running))
		s.notice("not on a terminal")
		s.draw(someState(Running))
		assert.Equal(t, 1, strings.Count(out.String(), "\x1b[18A\x1b[J"))
		assert.NotContains(t, out.String(), "not on a terminal")
	})
	t.Run("anything else gets lines without a control character", func(t *testing.T) {
		var out bytes.Buffer
		s := newScreen(Options{Screen: &out})
		s.draw(someState(Running))
		s.draw(someState(Running)) // too soon for another line
		s.notice("checking")
		s.finish(someState(Done))
		assert.NotContains(t, out.String(), "\x1b")
		assert.True(t, strings.HasPrefix(out.String(), "page: http://127.0.0.1:4242/\n01:00 running"), out.String())
		assert.Equal(t, 1, strings.Count(out.String(), "running"))
	})
	t.Run("colours only when asked for", func(t *testing.T) {
		var out bytes.Buffer
		newScreen(Options{Screen: &out, Redraw: true, Color: true}).draw(someState(Running))
		assert.Contains(t, out.String(), bold)
		out.Reset()
		newScreen(Options{Screen: &out, Redraw: true}).draw(someState(Running))
		assert.NotContains(t, out.String(), bold)
	})
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234: "-1,234", 1234567890: "1,234,567,890"} {
		assert.Equal(t, want, count(n))
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 5 << 20: "5.0 MiB"} {
		assert.Equal(t, want, size(n))
	}
	assert.Equal(t, "01:05", clock(65.9))
	assert.Equal(t, "120:00", clock(7200))
	assert.Equal(t, "series limit of a component", reasonText("component_series_limit"))
	assert.Equal(t, "a_new_reason", reasonText("a_new_reason"))
}
