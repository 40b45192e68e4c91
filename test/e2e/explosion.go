// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math"
	"time"
)

const (
	// explodedSeries is what a bad deploy of one component adds.
	explodedSeries = 10_000
	// seriesPerComponent is what the test's values allow a component.
	seriesPerComponent = 3_000
	// explodingComponent is the one with the bad deploy.
	explodingComponent = "workflow-engine"
)

// explosion is the deploy that puts a request's number into a label.
func explosion(ctx context.Context, w *world) error {
	pods, err := w.cluster.pods(ctx, w.first.namespace, explodingComponent)
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		return fmt.Errorf("there is no pod of %s", explodingComponent)
	}
	before, err := w.collector(ctx, w.first)
	if err != nil {
		return err
	}
	exploded := time.Now()
	if err := w.standIns.explode(ctx, pods[0], explodedSeries); err != nil {
		return err
	}
	w.eventually(ctx, "series above the limit are dropped, and counted with the reason", time.Minute, "a counter above 0", func(ctx context.Context) (bool, string, error) {
		dropped, err := w.number(ctx, w.first, fmt.Sprintf(
			`sum(otelcol_processor_runner_points_total{$R,decision="dropped",reason="component_series_limit",component=%q})`, explodingComponent))
		return dropped > 0, fmt.Sprint(dropped), err
	})
	w.eventually(ctx, "what was let through is delivered", time.Minute, "some of the new series", func(ctx context.Context) (bool, string, error) {
		n, err := w.number(ctx, w.first, `count(http_requests_total{$R,handler="exploded"})`)
		return n > 0, fmt.Sprint(n), err
	})
	stored, err := w.number(ctx, w.first, fmt.Sprintf(`count({$R,app=%q,exporter=""})`, explodingComponent))
	if err != nil {
		return err
	}
	w.that(stored <= seriesPerComponent+explosionMargin, "the component has no more series than its limit",
		fmt.Sprintf("at most %d, and what Prometheus itself adds", seriesPerComponent), "%.0f", stored)
	w.delivers(ctx, w.first, "every target is delivered while one of them explodes", exploded)
	w.nothingLost(ctx, w.first, "no series that was there before is cut off", exploded)
	after, err := w.collector(ctx, w.first)
	if err != nil {
		return err
	}
	w.equal("the collector bears it", restartsOf(before), restartsOf(after))

	if err := w.standIns.explode(ctx, pods[0], 0); err != nil {
		return err
	}
	w.eventually(ctx, "with the deploy taken back, nothing new is stored of it", time.Minute, "no fresh sample", func(ctx context.Context) (bool, string, error) {
		n, err := w.number(ctx, w.first, `count(timestamp(http_requests_total{$R,handler="exploded"}) > time() - 10)`)
		return math.IsNaN(n), fmt.Sprint(n), err
	})
	return nil
}

// explosionMargin is for the series that Prometheus adds to each scrape, and for the component's pods that an upgrade has
// replaced: their series hold their places until the limits' ttl has passed.
const explosionMargin = 400
