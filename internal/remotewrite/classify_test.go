// SPDX-License-Identifier: Apache-2.0

package remotewrite_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
)

// classify classifies an answer of a status to a request of 10 samples.
func classify(p remotewrite.Protocol, status int, body string, header ...string) remotewrite.Verdict {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return remotewrite.Classify(remotewrite.Answer{Status: status, Header: h, Body: []byte(body)}, remotewrite.Request{Protocol: p, Samples: 10, Now: now})
}

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const samplesHeader = "X-Prometheus-Remote-Write-Samples-Written"

func TestClassifyByStatus(t *testing.T) {
	for _, tc := range []struct {
		status int
		action remotewrite.Action
		reason string
	}{
		{200, remotewrite.Delivered, ""},
		{202, remotewrite.Delivered, ""},
		{204, remotewrite.Delivered, ""},
		{0, remotewrite.Retry, "server"},
		{100, remotewrite.Retry, "server"},
		{301, remotewrite.Retry, "endpoint"},
		{302, remotewrite.Retry, "endpoint"},
		{307, remotewrite.Retry, "endpoint"},
		{400, remotewrite.Isolate, "other"},
		{401, remotewrite.Retry, "auth"},
		{402, remotewrite.Retry, "auth"},
		{403, remotewrite.Retry, "auth"},
		{404, remotewrite.Retry, "endpoint"},
		{405, remotewrite.Retry, "endpoint"},
		{407, remotewrite.Retry, "auth"},
		{408, remotewrite.Retry, "timeout"},
		{409, remotewrite.Isolate, "other"},
		{413, remotewrite.Split, "too_large"},
		{415, remotewrite.Retry, "unsupported"},
		{418, remotewrite.Isolate, "other"},
		{421, remotewrite.Retry, "endpoint"},
		{422, remotewrite.Isolate, "other"},
		{425, remotewrite.Retry, "rate_limited"},
		{429, remotewrite.Retry, "rate_limited"},
		{431, remotewrite.Retry, "endpoint"},
		{500, remotewrite.Retry, "server"},
		{501, remotewrite.Retry, "server"},
		{502, remotewrite.Retry, "server"},
		{503, remotewrite.Retry, "server"},
		{504, remotewrite.Retry, "server"},
		{529, remotewrite.Retry, "rate_limited"},
		{599, remotewrite.Retry, "server"},
		{999, remotewrite.Retry, "server"},
	} {
		v := classify(remotewrite.V1, tc.status, "")
		assert.Equal(t, tc.action, v.Action, "%d", tc.status)
		assert.Equal(t, tc.reason, v.Reason, "%d", tc.status)
		assert.Equal(t, tc.status == 202, v.Deduplicated, "%d", tc.status)
		assert.False(t, v.Partial || v.WrittenKnown || v.NoneWritten || v.AllWritten, "1.0 has no counts")
		assert.Contains(t, v.Text, fmt.Sprintf("HTTP %d", tc.status))
	}
}

// TestClassifyStrict has the cases of prometheus/compliance, remotewrite/sender: Retry, Fallback, NoFallbackOn2xx, Response.
func TestClassifyStrict(t *testing.T) {
	for _, tc := range []struct {
		status int
		header []string
		action remotewrite.Action
	}{
		{200, []string{samplesHeader, "10"}, remotewrite.Delivered},
		{204, []string{samplesHeader, "3"}, remotewrite.Delivered},
		{204, nil, remotewrite.FallbackV1},
		{400, nil, remotewrite.Drop},
		{400, []string{samplesHeader, "3"}, remotewrite.Drop},
		{401, nil, remotewrite.Drop},
		{403, nil, remotewrite.Drop},
		{404, nil, remotewrite.Drop},
		{408, nil, remotewrite.Drop},
		{409, nil, remotewrite.Drop},
		{413, nil, remotewrite.Drop},
		{415, nil, remotewrite.FallbackV1},
		{429, nil, remotewrite.Retry},
		{500, nil, remotewrite.Retry},
		{502, nil, remotewrite.Retry},
		{503, nil, remotewrite.Retry},
		{504, nil, remotewrite.Retry},
	} {
		h := http.Header{}
		if tc.header != nil {
			h.Set(tc.header[0], tc.header[1])
		}
		v := remotewrite.Classify(remotewrite.Answer{Status: tc.status, Header: h}, remotewrite.Request{Protocol: remotewrite.V2, Samples: 10, Strict: true, Probing: true})
		assert.Equal(t, tc.action, v.Action, "%d", tc.status)
	}
	page := remotewrite.Answer{Status: 200, Body: []byte("<html>"), Header: http.Header{}}
	v := remotewrite.Classify(page, remotewrite.Request{Protocol: remotewrite.V1, Samples: 10, Strict: true})
	assert.Equal(t, remotewrite.Delivered, v.Action, "senders MUST ignore the body of a 2xx")
	v = remotewrite.Classify(remotewrite.Answer{Status: 415}, remotewrite.Request{Protocol: remotewrite.V1, Strict: true})
	assert.Equal(t, remotewrite.Drop, v.Action, "there is nothing to fall back to")
}

func TestWrittenCounts(t *testing.T) {
	const histograms, exemplars = "X-Prometheus-Remote-Write-Histograms-Written", "X-Prometheus-Remote-Write-Exemplars-Written"
	f := func(name string, status int, header []string, want remotewrite.Verdict) {
		t.Helper()
		v := classify(remotewrite.V2, status, "", header...)
		v.Text, want.Text = "", ""
		assert.Equal(t, want, v, name)
	}
	f("all", 204, []string{samplesHeader, "10"}, remotewrite.Verdict{Action: remotewrite.Delivered, Written: 10, WrittenKnown: true})
	f("with histograms", 204, []string{samplesHeader, "7", histograms, "3", exemplars, "0"}, remotewrite.Verdict{Action: remotewrite.Delivered, Written: 10, WrittenKnown: true})
	f("some", 204, []string{samplesHeader, "7"}, remotewrite.Verdict{Action: remotewrite.Delivered, Written: 7, WrittenKnown: true, Partial: true})
	f("none, known by exemplars", 200, []string{exemplars, "0"}, remotewrite.Verdict{Action: remotewrite.Delivered, WrittenKnown: true, Partial: true})
	f("deduplicated", 202, []string{samplesHeader, "0"}, remotewrite.Verdict{Action: remotewrite.Delivered, WrittenKnown: true, Partial: true, Deduplicated: true})
	f("garbage is a count of 0", 204, []string{samplesHeader, "-10"}, remotewrite.Verdict{Action: remotewrite.Delivered, WrittenKnown: true, Partial: true})
	f("absurd", 204, []string{samplesHeader, "99999999999999999999"}, remotewrite.Verdict{Action: remotewrite.Delivered, WrittenKnown: true, Partial: true})
	f("no counts", 204, nil, remotewrite.Verdict{Action: remotewrite.FallbackV1, Reason: "unsupported"})
	f("415", 415, nil, remotewrite.Verdict{Action: remotewrite.FallbackV1, Reason: "unsupported"})
	f("refused, some", 400, []string{samplesHeader, "7"}, remotewrite.Verdict{Action: remotewrite.Isolate, Reason: "other", Written: 7, WrittenKnown: true})
	f("refused, none", 400, []string{samplesHeader, "0"}, remotewrite.Verdict{Action: remotewrite.Isolate, Reason: "other", WrittenKnown: true, NoneWritten: true})
	f("refused, only exemplars", 400, []string{samplesHeader, "10", exemplars, "0"}, remotewrite.Verdict{Action: remotewrite.Isolate, Reason: "other", Written: 10, WrittenKnown: true, AllWritten: true})
	f("refused, unknown", 400, nil, remotewrite.Verdict{Action: remotewrite.Isolate, Reason: "other"})

	refused := remotewrite.Answer{Status: 400, Body: []byte("snappy: corrupt input")}
	v := remotewrite.Classify(refused, remotewrite.Request{Protocol: remotewrite.V2, Samples: 10, Probing: true})
	assert.Equal(t, remotewrite.FallbackV1, v.Action, "a receiver of 2.0 would have said what it wrote")
	v = remotewrite.Classify(refused, remotewrite.Request{Protocol: remotewrite.V1, Samples: 10, Probing: true})
	assert.Equal(t, remotewrite.Isolate, v.Action)
	v = classify(remotewrite.V1, 204, "", samplesHeader, "3")
	assert.Equal(t, remotewrite.Verdict{Action: remotewrite.Delivered, Text: "HTTP 204 No Content"}, v, "never infer anything for 1.0")
}

// TestReasons has the texts that the receivers really send.
func TestReasons(t *testing.T) {
	mimir := func(id string) string {
		return "send data to ingesters: failed pushing to ingester ingester-2: user=lab: something about series {__name__=\"too_large\", msg=\"out of order sample\"} (err-mimir-" + id +
			"). To adjust the related per-tenant limit, configure -x, or contact your service administrator."
	}
	for _, tc := range []struct{ receiver, text, reason string }{
		{"prometheus", "out of order sample\n", "out_of_order"},
		{"prometheus", "duplicate sample for timestamp\n", "duplicate"},
		{"prometheus", "duplicate sample for timestamp 1790000000000; overrides not allowed: existing 1, new value 2\n", "duplicate"},
		{"prometheus", "out of bounds\n", "too_old"},
		{"prometheus", "too old sample\n", "too_old"},
		{"prometheus", "out of bounds: timestamp is too far in the future\n", "too_far_in_future"},
		{"prometheus 2.0", "out of order sample for series {__name__=\"a\"}\n", "out_of_order"},
		{"prometheus 2.0", "invalid metric name or labels, got {__name__=\"\"}\n", "invalid"},
		{"prometheus 2.0", "invalid labels for series, labels {a=\"1\", a=\"1\"}, duplicated label a\n", "invalid"},
		{"prometheus 2.0", "parsing labels for series [1 99]: labelRefs 1 (name) = 99 (value) outside of symbols table (size 3)\n", "invalid"},
		{"prometheus 2.0", "TimeSeries must contain at least one sample or histogram for series {__name__=\"a\"}\n", "invalid"},
		{"prometheus 2.0", "out of order exemplar for series {__name__=\"a\"}\n", "out_of_order"},
		{"prometheus", "3 observations found in buckets, but the Count field is 1: histogram's observation count should be at least the number of observations found in the buckets", "invalid"},
		{"prometheus", "decoded size exceeds the 33554432 bytes limit\n", "too_large"},
		{"mimir", "the sample has been rejected because another sample with a more recent timestamp has already been ingested and out-of-order samples are not allowed (err-mimir-sample-out-of-order). The affected sample has timestamp 2025-10-27T09:01:20.626Z and is from series kube_pod_owner{namespace=\"x\"} (sampled 1/10)", "out_of_order"},
		{"mimir", "failed pushing to ingester: user=x: the sample has been rejected because its timestamp is too old (err-mimir-sample-timestamp-too-old). The affected sample has timestamp 2024-01-29T13:44:19.997Z and is from series {}", "too_old"},
		{"mimir", mimir("sample-duplicate-timestamp"), "duplicate"},
		{"mimir", mimir("too-far-in-future"), "too_far_in_future"},
		{"mimir", mimir("too-far-in-past"), "too_old"},
		{"mimir", mimir("max-label-names-per-series"), "label_limit"},
		{"mimir", mimir("label-name-too-long"), "label_limit"},
		{"mimir", mimir("label-value-too-long"), "label_limit"},
		{"mimir", mimir("max-series-per-user"), "series_limit"},
		{"mimir", mimir("max-series-per-metric"), "series_limit"},
		{"mimir", mimir("max-active-series"), "series_limit"},
		{"mimir", mimir("label-invalid"), "invalid"},
		{"mimir", mimir("duplicate-label-names"), "invalid"},
		{"mimir", mimir("missing-metric-name"), "invalid"},
		{"mimir", mimir("native-histogram-count-mismatch"), "invalid"},
		{"mimir", mimir("tenant-too-many-ha-clusters"), "other"},
		{"mimir", mimir("request-blocked"), "other"},
		{"mimir", "the incoming push request has been rejected because its message size of 100 bytes is larger than the allowed limit of 50 bytes (err-mimir-distributor-max-write-message-size). To adjust the related limit, configure -distributor.max-recv-msg-size", "too_large"},
		{"mimir", "send data to partitions: failed pushing to partition 0: the write request contains a timeseries or metadata item which is larger that the maximum allowed size of 15983616 bytes (err-mimir-distributor-max-write-request-data-item-size)", "too_large"},
		{"cortex", "user=x: err: out of order sample. timestamp=2022-05-18T19:54:33.251Z, series={__name__=\"a\"}", "out_of_order"},
		{"cortex", "timestamp too old: 1479496104000 metric: \"testmetric\"", "too_old"},
		{"cortex", "timestamp too new: 1479496104000 metric: \"testmetric\"", "too_far_in_future"},
		{"cortex", "label name too long: \"this_is_a\" metric \"b\"", "label_limit"},
		{"cortex", "label value too long for metric: \"a\" label value: \"b\"", "label_limit"},
		{"cortex", "sample invalid label: \"a b\" metric \"b\"", "invalid"},
		{"cortex", "duplicate label name: \"a\" metric \"b\"", "invalid"},
		{"cortex", "sample missing metric name", "invalid"},
		{"cortex", "sample invalid metric name: \"a b\"", "invalid"},
		{"cortex", "rpc error: code = Code(400) desc = per-user series limit of 100 exceeded, please contact administrator to raise it (local limit: 0 global limit: 100 actual local limit: 100)", "series_limit"},
		{"cortex", "received message larger than max (110000000 vs 104857600)", "too_large"},
		{"aws", "user=123_ws-1: err: duplicate sample for timestamp. timestamp=2022-05-18T19:54:33.251Z, series={__name__=\"flask_http_request_duration_seconds_bucket\"}", "duplicate"},
		{"aws", "series has too many labels (actual: 71, limit: 70) series: 'a'", "label_limit"},
		{"thanos", "store locally for endpoint 127.0.0.1:12907: add 1 samples: out of order sample\n", "out_of_order"},
		{"thanos", "10 errors: forwarding request to endpoint x: rpc error: code = AlreadyExists desc = add 93 samples: too old sample; forwarding", "too_old"},
		{"thanos", "add 2 series: out of order labels", "invalid"},
		{"thanos", "add 2 series: label set contains a label with empty name or value", "invalid"},
		{"thanos", "store locally for endpoint thanos-receive-4:10901: conflict", "other"},
		{"thanos", "write request too large\n", "too_large"},
		{"victoriametrics", "too big data size exceeding -maxInsertRequestSize=33554432 bytes", "too_large"},
		{"azure", "Duplicate time series found in the request", "duplicate"},
		{"nginx", "<html><head><title>413 Request Entity Too Large</title></head>", "too_large"},
		{"?", "no", "other"},
		{"?", "", "other"},
	} {
		v := classify(remotewrite.V1, 400, tc.text)
		action := remotewrite.Isolate
		if tc.reason == "too_large" {
			action = remotewrite.Split
		}
		assert.Equal(t, tc.reason, v.Reason, "%s: %s", tc.receiver, tc.text)
		assert.Equal(t, action, v.Action, "%s: %s", tc.receiver, tc.text)
	}
}

func TestWhatIsNotAReceiver(t *testing.T) {
	for name, v := range map[string]remotewrite.Verdict{
		"a sign-in page":   classify(remotewrite.V1, 200, "\n<!DOCTYPE html>\n<html><title>Sign in</title>", "Content-Type", "text/html"),
		"an old page":      classify(remotewrite.V2, 200, "<HTML>", samplesHeader, "10"),
		"HTTP to net/http": classify(remotewrite.V1, 400, "Client sent an HTTP request to an HTTPS server.\n"),
		"HTTP to nginx":    classify(remotewrite.V1, 400, "<html><center>The plain HTTP request was sent to HTTPS port</center></html>"),
		"HTTP to Apache":   classify(remotewrite.V1, 400, "Reason: You're speaking plain HTTP to an SSL-enabled server port."),
		"a redirect":       classify(remotewrite.V1, 302, "", "Location", "https://login.example.com/?code=hidden"),
	} {
		assert.Equal(t, remotewrite.Retry, v.Action, name)
		assert.Equal(t, "endpoint", v.Reason, name)
		assert.NotContains(t, v.Text, "hidden")
	}
	assert.Contains(t, classify(remotewrite.V1, 200, "<html>").Text, "a web page: the endpoint is not that of a remote-write receiver")
	assert.Contains(t, classify(remotewrite.V1, 308, "", "Location", "https://new.example.com/x").Text, "set endpoint to the address that it leads to (https://new.example.com)")
	assert.Equal(t, remotewrite.Delivered, classify(remotewrite.V1, 200, "", "Content-Type", "text/html; charset=utf-8").Action, "some frameworks say so of nothing")
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"":                                0,
		"0":                               0,
		"7":                               7 * time.Second,
		" 96":                             96 * time.Second,
		"600":                             10 * time.Minute,
		"601":                             10 * time.Minute,
		"99999999999999999999999":         10 * time.Minute,
		"-5":                              0,
		"1.5":                             0,
		"soon":                            0,
		"Tue, 24 Nov 2026 12:01:00 GMT":   time.Minute,
		"Tuesday, 24-Nov-26 12:01:00 GMT": time.Minute,
		"Tue Nov 24 12:01:00 2026":        time.Minute,
		"Tue, 24 Nov 2026 11:00:00 GMT":   0,
		"Tue, 24 Nov 2099 11:00:00 GMT":   10 * time.Minute,
		"Tue, 24 Nov 0001 11:00:00 GMT":   0,
	} {
		for _, status := range []int{302, 403, 404, 408, 429, 503, 529} {
			assert.Equal(t, want, classify(remotewrite.V1, status, "", "Retry-After", value).After, "%d %q", status, value)
		}
	}
}

func TestErrors(t *testing.T) {
	// Its user and query are secrets in some set-ups.
	asked := func(err error) error {
		return &url.Error{Op: "Post", URL: "https://user:" + "hidden@example.com/write?key=" + "hidden", Err: err}
	}
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about the client
	secure.StartTLS()
	defer secure.Close()
	_, untrusted := (&http.Client{Transport: &http.Transport{}}).Get(secure.URL) //nolint:bodyclose // the error is what is wanted
	require.Error(t, untrusted)
	_, refused := net.Dial("tcp", "127.0.0.1:1")
	require.Error(t, refused)
	for _, tc := range []struct {
		err          error
		reason, text string
	}{
		{asked(refused), "network", "connection refused"},
		{asked(errors.New("EOF")), "network", "EOF"},
		{asked(context.DeadlineExceeded), "timeout", "context deadline exceeded"},
		{asked(&net.DNSError{Err: "no such host", Name: "example.com", IsNotFound: true}), "dns", "lookup example.com: no such host"},
		{asked(&net.DNSError{Err: "i/o timeout", Name: "example.com", IsTimeout: true}), "dns", "i/o timeout"},
		{untrusted, "tls", "certificate"},
		{asked(tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}), "tls", "handshake"},
		{asked(errors.New("a\r\nb\x1b[31m")), "network", `a\r\nb\x1b[31m`},
		{asked(nil), "network", "no answer"},
	} {
		v := remotewrite.Classify(remotewrite.Answer{Err: tc.err}, remotewrite.Request{Protocol: remotewrite.V1, Samples: 10, Strict: true})
		assert.Equal(t, remotewrite.Retry, v.Action)
		assert.Equal(t, tc.reason, v.Reason, tc.text)
		assert.Contains(t, v.Text, tc.text)
		assert.NotContains(t, v.Text, "hidden")
	}
}

func TestText(t *testing.T) {
	assert.Equal(t, `HTTP 400 Bad Request: line\n\x1b[31mred\x00 \xff 日本 <script>`, classify(remotewrite.V1, 400, " line\n\x1b[31mred\x00 \xff 日本 <script>\n").Text)
	assert.Equal(t, "HTTP 529", classify(remotewrite.V1, 529, "").Text)
	assert.Less(t, len(classify(remotewrite.V1, 400, strings.Repeat("x", 1<<20)).Text), remotewrite.MaxBody+100)

	azure, err := remotewrite.ProfileOf(remotewrite.Azure)
	require.NoError(t, err)
	v := remotewrite.Classify(remotewrite.Answer{Status: 403, Body: []byte("no")}, remotewrite.Request{Protocol: remotewrite.V1, Profile: azure})
	assert.Equal(t, "HTTP 403 Forbidden: no (a role assignment takes up to 30 minutes to take effect)", v.Text)
}

func TestReadAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(make([]byte, 3*remotewrite.MaxBody)) // the client hangs up
	}))
	defer server.Close()
	response, err := http.Get(server.URL) //nolint:bodyclose // ReadAnswer does
	require.NoError(t, err)
	a := remotewrite.ReadAnswer(response)
	assert.Equal(t, http.StatusTeapot, a.Status)
	assert.Len(t, a.Body, remotewrite.MaxBody)
}

func FuzzClassify(f *testing.F) {
	f.Add(200, "", "", "", uint8(0))
	f.Add(204, "", "10", "", uint8(1))
	f.Add(400, "err-mimir-", "0", "12", uint8(1))
	f.Add(429, "\x00\xff", "-", "Tue, 24 Nov 2026 12:01:00 GMT", uint8(7))
	f.Fuzz(func(t *testing.T, status int, body, count, after string, flags uint8) {
		h := http.Header{"Retry-After": {after}, samplesHeader: {count}, "Location": {body}}
		r := remotewrite.Request{Protocol: remotewrite.V1, Samples: 10, Now: now, Strict: flags&2 != 0, Probing: flags&4 != 0}
		if flags&1 != 0 {
			r.Protocol = remotewrite.V2
		}
		a := remotewrite.Answer{Status: status, Header: h, Body: []byte(body)}
		v := remotewrite.Classify(a, r)
		assert.Equal(t, v, remotewrite.Classify(a, r), "the same again")
		assert.NotEmpty(t, v.Action.String())
		assert.NotEmpty(t, v.Text)
		assert.LessOrEqual(t, len(v.Text), 10*remotewrite.MaxBody+300)
		assert.Equal(t, -1, strings.IndexFunc(v.Text, unicode.IsControl), "%q", v.Text)
		assert.GreaterOrEqual(t, v.After, time.Duration(0))
		assert.LessOrEqual(t, v.After, remotewrite.MaxRetryAfter)
		assert.GreaterOrEqual(t, v.Written, 0)
		if status < 200 || status > 299 {
			assert.NotEqual(t, remotewrite.Delivered, v.Action)
			assert.NotEmpty(t, v.Reason)
		}
		assert.True(t, r.Strict || v.Action != remotewrite.Drop, "nothing is dropped but in strict mode")
		assert.True(t, r.Protocol == remotewrite.V2 || v.Action != remotewrite.FallbackV1, "1.0 has nothing to fall back to")
	})
}

// The error of a client that asks for a token first has that address in it, with what may be a key.
func TestErrorsNameNoAddress(t *testing.T) {
	token := &url.Error{Op: "Post", URL: "https://login.example/token?key=1", Err: errors.New("connection refused")}
	err := &url.Error{Op: "Post", URL: "https://receiver.example/write?key=2", Err: fmt.Errorf("no token: %w", token)}
	require.Equal(t, "no token: Post (address): connection refused", remotewrite.Classify(remotewrite.Answer{Err: err}, remotewrite.Request{}).Text)
}
