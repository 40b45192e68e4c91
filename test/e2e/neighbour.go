// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"path/filepath"
	"strings"
	"time"
)

// neighbour installs a second runner beside the first, under the same release name in another namespace: from the previous
// version of the chart, with the engine that needs privileges, and with the authentication of Azure. Then it is upgraded.
func neighbour(ctx context.Context, w *world) error {
	r := w.second
	older, err := olderCharts(w.root, w.folder, olderVersion)
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := r.install(ctx, filepath.Join(older, "runner"), "--set=agentManager.image.tag="+olderTag); err != nil {
		return err
	}
	w.settles(ctx, r, "a second runner of the previous version, in a second namespace, is ready")
	w.delivers(ctx, r, "every target of the second runner is delivered", began)
	w.that(w.service.Issued() > 0, "it has its token from the identity endpoint", "at least 1 token issued", "%d", w.service.Issued())
	engines, err := w.cluster.pods(ctx, r.namespace, "dagger-engine")
	if err != nil {
		return err
	}
	w.equal("the engine runs, in a namespace that allows it", 1, len(engines))
	if len(engines) > 0 {
		w.equal("the engine has no token of the API server", []string(nil), tokens(engines[0].Spec.Volumes))
	}

	before, err := w.cluster.pods(ctx, r.namespace, "")
	if err != nil {
		return err
	}
	if err := r.upgrade(ctx); err != nil {
		return err
	}
	w.settles(ctx, r, "an upgrade from the previous version of the chart is ready")
	now, err := w.cluster.pods(ctx, r.namespace, "")
	if err != nil {
		return err
	}
	versions := map[string]bool{}
	for _, pod := range now {
		if label := pod.Labels["helm.sh/chart"]; label != "" {
			versions[label] = strings.Contains(label, olderVersion)
		}
	}
	var old []string
	for label, is := range versions {
		if is {
			old = append(old, label)
		}
	}
	none(w.checks, "no pod is of the previous version any more", old)
	w.that(len(replaced(before, now)) > 0, "pods were replaced", "more than 0", "%d", len(replaced(before, now)))
	w.delivers(ctx, r, "every target is delivered after the upgrade from the previous version", time.Now())
	w.nothingLost(ctx, r, "nothing that was accepted is lost by the upgrade from the previous version", time.Now().Add(-2*scrapeInterval))
	return w.separate(ctx)
}

// separate checks that no series is of both runners.
func (w *world) separate(ctx context.Context) error {
	found, all, err := w.foreignSeries(ctx)
	if err != nil {
		return err
	}
	none(w.checks, "every stored series is one runner's, and has nothing of another", found)
	for _, r := range w.runners() {
		n, err := w.number(ctx, r, `count({$R})`)
		if err != nil {
			return err
		}
		w.that(n > 100, "the runner of "+r.organization+" has its series", "more than 100", "%.0f of %d", n, all)
	}
	return nil
}
