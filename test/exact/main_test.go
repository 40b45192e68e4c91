// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExecuteErrors(t *testing.T) {
	notACollector := filepath.Join(t.TempDir(), "collector")
	require.NoError(t, os.WriteFile(notACollector, []byte("#!/bin/sh\necho no such component\nexit 3\n"), 0o700)) //nolint:gosec // it has to be executable
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	for _, tc := range []struct {
		name     string
		args     []string
		code     int
		contains []string
	}{
		{"help", []string{"--help"}, 0, []string{"exact compares what Prometheus stores", "-exporter", "known differences"}},
		{"unknown flag", []string{"--nope"}, 2, []string{"flag provided but not defined: -nope"}},
		{"unknown exporter", []string{"--exporter", "nope"}, 1, []string{`no configuration for the exporter "nope"`, "known are durable_remote_write, durable_remote_write_v1, prometheus_remote_write"}},
		{"the scrape configuration is no exporter", []string{"--exporter", "scrape"}, 1, []string{`no configuration for the exporter "scrape"`}},
		{"missing binary", []string{"--binary", "/nowhere/collector"}, 1, []string{"the collector's binary is missing: run `make build` first"}},
		{"collector ends at once", []string{"--binary", notACollector}, 1, []string{"the collector ended by itself (exit status 3)", "no such component"}},
		{"unwritable folder", []string{"--keep", filepath.Join(file, "x"), "--binary", notACollector}, 1, []string{"not a directory"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			assert.Equal(t, tc.code, execute(context.Background(), tc.args, &stdout, &stderr))
			for _, text := range tc.contains {
				assert.Contains(t, stderr.String(), text)
			}
			assert.Empty(t, stdout.String())
		})
	}
}

func TestSplitPages(t *testing.T) {
	f := func(text string, want ...page) {
		t.Helper()
		got, err := splitPages(text, "")
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	f("a 1\n#! next\na 2\n", page{body: []byte("a 1\n")}, page{body: []byte("a 2\n")})
	f("#! first 500\nno\n#! next slow\n#! next truncated\na", page{body: []byte("no\n"), fault: serverError}, page{fault: neverAnswers}, page{body: []byte("a"), fault: cutsConnection})

	_, err := splitPages("a 1\n#! next fast\n", "")
	assert.EqualError(t, err, "line \"#! next fast\": \"fast\" is none of 500, slow, truncated")
	_, err = splitPages("a 1\n#! first 500\n", "")
	assert.ErrorContains(t, err, "want `#! next [500|slow|truncated]`")
}

func TestTargetsHaveJobs(t *testing.T) {
	targets, err := loadTargets(time.Now())
	require.NoError(t, err)
	scrapeConfig, err := configFiles.ReadFile("config/scrape.yaml")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, tg := range targets {
		assert.False(t, seen[tg.path()], "two targets are %s", tg.path())
		seen[tg.path()] = true
		assert.Contains(t, string(scrapeConfig), "job_name: "+tg.job+"\n", "%s would never be scraped", tg.path())
	}
}

func TestServerCountsPerScraper(t *testing.T) {
	server := newPageServer([]target{{job: "j", name: "t", pages: []page{
		{body: []byte("one")}, {body: []byte("two"), fault: serverError}, {body: []byte("three")},
	}}})
	address, stop, err := serve(server)
	require.NoError(t, err)
	defer stop()
	defer http.DefaultClient.CloseIdleConnections()

	get := func(userAgent, want string, wantStatus int) {
		t.Helper()
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+address+"/j/t", nil)
		require.NoError(t, err)
		request.Header.Set("User-Agent", userAgent)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, want, string(body))
		assert.Equal(t, wantStatus, response.StatusCode)
	}
	get("Prometheus/3.0", "one", http.StatusOK)
	get("Prometheus/3.0", "two", http.StatusInternalServerError)
	get("otelcol-runner/0.1.0", "one", http.StatusOK)
	get("Prometheus/3.0", "three", http.StatusOK)
	get("Prometheus/3.0", "three", http.StatusOK)
	assert.Len(t, server.scrapesOf(referenceSide, "/j/t"), 4)
	assert.Len(t, server.scrapesOf(collectorSide, "/j/t"), 1)
	assert.Empty(t, server.timedOut())
}
