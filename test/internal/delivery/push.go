// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

const (
	// pushTimeout ends an attempt of which nothing is heard any more.
	pushTimeout = 30 * time.Second
	// pushPause is the time between two attempts. There is no backoff: a test wants the moment at which a collector is
	// back.
	pushPause = 20 * time.Millisecond
)

// Pusher sends over OTLP/HTTP to one collector. It may be used from several goroutines.
type Pusher struct {
	address string
	client  *http.Client
}

// NewPusher returns a pusher to the address.
func NewPusher(address string) *Pusher {
	return &Pusher{address: "http://" + address + "/v1/metrics", client: &http.Client{Timeout: pushTimeout, Transport: &http.Transport{}}}
}

// Close closes the connections.
func (p *Pusher) Close() { p.client.CloseIdleConnections() }

// errRefused is an answer after which OTLP does not allow another attempt.
var errRefused = errors.New("the collector refused samples for good")

// Push sends the metrics until the collector acknowledges them, each attempt with the same bytes, and returns how many
// attempts that took. It gives up when ctx ends, or when the collector refuses them for good.
func (p *Pusher) Push(ctx context.Context, metrics pmetric.Metrics) (attempts int, err error) {
	body, err := pmetricotlp.NewExportRequestFromMetrics(metrics).MarshalProto()
	if err != nil {
		return 0, fmt.Errorf("encoding an OTLP request: %w", err)
	}
	for {
		attempts++
		err := p.try(ctx, body)
		if err == nil || errors.Is(err, errRefused) {
			return attempts, err
		}
		select {
		case <-ctx.Done():
			return attempts, errors.Join(ctx.Err(), err)
		case <-time.After(pushPause):
		}
	}
}

func (p *Pusher) try(ctx context.Context, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	answer, err := do(p.client, request)
	if err != nil {
		return err
	}
	response := pmetricotlp.NewExportResponse()
	if err := response.UnmarshalProto(answer); err != nil {
		return fmt.Errorf("%w: its answer is no OTLP: %w", errRefused, err)
	}
	if n := response.PartialSuccess().RejectedDataPoints(); n > 0 {
		return fmt.Errorf("%w: %d of them, %s", errRefused, n, response.PartialSuccess().ErrorMessage())
	}
	return nil
}

// do sends a request and returns the body of an answer 200. Answers after which OTLP allows no other attempt are
// errRefused.
func do(client *http.Client, request *http.Request) ([]byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode == http.StatusOK:
		return body, nil
	}
	err = fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(body)))
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", errRefused, err)
}

// Batch builds the metrics of one push: rounds of a gauge and a counter, whose series are told apart by IDLabel.
type Batch struct {
	Metrics        pmetric.Metrics
	source         string
	since          pcommon.Timestamp
	gauge, counter pmetric.NumberDataPointSlice
}

// NewBatch returns a batch of the source, whose counters count since then, with one round begun.
func NewBatch(source string, since time.Time) *Batch {
	b := &Batch{Metrics: pmetric.NewMetrics(), source: source, since: pcommon.NewTimestampFromTime(since)}
	b.Next()
	return b
}

// Next begins another round, as a client does that sends what it could not send before.
func (b *Batch) Next() {
	resource := b.Metrics.ResourceMetrics().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", b.source)
	resource.Resource().Attributes().PutStr("service.instance.id", b.source)
	metrics := resource.ScopeMetrics().AppendEmpty().Metrics()
	gauge := metrics.AppendEmpty()
	gauge.SetName("pushed_gauge")
	b.gauge = gauge.SetEmptyGauge().DataPoints()
	counter := metrics.AppendEmpty()
	counter.SetName("pushed_total")
	sum := counter.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	b.counter = sum.DataPoints()
}

// Gauge adds a point at t, in milliseconds.
func (b *Batch) Gauge(id string, t int64, v float64) { b.add(b.gauge, id, t, v) }

// Counter adds a point at t, in milliseconds.
func (b *Batch) Counter(id string, t int64, v float64) {
	b.add(b.counter, id, t, v).SetStartTimestamp(b.since)
}

func (b *Batch) add(points pmetric.NumberDataPointSlice, id string, t int64, v float64) pmetric.NumberDataPoint {
	point := points.AppendEmpty()
	point.SetTimestamp(pcommon.NewTimestampFromTime(time.UnixMilli(t)))
	point.SetDoubleValue(v)
	point.Attributes().PutStr(IDLabel, id)
	return point
}
