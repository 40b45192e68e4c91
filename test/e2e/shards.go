// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// shardCount is to how many collectors the runner is scaled.
const shardCount = 3

// shards scales the collector out and back. Which collector asks a target is what the target says: the address that each of
// its scrapes came from.
func shards(ctx context.Context, w *world) error {
	scaled := time.Now()
	before, err := w.service.Store().Stats()
	if err != nil {
		return err
	}
	if err := w.first.upgrade(ctx, fmt.Sprintf("--set=otel.replicas=%d", shardCount)); err != nil {
		return err
	}
	w.settles(ctx, w.first, "three collectors become ready")
	w.delivers(ctx, w.first, "every target is delivered by one of three collectors", time.Now())
	since := time.Now()
	if err := sleep(ctx, 5*scrapeInterval); err != nil {
		return err
	}
	askers, missed, twice := w.askers(ctx, w.first.namespace, since)
	none(w.checks, "with three collectors no target is asked by two", twice)
	none(w.checks, "with three collectors no target is missed", missed)
	pods, err := w.cluster.pods(ctx, w.first.namespace, collectorComponent)
	if err != nil {
		return err
	}
	w.equal("there are three of them", shardCount, len(pods))
	working := 0
	for _, pod := range pods {
		if slices.Contains(askers, pod.Status.PodIP) {
			working++
		}
	}
	w.that(working > 1, "the targets are shared out", "more than one collector that asks", "%d of %d", working, len(pods))
	strangers := less(askers, addresses(pods))
	none(w.checks, "nobody else asks", strangers)

	if err := w.first.upgrade(ctx); err != nil {
		return err
	}
	w.settles(ctx, w.first, "one collector is left when it is scaled back")
	w.delivers(ctx, w.first, "every target is delivered by the one collector", time.Now())
	since = time.Now()
	if err := sleep(ctx, 5*scrapeInterval); err != nil {
		return err
	}
	askers, missed, twice = w.askers(ctx, w.first.namespace, since)
	none(w.checks, "scaled back, no target is asked by two", twice)
	none(w.checks, "scaled back, no target is missed", missed)
	w.equal("scaled back, one collector asks", 1, len(askers))
	w.nothingLost(ctx, w.first, "nothing that was accepted before scaling is lost", scaled)
	w.nothingLost(ctx, w.first, "nothing that one collector alone had accepted while scaling is lost", since)
	// New collectors take their part of the targets while the one that has them all still runs: for seconds some are asked by two.
	after, err := w.service.Store().Stats()
	if err != nil {
		return err
	}
	w.refusedInScaling = after.RejectedSamples - before.RejectedSamples
	return nil
}
