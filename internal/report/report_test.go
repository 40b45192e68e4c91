// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

func example() Suite {
	return Suite{Name: "lint", Unit: "file", Cases: []Case{
		{Name: "fine.yaml", File: "fine.yaml", Duration: 1500 * time.Microsecond},
		{Name: "a, b:c.yaml", File: "a, b:c.yaml", Findings: []Finding{
			{
				Rule: "unescaped-dot", Severity: Error, File: "a, b:c.yaml", Line: 12, Column: 16, EndColumn: 19,
				Message: `regex "a.b" matches more than it says <100%>`, Why: "A dot is any character.", Fix: `write a\.b`, Source: "        regex: a.b # é",
			},
			{Rule: "tabs", Severity: Warning, File: "a, b:c.yaml", Line: 3, Column: 2, Message: "a\x1b]0;title\x07 tab", Source: "\tx\x1b[2J: 1"},
			{Rule: "whole-file", Severity: Info, File: "a, b:c.yaml", Message: "a note"},
		}},
		{Name: "note.yaml", File: "note.yaml", Findings: []Finding{{Rule: "note", Severity: Info, File: "note.yaml", Line: 1, Message: "only a note"}}},
		{Name: "counts arrive", File: "tests.yaml", Line: 7, Duration: 2 * time.Second, Findings: []Finding{
			{Rule: "series", Severity: Error, Message: "nearest series:\n  \x1b[31m- up 1\x1b[0m\n  + up 0\n"},
		}},
	}}
}

func write(t *testing.T, format string, o Options) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Write(&b, format, example(), o))
	return b.String()
}

func TestGolden(t *testing.T) {
	for name, got := range map[string]string{
		"text.txt":     write(t, "text", Options{}),
		"terminal.txt": write(t, "text", Options{Excerpts: true, Color: true}),
		"report.json":  write(t, "json", Options{}),
		"github.txt":   write(t, "github", Options{}),
		"junit.xml":    write(t, "junit", Options{}),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o750))
			require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
		}
		want, err := os.ReadFile(path) //nolint:gosec // a file of the repository
		require.NoError(t, err, "written by go test ./internal/report -update")
		assert.Equal(t, string(want), got, name)
	}
}

func TestMachinesCanReadIt(t *testing.T) {
	var s struct {
		Errors, Warnings, Infos int
		Cases                   []struct {
			Passed   bool
			Findings []Finding
		}
	}
	require.NoError(t, json.Unmarshal([]byte(write(t, "json", Options{Color: true})), &s))
	assert.Equal(t, []int{2, 1, 2}, []int{s.Errors, s.Warnings, s.Infos})
	assert.True(t, s.Cases[0].Passed)
	assert.NotNil(t, s.Cases[0].Findings)
	assert.False(t, s.Cases[1].Passed)
	assert.Equal(t, Warning, s.Cases[1].Findings[1].Severity)
	assert.True(t, s.Cases[2].Passed, "an info fails nothing")

	var x junitSuites
	require.NoError(t, xml.Unmarshal([]byte(write(t, "junit", Options{})), &x))
	assert.Equal(t, []int{4, 2}, []int{x.Tests, x.Failures})
	assert.Len(t, x.Suite.Cases[1].Failures, 2)
	assert.Contains(t, x.Suite.Cases[3].Failures[0].Text, "  - up 1\n")

	for line := range strings.Lines(write(t, "github", Options{})) {
		assert.Regexp(t, `^(::(error|warning|notice) title=[^:]*::|4 files, )`, line)
	}
	assert.NotContains(t, write(t, "text", Options{}), "\x1b")
}

func TestExcerptOfALongLine(t *testing.T) {
	part, at, long := window(strings.Repeat("x", 300)+"HERE"+strings.Repeat("y", 300), 301, 4)
	assert.Equal(t, "HERE", string([]rune(part)[at-1:at-1+long]))
	assert.LessOrEqual(t, len([]rune(part)), 111)
	_, at, long = window("ab", 9, 20)
	assert.Equal(t, []int{3, 1}, []int{at, long})
}

func TestSummary(t *testing.T) {
	assert.Equal(t, "no files", summary(Suite{Unit: "file"}))
	assert.Equal(t, "1 file, no findings", summary(Suite{Unit: "file", Cases: []Case{{}}}))
	assert.Equal(t, "1 case, 2 info", summary(Suite{Unit: "case", Cases: []Case{{Findings: []Finding{{Severity: Info}, {Severity: Info}}}}}))
	assert.Equal(t, "2 cases, 1 failed: 1 error, 1 info", summary(Suite{Unit: "case", Cases: []Case{{}, {Findings: []Finding{{Severity: Info}, {Severity: Error}}}}}))
}

func TestAWarningFails(t *testing.T) {
	assert.True(t, Suite{Cases: []Case{{}, {Findings: []Finding{{Severity: Warning}}}}}.Failed())
	assert.False(t, Suite{Cases: []Case{{Findings: []Finding{{Severity: Info}}}}}.Failed())
}

func TestGitHubEscapes(t *testing.T) {
	assert.Equal(t, "a%25%3A%2C%0D%0A", gitHubProperty.Replace("a%:,\r\n"))
	assert.Equal(t, "a%25:,%0D%0A", gitHubData.Replace("a%:,\r\n"))
}

func TestErrors(t *testing.T) {
	var b bytes.Buffer
	require.EqualError(t, Write(&b, "yaml", Suite{}, Options{}), `--output "yaml" is not known: use text, json, github, junit`)
	for _, format := range Formats() {
		require.NoError(t, CheckFormat(format))
		assert.Error(t, Write(full{}, format, example(), Options{}), format)
	}
	var s Severity
	require.EqualError(t, s.UnmarshalText([]byte("fatal")), `severity "fatal" is not known: use info, warning or error`)
	assert.Equal(t, "Severity(0)", s.String())
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }
