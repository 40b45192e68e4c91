// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/account"
)

// numbered is the metric with the numbered series that every stand-in exposes; number tells them apart.
const (
	numberedMetric  = "http_requests_total"
	numberedHandler = "numbered"
	numberLabel     = "number"
	numberedSeries  = 20
)

// verdict compares what the stand-ins of a namespace answered until a time with what the backend has.
func (w *world) verdict(ctx context.Context, r *runner, until time.Time) (account.Verdict, error) {
	stored, err := w.stored(ctx, r.namespace)
	if err != nil {
		return account.Verdict{}, err
	}
	// After the reading: so that nothing is stored that is not in the book.
	w.clerk.round(ctx)
	var v account.Verdict
	for _, target := range w.clerk.book.Targets() {
		if target.Namespace != r.namespace {
			continue
		}
		up, err := w.reports(ctx, r, map[string]string{"pod": target.Pod}, time.UnixMilli(0))
		if err != nil {
			return v, err
		}
		reports := make([]account.Report, len(up))
		for i, s := range up {
			reports[i] = account.Report{At: time.UnixMilli(s.T), Up: s.F == 1}
		}
		scrapes, fates := w.clerk.book.Settle(target, reports, until)
		v.Compare(target, scrapes, fates, numbers(), stored[target.Pod])
	}
	return v, nil
}

// numbers are the names of the numbered series.
func numbers() []string {
	names := make([]string, numberedSeries)
	for i := range names {
		names[i] = fmt.Sprintf("%02d", i)
	}
	return names
}

// stored reads the numbered series of a namespace, by pod.
func (w *world) stored(ctx context.Context, namespace string) (map[string]account.Stored, error) {
	stored := map[string]account.Stored{}
	for series, err := range w.service.Store().Series(ctx, 0, time.Now().UnixMilli(),
		labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, numberedMetric),
		labels.MustNewMatcher(labels.MatchEqual, "handler", numberedHandler),
		labels.MustNewMatcher(labels.MatchEqual, "namespace", namespace)) {
		if err != nil {
			return nil, err
		}
		pod, number := series.Labels.Get("pod"), series.Labels.Get(numberLabel)
		if stored[pod] == nil {
			stored[pod] = account.Stored{}
		}
		if stored[pod][number] == nil {
			stored[pod][number] = map[int][]time.Time{}
		}
		for _, s := range series.Samples {
			if !value.IsStaleNaN(s.F) {
				stored[pod][number][int(s.F)] = append(stored[pod][number][int(s.F)], time.UnixMilli(s.T))
			}
		}
	}
	return stored, nil
}

// nothingLost checks that what was owed until a time arrives.
func (w *world) nothingLost(ctx context.Context, r *runner, name string, until time.Time) bool {
	return w.eventually(ctx, name, time.Minute, "0 lost", func(ctx context.Context) (bool, string, error) {
		v, err := w.verdict(ctx, r, until)
		if err != nil {
			return false, "", err
		}
		seen := fmt.Sprintf("%d lost of %d samples, %d in flight", len(v.Lost), v.Exposed, v.InFlight)
		if len(v.Lost) > 0 {
			seen += ": " + strings.Join(v.Lost[:min(3, len(v.Lost))], "; ")
		}
		return len(v.Lost) == 0 && v.Stored > 0, seen, nil
	})
}

// scrapesSince is how many scrapes the stand-ins of a namespace have answered since a time.
func (w *world) scrapesSince(namespace string, since time.Time) int {
	n := 0
	for _, target := range w.clerk.targets(namespace) {
		n += len(w.clerk.book.Scrapes(target, since))
	}
	return n
}

// askers is the clerk's, after a round.
func (w *world) askers(ctx context.Context, namespace string, since time.Time) (askers, missed, twice []string) {
	w.clerk.round(ctx)
	return w.clerk.askers(namespace, since)
}

// foreign says why a stored series belongs to none of the runners, or is empty. A series is a runner's when it has the runner's
// identity and nothing in it is from anywhere else.
func foreign(series labels.Labels, runners []*runner, known func(namespace, pod string) bool) string {
	namespace := series.Get("namespace")
	i := slices.IndexFunc(runners, func(r *runner) bool { return r.namespace == namespace })
	if i < 0 {
		return "its namespace is of no runner"
	}
	r := runners[i]
	switch {
	case series.Get("organization") != r.organization, series.Get("runner") != r.runnerName:
		return "it has the identity of another runner"
	case series.Get("kubiya_type") != "customers-runners":
		return "it is not marked as a runner's"
	case series.Get("app") == "":
		return "it is of no component"
	}
	for _, name := range []string{"kubernetes_namespace", "exported_namespace"} {
		if other := series.Get(name); other != "" && other != namespace {
			return name + " is another namespace"
		}
	}
	if pod := series.Get("pod"); pod != "" && !known(namespace, pod) {
		return "its pod was never in the namespace"
	}
	if target := series.Get("target"); target != "" && !strings.Contains(target, "."+namespace+".") {
		return "it is about a target elsewhere"
	}
	return ""
}

// foreignSeries are the stored series that belong to none of the runners.
func (w *world) foreignSeries(ctx context.Context) (found []string, all int, err error) {
	for series, err := range w.service.Store().Series(ctx, 0, time.Now().UnixMilli()) {
		if err != nil {
			return nil, all, err
		}
		all++
		if why := foreign(series.Labels, w.runners(), w.clerk.known); why != "" {
			found = append(found, series.Labels.String()+": "+why)
		}
	}
	return found, all, nil
}
