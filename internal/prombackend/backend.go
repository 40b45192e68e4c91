// SPDX-License-Identifier: Apache-2.0

// Package prombackend is a real Prometheus remote-write receiver inside this process: Prometheus's own
// remote-write handler, TSDB and PromQL engine, with the defaults that a Prometheus server has.
//
// It stands in for the managed backend in the demo and in tests. Nothing in it is imitated, so what it stores,
// accepts and refuses is what a Prometheus server of the linked version stores, accepts and refuses.
package prombackend

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// These are the defaults of a Prometheus server (cmd/prometheus/main.go).
const (
	lookbackDelta      = 5 * time.Minute
	queryTimeout       = 2 * time.Minute
	maxSamplesPerQuery = 50_000_000
	maxExemplars       = 100_000
)

// Options configures a Backend. The zero value is usable.
type Options struct {
	// Logger receives the messages of the TSDB, the engine and the write handler. Nil discards them.
	Logger *slog.Logger
}

// Backend is an open TSDB with a remote-write receiver and a query engine on top of it.
// All its methods may be called from several goroutines; none may be called after Close.
type Backend struct {
	db       *tsdb.DB
	engine   *promql.Engine
	registry *prometheus.Registry
	requests *requestCounter
	refused  *refusals
	handler  http.Handler
}

// Open opens the TSDB in dir, which it creates if need be, and replays what is in it.
//
// Native histograms and exemplars are stored and samples out of order are refused, as a Prometheus server with
// exemplar storage switched on does. Open fails when dir cannot be written or another process holds it.
func Open(dir string, opts Options) (*Backend, error) {
	logger := opts.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if err := checkWritable(dir); err != nil {
		return nil, fmt.Errorf("the metrics backend cannot keep its data in %q: %w; choose a folder that this user can write", dir, err)
	}

	registry := prometheus.NewRegistry()
	dbOptions := tsdb.DefaultOptions()
	dbOptions.EnableExemplarStorage = true
	dbOptions.MaxExemplars = maxExemplars
	db, err := tsdb.Open(dir, logger.With("component", "tsdb"), registry, dbOptions, nil)
	if err != nil {
		return nil, fmt.Errorf("the metrics backend cannot open the TSDB in %q: %w; is another process using this folder?", dir, err)
	}

	queryParser := parser.NewParser(parser.Options{})
	b := &Backend{
		db:       db,
		registry: registry,
		requests: newRequestCounter(),
		refused:  &refusals{},
		engine: promql.NewEngine(promql.EngineOpts{
			Logger:                   logger.With("component", "query engine"),
			Reg:                      registry,
			MaxSamples:               maxSamplesPerQuery,
			Timeout:                  queryTimeout,
			LookbackDelta:            lookbackDelta,
			NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
			EnableAtModifier:         true,
			EnableNegativeOffset:     true,
			Parser:                   queryParser,
		}),
	}
	b.handler = newHandler(b, queryParser, logger.With("component", "web"))
	return b, nil
}

// checkWritable creates dir and a file in it, because the TSDB reports a folder without write permission
// only through its lock file, in words that do not say so.
func checkWritable(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".writable-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// DB is the TSDB underneath, for a writer that does not use remote write, such as a scrape manager.
// It belongs to the Backend: do not close it.
func (b *Backend) DB() *tsdb.DB { return b.db }

// Query evaluates the PromQL expression at ts. The error is that of parsing or of evaluation; warnings are in the
// result. The result stays valid: its memory is not handed back to the engine's pool.
func (b *Backend) Query(ctx context.Context, expr string, ts time.Time) (*promql.Result, error) {
	query, err := b.engine.NewInstantQuery(ctx, b.db, nil, expr, ts)
	if err != nil {
		return nil, fmt.Errorf("PromQL %q: %w", expr, err)
	}
	result := query.Exec(ctx)
	if result.Err != nil {
		return nil, fmt.Errorf("PromQL %q: %w", expr, result.Err)
	}
	return result, nil
}

// Sample is one stored sample. H is set for an integer native histogram, FH for a float one, else F is the value.
// A stale marker is a value for which value.IsStaleNaN holds; for a histogram its Sum is that value.
type Sample struct {
	T  int64 // milliseconds since the Unix epoch
	F  float64
	H  *histogram.Histogram
	FH *histogram.FloatHistogram
}

// Series is one stored series with its samples in the order of their timestamps.
type Series struct {
	Labels  labels.Labels
	Samples []Sample
}

// Series iterates over the stored series that match, in the order of their labels, each with every sample between
// mint and maxt (milliseconds, both included), stale markers too. Without matchers it iterates over all series.
// After an error it stops.
func (b *Backend) Series(ctx context.Context, mint, maxt int64, matchers ...*labels.Matcher) iter.Seq2[Series, error] {
	return func(yield func(Series, error) bool) {
		querier, err := b.db.Querier(mint, maxt)
		if err != nil {
			yield(Series{}, fmt.Errorf("reading series from the TSDB: %w", err))
			return
		}
		defer func() { _ = querier.Close() }() // it only read

		set := querier.Select(ctx, true, nil, orAll(matchers)...)
		var it chunkenc.Iterator
		for set.Next() {
			stored := set.At()
			it = stored.Iterator(it)
			samples, err := readSamples(it)
			if err != nil {
				yield(Series{}, fmt.Errorf("reading samples of %s: %w", stored.Labels(), err))
				return
			}
			if !yield(Series{Labels: stored.Labels(), Samples: samples}, nil) {
				return
			}
		}
		if err := set.Err(); err != nil {
			yield(Series{}, fmt.Errorf("reading series from the TSDB: %w", err))
		}
	}
}

// Exemplars returns the stored exemplars of the series that match, between mint and maxt (milliseconds, both
// included). Without matchers it returns those of all series.
func (b *Backend) Exemplars(ctx context.Context, mint, maxt int64, matchers ...*labels.Matcher) ([]exemplar.QueryResult, error) {
	querier, err := b.db.ExemplarQuerier(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading exemplars from the TSDB: %w", err)
	}
	results, err := querier.Select(mint, maxt, orAll(matchers))
	if err != nil {
		return nil, fmt.Errorf("reading exemplars from the TSDB: %w", err)
	}
	return results, nil
}

// orAll makes an empty list of matchers match everything: every stored series has a name.
func orAll(matchers []*labels.Matcher) []*labels.Matcher {
	if len(matchers) > 0 {
		return matchers
	}
	return []*labels.Matcher{labels.MustNewMatcher(labels.MatchNotEqual, model.MetricNameLabel, "")}
}

func readSamples(it chunkenc.Iterator) ([]Sample, error) {
	var samples []Sample
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		var s Sample
		switch kind {
		case chunkenc.ValFloat:
			s.T, s.F = it.At()
		case chunkenc.ValHistogram:
			s.T, s.H = it.AtHistogram(nil)
		case chunkenc.ValFloatHistogram:
			s.T, s.FH = it.AtFloatHistogram(nil)
		default:
			return nil, fmt.Errorf("sample of an unknown kind %v", kind)
		}
		samples = append(samples, s)
	}
	return samples, it.Err()
}

// Close stops the engine and closes the TSDB. Requests in flight must have ended: close the HTTP server first.
func (b *Backend) Close() error {
	return errors.Join(b.engine.Close(), b.db.Close())
}
