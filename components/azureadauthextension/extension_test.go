// SPDX-License-Identifier: Apache-2.0

package azureadauthextension

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// testSecret is put together so that scanners do not take it for one.
var testSecret = strings.Join([]string{"not", "a", "secret", "but", "must", "not", "show"}, "-")

func oauthConfig() *Config {
	return &Config{Cloud: "AzurePublic", OAuth: &OAuthConfig{ClientID: testClient, TenantID: testTenant, ClientSecret: "x"}}
}

// receiver is a remote-write endpoint that notes the Authorization headers.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	headers []string
	bodies  []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		assert.NoError(t, err)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.headers = append(r.headers, req.Header.Get("Authorization"))
		r.bodies = append(r.bodies, string(body))
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.headers)
}

func (r *receiver) last(t *testing.T) string {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	require.NotEmpty(t, r.headers, "no request arrived")
	return r.headers[len(r.headers)-1]
}

// client is an HTTP client over a started extension.
type client struct {
	*http.Client
	extension *authenticator
	logs      *observer.ObservedLogs
	url       string
}

func newClient(t *testing.T, cfg *Config, url string) *client {
	t.Helper()
	require.NoError(t, cfg.Validate())
	core, logs := observer.New(zap.DebugLevel)
	a := newAuthenticator(cfg, zap.New(core))
	require.NoError(t, a.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { assert.NoError(t, a.Shutdown(context.Background())) })

	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	rt, err := a.RoundTripper(base)
	require.NoError(t, err)
	return &client{Client: &http.Client{Transport: rt}, extension: a, logs: logs, url: url}
}

// send posts once, within the given time.
func (c *client) send(t *testing.T, timeout time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader("samples"))
	require.NoError(t, err)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	assert.Equal(t, http.StatusNoContent, resp.StatusCode)
	return resp.Body.Close()
}

func TestMethodsAndClouds(t *testing.T) {
	dir := t.TempDir()
	certPath, keyPath := writeCertificate(t, dir)
	secretPath := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secretPath, []byte(testSecret+"\n"), 0o600))
	tokenPath := filepath.Join(dir, "service-account-token")
	require.NoError(t, os.WriteFile(tokenPath, []byte("service-account"), 0o600))

	// The Azure SDK keeps managed identities' tokens in one cache per process, so
	// that these two have to be new where the test runs more than once.
	identity, resource := uuid.NewString(), "https://"+uuid.NewString()+".monitor.azure.com"

	for name, tc := range map[string]struct {
		cfg   Config
		env   map[string]string
		host  string
		scope string
		form  map[string]string
	}{
		"client secret, public cloud": {
			cfg:  Config{Cloud: "AzurePublic", OAuth: &OAuthConfig{ClientID: testClient, TenantID: testTenant, ClientSecret: "from-environment"}},
			host: "login.microsoftonline.com", scope: "https://monitor.azure.com//.default",
			form: map[string]string{"client_secret": "from-environment", "client_id": testClient},
		},
		"client secret from a file, China": {
			cfg:  Config{Cloud: "AzureChina", OAuth: &OAuthConfig{ClientID: testClient, TenantID: testTenant, ClientSecretFile: secretPath}},
			host: "login.chinacloudapi.cn", scope: "https://monitor.azure.cn//.default",
			form: map[string]string{"client_secret": testSecret},
		},
		"certificate, Government": {
			cfg:  Config{Cloud: "AzureGovernment", Certificate: &CertificateConfig{ClientID: testClient, TenantID: testTenant, CertificatePath: certPath, CertificateKeyPath: keyPath}},
			host: "login.microsoftonline.us", scope: "https://monitor.azure.us//.default",
			form: map[string]string{"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		},
		"workload identity": {
			cfg:  Config{Cloud: "AzurePublic", WorkloadIdentity: &WorkloadIdentityConfig{ClientID: testClient, TenantID: testTenant, TokenFilePath: tokenPath}},
			host: "login.microsoftonline.com", scope: "https://monitor.azure.com//.default",
			form: map[string]string{"client_assertion": "service-account"},
		},
		"workload identity, token file from the webhook's variable": {
			cfg:  Config{Cloud: "AzurePublic", WorkloadIdentity: &WorkloadIdentityConfig{ClientID: testClient, TenantID: testTenant}},
			env:  map[string]string{"AZURE_FEDERATED_TOKEN_FILE": tokenPath},
			host: "login.microsoftonline.com", scope: "https://monitor.azure.com//.default",
			form: map[string]string{"client_assertion": "service-account"},
		},
		"managed identity": {
			cfg:  Config{Cloud: "AzurePublic", ManagedIdentity: &ManagedIdentityConfig{ClientID: identity}},
			host: imdsHost, form: map[string]string{"resource": "https://monitor.azure.com/", "client_id": identity},
		},
		"managed identity of the system, another scope": {
			cfg:  Config{Cloud: "AzurePublic", Scope: resource + "/.default", ManagedIdentity: &ManagedIdentityConfig{}},
			host: imdsHost, form: map[string]string{"resource": resource, "client_id": ""},
		},
		"sdk": {
			cfg:  Config{Cloud: "AzurePublic", SDK: &SDKConfig{}},
			env:  map[string]string{"AZURE_TENANT_ID": testTenant, "AZURE_CLIENT_ID": testClient, "AZURE_CLIENT_SECRET": "of-the-sdk"},
			host: "login.microsoftonline.com", scope: "https://monitor.azure.com//.default",
			form: map[string]string{"client_secret": "of-the-sdk"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			e := newEntra(t)
			r := newReceiver(t)
			c := newClient(t, &tc.cfg, r.URL)
			require.Zero(t, e.requests(), "Start asks for no token")

			require.NoError(t, c.send(t, 10*time.Second))
			require.NoError(t, c.send(t, 10*time.Second))
			assert.Equal(t, 1, e.requests(), "one token serves all requests")
			assert.True(t, strings.HasPrefix(r.last(t), "Bearer ey"), "header %q", r.last(t))
			assert.Equal(t, []string{"samples", "samples"}, r.bodies)

			host, form, header := e.last()
			assert.Equal(t, tc.host, host)
			if host == imdsHost {
				assert.Equal(t, "true", header.Get("Metadata"))
			}
			if tc.scope != "" {
				assert.Contains(t, strings.Fields(form.Get("scope")), tc.scope)
			}
			for key, want := range tc.form {
				assert.Equal(t, want, form.Get(key), key)
			}
		})
	}
}

func TestExpiredTokenIsRenewed(t *testing.T) {
	e := newEntra(t)
	r := newReceiver(t)
	e.answers(e.issue(time.Second))
	c := newClient(t, oauthConfig(), r.URL)
	require.NoError(t, c.send(t, 10*time.Second))
	first := r.last(t)

	// azuread renews after half of the life.
	require.Eventually(t, func() bool {
		return assert.NoError(t, c.send(t, 10*time.Second)) && r.last(t) != first
	}, 10*time.Second, 50*time.Millisecond)
	assert.GreaterOrEqual(t, e.requests(), 2)
}

func TestRefusedToken(t *testing.T) {
	e := newEntra(t)
	r := newReceiver(t)
	e.answers(e.refuse)
	cfg := oauthConfig()
	cfg.OAuth.ClientSecret = "x" // not the one that the assertion below looks for
	c := newClient(t, cfg, r.URL)

	err := c.send(t, 10*time.Second)
	require.ErrorContains(t, err, "azuread_auth: no access token (oauth, AzurePublic)")
	require.ErrorContains(t, err, "AADSTS7000215: Invalid client secret provided")
	assert.Zero(t, r.count(), "nothing is sent without a token")

	e.answers(e.issue(time.Hour))
	require.NoError(t, c.send(t, 10*time.Second), "a refusal is not remembered")
}

func TestUnusableTokens(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(e *entra) http.HandlerFunc
		want   string
	}{
		"expired on arrival": {func(e *entra) http.HandlerFunc { return e.issue(-time.Hour) }, "no access token (oauth, AzurePublic)"},
		"no token":           {func(e *entra) http.HandlerFunc { return e.issueText("", time.Hour) }, "response is missing access_token"},
		"no JSON": {func(*entra) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "<html>a captive portal</html>")
			}
		}, "no access token (oauth, AzurePublic)"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEntra(t)
			r := newReceiver(t)
			e.answers(tc.answer(e))
			require.ErrorContains(t, newClient(t, oauthConfig(), r.URL).send(t, 10*time.Second), tc.want)
			assert.Zero(t, r.count())
		})
	}
}

func TestStalledTokenServer(t *testing.T) {
	e := newEntra(t)
	r := newReceiver(t)
	e.answers(e.stall)
	c := newClient(t, oauthConfig(), r.URL)

	// No request waits longer than its own context says, and all of them cost
	// one token request.
	begin := time.Now()
	var waiting sync.WaitGroup
	for range 10 {
		waiting.Go(func() {
			err := c.send(t, 100*time.Millisecond)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorContains(t, err, "azuread_auth: the token server (oauth, AzurePublic) has not answered")
		})
	}
	waiting.Wait()
	assert.Less(t, time.Since(begin), 3*time.Second)
	require.Eventually(t, func() bool { return e.requests() == 1 }, 5*time.Second, time.Millisecond)

	first, _, err := c.extension.tokens.join()
	require.NoError(t, err)
	second, _, err := c.extension.tokens.join()
	require.NoError(t, err)
	require.Same(t, first, second, "one goroutine asks, however many requests wait")

	// A request without a deadline waits for a while, those after it no more.
	require.ErrorIs(t, c.send(t, time.Hour), errStalled)
	assert.WithinDuration(t, begin.Add(stallPatience), time.Now(), 3*time.Second)
	begin = time.Now()
	for range 100 {
		require.ErrorIs(t, c.send(t, time.Hour), errStalled)
	}
	assert.Less(t, time.Since(begin), stallPatience)
	require.NoError(t, c.extension.Shutdown(t.Context()))
	assert.Equal(t, 1, e.requests())
	assert.Zero(t, r.count())
}

func TestShutdownFreesRequests(t *testing.T) {
	e := newEntra(t)
	r := newReceiver(t)
	e.answers(e.stall)
	c := newClient(t, oauthConfig(), r.URL)
	// A request without a deadline waits, and the shutdown frees it.
	freed := make(chan error)
	go func() { freed <- c.send(t, time.Hour) }()
	require.Never(t, func() bool {
		select {
		case err := <-freed:
			t.Errorf("the request ended early: %v", err)
			return true
		default:
			return false
		}
	}, 50*time.Millisecond, 10*time.Millisecond)
	begin := time.Now()
	require.NoError(t, c.extension.Shutdown(t.Context()))
	require.ErrorIs(t, <-freed, errNotRunning)
	assert.Less(t, time.Since(begin), 3*time.Second)
	require.ErrorIs(t, c.send(t, time.Hour), errNotRunning, "after the shutdown, too")
	assert.Zero(t, r.count())
}

func TestSlowTokenServesTheNextRequest(t *testing.T) {
	e := newEntra(t)
	r := newReceiver(t)
	release := make(chan struct{})
	e.answers(func(w http.ResponseWriter, req *http.Request) {
		<-release
		e.issue(time.Hour)(w, req)
	})
	c := newClient(t, oauthConfig(), r.URL)
	require.ErrorIs(t, c.send(t, 50*time.Millisecond), context.DeadlineExceeded)
	close(release)
	require.NoError(t, c.send(t, 10*time.Second))
	assert.Equal(t, 1, e.requests(), "the token request outlived the export request that caused it")
}

func TestTokenInHandIsUsedWhileRenewalFails(t *testing.T) {
	for name, tc := range map[string]struct {
		failure func(e *entra) http.HandlerFunc
		warning bool
	}{
		"refused": {func(e *entra) http.HandlerFunc { return e.refuse }, true},
		"stalled": {func(e *entra) http.HandlerFunc { return e.stall }, false}, // said when the attempt ends
	} {
		t.Run(name, func(t *testing.T) {
			e := newEntra(t)
			r := newReceiver(t)
			e.answers(e.issueAs(time.Second, time.Hour))
			c := newClient(t, oauthConfig(), r.URL)
			require.NoError(t, c.send(t, 10*time.Second))
			held := r.last(t)

			e.answers(tc.failure(e))
			require.Eventually(t, func() bool {
				return assert.NoError(t, c.send(t, 10*time.Second)) && e.requests() > 1
			}, 10*time.Second, 50*time.Millisecond)
			require.NoError(t, c.send(t, 10*time.Second))
			assert.Equal(t, held, r.last(t))

			warnings := c.logs.FilterMessage("the token could not be renewed; the one in hand is used until it expires").Len()
			if tc.warning {
				assert.Equal(t, 1, warnings, "said once, not for each request")
			}
		})
	}
}

func TestTokenOfUnknownLifeIsNotHeld(t *testing.T) {
	e := newEntra(t)
	r := newReceiver(t)
	e.answers(e.issueText("opaque", time.Second))
	c := newClient(t, oauthConfig(), r.URL)
	require.NoError(t, c.send(t, 10*time.Second))
	assert.Equal(t, "Bearer opaque", r.last(t))
	e.answers(e.refuse)
	var err error
	require.Eventually(t, func() bool { err = c.send(t, 10*time.Second); return err != nil }, 10*time.Second, 50*time.Millisecond)
	assert.ErrorContains(t, err, "AADSTS7000215")
}

func TestClientSecretFileRotates(t *testing.T) {
	e := newEntra(t)
	r := newReceiver(t)
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte("first"), 0o600))
	c := newClient(t, &Config{Cloud: "AzurePublic", OAuth: &OAuthConfig{ClientID: testClient, TenantID: testTenant, ClientSecretFile: path}}, r.URL)
	require.NoError(t, c.send(t, 10*time.Second))

	require.NoError(t, os.WriteFile(path, []byte("other\n"), 0o600))
	require.NoError(t, c.send(t, 10*time.Second))
	_, form, _ := e.last()
	assert.Equal(t, "other", form.Get("client_secret"))
	assert.Equal(t, 2, e.requests())
	assert.Equal(t, 1, c.logs.FilterMessage("the credential's files have changed; the new credential is in use").Len())

	// Gone or empty for a moment: the credential in use stays.
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, c.send(t, 10*time.Second))
	require.NoError(t, c.send(t, 10*time.Second))
	warnings := c.logs.FilterMessage("the credential could not be read again; the former one stays in use").All()
	require.Len(t, warnings, 1, "said once, not for each request")
	assert.Equal(t, "oauth::client_secret_file: "+path+" is empty; write the credential into it", warnings[0].ContextMap()["error"])
	assert.Equal(t, 2, e.requests())
}

func TestCertificateRotates(t *testing.T) {
	e := newEntra(t)
	r := newReceiver(t)
	dir := t.TempDir()
	certPath, keyPath := writeCertificate(t, dir)
	c := newClient(t, &Config{Cloud: "AzurePublic", Certificate: &CertificateConfig{
		ClientID: testClient, TenantID: testTenant, CertificatePath: certPath, CertificateKeyPath: keyPath, SendCertificateChain: true,
	}}, r.URL)
	require.NoError(t, c.send(t, 10*time.Second))
	_, before, _ := e.last()

	// The chain is in the header of the assertion, so that it tells the certificates apart.
	writeCertificate(t, dir)
	require.NoError(t, c.send(t, 10*time.Second))
	_, after, _ := e.last()
	assert.Equal(t, 2, e.requests())
	assert.NotEqual(t, strings.Split(before.Get("client_assertion"), ".")[0], strings.Split(after.Get("client_assertion"), ".")[0])
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	certPath, _ := writeCertificate(t, dir)
	missing := filepath.Join(dir, "missing")
	for name, tc := range map[string]struct {
		cfg  Config
		want string
	}{
		"no secret file": {
			Config{Cloud: "AzurePublic", OAuth: &OAuthConfig{ClientID: testClient, TenantID: testTenant, ClientSecretFile: missing}},
			"oauth::client_secret_file: open " + missing + ": no such file or directory; mount the file or correct the path",
		},
		"no certificate": {
			Config{Cloud: "AzurePublic", Certificate: &CertificateConfig{ClientID: testClient, TenantID: testTenant, CertificatePath: missing}},
			"certificate::certificate_path: open " + missing + ": no such file or directory; mount the file or correct the path",
		},
		"no key in the certificate": {
			Config{Cloud: "AzurePublic", Certificate: &CertificateConfig{ClientID: testClient, TenantID: testTenant, CertificatePath: certPath}},
			"certificate: failed to parse certificate data: found no private key",
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, tc.cfg.Validate())
			a := newAuthenticator(&tc.cfg, zap.NewNop())
			require.EqualError(t, a.Start(t.Context(), componenttest.NewNopHost()), tc.want)
			require.NoError(t, a.Shutdown(t.Context()))
		})
	}
}

func TestNoTokenOutsideStartAndShutdown(t *testing.T) {
	r := newReceiver(t)
	a := newAuthenticator(oauthConfig(), zap.NewNop())
	rt, err := a.RoundTripper(nil)
	require.NoError(t, err)
	body := &closedBody{Reader: strings.NewReader("samples")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL, body)
	require.NoError(t, err)
	_, err = rt.RoundTrip(req) //nolint:bodyclose // there is no response
	require.ErrorIs(t, err, errNotRunning)
	assert.True(t, body.closed, "a round tripper closes the body on errors, too")
	assert.Zero(t, r.count())
}

func TestRequestIsNotChanged(t *testing.T) {
	newEntra(t)
	r := newReceiver(t)
	c := newClient(t, oauthConfig(), r.URL)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL, http.NoBody)
	require.NoError(t, err)
	resp, err := c.Transport.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Empty(t, req.Header, "a round tripper does not change the caller's request")
	assert.NotEmpty(t, r.last(t))
}

// TestCollectorClient goes the way an exporter goes: through confighttp's auth.
func TestCollectorClient(t *testing.T) {
	newEntra(t)
	r := newReceiver(t)
	factory := NewFactory()
	cfg := factory.CreateDefaultConfig().(*Config)
	cfg.OAuth = oauthConfig().OAuth
	ext, err := factory.Create(t.Context(), extensiontest.NewNopSettings(factory.Type()), cfg)
	require.NoError(t, err)
	require.NoError(t, ext.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { assert.NoError(t, ext.Shutdown(context.Background())) })

	id := component.NewID(factory.Type())
	clientConfig := confighttp.NewDefaultClientConfig()
	clientConfig.Auth = configoptional.Some(configauth.Config{AuthenticatorID: id})
	httpClient, err := clientConfig.ToClient(t.Context(), map[component.ID]component.Component{id: ext}, componenttest.NewNopTelemetrySettings())
	require.NoError(t, err)
	t.Cleanup(httpClient.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL, strings.NewReader("samples"))
	require.NoError(t, err)
	resp, err := httpClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.True(t, strings.HasPrefix(r.last(t), "Bearer ey"))
	r.CloseClientConnections()
}

type closedBody struct {
	io.Reader
	closed bool
}

func (b *closedBody) Close() error {
	b.closed = true
	return nil
}

// writeCertificate writes a new certificate and its key into dir.
func writeCertificate(t *testing.T, dir string) (certPath, keyPath string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048) // Entra takes RSA keys
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "runner"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certPath, keyPath = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	require.NoError(t, os.WriteFile(certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	return certPath, keyPath
}
