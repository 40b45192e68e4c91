// SPDX-License-Identifier: Apache-2.0

package durableremotewriteexporter

import (
	"bytes"
	"context"
	"net/http"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
)

// transport makes attempts over HTTP.
type transport struct {
	client    *http.Client
	url       string
	userAgent string
}

// withoutRedirects returns the client with redirects turned off: they would take credentials and samples to another place, and a
// POST that is redirected becomes a GET. The answer 3xx is looked at instead.
func withoutRedirects(c *http.Client) *http.Client {
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// Send implements delivery.Transport.
func (t *transport) Send(ctx context.Context, p remotewrite.Protocol, body []byte, attempt int) remotewrite.Answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return remotewrite.Answer{Err: err}
	}
	req.Header = remotewrite.Header(p, attempt)
	req.Header.Set("User-Agent", t.userAgent)
	resp, err := t.client.Do(req) //nolint:bodyclose // ReadAnswer does
	if err != nil {
		return remotewrite.Answer{Err: err}
	}
	return remotewrite.ReadAnswer(resp)
}
