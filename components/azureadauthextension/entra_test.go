// SPDX-License-Identifier: Apache-2.0

package azureadauthextension

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const (
	testClient = "11111111-1111-1111-1111-111111111111"
	testTenant = "22222222-2222-2222-2222-222222222222"
	imdsHost   = "169.254.169.254"
)

// entra is a token server in the place of Microsoft Entra ID and of the instance
// metadata service. azuread fixes the authority hosts and the Azure SDK insists
// on https, therefore it is reached the way a cluster behind a proxy reaches the
// real one: HTTPS_PROXY names it, it answers CONNECT for any host, and SSL_CERT_FILE
// names the authority that signed its certificate.
type entra struct {
	t      *testing.T
	closed chan struct{} // ends answers that stall

	mu      sync.Mutex
	answer  func(w http.ResponseWriter, r *http.Request)
	hosts   []string     // that token requests went to
	forms   []url.Values // of the token requests
	headers []http.Header
}

// issuer is made once: Go reads SSL_CERT_FILE and HTTPS_PROXY once per process.
type issuer struct {
	pem     []byte
	leaf    tls.Certificate
	address string
}

var testIssuer = sync.OnceValues(newIssuer)

func newIssuer() (*issuer, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test token server"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: []string{"login.microsoftonline.com", "login.microsoftonline.us", "login.chinacloudapi.cn"},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return nil, err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &issuer{
		pem:     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
		leaf:    tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key},
		address: free.Addr().String(),
	}, free.Close()
}

// newEntra starts the server, which issues tokens of one hour until told
// otherwise. At the end of the test no goroutine may be left.
func newEntra(t *testing.T) *entra {
	t.Helper()
	iss, err := testIssuer()
	require.NoError(t, err)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	require.NoError(t, os.WriteFile(roots, iss.pem, 0o600))
	for name, value := range map[string]string{
		"HTTPS_PROXY": "http://" + iss.address, "HTTP_PROXY": "http://" + iss.address, "NO_PROXY": "",
		"SSL_CERT_FILE": roots, "SSL_CERT_DIR": t.TempDir(),
		"IDENTITY_ENDPOINT": "", "MSI_ENDPOINT": "", "IMDS_ENDPOINT": "", "AZURE_REGIONAL_AUTHORITY_NAME": "",
	} {
		t.Setenv(name, value)
	}

	e := &entra{t: t, closed: make(chan struct{})}
	e.answers(e.issue(time.Hour))
	tunnels := &tunnelListener{conns: make(chan net.Conn), closed: e.closed}
	inner := &http.Server{Handler: http.HandlerFunc(e.login), ReadHeaderTimeout: 10 * time.Second}
	outer := &http.Server{Handler: e.proxy(tunnels), ReadHeaderTimeout: 10 * time.Second}
	listener, err := net.Listen("tcp", iss.address)
	require.NoError(t, err)

	var serving sync.WaitGroup
	serving.Go(func() {
		assert.ErrorIs(t, outer.Serve(listener), http.ErrServerClosed)
	})
	serving.Go(func() {
		assert.ErrorIs(t, inner.Serve(tls.NewListener(tunnels, &tls.Config{Certificates: []tls.Certificate{iss.leaf}, MinVersion: tls.VersionTLS12})), http.ErrServerClosed)
	})
	t.Cleanup(func() {
		assert.NoError(t, outer.Close())
		close(e.closed)
		assert.NoError(t, inner.Close())
		serving.Wait()
		goleak.VerifyNone(t)
	})
	return e
}

// proxy turns CONNECT into a connection of the inner server and answers
// plain requests, which only the metadata service gets, itself.
func (e *entra) proxy(tunnels *tunnelListener) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			if !assert.Equal(e.t, imdsHost, r.Host) {
				return
			}
			e.token(w, r)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(e.t, err) {
			return
		}
		if _, err = conn.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
			_ = conn.Close()
			return
		}
		select {
		case tunnels.conns <- tunnel{Conn: conn, reader: buffered.Reader}:
		case <-e.closed:
			_ = conn.Close()
		}
	})
}

// login is Entra's surface as far as the Azure SDK uses it.
func (e *entra) login(w http.ResponseWriter, r *http.Request) {
	authority := "https://" + r.Host
	switch {
	case r.URL.Path == "/common/discovery/instance":
		e.reply(w, http.StatusOK, map[string]any{
			"tenant_discovery_endpoint": authority + "/" + testTenant + "/v2.0/.well-known/openid-configuration",
			"metadata":                  []any{map[string]any{"preferred_network": r.Host, "preferred_cache": r.Host, "aliases": []string{r.Host}}},
		})
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		e.reply(w, http.StatusOK, map[string]any{
			"token_endpoint":         authority + "/" + testTenant + "/oauth2/v2.0/token",
			"authorization_endpoint": authority + "/" + testTenant + "/oauth2/v2.0/authorize",
			"issuer":                 authority + "/" + testTenant + "/v2.0",
		})
	case strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token"):
		e.token(w, r)
	default:
		e.t.Errorf("unexpected request %s %s", r.Method, r.URL)
	}
}

func (e *entra) token(w http.ResponseWriter, r *http.Request) {
	if !assert.NoError(e.t, r.ParseForm()) {
		return
	}
	e.mu.Lock()
	e.hosts = append(e.hosts, r.Host)
	e.forms = append(e.forms, r.Form)
	e.headers = append(e.headers, r.Header)
	answer := e.answer
	e.mu.Unlock()
	answer(w, r)
}

// answers sets what token requests get from now on.
func (e *entra) answers(answer http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

// requests is the number of token requests so far.
func (e *entra) requests() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.forms)
}

// last is the newest token request.
func (e *entra) last() (host string, form url.Values, header http.Header) {
	e.mu.Lock()
	defer e.mu.Unlock()
	require.NotEmpty(e.t, e.forms, "no token request arrived")
	n := len(e.forms) - 1
	return e.hosts[n], e.forms[n], e.headers[n]
}

// issue answers with a new JWT that lives so long.
func (e *entra) issue(life time.Duration) http.HandlerFunc {
	return e.issueAs(life, life)
}

// issueAs says another life in the answer than the JWT has: azuread renews
// after half the former, and the latter is when the receiver refuses it.
func (e *entra) issueAs(answer, token time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
			ID: fmt.Sprint(e.requests()), ExpiresAt: jwt.NewNumericDate(time.Now().Add(token)),
		}).SignedString([]byte("a key of this test only"))
		if !assert.NoError(e.t, err) {
			return
		}
		e.issueText(signed, answer)(w, nil)
	}
}

func (e *entra) issueText(token string, life time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		e.reply(w, http.StatusOK, map[string]any{
			"access_token": token, "token_type": "Bearer", "expires_in": int(life.Seconds()),
		})
	}
}

// refuse answers as Entra does to a wrong client secret.
func (e *entra) refuse(w http.ResponseWriter, _ *http.Request) {
	e.reply(w, http.StatusUnauthorized, map[string]any{
		"error":             "invalid_client",
		"error_description": "AADSTS7000215: Invalid client secret provided. Trace ID: 0 Correlation ID: 0",
		"error_codes":       []int{7000215},
	})
}

// stall gives no answer as long as the client waits for one.
func (e *entra) stall(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-e.closed:
	}
}

func (e *entra) reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails where the client is gone, which some tests want
}

// tunnel is a hijacked connection with what was read of it already.
type tunnel struct {
	net.Conn
	reader *bufio.Reader
}

func (t tunnel) Read(p []byte) (int, error) { return t.reader.Read(p) }

// tunnelListener hands hijacked connections to an http.Server.
type tunnelListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *tunnelListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, http.ErrServerClosed
	}
}

func (*tunnelListener) Close() error { return nil }

func (*tunnelListener) Addr() net.Addr { return &net.TCPAddr{} }
