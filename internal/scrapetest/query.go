// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// These are the defaults of a Prometheus server.
const (
	lookback           = 5 * time.Minute
	queryTimeout       = 2 * time.Minute
	maxSamplesPerQuery = 50_000_000
)

var queryParser = parser.NewParser(parser.Options{})

var queryEngine = sync.OnceValue(func() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		Logger: discardLogger, MaxSamples: maxSamplesPerQuery, Timeout: queryTimeout, LookbackDelta: lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true, EnableNegativeOffset: true, Parser: queryParser,
	})
})

// Query evaluates PromQL on what was delivered, at a time after the first scrape, with Prometheus's own engine. The error is that of
// parsing or of evaluation.
func (r *Result) Query(ctx context.Context, expr string, at time.Duration) (*promql.Result, error) {
	query, err := queryEngine().NewInstantQuery(ctx, queryable{r}, nil, expr, r.Scene.Start.Add(at))
	if err != nil {
		return nil, fmt.Errorf("PromQL: %w", err)
	}
	result := query.Exec(ctx)
	return result, result.Err
}

// Live are the series that match at a time after the first scrape: those with a sample within the lookback that is no stale marker.
// They share their samples with r, cut to that time.
func (r *Result) Live(at time.Duration, matchers ...*labels.Matcher) []Series {
	end := r.Scene.Start.Add(at).UnixMilli()
	begin := end - lookback.Milliseconds()
	var live []Series
	for _, s := range r.Series {
		n := len(s.Samples)
		for n > 0 && s.Samples[n-1].T > end {
			n--
		}
		if n == 0 || s.Samples[n-1].T <= begin || s.Samples[n-1].Stale() || !matches(s.Labels, matchers) {
			continue
		}
		live = append(live, Series{Labels: s.Labels, Samples: s.Samples[:n]})
	}
	return live
}

func matches(ls labels.Labels, matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return true
}

// queryable serves the series of a result.
type queryable struct{ result *Result }

// Querier implements storage.Queryable.
func (q queryable) Querier(int64, int64) (storage.Querier, error) { return querier(q), nil }

type querier struct{ result *Result }

// Select implements storage.Querier. Series are in the order of their labels already.
func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &seriesSet{at: -1}
	for i := range q.result.Series {
		if matches(q.result.Series[i].Labels, matchers) {
			set.series = append(set.series, &q.result.Series[i])
		}
	}
	return set
}

// LabelValues implements storage.Querier. No instant query asks for it.
func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier. No instant query asks for it.
func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close implements storage.Querier.
func (querier) Close() error { return nil }

type seriesSet struct {
	series []*Series
	at     int
}

// Next implements storage.SeriesSet.
func (s *seriesSet) Next() bool {
	s.at++
	return s.at < len(s.series)
}

// At implements storage.SeriesSet.
func (s *seriesSet) At() storage.Series {
	samples := make([]chunks.Sample, len(s.series[s.at].Samples))
	for i := range s.series[s.at].Samples {
		samples[i] = sampleOf{&s.series[s.at].Samples[i]}
	}
	return storage.NewListSeries(s.series[s.at].Labels, samples)
}

// Err implements storage.SeriesSet.
func (*seriesSet) Err() error { return nil }

// Warnings implements storage.SeriesSet.
func (*seriesSet) Warnings() annotations.Annotations { return nil }

// sampleOf is a sample as Prometheus's storage sees it.
type sampleOf struct{ *Sample }

// T implements chunks.Sample.
func (s sampleOf) T() int64 { return s.Sample.T }

// ST implements chunks.Sample.
func (sampleOf) ST() int64 { return 0 }

// F implements chunks.Sample.
func (s sampleOf) F() float64 { return s.Sample.F }

// H implements chunks.Sample.
func (sampleOf) H() *histogram.Histogram { return nil }

// FH implements chunks.Sample.
func (s sampleOf) FH() *histogram.FloatHistogram { return s.Sample.H }

// Type implements chunks.Sample.
func (s sampleOf) Type() chunkenc.ValueType {
	if s.Sample.H != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// Copy implements chunks.Sample.
func (s sampleOf) Copy() chunks.Sample {
	c := *s.Sample
	if c.H != nil {
		c.H = c.H.Copy()
	}
	return sampleOf{&c}
}

// formatFloat writes a value as Prometheus does.
func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
