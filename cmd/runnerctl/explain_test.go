// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/explain"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

const (
	explainedConfig = `- job_name: apps
  static_configs: [{targets: ["10.0.0.1:80", "10.0.0.2:80"]}]
  relabel_configs:
    - {source_labels: [__address__], regex: 10.0.0.2:80, action: drop}
`
	explainedScene = `scene:
  pages:
    10.0.0.1:80/metrics: {text: "requests_total{path=\"/a\"} 1\n"}
`
)

func explainCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), streams{out: &out, err: &errs, clock: virtualtime.FromTest(t)}, append([]string{"explain"}, args...))
	return code, out.String(), errs.String()
}

func TestExplain(t *testing.T) {
	dir := t.TempDir()
	config, scene, page := filepath.Join(dir, "scrape.yaml"), filepath.Join(dir, "scene.yaml"), filepath.Join(dir, "page.html")
	require.NoError(t, os.WriteFile(config, []byte(explainedConfig), 0o600))
	require.NoError(t, os.WriteFile(scene, []byte(explainedScene), 0o600))

	code, stdout, stderr := explainCommand(t, config, "--scene", scene, "--series", "requests_total", "--html", page)
	assert.Equal(t, exitFine, code, stderr)
	assert.Contains(t, stdout, `It is delivered as requests_total{instance="10.0.0.1:80", job="apps", path="/a"}.`)
	assert.NotContains(t, stdout, "\x1b", "colors, and no terminal")
	html, err := os.ReadFile(page) //nolint:gosec // written above
	require.NoError(t, err)
	assert.Contains(t, string(html), "<!doctype html>")

	code, stdout, stderr = explainCommand(t, config, "--scene", scene, "--target", "10.0.0.2", "--output", "json")
	assert.Equal(t, exitBroken, code, stderr)
	var e explain.Explanation
	require.NoError(t, json.Unmarshal([]byte(stdout), &e))
	require.Len(t, e.Ways, 1)
	assert.Equal(t, explain.Dropped, e.Ways[0].Outcome)
	assert.Equal(t, config+":4:7", e.Ways[0].Steps[1].Where)

	code, stdout, _ = explainCommand(t, config, "--scene", scene, "--series", "requests_totl", "--output", "html")
	assert.Equal(t, exitBroken, code, "nothing matches")
	assert.Contains(t, stdout, "<code>requests_total</code>")
}

func TestExplainFindings(t *testing.T) {
	dir := t.TempDir()
	config, scene := filepath.Join(dir, "scrape.yaml"), filepath.Join(dir, "scene.yaml")
	require.NoError(t, os.WriteFile(config, []byte(explainedConfig), 0o600))
	require.NoError(t, os.WriteFile(scene, []byte(explainedScene), 0o600))

	code, stdout, stderr := explainCommand(t, config, "--scene", scene, "--target", "10.0.0.2", "--output", "github")
	assert.Equal(t, exitBroken, code, stderr)
	assert.Contains(t, stdout, "::error title=not-arriving,file="+config+",line=4,col=7::target 10.0.0.2:80 of apps, static_configs[0]: dropped: ")
	assert.Contains(t, stdout, "\n1 way, 1 failed: 1 error\n")

	code, stdout, _ = explainCommand(t, config, "--scene", scene, "--series", "requests_totl", "--output", "github")
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, stdout, "::error title=nothing-matches,file="+config+"::nothing matches requests_totl at 0s%0Afix: the nearest there is: requests_total")

	// Two targets of the job, of which one arrives: that is fine.
	code, stdout, stderr = explainCommand(t, config, "--scene", scene, "--target", "apps", "--output", "junit")
	assert.Equal(t, exitFine, code, stderr)
	assert.Contains(t, stdout, `tests="2" failures="0"`)
	assert.Contains(t, stdout, config+":4:7: target 10.0.0.2:80 of apps, static_configs[0]: dropped")
}

func TestExplainSaysWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nothing to explain": {[]string{"a.yaml", "--scene", "s.yaml"}, "one of --target and --series"},
		"both":               {[]string{"a.yaml", "--scene", "s.yaml", "--target", "a", "--series", "b"}, "one of --target and --series"},
		"no scene":           {[]string{"a.yaml", "--target", "a"}, "record one with `runnerctl record`"},
		"no file":            {[]string{"--scene", "s.yaml", "--target", "a"}, "runnerctl explain FILE --scene s.yaml"},
		"two kinds":          {[]string{"a.yaml", "--scene", "s.yaml", "--collector", "http://x", "--target", "a"}, "exclude each other"},
		"two files":          {[]string{"a.yaml", "b.yaml", "--target", "a"}, "takes one configuration"},
		"unknown output":     {[]string{"a.yaml", "--scene", "s.yaml", "--target", "a", "--output", "xml"}, "use text, json, html, github, junit"},
		"negative time":      {[]string{"a.yaml", "--scene", "s.yaml", "--target", "a", "--at", "-1s"}, "such as 30s"},
		"missing file":       {[]string{"/nowhere.yaml", "--scene", "s.yaml", "--target", "a"}, "/nowhere.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := explainCommand(t, c.args...)
			assert.Equal(t, exitFailed, code)
			assert.Contains(t, stderr, c.want)
		})
	}
}
