// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/managed"
)

// reinstall takes the runner away while the backend is away as well, so that there is something in the log that has not been
// delivered, and installs it again on the volume that is left.
func reinstall(ctx context.Context, w *world) error {
	r := w.first
	if err := w.service.Become(managed.Away); err != nil {
		return err
	}
	away := time.Now()
	if err := sleep(ctx, 8*scrapeInterval); err != nil {
		return err
	}
	w.clerk.round(ctx)
	gone := time.Now()
	if err := r.uninstall(ctx); err != nil {
		return err
	}
	w.eventually(ctx, "an uninstall leaves no pod", time.Minute, "0 pods", func(ctx context.Context) (bool, string, error) {
		pods, err := w.cluster.pods(ctx, r.namespace, "")
		names := addNames(nil, pods)
		return len(pods) == 0, strings.Join(names, ", "), err
	})
	left, err := w.cluster.objects(ctx, r.namespace)
	if err != nil {
		return err
	}
	left = less(left, w.before[r.namespace])
	others := slices.DeleteFunc(slices.Clone(left), func(name string) bool { return strings.HasPrefix(name, "PersistentVolumeClaim/") })
	none(w.checks, "an uninstall leaves nothing but volume claims", others)
	w.that(len(left) > 0, "it leaves the collector's volume claim", "at least 1", "%v", left)
	scoped, err := w.cluster.objects(ctx, "")
	if err != nil {
		return err
	}
	none(w.checks, "an uninstall leaves nothing outside of namespaces", clusterScoped(less(scoped, w.before[""])))

	if err := w.service.Become(managed.Up); err != nil {
		return err
	}
	back := time.Now()
	if _, err := r.install(ctx, r.chart); err != nil {
		return err
	}
	w.settles(ctx, r, "a new install on the old volume is ready")
	w.delivers(ctx, r, "every target of the new install is delivered", back)
	w.nothingLost(ctx, r, "what the old install had accepted and not delivered is delivered by the new one", gone)
	w.that(w.storedBetween(ctx, r, away, gone) > 0, "there was something to deliver", "more than 0 samples from the time without a backend", "%d",
		w.storedBetween(ctx, r, away, gone))
	return nil
}
