// SPDX-License-Identifier: Apache-2.0

package translate

// Reason says why samples were refused.
type Reason uint8

// The reasons. Counts are in samples that the points would have become.
const (
	accepted Reason = iota
	// ReasonType is a metric of no known type.
	ReasonType
	// ReasonTemporality is a sum or histogram that is not cumulative. Prometheus's OTLP endpoint refuses it too.
	ReasonTemporality
	// ReasonName is a metric name that is empty or not UTF-8.
	ReasonName
	// ReasonLabel is an attribute whose name is empty or there twice, or whose name or value is not UTF-8.
	ReasonLabel
	// ReasonTimestamp is a point without one.
	ReasonTimestamp
	// ReasonValue is a point without one.
	ReasonValue
	// ReasonBuckets is a classic histogram whose bounds do not ascend or do not fit its counts.
	ReasonBuckets
	// ReasonNativeHistogram is an exponential histogram that Prometheus cannot hold: its scale is below -4, its buckets are too
	// far out, or they do not add up to its count, which is what the receiver makes of float counts.
	ReasonNativeHistogram
	// ReasonGaugeHistogram is the count or sum of an OpenMetrics gauge histogram, where the receiver gives both the same name.
	ReasonGaugeHistogram

	// NumReasons is how many there are, counting the zero value, which is none.
	NumReasons
)

// String returns the value of the label `reason`.
func (r Reason) String() string {
	return [NumReasons]string{
		"", "type", "temporality", "name", "label", "timestamp", "no_value", "buckets", "native_histogram", "gauge_histogram",
	}[r]
}

// Result says what became of a batch.
type Result struct {
	// Samples and Exemplars were written.
	Samples, Exemplars int
	// Refused counts samples by reason.
	Refused [NumReasons]int
	// RefusedExemplars are exemplars without a value, or with labels that Prometheus refuses.
	RefusedExemplars int
}
