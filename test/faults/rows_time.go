// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/delivery"
)

// sampleAge is the age up to which rows about age send samples.
const sampleAge = 3 * time.Second

// timeRows are clocks that jump, and samples that are too old. The clock of a machine cannot be changed for one process; what a jump
// does is in the samples' timestamps.
func timeRows() []row {
	return []row{
		{
			name: "clock jumps forth and back", fault: "timestamps jump ahead by 5 minutes, then back: what lies before the latest is refused, what comes after it is taken",
			inject: clockJumps, want: want{quarantined: map[string]int{"out_of_order": 2 * fewSeries}, log: []string{"out of order sample"}},
		},
		{
			name: "expired samples", fault: "older than max_sample_age when they come: set aside and counted, never sent; fresh ones pass", inject: expired,
			want: want{expired: fewRounds * fewSeries},
		},
		{
			name: "expired while waiting", fault: "samples become older than max_sample_age while the receiver is away", inject: expiredWaiting,
			want: want{expired: fewRounds * fewSeries, log: []string{"the backlog nears the age that the receiver still takes"}},
		},
		{
			name: "max_age", fault: "samples become older than log::max_age while the receiver is away: dropped, and counted", inject: maxAge,
			want: want{dropped: map[string]int{"max_age": fewRounds * fewSeries}},
		},
	}
}

func clockJumps(r *rig) {
	r.start()
	r.clock = time.Now().Truncate(time.Second).UnixMilli()
	r.rounds(2, fewSeries)
	back := r.clock
	r.clock += (5 * time.Minute).Milliseconds()
	r.rounds(2, fewSeries)
	r.settle()
	ahead := r.clock
	r.clock = back
	for range 2 {
		r.offend(r.next(fewSeries))
	}
	r.clock = ahead
	r.rounds(2, fewSeries)
}

func expired(r *rig) {
	r.configure("max_sample_age: 30s")
	r.start()
	var old []sample
	for range fewRounds { // a minute old, see open
		b := r.next(fewSeries)
		r.push(b)
		old = append(old, b.samples...)
	}
	r.clock = time.Now().UnixMilli()
	r.rounds(2, fewSeries)
	r.settle()
	require.ElementsMatch(r, old, withoutNotes(r.setAside(delivery.ExpiredFolder)), "the samples that are kept as expired")
	neverSent(r, old)
}

func withoutNotes(all []asideSample) []sample {
	var samples []sample
	for _, a := range all {
		samples = append(samples, a.sample)
	}
	return samples
}

func neverSent(r *rig, old []sample) {
	for _, c := range r.front.all() {
		for _, s := range c.samples() {
			require.NotContains(r, old, s, "a sample that is too old was sent")
		}
	}
}

// fresh pushes rounds with timestamps of now.
func (r *rig) fresh(count int) {
	for range count {
		r.clock = max(r.clock-time.Second.Milliseconds()+1, time.Now().UnixMilli())
		r.rounds(1, fewSeries)
	}
}

func expiredWaiting(r *rig) {
	r.configure("max_sample_age: " + sampleAge.String())
	r.front.set(status(http.StatusServiceUnavailable))
	r.start()
	r.fresh(fewRounds)
	r.awaitLog("nears the age")
	// Time has to pass: it is what the row is about.
	r.await("the samples to be too old", func() bool {
		return r.account()["expired_samples_total"] > 0 && time.Now().UnixMilli()-r.clock > sampleAge.Milliseconds()
	})
	r.front.set(nil)
	r.fresh(2)
}

func maxAge(r *rig) {
	r.configure("log: {max_age: " + sampleAge.String() + "}")
	r.front.set(status(http.StatusServiceUnavailable))
	r.start()
	r.fresh(fewRounds)
	r.await("the samples to be too old", func() bool { return time.Now().UnixMilli()-r.clock > sampleAge.Milliseconds() })
	r.front.set(nil)
	r.fresh(2)
}
