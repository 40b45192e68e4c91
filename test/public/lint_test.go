// SPDX-License-Identifier: Apache-2.0

package public_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/lint"
	"github.com/kubiyabot/otelcol-runner/internal/report"
)

var update = flag.Bool("update", false, "write what is in testdata")

// compare compares with a file in testdata, or writes it.
func compare(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path) //nolint:gosec // in testdata
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "written by go test ./test/public -update")
}

// elsewhere are bad examples whose fault is not in the file: in a file that it names, or one that does not exist.
var elsewhere = []string{
	"authorization_credentials_file.bad.yml", "url_in_scrape_targetgroup_with_relabel_config.bad.yml", "scrape_config_files_double_import.bad.yml",
	"scrape_config_files_global_duplicate.bad.yml", "scrape_config_files_global.bad.yml", "scrape_config_files_duplicate.bad.yml",
}

// What the linter says about each of them. Whoever changes a rule reads the difference here, and asks of each new finding
// whether it could be defended in front of the file's author.
func TestFindings(t *testing.T) {
	var out bytes.Buffer
	for _, c := range publicFiles(t).configurations {
		fmt.Fprintf(&out, "%s\n", c.name)
		for _, f := range check(c) {
			fmt.Fprintf(&out, "  %d:%d: %s: %s (%s)\n", f.Line, f.Column, f.Severity, f.Message, f.Rule)
		}
	}
	for _, name := range publicFiles(t).templates {
		fmt.Fprintf(&out, "%s\n  left out: it is a template of Go's\n", name)
	}
	compare(t, "testdata/public.findings", out.Bytes())
}

// check returns the findings, and makes one of a file that cannot be read.
func check(c configuration) []lint.Finding {
	f, err := configfile.Parse(c.name, c.text)
	if finding, broken := lint.Broken(err); broken {
		return []lint.Finding{finding}
	}
	return lint.Check(f)
}

// What Prometheus's authors keep as examples of what it refuses is found, as far as scraping goes.
func TestPrometheusBadExamples(t *testing.T) {
	bad := 0
	for _, c := range publicFiles(t).configurations {
		if !strings.HasSuffix(c.name, ".bad.yml") || slices.ContainsFunc(elsewhere, func(e string) bool { return strings.HasSuffix(c.name, "/"+e) }) {
			continue
		}
		bad++
		assert.True(t, failed(check(c)), c.name)
	}
	assert.Greater(t, bad, 50)
}

// failed says whether the collector does not start, as far as the linter knows.
func failed(findings []lint.Finding) bool {
	return slices.ContainsFunc(findings, func(f lint.Finding) bool { return f.Severity == report.Error || f.Rule == "unknown-discovery" })
}
