// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// point is what the processor needs of a data point, whatever its type.
type point struct {
	attrs     pcommon.Map
	exemplars pmetric.ExemplarSlice // the zero value for a summary, which has none
	stale     bool
	samples   int // Prometheus samples that the point becomes
	timestamp pcommon.Timestamp
}

func (p point) hasExemplars() bool {
	return p.exemplars != (pmetric.ExemplarSlice{}) && p.exemplars.Len() > 0
}

// kind tells apart what may have one name and one set of attributes and still be different series in the store. A gauge, a sum and
// a native histogram are the same series, whose type changed: its stale marker may come as either.
type kind byte

const (
	single    kind = iota // one series, under the metric's name
	histogram             // _bucket, _sum and _count
	summary               // quantiles, _sum and _count
)

func kindOf(m pmetric.Metric) kind {
	switch m.Type() {
	case pmetric.MetricTypeHistogram:
		return histogram
	case pmetric.MetricTypeSummary:
		return summary
	default:
		return single
	}
}

func numberPoint(dp pmetric.NumberDataPoint) point {
	return point{attrs: dp.Attributes(), exemplars: dp.Exemplars(), stale: dp.Flags().NoRecordedValue(), samples: 1, timestamp: dp.Timestamp()}
}

func histogramPoint(dp pmetric.HistogramDataPoint) point {
	samples := dp.ExplicitBounds().Len() + 2 // the +Inf bucket and the count
	if dp.HasSum() {
		samples++
	}
	return point{attrs: dp.Attributes(), exemplars: dp.Exemplars(), stale: dp.Flags().NoRecordedValue(), samples: samples, timestamp: dp.Timestamp()}
}

func exponentialPoint(dp pmetric.ExponentialHistogramDataPoint) point {
	return point{attrs: dp.Attributes(), exemplars: dp.Exemplars(), stale: dp.Flags().NoRecordedValue(), samples: 1, timestamp: dp.Timestamp()}
}

func summaryPoint(dp pmetric.SummaryDataPoint) point {
	return point{attrs: dp.Attributes(), stale: dp.Flags().NoRecordedValue(), samples: dp.QuantileValues().Len() + 2, timestamp: dp.Timestamp()}
}

// eachPoint calls visit with every data point of the metric, in order.
func eachPoint(m pmetric.Metric, visit func(point)) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for dps, i := m.Gauge().DataPoints(), 0; i < dps.Len(); i++ {
			visit(numberPoint(dps.At(i)))
		}
	case pmetric.MetricTypeSum:
		for dps, i := m.Sum().DataPoints(), 0; i < dps.Len(); i++ {
			visit(numberPoint(dps.At(i)))
		}
	case pmetric.MetricTypeHistogram:
		for dps, i := m.Histogram().DataPoints(), 0; i < dps.Len(); i++ {
			visit(histogramPoint(dps.At(i)))
		}
	case pmetric.MetricTypeExponentialHistogram:
		for dps, i := m.ExponentialHistogram().DataPoints(), 0; i < dps.Len(); i++ {
			visit(exponentialPoint(dps.At(i)))
		}
	case pmetric.MetricTypeSummary:
		for dps, i := m.Summary().DataPoints(), 0; i < dps.Len(); i++ {
			visit(summaryPoint(dps.At(i)))
		}
	case pmetric.MetricTypeEmpty:
	}
}

// removePoints removes the data points for which drop says so, in order, and reports how many are left.
func removePoints(m pmetric.Metric, drop func(point) bool) int {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		m.Gauge().DataPoints().RemoveIf(func(dp pmetric.NumberDataPoint) bool { return drop(numberPoint(dp)) })
	case pmetric.MetricTypeSum:
		m.Sum().DataPoints().RemoveIf(func(dp pmetric.NumberDataPoint) bool { return drop(numberPoint(dp)) })
	case pmetric.MetricTypeHistogram:
		m.Histogram().DataPoints().RemoveIf(func(dp pmetric.HistogramDataPoint) bool { return drop(histogramPoint(dp)) })
	case pmetric.MetricTypeExponentialHistogram:
		m.ExponentialHistogram().DataPoints().RemoveIf(func(dp pmetric.ExponentialHistogramDataPoint) bool { return drop(exponentialPoint(dp)) })
	case pmetric.MetricTypeSummary:
		m.Summary().DataPoints().RemoveIf(func(dp pmetric.SummaryDataPoint) bool { return drop(summaryPoint(dp)) })
	case pmetric.MetricTypeEmpty:
	}
	return countPoints(m)
}

func countPoints(m pmetric.Metric) int {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		return m.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().Len()
	case pmetric.MetricTypeSummary:
		return m.Summary().DataPoints().Len()
	case pmetric.MetricTypeEmpty:
	}
	return 0
}
