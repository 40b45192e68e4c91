// SPDX-License-Identifier: Apache-2.0

package azureadauthextension

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/prometheus/storage/remote/azuread"
	"go.uber.org/zap"
)

const (
	// attemptTimeout bounds one token request with the Azure SDK's retries in
	// it. It is longer than an export request's usual timeout, so that a slow
	// token still arrives, for the next export.
	attemptTimeout = 30 * time.Second

	// stallPatience is how long after the start of a token request exports still
	// wait for it. Without this bound a collector that drains a queue at its
	// shutdown waits once for each batch, for as long as the exporter's timeout.
	stallPatience = 5 * time.Second

	// renewalPatience is how long an export waits for a new token while the one
	// in hand is still good.
	renewalPatience = time.Second

	// expiryMargin is how long before its end a token in hand is no longer used,
	// for clocks that differ and requests that take long.
	expiryMargin = time.Minute
)

var (
	errNotRunning = errors.New("azuread_auth: the extension is not running: it has not been started or is shut down; no token is given out")
	errStalled    = errors.New("requests wait no longer for it")
	errAuthHeader = errors.New("the azuread round tripper set no Authorization header")
)

// tokenSource gives out the Authorization header.
//
// Prometheus's azuread round tripper (v0.315.1) holds a mutex while it asks for
// a token (azuread.go:517) in the context of the request that came first: the
// others wait whatever their own contexts say, and with a request timeout
// shorter than the token server's answer no token ever arrives. Therefore one
// goroutine at a time, an attempt, asks azuread in the source's own context, and
// requests wait for it only as long as their contexts allow.
type tokenSource struct {
	cfg    *Config
	method string
	logger *zap.Logger

	ctx    context.Context // ends with shutdown
	cancel context.CancelFunc
	done   sync.WaitGroup // the attempt under way

	// Owned by start and then by the attempt under way; attempts follow each other.
	azuread     http.RoundTripper
	fingerprint [sha256.Size]byte // of the credential's files
	loadError   string            // the last one; said once in the log

	mu      sync.Mutex // guards the following
	running bool
	current *attempt // nil when none is under way
	held    heldToken
	failing bool // the last attempt failed although a token is in hand; said once in the log
}

// attempt is one token request; header and err may be read once done is closed.
type attempt struct {
	started time.Time
	done    chan struct{}
	header  string
	err     error
}

// heldToken is the newest header and the end of its token's life, zero where
// that cannot be read from the token.
type heldToken struct {
	header string
	expiry time.Time
}

func (h heldToken) usable(now time.Time) bool {
	return now.Add(expiryMargin).Before(h.expiry)
}

func newTokenSource(cfg *Config, logger *zap.Logger) *tokenSource {
	ctx, cancel := context.WithCancel(context.Background())
	return &tokenSource{cfg: cfg, method: strings.Join(cfg.methods(), ", "), logger: logger, ctx: ctx, cancel: cancel}
}

func (s *tokenSource) start() error {
	if err := s.load(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = true
	return nil
}

func (s *tokenSource) shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.running = false
	s.mu.Unlock()
	s.cancel()

	ended := make(chan struct{})
	go func() {
		s.done.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("azuread_auth: a token request did not end in time: %w", context.Cause(ctx))
	}
}

// authorization returns the header for a request with this context.
func (s *tokenSource) authorization(ctx context.Context) (string, error) {
	attempt, held, err := s.join()
	if err != nil {
		return "", err
	}

	patience := stallPatience
	if held.usable(time.Now()) {
		patience = renewalPatience
	}
	timer := time.NewTimer(patience - time.Since(attempt.started))
	defer timer.Stop()
	select {
	case <-attempt.done:
	case <-timer.C:
		if held.usable(time.Now()) {
			return held.header, nil
		}
		return "", s.notAnswered(attempt, errStalled)
	case <-ctx.Done():
		return "", s.notAnswered(attempt, context.Cause(ctx))
	}
	if attempt.err == nil {
		return attempt.header, nil
	}
	if s.ctx.Err() == nil && held.usable(time.Now()) {
		return held.header, nil
	}
	return "", attempt.err
}

func (s *tokenSource) notAnswered(a *attempt, cause error) error {
	return fmt.Errorf("azuread_auth: the token server (%s, %s) has not answered after %s: %w",
		s.method, s.cfg.Cloud, time.Since(a.started).Round(time.Millisecond), cause)
}

// join returns the attempt under way, or a new one, and the token in hand.
func (s *tokenSource) join() (*attempt, heldToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		return nil, heldToken{}, errNotRunning
	}
	if s.current == nil {
		s.current = &attempt{started: time.Now(), done: make(chan struct{})}
		s.done.Add(1)
		go s.run(s.current)
	}
	return s.current, s.held, nil
}

func (s *tokenSource) run(a *attempt) {
	defer s.done.Done()
	a.header, a.err = s.fetch()

	s.mu.Lock()
	s.current = nil
	if a.err == nil && a.header != s.held.header {
		s.held = heldToken{header: a.header, expiry: expiryOf(a.header)}
	}
	failing := a.err != nil && s.ctx.Err() == nil && s.held.usable(time.Now())
	warn := failing && !s.failing
	s.failing = failing
	expiry := s.held.expiry
	s.mu.Unlock()

	close(a.done)
	if warn {
		// Without a token in hand the exporter reports the error itself.
		s.logger.Warn("the token could not be renewed; the one in hand is used until it expires",
			zap.Time("expiry", expiry), zap.Error(a.err))
	}
}

// fetch asks azuread, which answers from its memory while its token is fresh.
func (s *tokenSource) fetch() (string, error) {
	ctx, cancel := context.WithTimeout(s.ctx, attemptTimeout)
	defer cancel()
	s.reload()

	// azuread gives tokens to requests only, so that it gets one that goes
	// nowhere: the host is not used.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://token.invalid", http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := s.azuread.RoundTrip(req)
	if s.ctx.Err() != nil {
		return "", errNotRunning
	}
	if err != nil {
		return "", fmt.Errorf("azuread_auth: no access token (%s, %s): %w", s.method, s.cfg.Cloud, err)
	}
	if err := resp.Body.Close(); err != nil {
		return "", err
	}
	header := req.Header.Get("Authorization")
	if header == "" {
		return "", errAuthHeader
	}
	return header, nil
}

// reload keeps the former credential where the new one cannot be read: a file
// that is being replaced is no reason to stop.
func (s *tokenSource) reload() {
	err := s.load()
	if err == nil {
		s.loadError = ""
		return
	}
	if err.Error() != s.loadError {
		s.loadError = err.Error()
		s.logger.Warn("the credential could not be read again; the former one stays in use", zap.Error(err))
	}
}

// load makes azuread's round tripper where there is none yet, and again when the
// content of the credential's files has changed.
func (s *tokenSource) load() error {
	files := s.cfg.files()
	if s.azuread != nil && len(files) == 0 {
		return nil
	}

	var secret string
	if s.cfg.OAuth != nil {
		secret = string(s.cfg.OAuth.ClientSecret)
	}
	hash := sha256.New()
	for _, f := range files {
		content, err := f.read()
		if err != nil {
			return err
		}
		if s.cfg.OAuth != nil {
			secret = strings.TrimSpace(string(content))
		}
		_, _ = hash.Write(content) // never returns an error
	}
	fingerprint := [sha256.Size]byte(hash.Sum(nil))
	if s.azuread != nil && fingerprint == s.fingerprint {
		return nil
	}

	cfg, err := s.cfg.prometheus(secret)
	if err != nil {
		return err
	}
	next, err := azuread.NewAzureADRoundTripper(cfg, discard{})
	if err != nil {
		return fmt.Errorf("%s: %w", s.method, err)
	}
	if s.azuread != nil {
		s.logger.Info("the credential's files have changed; the new credential is in use", zap.String("method", s.method))
	}
	s.azuread, s.fingerprint = next, fingerprint
	return nil
}

// discard is where azuread's round tripper sends the requests that only fetch
// a token.
type discard struct{}

// RoundTrip answers 204 and sends nothing.
func (discard) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: req}, nil
}

// expiryOf reads the end of a token's life from the token. Entra's tokens are
// JWTs. The signature is the receiver's business: the time only decides whether
// a token may be sent once more. Any other token has a zero expiry.
func expiryOf(header string) time.Time {
	var claims jwt.RegisteredClaims
	_, _, err := jwt.NewParser().ParseUnverified(strings.TrimPrefix(header, "Bearer "), &claims)
	if err != nil || claims.ExpiresAt == nil {
		return time.Time{}
	}
	return claims.ExpiresAt.Time
}
