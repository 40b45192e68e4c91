// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type report struct {
	Life     string
	Scrapes  []scrape
	Requests map[string]int
}

func start(t *testing.T, component string) (*httptest.Server, func() report) {
	t.Helper()
	s, err := newStandIn(component)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(s)
	server.Config.ConnState = s.connection
	server.Start()
	t.Cleanup(server.Close)
	return server, func() (r report) {
		require.NoError(t, json.Unmarshal([]byte(body(t, server.URL+controlPath)), &r))
		return r
	}
}

func body(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(content))
	return string(content)
}

func TestScrapesAreNumbered(t *testing.T) {
	for component := range withMetrics {
		t.Run(component, func(t *testing.T) {
			server, control := start(t, component)
			assert.Equal(t, numbered, strings.Count(body(t, server.URL+"/metrics"), `number="`))
			page := body(t, server.URL+"/metrics")
			assert.Contains(t, page, `http_requests_total{handler="numbered",number="19"} 2`)
			assert.Contains(t, page, "process_cpu_seconds_total")

			got := control()
			require.Len(t, got.Scrapes, 2)
			assert.NotEmpty(t, got.Life)
			assert.Equal(t, 2, got.Scrapes[1].Number)
			assert.Equal(t, "127.0.0.1", got.Scrapes[1].From)
			assert.True(t, got.Scrapes[1].Complete)
			assert.WithinDuration(t, time.Now(), time.UnixMilli(got.Scrapes[1].At), time.Minute)
			assert.Equal(t, 2, got.Requests["/metrics"])
		})
	}
}

func TestCutScrapeIsNotComplete(t *testing.T) {
	s, err := newStandIn("tool-manager")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil))
	require.Len(t, s.scrapes, 1)
	assert.False(t, s.scrapes[0].Complete)
}

func TestExplosion(t *testing.T) {
	server, _ := start(t, "workflow-engine")
	post := func(command string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+controlPath, strings.NewReader(command))
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	assert.Equal(t, http.StatusOK, post(`{"series": 10000}`))
	assert.Equal(t, 10000, strings.Count(body(t, server.URL+"/metrics"), `handler="exploded"`))
	assert.Equal(t, http.StatusOK, post(`{"series": 0}`))
	assert.NotContains(t, body(t, server.URL+"/metrics"), "exploded")
	assert.Equal(t, http.StatusBadRequest, post(`{"serie": 1}`))
}

func TestConnectionWithoutRequestIsCounted(t *testing.T) {
	server, control := start(t, "dagger-engine")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	assert.Eventually(t, func() bool { return control().Requests[unspoken] == 1 }, 10*time.Second, 10*time.Millisecond)
}

func TestHealth(t *testing.T) {
	server, _ := start(t, "sdk-server")
	for _, path := range []string{"/", "/health", "/healthz"} {
		body(t, server.URL+path)
	}
}

func TestComponentIsNamed(t *testing.T) {
	const want = "the first argument has to be a component: agent-manager, dagger-engine, kubiya-operator, sdk-server, tool-manager, workflow-engine"
	assert.EqualError(t, serve(t.Context(), nil), want)
	assert.EqualError(t, serve(t.Context(), []string{"enforcer"}), want)
}
