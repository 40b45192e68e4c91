// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
)

// Target is a receiver of remote write.
type Target struct {
	// Endpoint is its full URL.
	Endpoint string
	// BearerTokenFile holds a token, PasswordFile the password of User. They are read for each attempt: a new one takes effect at once.
	BearerTokenFile    string
	User, PasswordFile string
	// Version is that of this program, for the User-Agent.
	Version string
}

// attemptTimeout is how long one attempt may take.
const attemptTimeout = 30 * time.Second

func (t *Target) check() error {
	u, err := url.Parse(t.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		// The error of url.Parse holds the address, which may hold a password.
		return errors.New("endpoint: not a URL of http or https: use a form like https://prometheus.example/api/v1/write")
	case u.User != nil:
		return errors.New("endpoint: a user or password in the URL would get into logs: use --user and --password-file")
	case t.BearerTokenFile != "" && t.User != "":
		return errors.New("a bearer token and a user exclude each other: give one of them")
	case (t.User == "") != (t.PasswordFile == ""):
		return errors.New("a user and a password file belong together: give both")
	}
	for _, file := range []string{t.BearerTokenFile, t.PasswordFile} {
		if file == "" {
			continue
		}
		if _, err := secret(file); err != nil {
			return err
		}
	}
	return nil
}

// secret reads a token or password without the line break at its end.
func secret(file string) (string, error) {
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return "", fmt.Errorf("the secret cannot be read: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// transport makes attempts over HTTP.
type transport struct {
	target Target
	client *http.Client
}

// newClient follows no redirects: they would take credentials and samples to another place.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       attemptTimeout,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Send implements delivery.Transport.
func (t *transport) Send(ctx context.Context, p remotewrite.Protocol, body []byte, attempt int) remotewrite.Answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.target.Endpoint, bytes.NewReader(body))
	if err != nil {
		return remotewrite.Answer{Err: err}
	}
	req.Header = remotewrite.Header(p, attempt)
	req.Header.Set("User-Agent", remotewrite.UserAgent(t.target.Version))
	switch {
	case t.target.BearerTokenFile != "":
		token, err := secret(t.target.BearerTokenFile)
		if err != nil {
			return remotewrite.Answer{Err: err}
		}
		req.Header.Set("Authorization", "Bearer "+token)
	case t.target.User != "":
		password, err := secret(t.target.PasswordFile)
		if err != nil {
			return remotewrite.Answer{Err: err}
		}
		req.SetBasicAuth(t.target.User, password)
	}
	resp, err := t.client.Do(req) //nolint:bodyclose // ReadAnswer closes it
	if err != nil {
		return remotewrite.Answer{Err: err}
	}
	return remotewrite.ReadAnswer(resp)
}
