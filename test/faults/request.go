// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/util/compression"
)

// samples returns what is in the request, in its order.
func (c *call) samples() []sample {
	found, _, err := c.take(func(string) bool { return true })
	if err != nil {
		return nil
	}
	return found
}

// has says whether the request has a series.
func (c *call) has(series string) bool {
	return slices.ContainsFunc(c.samples(), func(s sample) bool { return s.series == series })
}

// take returns the samples of the series that keep wants, and a request of them.
func (c *call) take(keep func(series string) bool) ([]sample, []byte, error) {
	raw, err := compression.Decode(compression.Snappy, c.wire(), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("a request that is no snappy: %w", err)
	}
	if c.v2 {
		return takeV2(raw, keep)
	}
	return takeV1(raw, keep)
}

func takeV1(raw []byte, keep func(series string) bool) ([]sample, []byte, error) {
	var request prompb.WriteRequest
	if err := request.Unmarshal(raw); err != nil {
		return nil, nil, fmt.Errorf("a request that is no remote write 1.0: %w", err)
	}
	var found []sample
	builder := labels.NewScratchBuilder(0)
	request.Timeseries = slices.DeleteFunc(request.Timeseries, func(ts prompb.TimeSeries) bool {
		id := seriesOf(ts.ToLabels(&builder, nil))
		if !keep(id) {
			return true
		}
		for _, s := range ts.Samples {
			found = append(found, sample{id, s.Timestamp, floatText(s.Value)})
		}
		for _, h := range ts.Histograms {
			found = append(found, sample{id, h.Timestamp, histogramText(float64(h.GetCountInt()), h.Sum)})
		}
		return false
	})
	plain, err := request.Marshal()
	if err != nil {
		return nil, nil, err
	}
	wire, err := compression.Encode(compression.Snappy, plain, nil)
	return found, wire, err
}

func takeV2(raw []byte, keep func(series string) bool) ([]sample, []byte, error) {
	var request writev2.Request
	if err := request.Unmarshal(raw); err != nil {
		return nil, nil, fmt.Errorf("a request that is no remote write 2.0: %w", err)
	}
	var found []sample
	builder := labels.NewScratchBuilder(0)
	var kept []writev2.TimeSeries
	for _, ts := range request.Timeseries {
		ls, err := ts.ToLabels(&builder, request.Symbols)
		if err != nil {
			return nil, nil, fmt.Errorf("a series without labels: %w", err)
		}
		id := seriesOf(ls)
		if !keep(id) {
			continue
		}
		kept = append(kept, ts)
		for _, s := range ts.Samples {
			found = append(found, sample{id, s.Timestamp, floatText(s.Value)})
		}
		for _, h := range ts.Histograms {
			found = append(found, sample{id, h.Timestamp, histogramText(float64(h.GetCountInt()), h.Sum)})
		}
	}
	request.Timeseries = kept
	plain, err := request.Marshal()
	if err != nil {
		return nil, nil, err
	}
	wire, err := compression.Encode(compression.Snappy, plain, nil)
	return found, wire, err
}
