// SPDX-License-Identifier: Apache-2.0

package remotewrite

import (
	"net/http"
	"strconv"
)

// Header returns the headers of a request. attempt is 0 when it is sent for the first time, 1 for the first repetition and so
// on: Mimir grows its Retry-After with it, as it does for Prometheus. version is that of this program.
func Header(p Protocol, attempt int, version string) http.Header {
	h := http.Header{
		"Content-Encoding": {"snappy"},
		"User-Agent":       {"otelcol-runner/" + version},
	}
	switch p {
	case V2:
		h["Content-Type"] = []string{"application/x-protobuf;proto=io.prometheus.write.v2.Request"}
		h["X-Prometheus-Remote-Write-Version"] = []string{"2.0.0"}
	default:
		h["Content-Type"] = []string{"application/x-protobuf"}
		h["X-Prometheus-Remote-Write-Version"] = []string{"0.1.0"}
	}
	if attempt > 0 {
		h["Retry-Attempt"] = []string{strconv.Itoa(attempt)}
	}
	return h
}
