// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

const (
	// roundsPerPush are the rounds that the client puts into one push while it is behind.
	roundsPerPush = 4
	// liveInterval is the time between two rounds once the client has caught up: more often than before, so that the
	// drain, which takes seconds, has fresh samples behind it.
	liveInterval = time.Second
)

// client pushes rounds: a sample of every series at one timestamp. A round is pushed as soon as its timestamp is past, so
// that a start in the past is caught up with as fast as the collector takes it, and from then on time is real.
type client struct {
	pusher   *delivery.Pusher
	ledger   *delivery.Ledger
	values   delivery.Values
	ids      []string
	start    time.Time
	interval time.Duration
	past     int // rounds before those of liveInterval
}

// newClient returns a client whose first round was at start.
func newClient(pusher *delivery.Pusher, ledger *delivery.Ledger, series int, start, now time.Time, interval time.Duration) *client {
	c := &client{
		pusher: pusher, ledger: ledger, values: delivery.NewValues(), start: start, interval: interval,
		past: int(now.Sub(start)/interval) + 1, ids: make([]string, series),
	}
	for i := range c.ids {
		c.ids[i] = fmt.Sprintf("series-%05d", i)
	}
	return c
}

// at is the timestamp of a round.
func (c *client) at(round int) time.Time {
	past := min(round, c.past)
	return c.start.Add(time.Duration(past)*c.interval + time.Duration(round-past)*liveInterval)
}

// due is the first round that is still to come.
func (c *client) due(now time.Time) int {
	if live := now.Sub(c.at(c.past)); live >= 0 {
		return c.past + int(live/liveInterval) + 1
	}
	return c.past
}

// push pushes the rounds from first up to end, and returns when all of them are acknowledged.
func (c *client) push(ctx context.Context, first, end int) error {
	for ; first < end; first += roundsPerPush {
		if err := c.pushSome(ctx, first, min(first+roundsPerPush, end)); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) pushSome(ctx context.Context, first, end int) error {
	batch := delivery.NewBatch("pusher", c.start)
	for round := first; round < end; round++ {
		if round > first {
			batch.Next()
		}
		for i, id := range c.ids {
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
		for _, id := range c.ids {
			c.ledger.Add(id, delivery.Exposure{T: c.at(round).UnixMilli(), Owed: true, V: c.values.Value(id, round)})
		}
	}
	return nil
}
