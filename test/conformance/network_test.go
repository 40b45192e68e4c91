// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// elsewhere is a scenario whose receiver is not the recorder.
func elsewhere(name string, endpoint func(t *testing.T, rec *recorder, address string) string, rows ...row) scenario {
	return scenario{name: name, page: always(textPage(plain)), mute: true, lasts: 4 * time.Second, endpoint: endpoint, rows: rows}
}

// to is an endpoint that is always the same.
func to(address string) func(*testing.T, *recorder, string) string {
	return func(*testing.T, *recorder, string) string { return address }
}

// keepsTrying asserts that attempts fail with a text, and that it is said.
func keepsTrying(text string) func(*testing.T, run) {
	return func(t *testing.T, r run) {
		assert.Contains(t, r.log, "sending failed; it is tried until it succeeds")
		assert.Regexp(t, text, r.log)
		assert.False(t, r.endedEarly)
	}
}

func network() []scenario {
	refused := elsewhere("refused", func(t *testing.T, _ *recorder, _ string) string {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, listener.Close())
		return "http://" + listener.Addr().String() + "/api/v1/write"
	}, row{group: "Error", name: "handle_connection_refused", level: should, wants: "it keeps running", does: "retried until it is accepted", check: keepsTrying("connection refused")})

	invalid := elsewhere("invalid://", to("invalid://127.0.0.1:9999"), row{
		group: "Network", name: "invalid_url_scheme", level: should, wants: "the process does not end by itself", does: "refused at start, with what to write instead", strict: "a warning, and attempts that fail",
		why: "a wrong address is best seen at once, where it was written", check: func(t *testing.T, r run) {
			assert.NotZero(t, r.exitCode)
			assert.Contains(t, r.log, `endpoint: scheme "invalid": use a URL that begins with https:// or http://`)
		}, checkStrict: keepsTrying("unsupported protocol scheme"),
	})
	invalid.ends = true

	headers := elsewhere("reserved headers", nil, row{
		group: "Protocol", name: "reserved headers cannot be overridden", level: must, wants: "users cannot set Content-Type, Content-Encoding, the version or User-Agent", does: "refused at start", check: func(t *testing.T, r run) {
			assert.NotZero(t, r.exitCode)
			for _, name := range []string{"Content-Type", "Content-Encoding", "X-Prometheus-Remote-Write-Version", "User-Agent"} {
				assert.Contains(t, r.log, "headers::"+name+": the specification of remote write sets this header: remove it")
			}
		},
	})
	headers.ends, headers.endsStrict = true, true
	headers.exporter = map[string]any{"headers": map[string]any{
		"Content-Type": "text/plain", "Content-Encoding": "gzip", "X-Prometheus-Remote-Write-Version": "9", "User-Agent": "me",
	}}

	return []scenario{
		refused, invalid, headers,
		elsewhere("no such host", to("http://nonexistent.invalid:9999/api/v1/write"), row{
			group: "Network", name: "dns_resolution_failure", level: should, wants: "it keeps running", does: "retried until it is accepted", check: keepsTrying("lookup nonexistent.invalid|no such host"),
		}),
		elsewhere("TLS where there is none", func(_ *testing.T, _ *recorder, address string) string {
			return strings.Replace(address, "http://", "https://", 1)
		}, row{group: "Error", name: "tls_handshake_failure", level: should, wants: "it keeps running", does: "retried until it is accepted", check: keepsTrying("server gave HTTP response to HTTPS client|first record does not look like a TLS handshake")}),
		elsewhere("no HTTP", func(t *testing.T, _ *recorder, _ string) string { return garbage(t) }, row{
			group: "Error", name: "handle_malformed_response", level: should, wants: "it keeps running", does: "retried until it is accepted", check: keepsTrying("malformed HTTP")}),
		{
			name: "no answer in time", page: always(textPage(plain)), exporter: map[string]any{"timeout": "1s"}, until: count(2),
			answer: func(int, *request) answer { return answer{status: 503, delay: time.Minute} },
			rows: []row{{group: "Error", name: "handle_timeout", level: should, wants: "an attempt ends", does: "after `timeout`, 30 s by default; then it is repeated", check: func(t *testing.T, r run) {
				assertRepeated(t, r)
				assert.Regexp(t, `sending failed; .*(deadline|Client\.Timeout) exceeded`, r.log)
			}}},
		},
		{
			name: "200 and a part of a body", page: always(textPage(plain)), exporter: auto(), until: count(3),
			answer: func(int, *request) answer {
				return answer{status: 200, body: "partial", header: map[string]string{"Content-Length": "1000"}}
			},
			rows: []row{{group: "Error", name: "handle_partial_write", level: should, wants: "a success whose body breaks off is handled", does: "a success: the body does not matter", check: assertNotRepeated}},
		},
		{
			name: "status 999", page: always(textPage(plain)), until: count(2), answer: status(999, ""),
			rows: []row{{group: "Error", name: "handle_invalid_status_code", level: should, wants: "it keeps running", does: "retried, as after 5xx", check: assertRepeated}},
		},
		{
			name: "200 and nothing else", page: always(textPage(plain)), until: count(3), exporter: map[string]any{"protocol": "1.0"},
			answer: func(int, *request) answer { return answer{status: 200} },
			rows:   []row{{group: "Error", name: "handle_empty_response", level: should, wants: "a success without a body", does: "with 1.0; for 2.0 see no Written headers", check: assertNotRepeated}},
		},
		{
			name: "a web page", page: always(textPage(plain)), until: count(3), exporter: map[string]any{"protocol": "1.0"},
			answer: status(200, "<!DOCTYPE html><html><body>Sign in</body></html>"),
			rows: []row{{group: "Error", name: "detect_broken_receiver", level: should, wants: "what is no receiver is noticed", does: "a 2xx with a web page is retried, and said", strict: "a success: the specification ignores the body of a 2xx",
				why: "a sign-in page has not stored anything", check: func(t *testing.T, r run) {
					assertRepeated(t, r)
					assert.Contains(t, r.log, "with a web page")
				}, checkStrict: assertNotRepeated}},
		},
		{
			name: "a redirect", page: always(textPage(plain)), until: count(2),
			answer: func(int, *request) answer {
				return answer{status: http.StatusTemporaryRedirect, header: map[string]string{"Location": "/elsewhere?key=value"}}
			},
			rows: []row{{group: "Error", name: "redirect", level: suite, wants: "(no case of the suites)", does: "not followed, retried, and said", why: "credentials and samples would go along", check: func(t *testing.T, r run) {
				assertRepeated(t, r)
				assert.Contains(t, r.log, "redirects are not followed")
			}}},
		},
	}
}

// garbage listens and answers what is not HTTP.
func garbage(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // it is answered in any case
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = fmt.Fprint(conn, "this is not HTTP\r\n\r\n") // the collector sees what comes
		_ = conn.Close()
	}))
	t.Cleanup(server.Close)
	return server.URL + "/api/v1/write"
}
