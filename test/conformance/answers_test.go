// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const plain = "test_metric 42\nother_metric 1\n"

// repeats is the configuration for a receiver that takes repeated samples: several scrapes make one request, so that the suite's
// "at most 2 requests in 8 s" holds at a scrape each second. For other receivers each scrape of a target is a request of its own.
func repeats() map[string]any { return map[string]any{"receiver": "victoriametrics"} }

// auto lets the exporter find out about the protocol.
func auto() map[string]any { return map[string]any{"protocol": "auto"} }

// status answers every request with a status.
func status(code int, body string) func(int, *request) answer {
	return func(int, *request) answer { return answer{status: code, body: body} }
}

// sequence answers with one status after the other, and with the last from then on.
func sequence(codes ...int) func(int, *request) answer {
	return func(n int, _ *request) answer { return answer{status: codes[min(n, len(codes)-1)]} }
}

// assertRepeated asserts that the first request came again as it was.
func assertRepeated(t *testing.T, r run) {
	t.Helper()
	require.GreaterOrEqual(t, len(r.requests), 2)
	assert.True(t, bytes.Equal(r.requests[0].body, r.requests[1].body), "the second request is not the first again")
}

// assertNotRepeated asserts that no sample came twice.
func assertNotRepeated(t *testing.T, r run) {
	t.Helper()
	seen := map[string]bool{}
	for i, req := range r.requests {
		for _, s := range req.series {
			for _, x := range s.floats {
				id := fmt.Sprint(s.id(), x.t)
				assert.False(t, seen[id], "request %d: again: %s", i, id)
				seen[id] = true
			}
		}
	}
}

// fewAndOnce is what the suite wants after an answer that is not to be repeated: at most 2 requests in 8 s.
func fewAndOnce(t *testing.T, r run) {
	assert.LessOrEqual(t, len(r.requests), 2, "requests in 8 s")
	assertNotRepeated(t, r)
}

// assertDelivered asserts that a series has been accepted for each scrape that was sent.
func assertDelivered(t *testing.T, r run, name string) {
	t.Helper()
	sent, accepted := map[int64]bool{}, map[int64]bool{}
	for _, req := range r.requests {
		for _, s := range req.named(name) {
			for _, x := range s.floats {
				sent[x.t] = true
				accepted[x.t] = accepted[x.t] || req.status/100 == 2
			}
		}
	}
	require.NotEmpty(t, sent)
	for at, ok := range accepted {
		assert.True(t, ok, "%s at %d has not been accepted", name, at)
	}
}

func answers() []scenario {
	return slices.Concat(retryScenarios(), backoffScenarios(), fallbackScenarios(), responseScenarios())
}

// whyRetry is why 401, 403 and 404 are repeated.
const whyRetry = "role assignments and endpoints take up to half an hour to appear, and a rotated secret is read again: what waits is not lost"

func retryScenarios() []scenario {
	var all []scenario
	for _, code := range []int{401, 403, 404} {
		all = append(all, scenario{
			name: fmt.Sprint(code), page: always(textPage(plain)), exporter: repeats(), answer: status(code, http.StatusText(code)), lasts: 8 * time.Second, until: count(1),
			rows: []row{{group: "Retry", name: fmt.Sprintf("no_retry_on_%d", code), level: must, wants: "no retry", does: "retried until it is accepted", strict: "dropped, counted",
				why: whyRetry, check: assertRepeated, checkStrict: fewAndOnce}},
		})
	}
	for _, code := range []int{500, 502, 503, 504} {
		lvl := must
		if code == 502 || code == 504 {
			lvl = should
		}
		all = append(all, scenario{
			name: fmt.Sprint(code), page: always(textPage(plain)), answer: status(code, "no"), until: count(3),
			rows: []row{{group: "Retry", name: fmt.Sprintf("retry_on_%d", code), level: lvl, wants: "retry", why: "byte for byte the same request", check: func(t *testing.T, r run) {
				assertRepeated(t, r)
				assert.Equal(t, r.requests[0].body, r.requests[2].body)
			}}},
		})
	}
	return append(all, scenario{
		name: "400", page: always(textPage(plain)), exporter: repeats(), answer: status(400, "Bad request"), lasts: 8 * time.Second, until: count(1),
		rows: []row{{group: "Retry", name: "no_retry_on_400", level: must, wants: "no retry", does: "never the same request again: smaller ones, until the bad samples are found; those are quarantined",
			strict: "dropped, counted", why: "one bad sample shall not take the others with it", check: func(t *testing.T, r run) {
				require.Greater(t, len(r.requests), 2)
				assert.Less(t, r.requests[1].samples(), r.requests[0].samples())
				assert.Contains(t, r.log, "the receiver refuses samples for good")
			}, checkStrict: fewAndOnce}},
	}, scenario{
		name: "413", page: always(textPage(plain)), exporter: repeats(), lasts: 8 * time.Second, until: count(1),
		answer: func(_ int, r *request) answer {
			if r.samples() > 4 {
				return answer{status: 413, body: "Payload too large"}
			}
			return answer{}
		},
		rows: []row{{group: "Retry", name: "no_retry_on_413", level: should, wants: "no retry", does: "sent in halves, and the size that fits is remembered", strict: "dropped, counted",
			why: "the samples are good, the request was too large", check: func(t *testing.T, r run) {
				assertDelivered(t, r, "test_metric")
				assert.Contains(t, r.log, "the receiver does not take requests of this size")
			}, checkStrict: fewAndOnce}},
	}, scenario{
		name: "429", page: always(textPage(plain)), until: count(2),
		answer: func(int, *request) answer {
			return answer{status: 429, body: "Too many requests", header: map[string]string{"Retry-After": "3"}}
		},
		rows: []row{
			{group: "Retry", name: "may_retry_on_429", level: may, wants: "retry", check: assertRepeated},
			{group: "Backoff", name: "retry_after_header_respected", level: may, wants: "not before Retry-After", check: func(t *testing.T, r run) {
				assert.GreaterOrEqual(t, r.requests[1].at.Sub(r.requests[0].at), 3*time.Second)
			}},
		},
	}, scenario{
		name: "4xx, one after the other", page: always(textPage(plain)), until: count(4), answer: sequence(400, 401, 404, 204),
		rows: []row{{group: "Retry", name: "no_retry_on_4xx", level: must, wants: "after 400, 401 and 404 the next request has other samples", does: "as with 400, 401 and 404 above",
			strict: "dropped, counted", why: whyRetry, check: func(t *testing.T, r run) { assertDelivered(t, r, "test_metric") }, checkStrict: assertNotRepeated}},
	}, scenario{
		name: "5xx, each once", page: always(textPage(plain)), until: count(7), answer: sequence(500, 204, 503, 204, 502, 204, 204),
		rows: []row{
			{group: "Retry", name: "retry_on_5xx", level: must, wants: "after 500, 503 and 502 the same samples again, after a success others", check: func(t *testing.T, r run) {
				for i, again := range []bool{true, false, true, false, true, false} {
					assert.Equal(t, again, bytes.Equal(r.requests[i].body, r.requests[i+1].body), "requests %d and %d", i, i+1)
				}
			}},
			{group: "Error", name: "sender_continues_after_errors", level: must, wants: "everything is delivered after errors", check: func(t *testing.T, r run) { assertDelivered(t, r, "test_metric") }},
		},
	}, scenario{
		name: "one bad sample", page: always(textPage(plain + "poison 1\n")), until: count(12),
		answer: func(_ int, r *request) answer {
			if len(r.named("poison")) > 0 {
				return answer{status: 400, body: "out of order sample"}
			}
			return answer{}
		},
		rows: []row{{group: "Retry", name: "one bad sample", level: suite, wants: "(no case of the suites)", does: "the others are delivered, the bad one is quarantined with the answer", strict: "the request is dropped",
			why: "of 10,000 samples one can be bad", check: func(t *testing.T, r run) {
				assertDelivered(t, r, "test_metric")
				assertDelivered(t, r, "other_metric")
				assert.Contains(t, r.log, `"reason": "out_of_order", "series": "{__name__=\"poison\"`)
			}, checkStrict: assertNotRepeated}},
	})
}

func backoffScenarios() []scenario {
	intervals := func(r run) []time.Duration {
		var all []time.Duration
		for i := 1; i < len(r.requests); i++ {
			all = append(all, r.requests[i].at.Sub(r.requests[i-1].at))
		}
		return all
	}
	return []scenario{{
		name: "backoff, and SIGINT in a pause", page: always(textPage(plain)), answer: status(503, "Service unavailable"), until: count(4),
		rows: []row{
			{group: "Backoff", name: "exponential_backoff_on_retries", level: should, wants: "each pause at least 0.8 of the one before", does: "twice as long, from `initial_interval` to `max_interval`", check: func(t *testing.T, r run) {
				pauses := intervals(r)
				for i := 1; i < len(pauses); i++ {
					assert.GreaterOrEqual(t, pauses[i].Seconds(), 0.8*pauses[i-1].Seconds(), "%s", pauses)
				}
				assert.Greater(t, pauses[2], 2*pauses[0])
			}},
			{group: "Backoff", name: "backoff_required", level: must, wants: "a pause before every retry", check: func(t *testing.T, r run) {
				for _, pause := range intervals(r) {
					assert.Greater(t, pause, 900*time.Millisecond)
				}
			}},
			{group: "Backoff", name: "backoff_max_delay", level: should, wants: "no pause above 60 s", does: "`max_interval` is 30 s; a Retry-After counts up to 10 minutes", check: func(t *testing.T, r run) {
				for _, pause := range intervals(r) {
					assert.Less(t, pause, time.Minute)
				}
			}},
			{group: "Backoff", name: "backoff_with_jitter", level: recommended, wants: "jitter", does: "±5 %", check: func(t *testing.T, r run) {
				for i, pause := range intervals(r) {
					nominal := time.Second << i
					assert.Greater(t, pause, nominal*94/100)
					assert.Less(t, pause, nominal*3/2, "on a busy machine")
				}
			}},
			{group: "Backoff", name: "no attempt after SIGINT in a pause", level: suite, wants: "no early attempt, no burst", check: func(t *testing.T, r run) {
				assert.Len(t, r.requests, 4)
				assert.Less(t, r.ended.Sub(r.stopped), 5*time.Second)
			}},
		},
	}, {
		name: "SIGINT while all is well", page: always(textPage(plain)), exporter: repeats(), lasts: 8 * time.Second, until: count(1),
		rows: []row{
			{group: "Backoff", name: "no burst after SIGINT", level: suite, wants: "no burst", does: "what is in the log is sent once, within `shutdown_timeout`", check: func(t *testing.T, r run) {
				after := 0
				for _, req := range r.requests {
					if req.at.After(r.stopped) {
						after++
					}
				}
				assert.LessOrEqual(t, after, 1)
				assert.Less(t, r.ended.Sub(r.stopped), 5*time.Second)
				assertNotRepeated(t, r)
			}},
			{group: "Batching", name: "at most 2 requests in 8 s", level: suite, wants: "a batch deadline of about 5 s at a scrape each second",
				does: "`batch::max_wait` 5 s where the receiver takes repeats (azure, victoriametrics); else a request ends where a series would be in it twice: one for each scrape of a target",
				why:  "of several samples of a series, an earlier one could not be repeated after a lost answer", check: func(t *testing.T, r run) {
					assert.LessOrEqual(t, len(r.requests), 2)
				}},
		},
	}}
}

func fallbackScenarios() []scenario {
	versions := func(r run) (all []string) {
		for _, req := range r.requests {
			all = append(all, req.version())
		}
		return all
	}
	fallback := func(t *testing.T, r run) {
		assert.Equal(t, []string{"2.0.0", "0.1.0", "0.1.0", "0.1.0"}, versions(r)[:4])
	}
	sameSamples := func(t *testing.T, r run) {
		require.NotNil(t, r.requests[1].v1)
		assert.Equal(t, r.requests[0].samples(), r.requests[1].samples())
		for i, s := range r.requests[0].series {
			assert.Equal(t, s.pairs, r.requests[1].series[i].pairs)
			assert.Equal(t, s.floats[0].t, r.requests[1].series[i].floats[0].t)
		}
	}
	return []scenario{{
		name: "415", page: always(textPage(plain)), exporter: auto(), until: count(4),
		answer: func(_ int, r *request) answer {
			if r.v2 != nil {
				return answer{status: http.StatusUnsupportedMediaType, body: "use 1.0"}
			}
			return answer{}
		},
		rows: []row{
			{group: "Fallback", name: "fallback_on_415_unsupported_media_type", level: should, wants: "1.0 after 415", does: "with `protocol: auto`", check: fallback},
			{group: "Fallback", name: "retry_with_different_version", level: should, wants: "the same samples again, as version 0.1.0", check: sameSamples},
			{group: "Fallback", name: "fallback_header_changes", level: must, wants: "with the Content-Type of 1.0", check: func(t *testing.T, r run) {
				assert.Equal(t, "application/x-protobuf", r.requests[1].header.Get("Content-Type"))
			}},
			{group: "Fallback", name: "accept_success_after_fallback", level: should, wants: "a success counts", check: func(t *testing.T, r run) {
				assert.NotEqual(t, r.requests[1].body, r.requests[2].body)
				assertDelivered(t, r, "test_metric")
			}},
			{group: "Fallback", name: "persistent_fallback_choice", level: should, wants: "1.0 from then on", does: "also after a restart", check: fallback},
		},
	}, {
		name: "204 without saying what was written", page: always(textPage(plain)), exporter: auto(), until: count(4),
		answer: func(int, *request) answer { return answer{silent: true} },
		rows: []row{{group: "Fallback", name: "no Written headers", level: should, wants: "to 2.0, taken as 415", why: "VictoriaMetrics answers 204 to a request of 2.0 and stores nothing",
			check: func(t *testing.T, r run) {
				fallback(t, r)
				sameSamples(t, r)
			}}},
	}, {
		name: "success with 2.0", page: always(textPage(plain)), exporter: auto(), until: count(4),
		answer: func(int, *request) answer { one := 1; return answer{written: &one} },
		rows: []row{
			{group: "NoFallbackOn2xx", name: "no_fallback_on_2xx", level: must, wants: "no fallback after a success", check: func(t *testing.T, r run) {
				assert.Equal(t, []string{"2.0.0"}, slices.Compact(versions(r)))
			}},
			{group: "NoFallbackOn2xx", name: "lower Written count", level: suite, wants: "neither sent again nor a fallback", does: "counted as `dropped{reason=\"partial_write\"}`, with a warning", check: func(t *testing.T, r run) {
				assertNotRepeated(t, r)
				assert.Contains(t, r.log, "the receiver has stored less than it was sent")
			}},
			{group: "Response", name: "process_written_count_headers", level: may, wants: "the Written headers are used", check: func(t *testing.T, r run) {
				assert.Contains(t, r.log, `"stored": 1`)
			}},
		},
	}, {
		name: "2.0 by default", page: always(textPage(plain)), exporter: auto(), until: count(1),
		rows: []row{{group: "Protocol", name: "2.0 by default", level: suite, wants: "2.0 without a setting for it", does: "`protocol: auto` begins with 2.0, but for receivers that are known not to take it (azure, aws, victoriametrics)",
			check: func(t *testing.T, r run) { assert.NotNil(t, r.requests[0].v2) }}},
	}}
}

func responseScenarios() []scenario {
	success := func(name string, a answer, rows ...row) scenario {
		return scenario{name: name, page: always(textPage(plain)), until: count(3), answer: func(int, *request) answer { return a }, rows: rows}
	}
	verbatim := "Error: Invalid label name '__invalid__'"
	logged := func(t *testing.T, r run) { assert.Contains(t, r.log, "HTTP 400 Bad Request: "+verbatim) }
	large := func(t *testing.T, r run) {
		assert.Contains(t, r.log, "HTTP 400 Bad Request: xxxx")
		for _, line := range strings.Split(r.log, "\n") {
			assert.Less(t, len(line), 16<<10)
		}
	}
	return []scenario{
		success("200 with a body", answer{status: 200, body: "error: this is to be ignored"},
			row{group: "Response", name: "ignore_response_body_on_success", level: must, wants: "the body of a 2xx is ignored", does: "but for a web page, see `detect_broken_receiver`", strict: "always", check: assertNotRepeated, checkStrict: assertNotRepeated},
			row{group: "Response", name: "handle_200_ok", level: must, wants: "200 is a success", check: assertNotRepeated},
			row{group: "ContentType", name: "content_type_negotiation", level: should, wants: "Content-Type of every request as protobuf", check: func(t *testing.T, r run) {
				for _, req := range r.requests {
					assert.Contains(t, req.header.Get("Content-Type"), "application/x-protobuf")
				}
			}},
		),
		success("204", answer{status: 204}, row{group: "Response", name: "handle_204_no_content", level: must, wants: "204 is a success", check: assertNotRepeated}),
		success("202", answer{status: 202}, row{group: "Response", name: "202", level: suite, wants: "(no case of the suites) any 2xx is a success",
			does: "acknowledged, and counted apart in `deduplicated_requests`", why: "Mimir and Cortex answer it to a replica whose samples they drop", check: assertNotRepeated}),
		{
			name: "400 with a text", page: always(textPage(plain)), until: count(2), answer: status(400, verbatim),
			rows: []row{
				{group: "Response", name: "log_error_messages_verbatim", level: must, wants: "the text of an error in the log as it is", check: logged},
				{group: "Response", name: "handle_missing_written_headers", level: should, wants: "without Written headers nothing counts as written", does: "every sample is looked for, none counts as acknowledged", strict: "the whole request is dropped",
					check: func(t *testing.T, r run) { assert.Less(t, r.requests[1].samples(), r.requests[0].samples()) }, checkStrict: assertNotRepeated},
			},
		},
		{
			name: "400 with a large text", page: always(textPage(plain)), until: count(2), answer: status(400, strings.Repeat("x", 1<<20)),
			rows: []row{
				{group: "Response", name: "handle_large_error_body", level: should, wants: "an error of any size is handled", does: "4 KiB of it are read and logged", check: large},
				{group: "Error", name: "handle_large_error_response", level: should, wants: "an error of 1 MiB is handled", does: "4 KiB of it are read and logged", check: large},
			},
		},
		{
			name: "400 of which a part was written", page: always(textPage(plain + "poison 1\n")), until: count(8),
			answer: func(_ int, r *request) answer {
				if len(r.named("poison")) == 0 {
					return answer{}
				}
				rest := r.samples() - 1
				return answer{status: 400, body: "rejected 1 sample", written: &rest}
			},
			rows: []row{{group: "Response", name: "handle_partial_write_response", level: should, wants: "a partial write is handled", does: "the sample that was not written is found and quarantined, the others count as acknowledged",
				strict: "the request counts as dropped", why: "a repeated sample with the same value is accepted everywhere", check: func(t *testing.T, r run) {
					assertDelivered(t, r, "test_metric")
					assertDelivered(t, r, "other_metric")
				}, checkStrict: assertNotRepeated}},
		},
	}
}
