// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/cost"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

const costData = "../../internal/cost/testdata/"

// inVirtualTime runs a command line in this process, with a clock.
func inVirtualTime(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), streams{out: &out, err: &errs, clock: virtualtime.FromTest(t)}, args)
	return code, out.String(), errs.String()
}

func TestCost(t *testing.T) {
	page := filepath.Join(t.TempDir(), "cost.html")
	code, stdout, stderr := inVirtualTime(t, "cost", costData+"config.yaml", "--scene", costData, "--html", page, "--runners", "10")
	require.Equal(t, exitFine, code, stderr)
	assert.Regexp(t, `(?s)^Cost of .*Assumptions.*10 runners.*USD a month.*by component`, stdout)
	written, err := os.ReadFile(page) //nolint:gosec // the test's own
	require.NoError(t, err)
	assert.Contains(t, string(written), "<svg")

	code, stdout, _ = inVirtualTime(t, "cost", costData+"config.yaml", "--scene", costData+"scene.yaml", "--output", "json", "--price", "10/M-samples", "--budget", "<= 20 USD")
	assert.Equal(t, exitBroken, code)
	var r cost.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	assert.Equal(t, 33, r.Total.Series)
	assert.Len(t, r.Exceeded, 1)
	require.Len(t, r.Services, 1)
	assert.Equal(t, cost.Own, r.Services[0].ID)
	assert.NotEmpty(t, r.Assumptions)

	code, stdout, _ = inVirtualTime(t, "cost", costData+"config.yaml", "--scene", costData, "--output", "github", "--budget", "series<=32")
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, stdout, "::error title=budget,file="+costData+"config.yaml::33 series are 1 more")
}

func TestCostOfACollector(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`otelcol_process_uptime_seconds_total 10
otelcol_processor_runner_series{component="shop"} 26
otelcol_processor_runner_samples_total{component="shop"} 20
`))
	}))
	defer server.Close()
	code, stdout, stderr := inVirtualTime(t, "cost", "--collector", server.URL)
	assert.Equal(t, exitFine, code, stderr)
	assert.Contains(t, stdout, "shop")
}

func TestCostRefuses(t *testing.T) {
	another := filepath.Join(t.TempDir(), "another.yaml")
	text, err := os.ReadFile(costData + "config.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(another, text, 0o600)) //nolint:gosec // the test's own folder
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nothing":          {nil, "cost needs a configuration and a scene"},
		"no scene":         {[]string{"a.yaml"}, "--scene"},
		"both":             {[]string{"a.yaml", "--collector", "http://x"}, "leave out the file"},
		"unknown service":  {[]string{"a.yaml", "--scene", "s", "--service", "oracle"}, "use azure, aws, google, grafana_cloud"},
		"unknown output":   {[]string{"a.yaml", "--scene", "s", "--output", "pdf"}, "use text, json, html, github, junit"},
		"bad budget":       {[]string{"a.yaml", "--scene", "s", "--budget", "cheap"}, "series <= 5000"},
		"bad price":        {[]string{"a.yaml", "--scene", "s", "--price", "cheap"}, "0.16/10M-samples"},
		"no runners":       {[]string{"a.yaml", "--scene", "s", "--runners", "0"}, "from 1 on"},
		"short lives":      {[]string{"a.yaml", "--scene", "s", "--pod-lifetime", "0s"}, "a minute at least"},
		"no such scene":    {[]string{costData + "config.yaml", "--scene", "nowhere.yaml"}, "nowhere.yaml"},
		"not an address":   {[]string{"--collector", "here"}, "http://127.0.0.1:8888/metrics"},
		"a page for many":  {[]string{costData + "config.yaml", another, "--scene", costData, "--output", "html"}, "a page is for one file, not 2"},
		"nobody listening": {[]string{"--collector", "http://127.0.0.1:1/metrics"}, "service::telemetry::metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := inVirtualTime(t, append([]string{"cost"}, c.args...)...)
			assert.Equal(t, exitFailed, code)
			assert.Contains(t, stderr, c.want)
		})
	}
}
