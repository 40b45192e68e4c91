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

// pushInterval is the time between two pushes of a client; one that is not acknowledged holds up the next.
const pushInterval = 100 * time.Millisecond

// clients push over OTLP, each its own series, until they are told to stop.
type clients struct {
	stop context.CancelFunc
	done sync.WaitGroup

	// pushing is held by each push, from its first attempt to its acknowledgement.
	pushing sync.RWMutex

	mu     sync.Mutex // guards what follows
	errs   []error
	pushes int
	again  int
}

// startClients starts count clients with that many series each. What is acknowledged is owed.
func startClients(ctx context.Context, pusher *delivery.Pusher, ledger *delivery.Ledger, values delivery.Values, count, series int) *clients {
	running, stop := context.WithCancel(ctx)
	c := &clients{stop: stop}
	for client := range count {
		c.done.Go(func() {
			source := fmt.Sprintf("pusher-%d", client)
			if err := c.run(ctx, running, pusher, ledger, values, source, series); err != nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.errs = append(c.errs, fmt.Errorf("%s: %w", source, err))
			}
		})
	}
	return c
}

// run pushes until running ends; the push that is under way then is brought to its end, unless ctx ends too.
func (c *clients) run(ctx, running context.Context, pusher *delivery.Pusher, ledger *delivery.Ledger, values delivery.Values, source string, series int) error {
	ids := make([]string, series)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s/%03d", source, i)
	}
	began, last := time.Now(), int64(0)
	ticker := time.NewTicker(pushInterval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		last = max(last+1, time.Now().UnixMilli())
		batch := delivery.NewBatch(source, began)
		for i, id := range ids {
			add := batch.Gauge
			if i%2 == 1 {
				add = batch.Counter
			}
			add(id, last, values.Value(id, n))
		}
		c.pushing.RLock()
		attempts, err := pusher.Push(ctx, batch.Metrics)
		c.pushing.RUnlock()
		if err != nil {
			return err
		}
		c.count(attempts)
		for _, id := range ids {
			ledger.Add(id, delivery.Exposure{T: last, Owed: true, V: values.Value(id, n)})
		}
		select {
		case <-running.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (c *clients) count(attempts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushes++
	if attempts > 1 {
		c.again++
	}
}

// hold waits until everything that was pushed is acknowledged, and keeps the clients from pushing until release.
func (c *clients) hold() (release func()) {
	c.pushing.Lock()
	return c.pushing.Unlock
}

// end stops the clients and returns how many pushes were acknowledged, and how many of them only when they were
// repeated.
func (c *clients) end() (pushes, again int, err error) {
	c.stop()
	c.done.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pushes, c.again, errors.Join(c.errs...)
}
