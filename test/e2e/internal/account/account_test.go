// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/account"
)

var began = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return began.Add(time.Duration(seconds * float64(time.Second))) }

var target = account.Target{Namespace: "runner", Pod: "agent-manager-0", Life: "x"}

// whole is a complete scrape every 2 s, from 1 on.
func whole(number int, from string) account.Scrape {
	return account.Scrape{Number: number, At: at(2 * float64(number)), From: from, Complete: true}
}

func TestFates(t *testing.T) {
	const a, b = "10.0.0.1", "10.0.0.2"
	torn := whole(2, a)
	torn.Complete = false
	for name, tc := range map[string]struct {
		scrapes []account.Scrape
		ends    map[string][]time.Time
		reports []account.Report
		want    []account.Fate
	}{
		"a collector that goes on": {
			scrapes: []account.Scrape{whole(1, a), whole(2, a)},
			want:    []account.Fate{account.Owed, account.Owed},
		},
		"a page that did not go out": {
			scrapes: []account.Scrape{whole(1, a), torn, whole(3, a)},
			want:    []account.Fate{account.Owed, account.Failed, account.Owed},
		},
		"a page that the collector reports as failed": {
			scrapes: []account.Scrape{whole(1, a), whole(2, a)},
			reports: []account.Report{{At: at(1.9), Up: true}, {At: at(3.2), Up: false}},
			want:    []account.Fate{account.Owed, account.Failed},
		},
		"the last of a collector that ended may have been in flight": {
			scrapes: []account.Scrape{whole(1, a), whole(2, a), whole(3, b), whole(4, b)},
			ends:    map[string][]time.Time{a: {at(4.5)}},
			want:    []account.Fate{account.Owed, account.InFlight, account.Owed, account.Owed},
		},
		"a collector that comes back with its address": {
			scrapes: []account.Scrape{whole(1, a), whole(2, a), whole(3, a)},
			ends:    map[string][]time.Time{a: {at(4.5)}},
			want:    []account.Fate{account.Owed, account.InFlight, account.Owed},
		},
		"the end of another collector": {
			scrapes: []account.Scrape{whole(1, a), whole(2, a)},
			ends:    map[string][]time.Time{b: {at(4.5)}},
			want:    []account.Fate{account.Owed, account.Owed},
		},
		"two collectors at a time, and then one alone": {
			scrapes: []account.Scrape{whole(1, a), whole(2, b), whole(3, a), whole(4, b)},
			want:    []account.Fate{account.Shared, account.Shared, account.Shared, account.Shared},
		},
		"one collector after the other": {
			scrapes: []account.Scrape{whole(1, a), whole(2, a), whole(3, b), whole(4, b)},
			want:    []account.Fate{account.Owed, account.Owed, account.Owed, account.Owed},
		},
		"a scrape after the end of the accounting": {
			scrapes: []account.Scrape{whole(4, a), whole(5, a)},
			want:    []account.Fate{account.Owed, account.InFlight},
		},
		"two ends": {
			scrapes: []account.Scrape{whole(1, a), whole(2, a), whole(3, a), whole(4, a)},
			ends:    map[string][]time.Time{a: {at(6.5), at(2.5)}},
			want:    []account.Fate{account.InFlight, account.Owed, account.InFlight, account.Owed},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var book account.Book
			book.Add(target, tc.scrapes...)
			for address, ends := range tc.ends {
				for _, end := range ends {
					book.End(address, end)
				}
			}
			scrapes, fates := book.Settle(target, tc.reports, at(9))
			assert.Equal(t, tc.scrapes, scrapes)
			assert.Equal(t, tc.want, fates)
		})
	}
}

func TestNotedTwiceIsNotedOnce(t *testing.T) {
	var book account.Book
	book.Add(target, whole(2, "a"))
	book.Add(target, whole(1, "a"), whole(2, "a"))
	assert.Equal(t, []account.Scrape{whole(1, "a"), whole(2, "a")}, book.Scrapes(target, time.Time{}))
	assert.Equal(t, []account.Scrape{whole(2, "a")}, book.Scrapes(target, at(3)))
	assert.Equal(t, []account.Target{target}, book.Targets())
}

func TestCompare(t *testing.T) {
	scrapes := []account.Scrape{whole(1, "a"), whole(2, "a"), whole(3, "a"), whole(4, "a"), whole(6, "a")}
	fates := []account.Fate{account.Owed, account.Owed, account.InFlight, account.Failed, account.Owed}
	var v account.Verdict
	v.Compare(target, scrapes, fates, []string{"00", "01"}, account.Stored{
		"00": {1: {at(2)}, 2: {at(4)}, 3: {at(6)}, 6: {at(12), at(14)}, 5: {at(10)}, 7: {at(14)}},
		"01": {1: {at(2)}, 6: {at(12)}},
	})
	assert.Equal(t, account.Verdict{
		Exposed: 8, Stored: 6, InFlight: 1, FailedScrapes: 1,
		Lost:    []string{"runner/agent-manager-0 01: scrape 2 of 12:00:04.000 by a"},
		Twice:   []string{"runner/agent-manager-0 00: scrape 6 of 12:00:12.000 is stored 2 times"},
		Unknown: []string{"runner/agent-manager-0 00: 5 at 12:00:10.000"},
	}, v)
}
