// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// strike is a way to kill.
type strike int

const (
	// anywhere kills the collector, whatever it does.
	anywhere strike = iota
	// atCut kills it when a segment of its log appears.
	atCut
	// atCheckpoint kills it when a checkpoint is being written.
	atCheckpoint
	// atAck kills it as soon as everything that was pushed is acknowledged: the end of its log is owed.
	atAck
	// atStart kills it a second time, while it recovers.
	atStart
	// paused kills it while the backend holds its request and does not answer.
	paused
	// backendOnly kills the backend.
	backendOnly
	// inRequest kills the backend when a request arrives there.
	inRequest
	// both kills both at that moment.
	both
	// inDrain kills the backend, lets a backlog grow, starts it, and kills the collector while that drains.
	inDrain
	// away kills the backend, and the collector while there is none.
	away
)

// costs is how many kills of the collector and of the backend a strike takes, and its name.
var costs = map[strike]struct {
	collector, backend int
	name               string
}{
	anywhere:     {1, 0, "any moment"},
	atCut:        {1, 0, "segment cut"},
	atCheckpoint: {1, 0, "checkpoint"},
	atAck:        {1, 0, "acknowledgement"},
	atStart:      {2, 0, "any moment, and again while it starts"},
	paused:       {1, 0, "backend paused"},
	backendOnly:  {0, 1, "backend"},
	inRequest:    {0, 1, "backend in a request"},
	both:         {1, 1, "backend in a request, and collector at once"},
	inDrain:      {1, 1, "backend, and collector in the drain"},
	away:         {1, 1, "backend, and collector while it is away"},
}

func (s strike) String() string { return costs[s].name }

// step is one strike of a plan.
type step struct {
	strike strike
	// before is how long everything runs in peace, and delay the time that the strike itself leaves to chance.
	before, delay time.Duration
	// outage is how long the backend is away or paused, where it is.
	outage time.Duration
}

func (s step) String() string { return fmt.Sprintf("%s after %s", s.strike, s.before) }

// makePlan draws the steps that make exactly so many kills.
func makePlan(seed uint64, collectorKills, backendKills int) []step {
	rng := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // to be replayed, not to be secret
	var strikes []strike
	// The first of the kinds takes one kill of the sort that is drawn, and none of the other.
	draw := func(wanted *int, kinds ...strike) {
		for i := 0; *wanted > 0; i++ {
			kind := kinds[i%len(kinds)]
			if costs[kind].collector > collectorKills || costs[kind].backend > backendKills {
				kind = kinds[0]
			}
			strikes = append(strikes, kind)
			collectorKills -= costs[kind].collector
			backendKills -= costs[kind].backend
		}
	}
	draw(&backendKills, backendOnly, both, inDrain, away, inRequest, both, inDrain)
	draw(&collectorKills, anywhere, atCut, atCheckpoint, atAck, paused, atStart, atCut, atAck, atCheckpoint)
	rng.Shuffle(len(strikes), func(i, j int) { strikes[i], strikes[j] = strikes[j], strikes[i] })

	between := func(low, high time.Duration) time.Duration { return low + time.Duration(rng.Int64N(int64(high-low))) }
	steps := make([]step, len(strikes))
	for i, s := range strikes {
		steps[i] = step{
			strike: s,
			before: between(500*time.Millisecond, 2500*time.Millisecond).Round(time.Millisecond),
			outage: between(2*time.Second, 4*time.Second).Round(time.Millisecond),
		}
		switch s {
		case atCut, atCheckpoint:
			steps[i].delay = between(0, 2*time.Millisecond)
		case atStart:
			steps[i].delay = between(50*time.Millisecond, 1500*time.Millisecond)
		case inDrain:
			steps[i].delay = between(0, 400*time.Millisecond)
		case paused, away:
			steps[i].delay = between(0, 2*time.Second)
		}
	}
	return steps
}
