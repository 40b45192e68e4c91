// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

const (
	// clientCount clients push at once, each its share of the series.
	clientCount = 4
	// roundsPerPush are the rounds that a client puts into one push while it is behind.
	roundsPerPush = 4
	// liveInterval is the time between two rounds once the clients have caught up: more often than before, so that the
	// drain, which takes seconds, has fresh samples behind it.
	liveInterval = time.Second
)

// clients push rounds: a sample of every series at one timestamp. A round is pushed as soon as its timestamp is past, so
// that a start in the past is caught up with as fast as the collector takes it, and from then on time is real.
type clients struct {
	pusher *delivery.Pusher
	ledger *delivery.Ledger
	values delivery.Values
	// groups are the ids of each client's series.
	groups   [clientCount][]string
	start    time.Time
	interval time.Duration
	past     int // rounds before those of liveInterval
}

// newClients returns clients whose first round was at start.
func newClients(pusher *delivery.Pusher, ledger *delivery.Ledger, series int, start, now time.Time, interval time.Duration) *clients {
	c := &clients{
		pusher: pusher, ledger: ledger, values: delivery.NewValues(), start: start, interval: interval,
		past: int(now.Sub(start)/interval) + 1,
	}
	for i := range series {
		c.groups[i%clientCount] = append(c.groups[i%clientCount], fmt.Sprintf("series-%05d", i))
	}
	return c
}

// at is the timestamp of a round.
func (c *clients) at(round int) time.Time {
	past := min(round, c.past)
	return c.start.Add(time.Duration(past)*c.interval + time.Duration(round-past)*liveInterval)
}

// due is the first round that is still to come.
func (c *clients) due(now time.Time) int {
	if live := now.Sub(c.at(c.past)); live >= 0 {
		return c.past + int(live/liveInterval) + 1
	}
	return c.past
}

// push pushes the rounds from first up to end, and returns when all of them are acknowledged. The clients stay together: no
// series is more than roundsPerPush ahead of another.
func (c *clients) push(ctx context.Context, first, end int) error {
	for ; first < end; first += roundsPerPush {
		last := min(first+roundsPerPush, end)
		var pushing sync.WaitGroup
		var errs [clientCount]error
		for i := range c.groups {
			pushing.Go(func() { errs[i] = c.pushGroup(ctx, i, first, last) })
		}
		pushing.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			return err
		}
	}
	return nil
}

func (c *clients) pushGroup(ctx context.Context, group, first, end int) error {
	batch := delivery.NewBatch(fmt.Sprintf("pusher-%d", group), c.start)
	for round := first; round < end; round++ {
		for i, id := range c.groups[group] {
			add := batch.Gauge
			if i%2 == 1 {
				add = batch.Counter
			}
			add(id, c.at(round).UnixMilli(), c.values.Value(id, round))
		}
	}
	if _, err := c.pusher.Push(ctx, batch.Metrics); err != nil {
		return err
	}
	for round := first; round < end; round++ {
		for _, id := range c.groups[group] {
			c.ledger.Add(id, delivery.Exposure{T: c.at(round).UnixMilli(), Owed: true, V: c.values.Value(id, round)})
		}
	}
	return nil
}
