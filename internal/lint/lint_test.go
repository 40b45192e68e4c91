// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
)

var update = flag.Bool("update", false, "write docs/lint-rules.md and the golden files")

func check(t *testing.T, text string) []Finding {
	t.Helper()
	f, err := configfile.Parse("x.yaml", []byte(text))
	if err != nil {
		finding, broken := Broken(err)
		require.True(t, broken)
		return []Finding{finding}
	}
	return Check(f)
}

// lines writes findings as rule:line:column.
func lines(findings []Finding) []string {
	out := []string{}
	for _, f := range findings {
		out = append(out, fmt.Sprintf("%s:%d:%d", f.Rule, f.Line, f.Column))
	}
	return out
}

// Every rule finds its bad example, and nothing finds anything in a good one.
func TestExamples(t *testing.T) {
	ids := map[string]bool{}
	for _, r := range Rules() {
		t.Run(r.ID, func(t *testing.T) {
			assert.False(t, ids[r.ID], "twice")
			ids[r.ID] = true
			assert.Regexp(t, `^[a-z]+(-[a-z]+)*$`, r.ID)
			for _, sentence := range []string{r.Summary, r.Why} {
				assert.Regexp(t, regexp.MustCompile(`(?s)^[A-Za-z_].*\.$`), sentence)
			}
			assert.NotEmpty(t, r.Fix)
			found := false
			fixable := false
			for _, f := range check(t, r.Bad.File()) {
				if f.Rule == r.ID {
					found, fixable = true, fixable || f.Fixable()
					assert.NotEmpty(t, f.Why)
					assert.Positive(t, f.Line)
				}
			}
			assert.True(t, found, "nothing found in\n%s", r.Bad.File())
			if fixable {
				assert.True(t, r.Fixable)
			}
			for _, f := range check(t, r.Good.File()) {
				assert.Fail(t, "found", "%s:%d: %s (%s) in\n%s", f.File, f.Line, f.Message, f.Rule, r.Good.File())
			}
		})
	}
}

// The project's own configurations have nothing that a rule finds.
func TestReferenceConfigurations(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		f, err := configfile.Load(path)
		require.NoError(t, err)
		for _, finding := range Check(f) {
			assert.Fail(t, "found", "%s:%d:%d: %s: %s (%s)", path, finding.Line, finding.Column, finding.Severity, finding.Message, finding.Rule)
		}
	}
}

// The page of the documentation is written from the rules.
func TestDocumentIsUpToDate(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# Rules of `runnerctl lint`\n\n" +
		"Each finding names a rule. The severity is that in a configuration of the collector, and that in a file of Prometheus, where the rule looks at those.\n" +
		"Infos alone do not make the command fail. *Fixable* are rules of which `--fix` mends some findings.\n\n" +
		"A finding is silenced by a comment with a reason, on its line or alone on the line above; above the first line of a file, it is silenced in the whole file:\n\n" +
		"```yaml\nscrape_interval: 10s # runnerctl-lint: disable=interval-range the test bed is slow to start\n```\n\n" +
		"This file is written by `go test ./internal/lint -update`.\n\n" +
		"| rule | collector | Prometheus | fixable | finds |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range Rules() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %s |\n", r.ID, r.ID, word(r.Severity), word(r.Elsewhere), map[bool]string{true: "yes", false: ""}[r.Fixable], r.Summary)
	}
	for _, r := range Rules() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n%s\n\nWhat to do: %s.\n\nFound:\n\n```yaml\n%s```\n\nNot found:\n\n```yaml\n%s```\n", r.ID, r.Summary, r.Why, r.Fix, r.Bad.Text, r.Good.Text)
	}
	path := filepath.Join("..", "..", "docs", "lint-rules.md")
	if *update {
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644)) //nolint:gosec // documentation, for everyone to read
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, b.String(), string(got), "written by go test ./internal/lint -update")
}

func word(s report.Severity) string {
	if s == 0 {
		return "-"
	}
	return s.String()
}

// The configuration that runners had before, with what was wrong in it.
func TestLegacyConfiguration(t *testing.T) {
	f, err := configfile.Load("testdata/legacy.yaml")
	require.NoError(t, err)
	var b strings.Builder
	for _, finding := range Check(f) {
		fmt.Fprintf(&b, "%d:%d: %s: %s (%s)\n", finding.Line, finding.Column, finding.Severity, finding.Message, finding.Rule)
	}
	golden(t, "testdata/legacy.findings", b.String())
	for _, rule := range []string{"target-twice", "constant-instance", "no-namespace", "refused-key", "interval-range"} {
		assert.Contains(t, b.String(), "("+rule+")")
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path) //nolint:gosec // a file of the repository
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func TestFast(t *testing.T) {
	f, err := configfile.Load("../../configs/collector.yaml")
	require.NoError(t, err)
	begin := time.Now()
	Check(f)
	assert.Less(t, time.Since(begin), 200*time.Millisecond)
}
