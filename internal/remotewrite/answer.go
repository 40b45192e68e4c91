// SPDX-License-Identifier: Apache-2.0

package remotewrite

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxBody is how many bytes of an answer's body are looked at.
const MaxBody = 4 << 10

// Answer is what came back for a request.
type Answer struct {
	// Status is the HTTP status, 0 where there is none.
	Status int
	Header http.Header
	// Body is its beginning, of up to MaxBody bytes.
	Body []byte
	// Err is why there was no answer; the rest is not looked at then.
	Err error
}

// body returns what may be looked at.
func (a Answer) body() []byte { return a.Body[:min(len(a.Body), MaxBody)] }

// ReadAnswer reads a response and closes its body, of which it reads no more than MaxBody: a receiver that never ends its body
// holds nobody up for longer than the request's context lives. An error while reading it is of no importance: the status has been read.
func ReadAnswer(r *http.Response) Answer {
	body, _ := io.ReadAll(io.LimitReader(r.Body, MaxBody)) // what there is, see above
	_ = r.Body.Close()                                     // it was only read
	return Answer{Status: r.StatusCode, Header: r.Header, Body: body}
}

const (
	samplesWritten    = "X-Prometheus-Remote-Write-Samples-Written"
	histogramsWritten = "X-Prometheus-Remote-Write-Histograms-Written"
	exemplarsWritten  = "X-Prometheus-Remote-Write-Exemplars-Written"
)

// written reads how many samples, histograms among them, a receiver of 2.0 says that it stored. known is false where none of its
// three headers is there; those that are missing, or no number, mean 0.
func written(h http.Header) (n int, known bool) {
	for _, name := range []string{samplesWritten, histogramsWritten, exemplarsWritten} {
		v := strings.TrimSpace(h.Get(name))
		known = known || v != ""
		if count, err := strconv.ParseUint(v, 10, 30); err == nil && name != exemplarsWritten {
			n += int(count)
		}
	}
	return n, known
}

// MaxRetryAfter is the longest pause that a receiver can ask for.
const MaxRetryAfter = 10 * time.Minute

// retryAfter reads a Retry-After header, in seconds or as a date, and returns 0 where it says nothing that makes sense.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if strings.Trim(v, "0123456789") == "" {
		seconds, err := strconv.ParseUint(v, 10, 64)
		if err != nil || seconds > uint64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	date, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), MaxRetryAfter)
}

// clean returns text as one line that is safe to log: control characters, line breaks and what is not UTF-8 are escaped.
func clean(body []byte) string {
	s := strings.TrimSpace(string(body))
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size <= 1:
			b.WriteString(`\x`)
			b.WriteString(strconv.FormatUint(uint64(s[0])|0x100, 16)[1:])
		case unicode.IsPrint(r):
			b.WriteString(s[:size])
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[size:]
	}
	return b.String()
}

// errorText returns an error of the HTTP client without the address that was asked: its query and user may be secrets. Nor has it
// the addresses that were asked on the way, for a token.
func errorText(err error) string {
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err
	}
	if err == nil {
		return "no answer"
	}
	text := err.Error()
	for inner := err; errors.As(inner, &asked); inner = asked.Err {
		text = strings.ReplaceAll(text, strconv.Quote(asked.URL), "(address)")
	}
	return clean([]byte(text[:min(len(text), MaxBody)]))
}
