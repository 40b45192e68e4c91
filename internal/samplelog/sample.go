// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
)

// Sample is one sample of a series with the exemplars that came with it. Exactly one of V, H and FH counts: H or FH where it
// is set, V otherwise. Times are milliseconds since the epoch; ST is the start of a cumulative series, 0 where unknown.
type Sample struct {
	Ref       Ref
	ST, T     int64
	V         float64
	H         *histogram.Histogram
	FH        *histogram.FloatHistogram
	Exemplars []exemplar.Exemplar
}
