// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/demo/sample"
	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

// own returns the labels of a series that is the runner's, with changes; an empty value takes a label away.
func own(changes ...string) labels.Labels {
	all := map[string]string{
		model.MetricNameLabel: "http_requests_total", "app": "tool-manager", "kubernetes_namespace": namespace,
		"organization": organization, "runner": runnerName, "kubiya_type": runnerType, "namespace": namespace,
	}
	for i := 0; i < len(changes); i += 2 {
		all[changes[i]] = changes[i+1] //nolint:gosec // pairs
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return labels.FromMap(all)
}

func TestForeignSeries(t *testing.T) {
	for name, c := range map[string]struct {
		labels labels.Labels
		want   bool
	}{
		"ours":                               {own(), false},
		"the collector's own":                {own("app", "otel-collector", "exporter", "otel-collector"), false},
		"the claim of another in exported_*": {own("exported_organization", "globex"), false},
		"another organization":               {own("organization", "globex"), true},
		"no runner":                          {own("runner", ""), true},
		"another type":                       {own("kubiya_type", "x"), true},
		"another namespace":                  {own("namespace", sample.NeighbourNamespace), true},
		"a target of another namespace":      {own("kubernetes_namespace", sample.NeighbourNamespace), true},
		"an object of another namespace":     {own("exported_namespace", sample.NeighbourNamespace), true},
		"the neighbour's app":                {own("app", sample.NeighbourApp), true},
		"no app":                             {own("app", ""), true},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, isForeign(c.labels)) })
	}
}

// stored is a store with these series in it.
type stored struct {
	series []prombackend.Series
	err    error
}

func (s stored) Series(context.Context, int64, int64, ...*labels.Matcher) iter.Seq2[prombackend.Series, error] {
	if s.err != nil {
		return func(yield func(prombackend.Series, error) bool) { yield(prombackend.Series{}, s.err) }
	}
	return func(yield func(prombackend.Series, error) bool) {
		for _, one := range s.series {
			if !yield(one, nil) {
				return
			}
		}
	}
}

func TestAuditCountsWhatIsInTheStore(t *testing.T) {
	two := []prombackend.Sample{{T: 1, F: 1}, {T: 2, F: 2}}
	got, err := auditStore(t.Context(), stored{series: []prombackend.Series{
		{Labels: own(), Samples: two},
		{Labels: own("organization", "x"), Samples: two},
		{Labels: own("exported_runner", sample.SpoofedRunner, "exported_organization", sample.SpoofedOrganization), Samples: two},
		{Labels: own("runner_claim", sample.SpoofedRunner), Samples: two},
		{Labels: own("authorization", "x "+sample.FakeToken()), Samples: two},
		{Labels: own(model.MetricNameLabel, "native"), Samples: []prombackend.Sample{
			{T: 1, H: &histogram.Histogram{}}, {T: 2, FH: &histogram.FloatHistogram{}}, {T: 3, F: 1},
		}},
	}})
	require.NoError(t, err)
	assert.EqualValues(t, 6, got.Series)
	assert.EqualValues(t, 13, got.Samples)
	assert.EqualValues(t, 2, got.Native)
	assert.EqualValues(t, 1, got.Foreign)
	require.Len(t, got.ForeignExamples, 1)
	assert.Contains(t, got.ForeignExamples[0], `organization="x"`)
	assert.EqualValues(t, 1, got.Spoofed)
	assert.Equal(t, sample.SpoofedRunner, got.SpoofExample["exported_runner"])
	assert.EqualValues(t, 1, got.Escaped)
	assert.EqualValues(t, 1, got.Leaked)
}

func TestAuditPassesAnErrorOfTheStoreOn(t *testing.T) {
	_, err := auditStore(t.Context(), stored{err: errors.New("broken chunk")})
	assert.EqualError(t, err, "the store cannot be read: broken chunk")
}

func TestJudge(t *testing.T) {
	good := Result{Verified: true, KeptSamples: 10, Queryable: 10, Delivered: 10}
	for name, c := range map[string]struct {
		change      func(*Result)
		interrupted bool
		want        string // "" is no broken promise
	}{
		"all well":                     {func(*Result) {}, false, ""},
		"lost":                         {func(r *Result) { r.Lost, r.Queryable = 3, 7 }, false, "lost: the collector kept 10 samples and the store has 7"},
		"more than was kept":           {func(r *Result) { r.Lost, r.Queryable = -2, 12 }, false, "lost: the collector kept 10 samples and the store has 12"},
		"missing, but not checked":     {func(r *Result) { r.Lost, r.Verified = 3, false }, true, ""},
		"foreign":                      {func(r *Result) { r.ForeignSeries = 2 }, false, "scope: 2 stored series are not this runner's, among them {a} {b}"},
		"spoofed":                      {func(r *Result) { r.SpoofedIdentities = 1 }, false, "identity: 1 stored series show another runner's identity outside exported_*"},
		"leaked":                       {func(r *Result) { r.SecretSeries = 1 }, false, "secrets: 1 stored series have the leaked token in a label"},
		"refused":                      {func(r *Result) { r.Rejected = 4 }, false, "delivery: the backend refused 4 samples"},
		"set aside":                    {func(r *Result) { r.Log = Log{Accepted: 10, Acknowledged: 8, Quarantined: 2} }, false, "delivery: 2 samples were set aside or dropped instead of delivered"},
		"a log that does not add up":   {func(r *Result) { r.Log = Log{Accepted: 10, Acknowledged: 8, Backlog: 1} }, false, "delivery: the log accepted 10 samples, and of them acknowledged 8, has 1, set aside or dropped 0"},
		"nothing":                      {func(r *Result) { *r = Result{Verified: true} }, false, "delivery: no sample arrived"},
		"nothing, but ended by Ctrl-C": {func(r *Result) { *r = Result{Verified: true} }, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			c.change(&r)
			r.judge(audit{ForeignExamples: []string{"{a}", "{b}"}}, c.interrupted)
			require.NotNil(t, r.Broken, "an empty list in JSON, not null")
			assert.Equal(t, c.want, slices.Concat(r.Broken, []string{""})[0])
		})
	}
}
