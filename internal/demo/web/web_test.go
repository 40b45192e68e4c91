// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/demo/web"
	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

// page returns a function that asks the page's server.
func page(t *testing.T) func(method, path string) *httptest.ResponseRecorder {
	t.Helper()
	backend, err := prombackend.Open(t.TempDir(), prombackend.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, backend.Close()) })
	handler := web.Handler(func() any { return map[string]int{"scraped": 7} }, backend.Handler())
	return func(method, path string) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return answer
	}
}

func TestHandler(t *testing.T) {
	ask := page(t)
	for name, c := range map[string]struct {
		method, path string
		status       int
		body         string
	}{
		"the page":                    {http.MethodGet, "/", http.StatusOK, "<title>runner demo</title>"},
		"the chart library's licence": {http.MethodGet, "/uplot/LICENSE", http.StatusOK, "The MIT License"},
		"the state":                   {http.MethodGet, "/demo/state", http.StatusOK, `{"scraped":7}`},
		"a query":                     {http.MethodGet, "/api/v1/query?query=vector(1)", http.StatusOK, `"resultType":"vector"`},
		"a query that is wrong":       {http.MethodGet, "/api/v1/query?query=(", http.StatusBadRequest, "parse error"},
		"no writing through the page": {http.MethodPost, "/api/v1/write", http.StatusMethodNotAllowed, ""},
		"nothing else":                {http.MethodGet, "/nowhere", http.StatusNotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			answer := ask(c.method, c.path)
			assert.Equal(t, c.status, answer.Code)
			assert.Contains(t, answer.Body.String(), c.body)
			assert.Contains(t, answer.Header().Get("Content-Security-Policy"), "default-src 'self'")
		})
	}
}

// The demo also runs where there is no network.
func TestThePageLoadsNothingFromOutside(t *testing.T) {
	ask := page(t)
	for _, path := range []string{"/", "/style.css", "/page.js", "/query.js", "/chart.js", "/format.js"} {
		body := ask(http.MethodGet, path).Body.String()
		require.NotEmpty(t, body, path)
		assert.NotContains(t, body, "http://", path)
		assert.NotContains(t, body, "https://", path)
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(ask(http.MethodGet, "/").Body.String(), -1) {
		if strings.HasPrefix(m[1], "data:") {
			continue
		}
		assert.Equal(t, http.StatusOK, ask(http.MethodGet, "/"+m[1]).Code, m[1])
	}
}
