// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

// runner is one installation of the umbrella chart.
type runner struct {
	release
	// organization and runnerName are on every one of its series.
	organization, runnerName string
	// chart is the umbrella chart in the tree.
	chart string
	// needed are the flags that the README names, others what the test has beside them.
	needed, others []string
}

// selector is what names the runner's series in PromQL.
func (r *runner) selector() string {
	return fmt.Sprintf("organization=%q,runner=%q", r.organization, r.runnerName)
}

// collectorSet is the StatefulSet of its collector.
func (r *runner) collectorSet() string { return r.name + "-otel" }

// install installs the runner from a chart, with more flags than its own if need be.
func (r *runner) install(ctx context.Context, chart string, flags ...string) (string, error) {
	return r.release.install(ctx, chart, slices.Concat(r.needed, r.others, flags)...)
}

// upgrade upgrades the runner to the chart in the tree, with its own flags and these.
func (r *runner) upgrade(ctx context.Context, flags ...string) error {
	return r.release.upgrade(ctx, r.chart, slices.Concat(r.needed, r.others, flags)...)
}

// targets are the things of the runner that have to be scraped, by a name, with the labels that `up` has for each: pods that
// ask for it, kube-state-metrics, the collectors themselves, and what Services want probed.
func (w *world) targets(ctx context.Context, r *runner) (map[string]map[string]string, error) {
	pods, err := w.cluster.pods(ctx, r.namespace, "")
	if err != nil {
		return nil, err
	}
	services, err := w.cluster.CoreV1().Services(r.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	targets := map[string]map[string]string{}
	for _, pod := range pods {
		component := pod.Labels[componentLabel]
		switch {
		case pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil:
		case component == "kube-state-metrics":
			targets[component] = map[string]string{"app": component, "exporter": component}
		case component == collectorComponent:
			targets[pod.Name] = map[string]string{"app": component, "pod": pod.Name}
		case component != "" && pod.Annotations["prometheus.io/scrape"] == "true":
			targets[pod.Name] = map[string]string{"app": component, "pod": pod.Name}
		}
	}
	for _, service := range services.Items {
		if service.Annotations["kubiya.io/probe"] != "" {
			targets["probe of "+service.Name] = map[string]string{
				"app": service.Labels[componentLabel], "exporter": "blackbox-exporter", "~target": ".*" + service.Name + `\..*`,
			}
		}
	}
	return targets, nil
}

// freshFor is how old the last sample of a target may be: it waits for its scrape, and then for its request to be full.
const freshFor = 15 * time.Second

// stale are the targets of the runner that the backend has no fresh `up` of 1 of, since a time.
func (w *world) stale(ctx context.Context, r *runner, since time.Time) ([]string, error) {
	targets, err := w.targets(ctx, r)
	if err != nil {
		return nil, err
	}
	oldest := time.Now().Add(-freshFor)
	if since.After(oldest) {
		oldest = since
	}
	var found []string
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		up, err := w.reports(ctx, r, targets[name], oldest)
		if err != nil {
			return nil, err
		}
		if len(up) == 0 || up[len(up)-1].F != 1 {
			found = append(found, name)
		}
	}
	return found, nil
}

// reports are the samples of `up` of a target since a time, in the order of their timestamps. A label that begins with ~ is
// for a regular expression.
func (w *world) reports(ctx context.Context, r *runner, target map[string]string, since time.Time) ([]prombackend.Sample, error) {
	matchers := []*labels.Matcher{
		labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "up"),
		labels.MustNewMatcher(labels.MatchEqual, "namespace", r.namespace),
	}
	for name, want := range target {
		kind := labels.MatchEqual
		if rest, found := strings.CutPrefix(name, "~"); found {
			kind, name = labels.MatchRegexp, rest
		}
		matchers = append(matchers, labels.MustNewMatcher(kind, name, want))
	}
	var samples []prombackend.Sample
	for series, err := range w.service.Store().Series(ctx, since.UnixMilli(), time.Now().UnixMilli(), matchers...) {
		if err != nil {
			return nil, err
		}
		for _, s := range series.Samples {
			if !value.IsStaleNaN(s.F) {
				samples = append(samples, s)
			}
		}
	}
	slices.SortFunc(samples, func(a, b prombackend.Sample) int { return int(a.T - b.T) })
	return samples, nil
}

// delivers checks that every target of the runner arrives at the backend, with samples from after a time.
func (w *world) delivers(ctx context.Context, r *runner, name string, since time.Time) bool {
	return w.eventually(ctx, name, time.Minute, "a fresh up of 1 from every target", func(ctx context.Context) (bool, string, error) {
		stale, err := w.stale(ctx, r, since)
		if err != nil {
			return false, "", err
		}
		targets, err := w.targets(ctx, r)
		return len(stale) == 0 && len(targets) > 0, fmt.Sprintf("%d targets, without one: %v", len(targets), stale), err
	})
}

// settles checks that every workload of the runner becomes ready.
func (w *world) settles(ctx context.Context, r *runner, name string) bool {
	return w.eventually(ctx, name, 3*time.Minute, "all replicas of every workload", func(ctx context.Context) (bool, string, error) {
		return w.cluster.ready(ctx, r.namespace)
	})
}

// collector is the pod of the runner's first collector.
func (w *world) collector(ctx context.Context, r *runner) (*corev1.Pod, error) {
	return w.cluster.CoreV1().Pods(r.namespace).Get(ctx, r.collectorSet()+"-0", metav1.GetOptions{})
}
