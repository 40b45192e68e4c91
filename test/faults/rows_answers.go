// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"
)

// failing is how often a fault answers before the backend is back.
const failing = 3

// logFailed is what the exporter says when an attempt has failed, logWorks when one succeeds again.
const (
	logFailed = "sending failed; it is tried until it succeeds, nothing is lost"
	logWorks  = "sending works again"
)

// statusRows are answers that come and go: the samples wait, and arrive.
func statusRows() []row {
	var rows []row
	for _, x := range []struct {
		status    int
		text, log string
		header    []string
	}{
		{status: http.StatusPaymentRequired, text: "the bill is not paid", log: "HTTP 402 Payment Required"},
		{status: http.StatusForbidden, text: "the role is missing", log: "HTTP 403 Forbidden: the role is missing"},
		{status: http.StatusNotFound, text: "404 page not found", log: "HTTP 404 Not Found"},
		{status: http.StatusMethodNotAllowed, log: "HTTP 405"},
		{status: http.StatusRequestTimeout, log: "HTTP 408"},
		{status: http.StatusTooEarly, log: "HTTP 425"},
		{status: http.StatusTooManyRequests, text: "too many requests", log: "HTTP 429"},
		{status: http.StatusInternalServerError, text: "boom", log: "HTTP 500 Internal Server Error: boom"},
		{status: http.StatusBadGateway, log: "HTTP 502"},
		{status: http.StatusServiceUnavailable, log: "HTTP 503"},
		{status: http.StatusGatewayTimeout, log: "HTTP 504"},
		{status: 529, text: "the service is overloaded", log: "HTTP 529: the service is overloaded"},
		{status: http.StatusOK, text: "<!DOCTYPE html><title>Sign in</title>", log: "a proxy asks to sign in", header: []string{"Content-Type", "text/html"}},
	} {
		name := strconv.Itoa(x.status) + " for a while"
		fault := fmt.Sprintf("the first %d requests are answered %d", failing, x.status)
		if x.status == http.StatusOK {
			name, fault = "200 with a web page", "the first requests are answered 200 with a page that asks to sign in"
		}
		rows = append(rows, row{
			name: name, fault: fault,
			inject: through(first(failing, always(x.status, x.text, x.header...))),
			want:   want{answers: map[string]int{strconv.Itoa(x.status): failing}, log: []string{logFailed, x.log, logWorks}},
		})
	}
	return rows
}

// answerRows are answers that ask for something else than the same request again.
func answerRows() []row {
	return []row{
		{
			name: "401, secret rotated", fault: "the receiver takes another token than the file has, until the file is written anew",
			inject: rotateSecret,
			want:   want{answers: map[string]int{"401": 2}, log: []string{"HTTP 401 Unauthorized", logWorks}},
		},
		{
			name: "429 with Retry-After in seconds", fault: "429 asks for two seconds: no request comes earlier", inject: retryAfterSeconds,
			want: want{answers: map[string]int{"429": 1}, log: []string{"HTTP 429"}},
		},
		{
			name: "503 with Retry-After as a date", fault: "503 names a time: no request comes earlier", inject: retryAfterDate,
			want: want{answers: map[string]int{"503": 1}, log: []string{"HTTP 503"}},
		},
		{
			name: "307 to another host", fault: "a redirect is not followed: the other host gets neither samples nor credentials", inject: redirected,
			want: want{answers: map[string]int{"307": failing}, log: []string{"redirects are not followed", logWorks}},
		},
		{
			name: "413", fault: "the receiver takes bodies up to a size; what fits is remembered over a restart", inject: limitedBody,
			want: want{log: []string{"the receiver does not take requests of this size"}},
		},
		{
			name: "400 too large", fault: "as 413, with the answer of Prometheus to a body of more than 32 MiB", inject: limitedText,
			want: want{log: []string{"the receiver does not take requests of this size"}},
		},
		{
			name: "415 to 2.0", fault: "the receiver takes 1.0 only; that is remembered over a restart",
			inject: onlyV1(always(http.StatusUnsupportedMediaType, "unsupported proto message")),
			want:   want{log: []string{"the receiver does not take remote write 2.0"}},
		},
		{
			name: "204 to 2.0 without counts", fault: "as VictoriaMetrics: 2.0 is answered 204 and not stored; the same samples come again as 1.0",
			inject: onlyV1(always(http.StatusNoContent, "")),
			want:   want{log: []string{"the receiver does not take remote write 2.0"}},
		},
		{
			name: "2xx with a lower count", fault: "one series of each of three requests is not stored, and the counts say so: not sent again",
			inject: partialWrites,
			want: want{
				dropped: map[string]int{"partial_write": 3}, counted: map[string]int{"partial_writes_total": 3},
				log: []string{"the receiver has stored less than it was sent"},
			},
		},
		{
			name: "202", fault: "stored, and answered 202: counted apart",
			inject: through(first(failing, func(c *call) {
				a := c.ask(c.wire())
				a.Code = http.StatusAccepted
				c.pass(a)
			})),
			want: want{counted: map[string]int{"deduplicated_requests_total": failing, "requests_total{202}": failing}},
		},
	}
}

func rotateSecret(r *rig) {
	secret := filepath.Join(r.dir, "secret")
	const before, after = "not-a-token-1", "not-a-token-2"
	writeFile(r, secret, before)
	r.overlay("extensions: {bearertokenauth: {filename: " + strconv.Quote(secret) + "}}\nservice: {extensions: [bearertokenauth]}\n")
	r.configure("auth: {authenticator: bearertokenauth}")
	r.front.set(func(c *call) {
		if c.header.Get("Authorization") == "Bearer "+after {
			c.forward()
			return
		}
		c.answer(http.StatusUnauthorized, "no")
	})
	r.start()
	r.rounds(fewRounds, fewSeries)
	r.calls(3)
	writeFile(r, secret, after)
}

// late is how much later than asked a request may come, on a busy machine.
const late = 5 * time.Second

func retryAfterSeconds(r *rig) {
	r.front.set(first(1, always(http.StatusTooManyRequests, "later", "Retry-After", "2")))
	r.start()
	r.rounds(1, fewSeries)
	calls := r.calls(2)
	pause := calls[1].at.Sub(calls[0].took)
	require.GreaterOrEqual(r, pause, 2*time.Second, "the receiver asked for a pause of 2 s")
	require.Less(r, pause, 2*time.Second+late)
	require.Equal(r, "1", calls[1].header.Get("Retry-Attempt"))
}

func retryAfterDate(r *rig) {
	until := time.Now().Add(3 * time.Second).Truncate(time.Second)
	r.front.set(first(1, always(http.StatusServiceUnavailable, "later", "Retry-After", until.UTC().Format(http.TimeFormat))))
	r.start()
	r.rounds(1, fewSeries)
	calls := r.calls(2)
	require.False(r, calls[1].at.Before(until), "the receiver asked for a pause until %s, the request came at %s", until, calls[1].at)
	require.Less(r, calls[1].at.Sub(until), late)
}

func redirected(r *rig) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.Errorf("the other host got a request with Authorization %q", q.Header.Get("Authorization"))
		w.WriteHeader(http.StatusNoContent)
	}))
	r.cleanup(func() error { other.Close(); return nil })
	secret := filepath.Join(r.dir, "secret")
	writeFile(r, secret, "not-a-token")
	r.overlay("extensions: {bearertokenauth: {filename: " + strconv.Quote(secret) + "}}\nservice: {extensions: [bearertokenauth]}\n")
	r.configure("auth: {authenticator: bearertokenauth}")
	through(first(failing, always(http.StatusTemporaryRedirect, "", "Location", other.URL+"/api/v1/write")))(r)
}

// limited answers bodies of more than a size with a refusal.
func limited(size int, refuse func(*call)) func(*call) {
	return func(c *call) {
		if len(c.wire()) > size {
			refuse(c)
			return
		}
		c.forward()
	}
}

const (
	bodyLimit     = 8 << 10
	largeSeries   = 2000
	refusalsAfter = "requests of a size that the receiver had refused before a restart"
)

func limitedBody(r *rig) {
	shrink(r, limited(bodyLimit, always(http.StatusRequestEntityTooLarge, "")), "413")
}

func limitedText(r *rig) {
	shrink(r, limited(bodyLimit, always(http.StatusBadRequest, "snappy: decoded size exceeds the 33554432 bytes limit")), "400")
}

// shrink pushes more than the receiver takes at once, and again after a restart.
func shrink(r *rig, fault func(*call), status string) {
	r.front.set(fault)
	r.start()
	r.rounds(2, largeSeries)
	require.Positive(r, r.settle()["requests_total{"+status+"}"])
	r.stop()
	r.start()
	r.rounds(2, largeSeries)
	require.Zero(r, r.settle()["requests_total{"+status+"}"], refusalsAfter)
}

// onlyV1 is a receiver that answers 2.0 in its own way, and takes 1.0.
func onlyV1(toV2 func(*call)) func(*rig) {
	return func(r *rig) {
		r.front.set(func(c *call) {
			if c.v2 {
				toV2(c)
				return
			}
			c.forward()
		})
		r.start()
		r.rounds(fewRounds, fewSeries)
		r.settle()
		calls := r.front.all()
		require.Greater(r, len(calls), 1)
		require.True(r, calls[0].v2)
		require.Equal(r, calls[0].samples(), calls[1].samples(), "the batch that was sent as 2.0, and again as 1.0")
		r.stop()
		r.start()
		r.rounds(fewRounds, fewSeries)
		r.settle()
		for _, c := range r.front.all()[1:] {
			require.False(r, c.v2, "2.0 again after the receiver did not take it")
		}
	}
}

// partialWrites is a receiver that leaves one series out, and says only how many samples it has stored.
func partialWrites(r *rig) {
	r.front.set(first(3, func(c *call) {
		_, rest, err := c.take(func(series string) bool { return series != gaugeName+"/"+seriesName(0) })
		if err != nil {
			c.answer(http.StatusTeapot, err.Error())
			return
		}
		c.pass(c.ask(rest))
	}))
	r.start()
	r.rounds(fewRounds, fewSeries)
	r.settle()
	sent := map[sample]int{}
	for _, c := range r.front.all() {
		for _, s := range c.samples() {
			sent[s]++
			require.Equal(r, 1, sent[s], "%s was sent again", s)
		}
	}
}
