// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/managed"
)

// awayFor is how long the managed service is away; upsetFor is how long it goes on to throttle, and then to fail, when a first
// request has come.
const (
	awayFor  = 20 * time.Second
	upsetFor = 5 * time.Second
)

// outage takes the managed service away, and lets it come back in the ways in which such services come back.
func outage(ctx context.Context, w *world) error {
	before, err := w.collector(ctx, w.first)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := w.service.Become(managed.Away); err != nil {
		return err
	}
	w.say("the managed service is away for %s", awayFor)
	if err := sleep(ctx, awayFor); err != nil {
		return err
	}
	during, err := w.collector(ctx, w.first)
	if err != nil {
		return err
	}
	w.that(ready(during) && during.UID == before.UID && restartsOf(during) == restartsOf(before), "a collector whose backend is away stays ready and is not restarted",
		"ready, no restart", "ready %t, %d restarts", ready(during), restartsOf(during))
	scraped := w.scrapesSince(w.first.namespace, began)
	w.that(scraped > 0, "scrapes go on while the backend is away", "more than 0", "%d", scraped)

	for _, upset := range []struct {
		state  managed.State
		status int
	}{{managed.Throttling, http.StatusTooManyRequests}, {managed.Failing, http.StatusServiceUnavailable}} {
		if err := w.service.Become(upset.state); err != nil {
			return err
		}
		// The exporter waits longer after each attempt that fails.
		w.eventually(ctx, fmt.Sprintf("it is tried again, and meets %d", upset.status), time.Minute, "at least 1 request", func(context.Context) (bool, string, error) {
			n := w.service.Answered()[upset.status]
			return n > 0, fmt.Sprint(n), nil
		})
		if err := sleep(ctx, upsetFor); err != nil {
			return err
		}
		n := w.service.Answered()[upset.status]
		w.that(n < 100, fmt.Sprintf("it is not stormed while it answers %d", upset.status), "fewer than 100 requests", "%d", n)
	}
	if err := w.service.Become(managed.Up); err != nil {
		return err
	}
	back := time.Now()
	w.delivers(ctx, w.first, "every target is delivered again after the outage", back)
	w.nothingLost(ctx, w.first, "nothing that was scraped in the outage is lost", back)
	return nil
}

// ready says whether a pod is.
func ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// restartsOf is how often containers of a pod have been restarted.
func restartsOf(pod *corev1.Pod) int {
	n := 0
	for _, status := range pod.Status.ContainerStatuses {
		n += int(status.RestartCount)
	}
	return n
}

// sleep lets time pass that has to pass for a scenario to be one: an outage is not a condition to wait for.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
