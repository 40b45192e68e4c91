// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/account"
)

// totals are what the whole run comes to.
type totals struct {
	verdict account.Verdict
	foreign []string
	series  int
	audit   auditVerdict
}

// accounts looks back at the whole run: what was accepted and is stored, whose the series are, and what the API server was
// asked.
func accounts(ctx context.Context, w *world) error {
	until := time.Now().Add(-scrapeInterval)
	for _, r := range w.runners() {
		if w.clerk.met(r.namespace) {
			w.nothingLost(ctx, r, "nothing that the runner of "+r.organization+" accepted in the whole run is lost", until)
		}
	}
	for _, r := range w.runners() {
		v, err := w.verdict(ctx, r, until)
		if err != nil {
			return err
		}
		w.totals.verdict = sum(w.totals.verdict, v)
	}
	v := w.totals.verdict
	none(w.checks, "no sample is stored twice", v.Twice)
	none(w.checks, "no sample is stored that nobody exposed", v.Unknown)
	stats, err := w.service.Store().Stats()
	if err != nil {
		return err
	}
	refused := stats.RejectedSamples - w.refusedInScaling
	w.that(refused == 0, "the backend had no sample to refuse, but while collectors were scaled", "0", "%d: %s", refused, tail(w.backendLog.String(), 1000))

	if w.totals.foreign, w.totals.series, err = w.foreignSeries(ctx); err != nil {
		return err
	}
	none(w.checks, "no series in the store is foreign to the runners", w.totals.foreign)

	requests, err := w.node.Requests()
	if err != nil {
		return err
	}
	w.totals.audit = judgeAudit(requests, []string{firstNamespace, secondNamespace}, w.windows)
	a := w.totals.audit
	w.say("requests to the API server, by service account: %v", a.Requests)
	w.say("of these for the version and the kinds: %v", a.Discovery)
	for _, account := range []string{"otel", "kube-state-metrics"} {
		account = firstNamespace + "/" + w.first.name + "-" + account
		w.that(a.Requests[account] > 0, "the audit log has the requests of "+account, "more than 0", "%d", a.Requests[account])
	}
	none(w.checks, "no request of a runner was for anything outside of its namespace", a.Outside)
	none(w.checks, "no request of a runner was forbidden", a.Forbidden)
	if len(w.windows) > 0 {
		w.that(len(a.Expected) > 0, "but those while a rule was missing", "more than 0", "%d", len(a.Expected))
	}
	return nil
}

// sum adds verdicts.
func sum(a, b account.Verdict) account.Verdict {
	return account.Verdict{
		Exposed: a.Exposed + b.Exposed, Stored: a.Stored + b.Stored, InFlight: a.InFlight + b.InFlight, FailedScrapes: a.FailedScrapes + b.FailedScrapes,
		Shared: a.Shared + b.Shared,
		Lost:   slices.Concat(a.Lost, b.Lost), Twice: slices.Concat(a.Twice, b.Twice), Unknown: slices.Concat(a.Unknown, b.Unknown),
	}
}

// add puts what the run comes to into the last line.
func (r *result) add(w *world) {
	r.Assertions, r.Passed = w.checks.count()
	for _, one := range w.failed() {
		r.Failed = append(r.Failed, fmt.Sprintf("%s: %s: expected %s, seen %s", one.Scenario, one.Name, one.Expected, one.Seen))
	}
	t := w.totals
	r.Pods = w.most
	r.Exposed, r.Stored, r.Lost = t.verdict.Exposed, t.verdict.Stored, len(t.verdict.Lost)
	r.InFlight, r.FailedScrapes = t.verdict.InFlight, t.verdict.FailedScrapes
	r.Shared, r.RefusedInScaling = t.verdict.Shared, w.refusedInScaling
	r.ForeignSeries, r.Series = len(t.foreign), t.series
	for _, n := range t.audit.Requests {
		r.APIRequests += n
	}
	for _, n := range t.audit.Discovery {
		r.Discovery += n
	}
	r.Outside, r.Forbidden, r.ForbiddenOnPurpose = len(t.audit.Outside), len(t.audit.Forbidden), len(t.audit.Expected)
}
