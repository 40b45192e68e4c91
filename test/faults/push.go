// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// idLabel tells the pushed series apart.
const idLabel = "id"

// Names of what is pushed.
const (
	gaugeName     = "pushed_gauge"
	histogramName = "pushed_histogram"
	exemplarName  = "pushed_total"
)

// batch is what one OTLP request brings.
type batch struct {
	samples []sample
	metrics pmetric.Metrics

	gauges, counters pmetric.NumberDataPointSlice
	histograms       pmetric.ExponentialHistogramDataPointSlice
}

func newBatch() *batch {
	b := &batch{metrics: pmetric.NewMetrics()}
	resource := b.metrics.ResourceMetrics().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", "faults")
	resource.Resource().Attributes().PutStr("service.instance.id", "faults")
	metrics := resource.ScopeMetrics().AppendEmpty().Metrics()
	gauge := metrics.AppendEmpty()
	gauge.SetName(gaugeName)
	b.gauges = gauge.SetEmptyGauge().DataPoints()
	histogram := metrics.AppendEmpty()
	histogram.SetName(histogramName)
	exponential := histogram.SetEmptyExponentialHistogram()
	exponential.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	b.histograms = exponential.DataPoints()
	counter := metrics.AppendEmpty()
	counter.SetName(exemplarName)
	sum := counter.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	b.counters = sum.DataPoints()
	return b
}

func at(t int64) pcommon.Timestamp { return pcommon.NewTimestampFromTime(time.UnixMilli(t)) }

// gauge adds a float sample at t, milliseconds since the epoch.
func (b *batch) gauge(id string, t int64, v float64) {
	p := b.gauges.AppendEmpty()
	p.SetTimestamp(at(t))
	p.SetDoubleValue(v)
	p.Attributes().PutStr(idLabel, id)
	b.samples = append(b.samples, sample{gaugeName + "/" + id, t, floatText(v)})
}

// exemplar adds a float sample with an exemplar.
func (b *batch) exemplar(id string, t int64, v float64) {
	p := b.counters.AppendEmpty()
	p.SetTimestamp(at(t))
	p.SetDoubleValue(v)
	p.Attributes().PutStr(idLabel, id)
	e := p.Exemplars().AppendEmpty()
	e.SetTimestamp(at(t))
	e.SetDoubleValue(v)
	e.FilteredAttributes().PutStr("trace", "trace of "+id)
	b.samples = append(b.samples, sample{exemplarName + "/" + id, t, floatText(v)})
}

// histogram adds a native histogram of n observations.
func (b *batch) histogram(id string, t int64, n uint64) {
	p := b.histograms.AppendEmpty()
	p.SetTimestamp(at(t))
	p.Attributes().PutStr(idLabel, id)
	p.SetScale(2)
	p.Positive().SetOffset(3)
	p.Positive().BucketCounts().FromRaw([]uint64{n})
	p.SetCount(n)
	p.SetSum(float64(2 * n))
	b.samples = append(b.samples, sample{histogramName + "/" + id, t, histogramText(float64(n), float64(2*n))})
}

// seriesName is the id of the n-th series.
func seriesName(n int) string { return "s" + strconv.Itoa(n) }
