// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// connectionRows are faults below HTTP, or in the middle of it.
func connectionRows() []row {
	noAnswer := func(log ...string) want {
		return want{answers: map[string]int{"error": 1}, log: append([]string{logFailed, logWorks}, log...)}
	}
	return []row{
		{
			name: "backend away", fault: "the port is closed for a while: connection refused", inject: away,
			want: noAnswer("connection refused"),
		},
		{
			name: "hangs until the timeout", fault: "the first request is read and never answered",
			inject: through(first(1, (*call).hang), "timeout: 500ms"),
			want:   noAnswer("exceeded"),
		},
		{
			name: "200 after the timeout", fault: "the first request is stored at once and answered after the client has gone: the repetition is byte for byte the same",
			inject: answeredLate, want: noAnswer("exceeded"),
		},
		{
			name: "stored, answered 500", fault: "1.0, where a refused request is rolled back whole: the repetition of what is stored is taken",
			inject: through(first(failing, func(c *call) {
				c.ask(c.wire())
				c.answer(http.StatusInternalServerError, "the answer was lost")
			}), `protocol: "1.0"`),
			want: want{answers: map[string]int{"500": failing}, log: []string{logFailed, logWorks}},
		},
		{
			name: "answers at random", fault: "40 requests meet, at random, what is in the other rows: refused, hung up on, cut off, stored or not",
			inject: atRandom,
			want:   want{log: []string{logFailed, logWorks}},
		},
		{
			name: "closes at once", fault: "the connection is closed without a word",
			inject: through(first(failing, raw(false, func(net.Conn) error { return nil }))),
			want:   noAnswer("EOF"),
		},
		{
			name: "reset in the request", fault: "the connection is reset when a part of a large request has been read",
			inject: resetInRequest, want: noAnswer("connection"),
		},
		{
			name: "half a header", fault: "the answer ends within its header, after the request was stored",
			inject: through(first(failing, halfAnswer("HTTP/1.1 200 OK\r\nX-Prometheus-Remote-Wri"))),
			want:   noAnswer("malformed MIME header"),
		},
		{
			name: "half a body", fault: "a 500 announces more body than comes",
			inject: through(first(failing, halfAnswer("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 100\r\n\r\nhalf an ans"))),
			want:   want{answers: map[string]int{"500": failing}, log: []string{"HTTP 500 Internal Server Error: half an ans", logWorks}},
		},
		{
			name: "slow loris", fault: "the answer comes one byte at a time and never ends",
			inject: through(first(1, raw(false, trickle)), "timeout: 500ms"),
			want:   noAnswer(),
		},
		{
			name: "slow loris in the body", fault: "a 503 whose body comes one byte at a time and never ends",
			inject: through(first(1, raw(false, trickleBody)), "timeout: 500ms"),
			want:   want{answers: map[string]int{"503": 1}, log: []string{"HTTP 503", logWorks}},
		},
		{
			name: "no HTTP", fault: "another protocol answers: a line of SMTP",
			inject: through(first(failing, raw(false, func(c net.Conn) error {
				_, err := io.WriteString(c, "220 mail.example ESMTP\r\n")
				return err
			}))),
			want: noAnswer("malformed HTTP"),
		},
		{
			name: "name gone and back", fault: "a real DNS server answers NXDOMAIN for a while (in this test's own network, with its own resolv.conf)",
			inject: nameGone, want: noAnswer("no such host"),
		},
	}
}

// raw is a fault that writes to the connection itself.
func raw(reset bool, do func(net.Conn) error) func(*call) {
	return func(c *call) {
		c.wire()
		_ = c.raw(reset, do) // the client closes it in the middle
	}
}

func away(r *rig) {
	r.start()
	r.rounds(1, fewSeries)
	r.settle()
	require.NoError(r, r.front.close())
	r.rounds(fewRounds, fewSeries)
	r.awaitLog("connection refused")
	require.NoError(r, r.front.serve())
}

func answeredLate(r *rig) {
	stored := make(chan struct{})
	through(first(1, func(c *call) {
		a := c.ask(c.wire())
		close(stored)
		<-c.r.Context().Done() // the client has gone
		c.pass(a)
	}), "timeout: 500ms")(r)
	<-stored
	calls := r.calls(2)
	require.True(r, bytes.Equal(calls[0].wire(), calls[1].wire()), "the repetition has other bytes than the request")
	require.Equal(r, "1", calls[1].header.Get("Retry-Attempt"))
}

// atRandom draws a fault for each request. The seed is in the log of the row.
func atRandom(r *rig) {
	seed := rand.Uint64()                 //nolint:gosec // to be printed, not to be secret
	rng := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // as above
	faults := []func(*call){
		status(http.StatusUnauthorized), status(http.StatusForbidden), status(http.StatusNotFound), status(http.StatusTooManyRequests),
		status(http.StatusInternalServerError), status(http.StatusServiceUnavailable),
		raw(false, func(net.Conn) error { return nil }), raw(true, func(net.Conn) error { return nil }),
		halfAnswer("HTTP/1.1 200 OK\r\nX-Prometheus-Remote-Wri"), halfAnswer("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 100\r\n\r\nhalf"),
		func(c *call) { c.ask(c.wire()); c.answer(http.StatusBadGateway, "the answer was lost") },
		(*call).forward, (*call).forward, (*call).forward,
	}
	drawn := make([]func(*call), 40)
	for i := range drawn {
		drawn[i] = faults[rng.IntN(len(faults))]
	}
	r.note = fmt.Sprintf("seed %d", seed)
	r.front.set(func(c *call) {
		if c.n < len(drawn) {
			drawn[c.n](c)
			return
		}
		c.forward()
	})
	r.configure("shards: 2, retry: {initial_interval: 10ms, max_interval: 50ms}, batch: {max_wait: 20ms}")
	r.start()
	r.rounds(6*fewRounds, fewSeries)
}

func resetInRequest(r *rig) {
	require.NoError(r, r.front.close())
	r.front.small = true
	require.NoError(r, r.front.serve())
	r.front.set(first(failing, func(c *call) {
		_, _ = io.ReadFull(c.r.Body, make([]byte, 1<<10)) // a part of it
		_ = c.raw(true, func(net.Conn) error { return nil })
	}))
	r.start()
	r.rounds(1, 10_000)
}

// halfAnswer stores the request and writes the beginning of an answer.
func halfAnswer(text string) func(*call) {
	return func(c *call) {
		wire := c.wire()
		if !strings.Contains(text, " 500 ") {
			c.ask(wire)
		}
		_ = c.raw(false, func(conn net.Conn) error { // the client may close it
			_, err := io.WriteString(conn, text)
			return err
		})
	}
}

const trickling = 50 * time.Millisecond

func trickle(c net.Conn) error {
	for _, b := range []byte("HTTP/1.1 200 OK\r\nServer: " + strings.Repeat("slow ", 1000)) {
		if _, err := c.Write([]byte{b}); err != nil {
			return err
		}
		time.Sleep(trickling)
	}
	return nil
}

func trickleBody(c net.Conn) error {
	if _, err := io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100000\r\n\r\n"); err != nil {
		return err
	}
	for {
		if _, err := io.WriteString(c, "x"); err != nil {
			return err
		}
		time.Sleep(trickling)
	}
}

// nameGone runs a DNS server on the port where the resolver of this network namespace asks.
func nameGone(r *rig) {
	const name = "backend.faults.test."
	known := make(chan struct{})
	server := &dns.Server{Addr: "127.0.0.1:53", Net: "udp", Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg)
		answer.SetReply(q)
		select {
		case <-known:
			if len(q.Question) == 1 && q.Question[0].Name == name && q.Question[0].Qtype == dns.TypeA {
				answer.Answer = append(answer.Answer, &dns.A{
					Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1),
				})
			}
		default:
			answer.SetRcode(q, dns.RcodeNameError)
		}
		_ = w.WriteMsg(answer) // the client asks again
	})}
	ready := make(chan struct{})
	server.NotifyStartedFunc = func() { close(ready) }
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case <-ready:
	case err := <-ended:
		require.NoError(r, err, "the DNS server")
	}
	r.cleanup(server.Shutdown)
	_, port, err := net.SplitHostPort(r.front.address)
	require.NoError(r, err)
	r.configure(fmt.Sprintf("endpoint: 'http://%s:%s/api/v1/write'", strings.TrimSuffix(name, "."), port))
	r.start()
	r.rounds(fewRounds, fewSeries)
	r.awaitLog("no such host")
	require.Empty(r, r.front.all())
	close(known)
}

// status is a short form for an answer without more.
func status(code int) func(*call) { return always(code, http.StatusText(code)) }
