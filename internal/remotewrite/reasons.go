// SPDX-License-Identifier: Apache-2.0

package remotewrite

import "strings"

// rule is a text of a receiver and what it means.
type rule struct {
	text   string // in lower case
	reason string
}

// mimirRules are error IDs of Mimir (pkg/util/globalerror/user.go: "expected to be immutable"), without err-mimir-. IDs that are not
// here are about names, labels or histograms.
var mimirRules = []rule{
	{"sample-duplicate-timestamp", ReasonDuplicate},
	{"sample-out-of-order", ReasonOutOfOrder},
	{"sample-timestamp-too-old", ReasonTooOld},
	{"exemplar-too-far-in-past", ReasonTooOld},
	{"too-far-in-past", ReasonTooOld},
	{"exemplar-too-far-in-future", ReasonTooFarInFuture},
	{"too-far-in-future", ReasonTooFarInFuture},
	{"max-label-names-per-", ReasonLabelLimit},
	{"label-name-too-long", ReasonLabelLimit},
	{"label-value-too-long", ReasonLabelLimit},
	{"max-series-per-", ReasonSeriesLimit},
	{"max-active-series", ReasonSeriesLimit},
	{"distributor-max-write-", ReasonTooLarge},
	{"tenant-", ReasonOther},
	{"request-blocked", ReasonOther},
	{"", ReasonInvalid},
}

// textRules are what the other receivers say, the most specific first.
var textRules = []rule{
	// Size. client_golang/exp/api/remote (Prometheus), Cortex and gRPC, Thanos, VictoriaMetrics, and proxies.
	{"decoded size exceeds the", ReasonTooLarge},
	{"request body exceeds the", ReasonTooLarge},
	{"received message larger than max", ReasonTooLarge},
	{"message after decompression larger than max", ReasonTooLarge},
	{"write request too large", ReasonTooLarge},
	{"too big data size exceeding", ReasonTooLarge},
	{"too big packed request", ReasonTooLarge},
	{"too big unpacked request", ReasonTooLarge},
	{"body too large", ReasonTooLarge},
	{"entity too large", ReasonTooLarge},
	{"payload too large", ReasonTooLarge},
	// Prometheus's storage, which Thanos, Cortex and Amazon embed (storage/interface.go, storage/remote/write_handler.go).
	{"too far in the future", ReasonTooFarInFuture},
	{"duplicate sample for timestamp", ReasonDuplicate},
	{"out of order sample", ReasonOutOfOrder},
	{"out of order exemplar", ReasonOutOfOrder},
	{"out of bounds", ReasonTooOld},
	{"too old sample", ReasonTooOld},
	// Cortex and Amazon (pkg/util/validation/errors.go, pkg/ingester/limiter.go).
	{"timestamp too new", ReasonTooFarInFuture},
	{"timestamp too old", ReasonTooOld},
	{"too many labels", ReasonLabelLimit},
	{"label names; limit", ReasonLabelLimit},
	{"label name too long", ReasonLabelLimit},
	{"label value too long", ReasonLabelLimit},
	{"series limit", ReasonSeriesLimit},
	{"sample out of order", ReasonOutOfOrder},
	{"sample with repeated timestamp but different value", ReasonDuplicate},
	// Azure: a request with the same series twice.
	{"duplicate time series", ReasonDuplicate},
	{"duplicate timeseries", ReasonDuplicate},
	// Names, labels and buckets: Prometheus (write_handler.go, model/histogram/generic.go), Cortex, Thanos (labelpb).
	{"invalid metric name", ReasonInvalid},
	{"missing metric name", ReasonInvalid},
	{"invalid labels", ReasonInvalid},
	{"invalid label", ReasonInvalid},
	{"parsing labels for series", ReasonInvalid},
	{"duplicated label", ReasonInvalid},
	{"duplicate label", ReasonInvalid},
	{"labels not sorted", ReasonInvalid},
	{"out of order labels", ReasonInvalid},
	{"empty name or value", ReasonInvalid},
	{"must contain at least one sample", ReasonInvalid},
	{"histogram", ReasonInvalid},
	{"custom buckets", ReasonInvalid},
	{"observations found in buckets", ReasonInvalid},
	{"exemplar", ReasonInvalid},
}

// reasonOf finds out what a body complains about. Only counting depends on it, and whether smaller requests may help.
func reasonOf(body string) string {
	body = strings.ToLower(body)
	if _, id, found := strings.Cut(body, "err-mimir-"); found {
		return first(mimirRules, id, strings.HasPrefix)
	}
	return first(textRules, body, strings.Contains)
}

func first(rules []rule, text string, matches func(s, pattern string) bool) string {
	for _, r := range rules {
		if matches(text, r.text) {
			return r.reason
		}
	}
	return ReasonOther
}

// isPlainHTTP says whether a server complains about HTTP on its HTTPS port: Go's net/http, nginx, Apache.
func isPlainHTTP(body string) bool {
	body = strings.ToLower(body)
	return strings.Contains(body, "client sent an http request to an https server") ||
		strings.Contains(body, "plain http request was sent to https port") ||
		strings.Contains(body, "speaking plain http to an ssl-enabled server port")
}
