// SPDX-License-Identifier: Apache-2.0

package remotewrite

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Request is what was sent, as far as it matters for the answer.
type Request struct {
	Protocol Protocol
	// Samples is how many it had, histograms among them.
	Samples int
	// Probing says that it is not known yet whether the receiver takes 2.0, and that 1.0 may be used.
	Probing bool
	// Strict asks for what the specification says about 4xx, instead of what loses nothing.
	Strict  bool
	Profile Profile
	// Now is when the answer came. A Retry-After that is a date is taken relative to it.
	Now time.Time
}

// Action is what to do with a request after an attempt.
type Action int

// The actions.
const (
	// Retry sends the request again, the same bytes, later.
	Retry Action = iota
	// Delivered is done: the receiver has it.
	Delivered
	// Split sends the request in smaller parts. A single sample that is still too large is as good as Isolate.
	Split
	// FallbackV1 sends the same samples as 1.0, now and from now on.
	FallbackV1
	// Isolate finds the samples that the receiver refuses, delivers the others, and sets those aside.
	Isolate
	// Drop gives the samples up, as the specification has it. It is only there in strict mode.
	Drop
)

// String returns the action as it is logged.
func (a Action) String() string {
	return [...]string{"retry", "delivered", "split", "fall back to 1.0", "isolate", "drop"}[a]
}

// Reasons of samples that are refused, for counting.
const (
	// ReasonDuplicate: the receiver has another value for that time.
	ReasonDuplicate = "duplicate"
	// ReasonOutOfOrder: the receiver has a later sample of the series.
	ReasonOutOfOrder = "out_of_order"
	// ReasonTooOld: older than anything that the receiver takes.
	ReasonTooOld = "too_old"
	// ReasonTooFarInFuture: ahead of the receiver's clock by more than it allows.
	ReasonTooFarInFuture = "too_far_in_future"
	// ReasonLabelLimit: too many labels, or too long ones.
	ReasonLabelLimit = "label_limit"
	// ReasonSeriesLimit: the receiver has no room for more series.
	ReasonSeriesLimit = "series_limit"
	// ReasonInvalid: names, labels or buckets that the receiver does not take.
	ReasonInvalid = "invalid"
	// ReasonTooLarge: more bytes than the receiver takes.
	ReasonTooLarge = "too_large"
	// ReasonOther: anything else.
	ReasonOther = "other"
)

// Reasons of attempts that are repeated, for counting.
const (
	// ReasonNetwork: refused, reset, unreachable.
	ReasonNetwork = "network"
	// ReasonDNS: the receiver's name is not known.
	ReasonDNS = "dns"
	// ReasonTLS: no secure connection.
	ReasonTLS = "tls"
	// ReasonTimeout: no answer in time.
	ReasonTimeout = "timeout"
	// ReasonAuth: 401, 403 and the like.
	ReasonAuth = "auth"
	// ReasonEndpoint: the address is not that of a receiver: 404, 405, a redirect, a web page.
	ReasonEndpoint = "endpoint"
	// ReasonRateLimited: 425, 429, 529.
	ReasonRateLimited = "rate_limited"
	// ReasonServer: 5xx.
	ReasonServer = "server"
	// ReasonUnsupported: the receiver does not take the protocol.
	ReasonUnsupported = "unsupported"
)

// Verdict is what an answer comes to.
type Verdict struct {
	Action Action
	// Reason is empty for Delivered.
	Reason string
	// After is how long the receiver asks to wait before a Retry, 0 where it does not.
	After time.Duration
	// Written is how many samples, histograms among them, the receiver says that it stored, where WrittenKnown; of 2.0 only, and also
	// with a refusal.
	Written      int
	WrittenKnown bool
	// Partial says that a request was taken of which the receiver says that it did not store all samples.
	Partial bool
	// Deduplicated says that the receiver may have dropped the samples because it has them from elsewhere (202).
	Deduplicated bool
	// NoneWritten says that a refused request has no sample that the receiver takes: there are no good ones to look for.
	NoneWritten bool
	// AllWritten says that all samples of a refused request are stored, and that only exemplars were refused.
	AllWritten bool
	// Text is for people: the answer, or why there was none. It is one line, and has nothing of the request in it.
	Text string
}

// statusOverloaded is what Mimir answers instead of 429 where it is configured to.
const statusOverloaded = 529

// Classify says what to do after an attempt. It loses nothing, unless Strict: what can become right again is repeated for ever,
// and what cannot is set aside, not dropped. The result depends on the arguments only.
func Classify(a Answer, r Request) Verdict {
	if a.Err != nil {
		return Verdict{Action: Retry, Reason: errorReason(a.Err), Text: errorText(a.Err)}
	}
	v := Verdict{Text: answerText(a)}
	if r.Protocol == V2 {
		v.Written, v.WrittenKnown = written(a.Header)
	}
	switch status := a.Status; {
	case status >= 200 && status <= 299:
		return v.success(a, r)
	case status >= 300 && status <= 399:
		v.Text = redirectText(a)
		return v.retry(ReasonEndpoint, a, r)
	case status >= 400 && status <= 499 && r.Strict:
		return v.strictRefusal(a, r)
	case status >= 400 && status <= 499:
		return v.refusal(a, r)
	case status == statusOverloaded:
		return v.retry(ReasonRateLimited, a, r)
	default:
		return v.retry(ReasonServer, a, r)
	}
}

func (v Verdict) retry(reason string, a Answer, r Request) Verdict {
	v.Action, v.Reason, v.After = Retry, reason, retryAfter(a.Header, r.Now)
	return v
}

func (v Verdict) act(action Action, reason string) Verdict {
	v.Action, v.Reason = action, reason
	return v
}

func (v Verdict) success(a Answer, r Request) Verdict {
	if !r.Strict && isPage(a) {
		// A sign-in page or a user interface: whatever this is, it has not stored samples.
		v.Text = fmt.Sprintf("HTTP %d with a web page: the endpoint is not that of a remote-write receiver, or a proxy asks to sign in", a.Status)
		return v.retry(ReasonEndpoint, a, r)
	}
	if r.Protocol == V2 && !v.WrittenKnown {
		// The specification: assume 415. VictoriaMetrics answers 204 to what it cannot read, and stores nothing.
		v.Text += ", without saying what was written: not a receiver of 2.0"
		return v.act(FallbackV1, ReasonUnsupported)
	}
	v.Action = Delivered
	v.Deduplicated = a.Status == http.StatusAccepted
	v.Partial = v.WrittenKnown && v.Written < r.Samples
	return v
}

// isPage says whether the body is a web page. The type alone says little: some frameworks give it to every empty answer.
func isPage(a Answer) bool {
	start := bytes.ToLower(bytes.TrimSpace(a.body()))
	return bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.HasPrefix(start, []byte("<html"))
}

// refusal is for 4xx.
func (v Verdict) refusal(a Answer, r Request) Verdict {
	switch a.Status {
	case http.StatusRequestTimeout:
		return v.retry(ReasonTimeout, a, r)
	case http.StatusTooManyRequests, http.StatusTooEarly:
		return v.retry(ReasonRateLimited, a, r)
	// These come and go with roles, keys and bills; a rotated secret is read again.
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusUnavailableForLegalReasons:
		if r.Profile.AuthHint != "" {
			v.Text += " (" + r.Profile.AuthHint + ")"
		}
		return v.retry(ReasonAuth, a, r)
	// These speak of the address or the connection, and would be the same for any sample.
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusGone, http.StatusLengthRequired,
		http.StatusMisdirectedRequest, http.StatusUpgradeRequired, http.StatusRequestHeaderFieldsTooLarge:
		return v.retry(ReasonEndpoint, a, r)
	case http.StatusRequestEntityTooLarge:
		return v.act(Split, ReasonTooLarge)
	case http.StatusUnsupportedMediaType:
		if r.Protocol == V2 {
			return v.act(FallbackV1, ReasonUnsupported)
		}
		return v.retry(ReasonUnsupported, a, r)
	default:
		return v.isolate(a, r)
	}
}

// isolate is for answers that speak of samples: 400, 409, 422 and whatever else a receiver may come up with.
func (v Verdict) isolate(a Answer, r Request) Verdict {
	text := string(a.body())
	reason := reasonOf(text)
	switch {
	case isPlainHTTP(text):
		return v.retry(ReasonEndpoint, a, r)
	case reason == ReasonTooLarge:
		return v.act(Split, reason)
	case r.Probing && r.Protocol == V2 && !v.WrittenKnown:
		// A receiver of 2.0 says with a refusal too what was written, once it could read the request.
		return v.act(FallbackV1, ReasonUnsupported)
	}
	v.NoneWritten = v.WrittenKnown && v.Written == 0
	v.AllWritten = v.WrittenKnown && v.Written >= r.Samples && r.Samples > 0
	return v.act(Isolate, reason)
}

// strictRefusal is what the specification says: no 4xx is repeated but 429, and 415 may be answered with another type.
func (v Verdict) strictRefusal(a Answer, r Request) Verdict {
	switch {
	case a.Status == http.StatusTooManyRequests:
		return v.retry(ReasonRateLimited, a, r)
	case a.Status == http.StatusUnsupportedMediaType && r.Protocol == V2:
		return v.act(FallbackV1, ReasonUnsupported)
	case a.Status == http.StatusRequestEntityTooLarge:
		return v.act(Drop, ReasonTooLarge)
	default:
		return v.act(Drop, reasonOf(string(a.body())))
	}
}

func answerText(a Answer) string {
	text := fmt.Sprintf("HTTP %d", a.Status)
	if name := http.StatusText(a.Status); name != "" {
		text += " " + name
	}
	if body := clean(a.body()); body != "" {
		text += ": " + body
	}
	return text
}

// redirectText says where a redirect goes, but not with which path and query, which may be secrets.
func redirectText(a Answer) string {
	text := fmt.Sprintf("HTTP %d: redirects are not followed, because credentials would go along; set endpoint to the address that it leads to", a.Status)
	if to, err := url.Parse(a.Header.Get("Location")); err == nil && to.Host != "" {
		text += " (" + clean([]byte(to.Scheme+"://"+to.Host)) + ")"
	}
	return text
}

func errorReason(err error) string {
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		unknown     x509.UnknownAuthorityError
		hostname    x509.HostnameError
		invalid     x509.CertificateInvalidError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		network     net.Error
	)
	switch {
	case errors.As(err, &dns):
		return ReasonDNS
	case errors.As(err, &certificate), errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &invalid),
		errors.As(err, &record), errors.As(err, &alert):
		return ReasonTLS
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return ReasonTimeout
	default:
		return ReasonNetwork
	}
}
