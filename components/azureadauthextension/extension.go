// SPDX-License-Identifier: Apache-2.0

package azureadauthextension

import (
	"context"
	"net/http"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensionauth"
	"go.uber.org/zap"
)

// authenticator is the extension: one token source, shared by the round
// trippers of all exporters that name it.
type authenticator struct {
	cfg    *Config
	tokens *tokenSource
	logger *zap.Logger
}

var (
	_ extension.Extension      = (*authenticator)(nil)
	_ extensionauth.HTTPClient = (*authenticator)(nil)
)

func newAuthenticator(cfg *Config, logger *zap.Logger) *authenticator {
	return &authenticator{cfg: cfg, tokens: newTokenSource(cfg, logger), logger: logger}
}

// Start reads the credential's files and returns an error where one is missing
// or unusable. It asks for no token: a token server that is down or slow delays
// the first export, not the collector.
func (a *authenticator) Start(context.Context, component.Host) error {
	if err := a.tokens.start(); err != nil {
		return err
	}
	a.logger.Info("Azure authentication is ready; the first request asks for a token",
		zap.String("method", a.tokens.method), zap.String("cloud", a.cfg.Cloud))
	return nil
}

// Shutdown ends a token request that is under way and waits for it, at most
// until ctx ends.
func (a *authenticator) Shutdown(ctx context.Context) error {
	return a.tokens.shutdown(ctx)
}

// RoundTripper returns base with an Authorization header on each request. As
// in Prometheus, a nil base means http.DefaultTransport.
func (a *authenticator) RoundTripper(base http.RoundTripper) (http.RoundTripper, error) {
	if base == nil {
		base = http.DefaultTransport
	}
	return &roundTripper{base: base, tokens: a.tokens}, nil
}

// roundTripper keeps http.RoundTripper's contract where azuread's does not:
// the caller's request stays as it is, and its body is closed on errors, too.
type roundTripper struct {
	base   http.RoundTripper
	tokens *tokenSource
}

// RoundTrip returns an error when no token can be had before the request's
// context ends; the request is then not sent.
func (r *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	header, err := r.tokens.authorization(req.Context())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // the token's error is the one that helps
		}
		return nil, err
	}
	authorized := req.Clone(req.Context())
	authorized.Header.Set("Authorization", header)
	return r.base.RoundTrip(authorized)
}
