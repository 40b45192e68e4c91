// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"time"
)

// result is the last line of output.
type result struct {
	Exporter       string `json:"exporter"`
	Seed           uint64 `json:"seed"`
	CollectorKills int    `json:"collector_kills"`
	BackendKills   int    `json:"backend_kills"`
	Exposed        int    `json:"exposed"`
	Stored         int    `json:"stored"`
	Lost           int    `json:"lost"`
	Duplicated     int    `json:"duplicated"`
	OutOfOrder     int    `json:"out_of_order"`
	// InFlight are samples that are missing because their scrape was in flight when the collector was killed, and
	// InFlightAge how long before the kill the oldest of those scrapes began.
	InFlight    int     `json:"in_flight_missing"`
	InFlightAge float64 `json:"in_flight_age_s"`
	// GivenUp are samples that the exporter says it does not try to deliver any more; -1 where it keeps no account.
	GivenUp       int64   `json:"given_up"`
	FailedScrapes int     `json:"failed_scrapes"`
	Repeated      int     `json:"repeated"`
	Seconds       float64 `json:"seconds"`
}

// summarize prints the findings and counts them.
func summarize(r *run, o outcome) result {
	o.traffic.Print(r.out, printed)
	o.verdict.Print(r.out, printed)
	v := o.verdict
	res := result{
		Exporter: r.exporter, Seed: r.seed, CollectorKills: o.collector, BackendKills: o.backend,
		Exposed: v.Exposed, Stored: v.Stored, Lost: len(v.Lost),
		Duplicated: len(v.Duplicated) + len(o.traffic.Conflicts),
		OutOfOrder: len(v.OutOfOrder) + len(o.traffic.OutOfOrder),
		InFlight:   v.Exposed - v.Stored - len(v.Lost), Repeated: o.traffic.Repeated, GivenUp: -1,
	}
	scrapes := 0
	for i, s := range o.scrapes {
		switch o.fates[i] {
		case failed:
			res.FailedScrapes++
			r.say("%s failed: the collector did not get the whole page, or reported so", s)
		case inFlight:
			missing := o.missing(s)
			if missing == 0 {
				continue
			}
			scrapes++
			k := o.kills[s.life]
			age := k.at.Sub(s.at)
			res.InFlightAge = max(res.InFlightAge, age.Seconds())
			r.say("in flight at kill %d of the collector (%s): %s, begun %s before; %d of %d samples missing",
				k.number, k.strike, s, age.Round(time.Millisecond), missing, seriesPerTarget)
		}
	}
	if o.balanced {
		res.GivenUp = o.balance.GivenUp()
		r.say("the exporter's account: %+v", o.balance)
	}
	r.say("%d samples exposed, %d stored; %d lost, %d duplicated, %d out of order; %d missing of %d scrapes in flight",
		res.Exposed, res.Stored, res.Lost, res.Duplicated, res.OutOfOrder, res.InFlight, scrapes)
	return res
}

// broken names the promises that the run broke.
func (r result) broken() error {
	if r.Lost+r.Duplicated+r.OutOfOrder > 0 || r.GivenUp > 0 {
		return fmt.Errorf("seed %d: %d samples lost, %d duplicated, %d out of order, %d given up by the exporter",
			r.Seed, r.Lost, r.Duplicated, r.OutOfOrder, max(0, r.GivenUp))
	}
	return nil
}

// missing is how many samples of the scrape are neither owed nor stored.
func (o outcome) missing(s scrape) int {
	n := 0
	for series := range seriesPerTarget {
		id := seriesID(s.target, series)
		if slices.Contains(o.verdict.Missing[id], o.values.Value(id, s.number)) {
			n++
		}
	}
	return n
}
