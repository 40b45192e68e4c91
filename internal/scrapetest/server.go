// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/scene"
)

// proxy answers every request for any address with the page of a scene. It runs outside of the bubble, in real time.
type proxy struct {
	url    *url.URL
	server *http.Server
	state  atomic.Pointer[scene.State]
	ended  chan struct{}
}

func startProxy() (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the pages of the scene cannot be served: %w", err)
	}
	p := &proxy{url: &url.URL{Scheme: "http", Host: listener.Addr().String()}, ended: make(chan struct{})}
	p.server = &http.Server{Handler: http.HandlerFunc(p.answer), ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(p.ended)
		_ = p.server.Serve(listener) // it ends when it is closed
	}()
	return p, nil
}

func (p *proxy) close() {
	_ = p.server.Close() // nobody waits for an answer any more
	<-p.ended
}

func (p *proxy) answer(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		p.tunnel(w, r)
		return
	}
	p.page(w, r, r.URL.Host, "80")
}

// page answers with the page of host. An open connection would hold up virtual time: each is closed.
func (p *proxy) page(w http.ResponseWriter, r *http.Request, address, defaultPort string) {
	w.Header().Set("Connection", "close")
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = address, defaultPort
	}
	page, found := p.state.Load().Page(host, port, r.URL.RequestURI())
	if !found {
		hangUp(w)
		return
	}
	if page.ContentType != "" {
		w.Header().Set("Content-Type", page.ContentType)
	}
	if page.Encoding != "" {
		w.Header().Set("Content-Encoding", page.Encoding)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(page.Body)))
	w.WriteHeader(page.Status)
	_, _ = w.Write(page.Body) // the scraper hangs up when a page is too large for it
}

// hangUp ends the connection without an answer, as an address does where nothing listens.
func hangUp(w http.ResponseWriter) {
	if hijacker, ok := w.(http.Hijacker); ok {
		if conn, _, err := hijacker.Hijack(); err == nil {
			_ = conn.Close()
		}
	}
}

// tunnel answers for a target that is scraped by https.
func (p *proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		http.Error(w, "no tunnel", http.StatusInternalServerError)
		return
	}
	// The answer is written after the server has let go of the connection: it could take the first byte of the handshake for itself.
	conn, _, err := hijacker.Hijack()
	if err != nil {
		return
	}
	certificate, err := selfSigned()
	if err == nil {
		_, err = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	}
	if err != nil {
		_ = conn.Close()
		return
	}
	secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	inner := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		p.page(w, request, r.Host, "443")
	})}
	_ = inner.Serve(&oneConn{conn: secure}) // it ends with the connection
}

// oneConn is a listener of a connection that there is already.
type oneConn struct {
	conn net.Conn
	once sync.Once
}

// Accept implements net.Listener.
func (l *oneConn) Accept() (conn net.Conn, err error) {
	err = net.ErrClosed
	l.once.Do(func() { conn, err = l.conn, nil })
	return conn, err
}

// Close implements net.Listener. The connection is its handler's.
func (*oneConn) Close() error { return nil }

// Addr implements net.Listener.
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }

// selfSigned is a certificate that nobody trusts: what verifies it is not run here.
var selfSigned = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(365 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
})
