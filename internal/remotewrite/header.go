// SPDX-License-Identifier: Apache-2.0

package remotewrite

import (
	"net/http"
	"strconv"
)

// Header returns the headers of a request that the protocol asks for, but for the User-Agent. attempt is 0 when the request is
// sent for the first time, 1 for the first repetition and so on: Mimir derives its Retry-After from it, as it does for Prometheus.
func Header(p Protocol, attempt int) http.Header {
	h := http.Header{"Content-Encoding": {"snappy"}}
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

// UserAgent returns the User-Agent of this program, which the protocol asks for too.
func UserAgent(version string) string { return "otelcol-runner/" + version }
