// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/lint"
)

const badConfig = `- job_name: a
  scrape_interval: 30s
  static_configs: [{targets: ['a:1']}]
  relabel_configs:
    - {source_labels: [__address__], regex: '(.+):1', target_label: host, replacement: $$1}
    - {action: keep, source_labels: [host], regex: a.b}
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o640)) //nolint:gosec // rights that are not the default
	return path
}

func TestLint(t *testing.T) {
	code, stdout, stderr := command(t, "lint", "../../configs")
	assert.Equal(t, exitFine, code, stdout+stderr)
	assert.Regexp(t, `^\d+ files, no findings\n$`, stdout)

	bad := write(t, "bad.yaml", badConfig)
	code, stdout, _ = command(t, "lint", bad)
	assert.Equal(t, exitBroken, code)
	assert.Equal(t, bad+`:5:88: error: "$$1" is a $ and not a group for Prometheus: write one $: $$ is for configurations of the collector (dollar)
`+bad+`:6:52: warning: the dot in "a.b" matches any character: write a\.b, if dots are meant (unescaped-dot)
1 file, 1 failed: 1 error, 1 warning
`, stdout)

	// What a shell leaves alone, twice, and next to a file that is broken.
	broken := filepath.Join(filepath.Dir(bad), "broken.yml")
	require.NoError(t, os.WriteFile(broken, []byte("\tx"), 0o600))
	code, stdout, _ = command(t, "lint", filepath.Join(filepath.Dir(bad), "*"), bad, "--output", "json")
	assert.Equal(t, exitBroken, code)
	var suite struct {
		Cases []struct{ File string }
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &suite))
	assert.Len(t, suite.Cases, 2)
	assert.Contains(t, stdout, `"rule": "broken-file"`)

	_, stdout, _ = command(t, "lint", bad, "--output", "github")
	assert.True(t, strings.HasPrefix(stdout, "::error title=dollar,file="), stdout)
	_, stdout, _ = command(t, "lint", bad, "--output", "junit")
	require.NoError(t, xml.Unmarshal([]byte(stdout), &struct{}{}))
}

func TestLintOnATerminal(t *testing.T) {
	var out bytes.Buffer
	bad := write(t, "bad.yaml", badConfig)
	code := execute(t.Context(), streams{out: &out, err: &out, outTTY: true}, []string{"lint", bad})
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, out.String(), "     6 |     - {action: keep, source_labels: [host], regex: a.b}\n       |                                                    ^~~\n    why: A dot matches any character")
	assert.NotContains(t, out.String(), "\x1b")
}

func TestLintFix(t *testing.T) {
	bad := write(t, "bad.yaml", badConfig)
	code, stdout, stderr := command(t, "lint", "--fix", bad)
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, stdout, "1 file, 1 failed: 1 warning\n")
	assert.Equal(t, bad+`:5:88: mended: "$$1" is a $ and not a group for Prometheus: write one $: $$ is for configurations of the collector (dollar)`+"\n", stderr)
	text, err := os.ReadFile(bad) //nolint:gosec // the test's own file
	require.NoError(t, err)
	assert.Equal(t, strings.Replace(badConfig, "$$1", "$1", 1), string(text))
	info, err := os.Stat(bad)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode())

	_, _, stderr = command(t, "lint", "--fix", bad)
	assert.Empty(t, stderr)
}

func TestLintStdin(t *testing.T) {
	lintStdin := func(text string, args ...string) (int, string) {
		var out bytes.Buffer
		cmd := newCmdLint(streams{out: &out}, lintRun)
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		cmd.SetIn(strings.NewReader(text))
		cmd.SetArgs(append([]string{"-"}, args...))
		err := cmd.ExecuteContext(context.Background())
		if err != nil {
			return exitBroken, out.String() + err.Error()
		}
		return exitFine, out.String()
	}
	code, out := lintStdin(badConfig)
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, out, "<stdin>:5:88: error: ")
	_, out = lintStdin(badConfig, "--fix")
	assert.Equal(t, "--fix cannot write to standard input: name a file", out)
}

func TestLintList(t *testing.T) {
	code, stdout, _ := command(t, "lint", "--list")
	assert.Equal(t, exitFine, code)
	for _, r := range lint.Rules() {
		assert.Contains(t, stdout, "\n"+r.ID+" ")
	}
	_, stdout, _ = command(t, "lint", "--list", "--output", "json")
	var rows []ruleRow
	require.NoError(t, json.Unmarshal([]byte(stdout), &rows))
	assert.Len(t, rows, len(lint.Rules()))
}

func TestLintErrors(t *testing.T) {
	empty := t.TempDir()
	for name, c := range map[string]struct {
		args   []string
		stderr string
	}{
		"no file":      {nil, "runnerctl lint needs a file: runnerctl lint FILE... [flags]"},
		"output":       {[]string{"x", "--output", "yaml"}, `--output "yaml" is not known: use text, json, github, junit`},
		"list as":      {[]string{"--list", "--output", "github"}, `--list: --output "github" is not known: use text or json`},
		"fix of stdin": {[]string{"--fix", "/nowhere.yaml", "-"}, "--fix cannot write to standard input: name a file"},
		"missing":      {[]string{"/nowhere.yaml"}, "stat /nowhere.yaml: no such file or directory: name a file, a folder with some, or a pattern"},
		"no match":     {[]string{empty + "/*.yaml"}, empty + "/*.yaml: no file matches"},
		"bad glob":     {[]string{"[x"}, "[x: syntax error in pattern: a glob has *, ? and [a-z]"},
		"empty folder": {[]string{empty}, empty + ": there is no *.yaml or *.yml in this folder: name a file"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := command(t, append([]string{"lint"}, c.args...)...)
			assert.Equal(t, exitFailed, code)
			assert.Equal(t, "runnerctl: "+c.stderr+"\n", stderr)
		})
	}
}

func TestLintHelp(t *testing.T) {
	_, help, _ := command(t, "lint", "--help")
	assert.Contains(t, help, "\nExamples:\n")
	assert.Contains(t, help, "runnerctl lint configs/*.yaml")
}
