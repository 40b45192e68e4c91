// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/confdiff"
)

const diffData = "../../internal/confdiff/testdata/"

func diffArgs(more ...string) []string {
	return append([]string{"diff", diffData + "old.yaml", diffData + "new.yaml", "--scene", diffData + "scene.yaml"}, more...)
}

func TestDiff(t *testing.T) {
	code, stdout, stderr := inVirtualTime(t, diffArgs()...)
	require.Equal(t, exitFine, code, "nothing reads what changes: %s", stderr)
	assert.Contains(t, stdout, "Series: 46 before, 21 after")

	code, stdout, _ = inVirtualTime(t, diffArgs("--rules", diffData+"rules.yaml", "--dashboards", diffData+"*.json", "--output", "github")...)
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, stdout, "::error title=query-loses-data,file="+diffData+"rules.yaml,line=12::alert QueueIsLong loses queue_length")
	assert.Contains(t, stdout, "title=query-loses-label")
	assert.NotContains(t, stdout, "::notice")

	code, stdout, _ = inVirtualTime(t, diffArgs("--rules", diffData+"rules.yaml", "--output", "json", "--fail-on", "never")...)
	assert.Equal(t, exitFine, code)
	var d confdiff.Diff
	require.NoError(t, json.Unmarshal([]byte(stdout), &d))
	assert.Len(t, d.Renamed, 1)

	code, stdout, _ = inVirtualTime(t, diffArgs("--output", "markdown", "--fail-on", "changes")...)
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, stdout, "<details>")

	code, _, _ = inVirtualTime(t, "diff", diffData+"old.yaml", diffData+"old.yaml", "--scene", diffData+"scene.yaml", "--fail-on", "changes")
	assert.Equal(t, exitFine, code)
}

// Fewer series are no finding where only what loses all of them is asked for.
func TestDiffFailOnData(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(rules, []byte("groups: [{name: a, rules: [{alert: Down, expr: up == 0}]}]"), 0o600))
	code, _, _ := inVirtualTime(t, diffArgs("--rules", rules)...)
	assert.Equal(t, exitBroken, code)
	code, _, _ = inVirtualTime(t, diffArgs("--rules", rules, "--fail-on", "data")...)
	assert.Equal(t, exitFine, code)
}

func TestDiffWithARevision(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("scene.yaml", "scene: {pages: {'10.0.0.1:80/metrics': {text: \"m 1\\n\"}}}")
	write("config.yaml", "scrape_configs: [{job_name: a, static_configs: [{targets: ['10.0.0.1:80']}]}]")
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-qm", "a"}} {
		out, err := exec.Command("git", args...).CombinedOutput() //nolint:gosec // fixed
		require.NoError(t, err, string(out))
	}
	write("config.yaml", "scrape_configs: [{job_name: b, static_configs: [{targets: ['10.0.0.1:80']}]}]")
	code, stdout, stderr := inVirtualTime(t, "diff", "git:HEAD:config.yaml", "config.yaml", "--scene", "scene.yaml")
	require.Equal(t, exitFine, code, stderr)
	assert.Contains(t, stdout, "job changed from a to b: 6 series")

	t.Run("outside of a repository", func(t *testing.T) {
		dir := t.TempDir()
		t.Chdir(dir)
		t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir))
		require.NoError(t, os.WriteFile("scene.yaml", []byte("scene: {}\n"), 0o600))
		code, _, stderr := inVirtualTime(t, "diff", "git:HEAD:config.yaml", "config.yaml", "--scene", "scene.yaml")
		assert.Equal(t, exitFailed, code)
		assert.Regexp(t, `^runnerctl: git:HEAD:config\.yaml: git: fatal: not a git repository[^\n]*: check the revision and the path\n$`, stderr)
		assert.NotContains(t, stderr, "exit status")
	})
	for _, bad := range []string{"git:HEAD", "git:HEAD:nothing.yaml", "git:nowhere:config.yaml", "git:--help:config.yaml"} {
		code, _, stderr := inVirtualTime(t, "diff", bad, "config.yaml", "--scene", "scene.yaml")
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, stderr, bad+": ")
	}
}

func TestDiffRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"one file":       {[]string{"a.yaml"}, "needs two configurations"},
		"no scene":       {[]string{"a.yaml", "b.yaml"}, "--scene"},
		"unknown output": {[]string{"a.yaml", "b.yaml", "--scene", "s", "--output", "pdf"}, "use text, json, markdown, github, junit"},
		"unknown fail":   {[]string{"a.yaml", "b.yaml", "--scene", "s", "--fail-on", "x"}, "use losses, data, changes, never"},
		"no dashboard":   {[]string{"a.yaml", "b.yaml", "--scene", "s", "--dashboards", "nowhere.json"}, "--dashboards: "},
		"no rules":       {[]string{"a.yaml", "b.yaml", "--scene", "s", "--rules", diffData + "shop.prom"}, "--rules: "},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := inVirtualTime(t, append([]string{"diff"}, c.args...)...)
			assert.Equal(t, exitFailed, code)
			assert.Contains(t, stderr, c.want)
		})
	}
}
