// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// upgrade changes the configuration, then the image, and goes back to where it was.
func upgrade(ctx context.Context, w *world) error {
	r := w.first
	began := time.Now()
	revision, err := w.revision(ctx, r)
	if err != nil {
		return err
	}
	before, err := w.cluster.pods(ctx, r.namespace, "")
	if err != nil {
		return err
	}

	// Nothing changed: nothing moves.
	if err := r.upgrade(ctx); err != nil {
		return err
	}
	w.settles(ctx, r, "an upgrade to the same is ready")
	now, err := w.cluster.pods(ctx, r.namespace, "")
	if err != nil {
		return err
	}
	none(w.checks, "an upgrade to the same replaces no pod", replaced(before, now))

	if err := r.upgrade(ctx, "--set=otel.scrape.timeout=900ms"); err != nil {
		return err
	}
	w.settles(ctx, r, "an upgrade of the configuration is ready")
	if now, err = w.cluster.pods(ctx, r.namespace, ""); err != nil {
		return err
	}
	w.equal("a change of the collector's configuration replaces the collector's pod and no other", []string{r.collectorSet() + "-0"}, replaced(before, now))
	w.delivers(ctx, r, "every target is delivered after a change of configuration", time.Now())

	// An image change of a component with two replicas, and of the collector.
	watching, seen := w.watchAvailable(ctx, r, "agent-manager")
	err = r.upgrade(ctx, "--set=otel.image.tag="+otherTag, "--set=agentManager.image.tag="+otherTag)
	if err != nil {
		return err
	}
	w.settles(ctx, r, "an upgrade of images is ready")
	watching()
	w.that(seen.least() >= 2, "a rolling update of agent-manager leaves no gap", "at least 2 available at any time", "%d at the least", seen.least())
	images, err := w.images(ctx, r)
	if err != nil {
		return err
	}
	w.that(strings.HasSuffix(images[collectorComponent], ":"+otherTag) && strings.HasSuffix(images["agent-manager"], ":"+otherTag),
		"both run the other image", "tag "+otherTag, "%v", images)
	w.delivers(ctx, r, "every target is delivered after a change of images", time.Now())

	if err := r.rollback(ctx, revision); err != nil {
		return err
	}
	w.settles(ctx, r, "a rollback is ready")
	images, err = w.images(ctx, r)
	if err != nil {
		return err
	}
	w.that(!strings.Contains(fmt.Sprint(images), otherTag), "after a rollback the images are those of before", "no tag "+otherTag, "%v", images)
	w.delivers(ctx, r, "every target is delivered after a rollback", time.Now())
	w.nothingLost(ctx, r, "nothing that was accepted is lost by upgrades and rollback", began)
	w.nothingLost(ctx, r, "nothing that was accepted between them is lost either", time.Now().Add(-2*scrapeInterval))
	return w.noRestarts(ctx, r, "upgrades and rollback restart no container")
}

// revision is that of the release.
func (w *world) revision(ctx context.Context, r *runner) (int, error) {
	secrets, err := w.cluster.CoreV1().Secrets(r.namespace).List(ctx, metav1.ListOptions{LabelSelector: "owner=helm,name=" + r.name})
	if err != nil {
		return 0, err
	}
	last := 0
	for _, secret := range secrets.Items {
		n, err := strconv.Atoi(secret.Labels["version"])
		if err != nil {
			return 0, fmt.Errorf("the release's Secret %s: %w", secret.Name, err)
		}
		last = max(last, n)
	}
	return last, nil
}

// replaced are the pods that were there before and are not any more.
func replaced(before, now []corev1.Pod) []string {
	still := uids(now)
	gone := maps.Clone(uids(before))
	maps.DeleteFunc(gone, func(name string, uid types.UID) bool { return still[name] == uid })
	return slices.Sorted(maps.Keys(gone))
}

// images are those that the components' first containers run, by component.
func (w *world) images(ctx context.Context, r *runner) (map[string]string, error) {
	pods, err := w.cluster.pods(ctx, r.namespace, "")
	if err != nil {
		return nil, err
	}
	images := map[string]string{}
	for _, pod := range pods {
		if component := pod.Labels[componentLabel]; component != "" {
			images[component] = pod.Spec.Containers[0].Image
		}
	}
	return images, nil
}

// noRestarts checks that no container of the runner has been started again since it was last looked at.
func (w *world) noRestarts(ctx context.Context, r *runner, name string) error {
	restarts, err := w.cluster.restarts(ctx, r.namespace)
	if err != nil {
		return err
	}
	none(w.checks, name, restarts)
	return nil
}

// availability is how many replicas of a Deployment were available.
type availability struct{ seen []int32 }

func (a *availability) least() int32 {
	if len(a.seen) == 0 {
		return 0
	}
	return slices.Min(a.seen)
}

// watchAvailable follows the availability of a component's Deployment until stop is called.
func (w *world) watchAvailable(ctx context.Context, r *runner, component string) (stop func(), seen *availability) {
	ctx, cancel := context.WithCancel(ctx)
	seen = &availability{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		watch, err := w.cluster.AppsV1().Deployments(r.namespace).Watch(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=" + component})
		if err != nil {
			return // nothing seen is a failed check
		}
		defer watch.Stop()
		for event := range watch.ResultChan() {
			if d, ok := event.Object.(*appsv1.Deployment); ok {
				seen.seen = append(seen.seen, d.Status.AvailableReplicas)
			}
		}
	}()
	return func() { cancel(); <-done }, seen
}
