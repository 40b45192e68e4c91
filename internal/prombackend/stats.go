// SPDX-License-Identifier: Apache-2.0

package prombackend

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// Stats counts what happened since Open.
type Stats struct {
	// Requests is the number of answered remote-write requests by HTTP status code.
	Requests map[int]int64
	// BodyBytes is the number of remote-write body bytes received, compressed as they were on the wire.
	BodyBytes int64
	// FloatSamples and HistogramSamples are the samples that the TSDB stored, as its own counter
	// prometheus_tsdb_head_samples_appended_total has them: a repeated sample counts once.
	FloatSamples     int64
	HistogramSamples int64
	// RejectedSamples are the remote-written samples that the TSDB refused, that were rolled back because another
	// sample of their request was refused, or whose labels were invalid. Samples that a request still had after the
	// refused one are not in it: remote write 1.0 stops reading there.
	RejectedSamples int64
	// Series is the number of series in the head of the TSDB now.
	Series int64
}

// SamplesAppended is the number of stored samples of either kind.
func (s Stats) SamplesAppended() int64 { return s.FloatSamples + s.HistogramSamples }

// Stats returns the counts. The error is that of reading the TSDB's own counters.
func (b *Backend) Stats() (Stats, error) {
	families, err := b.registry.Gather()
	if err != nil {
		return Stats{}, fmt.Errorf("reading the TSDB's counters: %w", err)
	}
	s := Stats{
		RejectedSamples: b.refused.samples.Load(),
		Series:          int64(b.db.Head().NumSeries()), //nolint:gosec // a count of series in memory
	}
	s.Requests, s.BodyBytes = b.requests.counts()
	for _, family := range families {
		switch family.GetName() {
		case "prometheus_tsdb_head_samples_appended_total":
			for _, m := range family.GetMetric() {
				if m.GetLabel()[0].GetValue() == "histogram" {
					s.HistogramSamples = int64(m.GetCounter().GetValue())
					continue
				}
				s.FloatSamples = int64(m.GetCounter().GetValue())
			}
		case "prometheus_api_remote_write_invalid_labels_samples_total":
			s.RejectedSamples += int64(family.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return s, nil
}

// requestCounter counts remote-write requests by status, and their bytes.
type requestCounter struct {
	bytes atomic.Int64

	mu       sync.Mutex // guards byStatus
	byStatus map[int]int64
}

func newRequestCounter() *requestCounter { return &requestCounter{byStatus: map[int]int64{}} }

func (c *requestCounter) counts() (map[int]int64, int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.byStatus), c.bytes.Load()
}

func (c *requestCounter) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = &countingBody{ReadCloser: r.Body, bytes: &c.bytes}
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.byStatus[recorder.status]++
	})
}

type countingBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	return n, err
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// refusals counts the samples that remote write offered and the TSDB does not have.
type refusals struct{ samples atomic.Int64 }

type countingAppendable struct {
	db      *tsdb.DB
	refused *refusals
}

func (a *countingAppendable) Appender(ctx context.Context) storage.Appender {
	return &countingAppender{Appender: a.db.Appender(ctx), refused: a.refused}
}

// countingAppender belongs to one request.
type countingAppender struct {
	storage.Appender
	refused *refusals
	pending int64
}

func (a *countingAppender) Append(ref storage.SeriesRef, l labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	ref, err := a.Appender.Append(ref, l, t, v)
	return ref, a.count(err)
}

func (a *countingAppender) AppendHistogram(ref storage.SeriesRef, l labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	ref, err := a.Appender.AppendHistogram(ref, l, t, h, fh)
	return ref, a.count(err)
}

func (a *countingAppender) count(err error) error {
	if err != nil {
		a.refused.samples.Add(1)
		return err
	}
	a.pending++
	return nil
}

func (a *countingAppender) Commit() error {
	err := a.Appender.Commit()
	if err != nil {
		a.refused.samples.Add(a.pending)
	}
	return err
}

func (a *countingAppender) Rollback() error {
	a.refused.samples.Add(a.pending)
	return a.Appender.Rollback()
}
