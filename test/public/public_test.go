// SPDX-License-Identifier: Apache-2.0

// Package lint_test runs the linter over public configurations that nobody of this project wrote.
package lint_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/lint"
)

var update = flag.Bool("update", false, "write testdata/public.findings")

// sources are modules that this one needs anyway, with what is in them that scrapes. Their files are read where Go keeps
// modules, and are not copied. testdata/README.md says what they are.
var sources = []struct {
	module string
	paths  []string
}{
	{"github.com/prometheus/prometheus", []string{"documentation/examples", "config/testdata", "cmd/promtool/testdata", "docs/getting_started.md"}},
	{"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver", []string{"testdata", "README.md"}},
	{"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/prometheusremotewriteexporter", []string{"testdata", "README.md"}},
}

func moduleFolder(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output() //nolint:gosec // a name from the table
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

var (
	scrapes = regexp.MustCompile(`(?m)^\s*(- )?(scrape_configs|job_name|scrape_config_files):`)
	fenced  = regexp.MustCompile("(?ms)^ *```ya?ml\n(.*?)^ *```")
)

// publicFiles returns the texts of configurations by their name: module path, file, and the number of a block in Markdown.
func publicFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, s := range sources {
		root := moduleFolder(t, s.module)
		for _, path := range s.paths {
			require.NoError(t, filepath.WalkDir(filepath.Join(root, path), func(path string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				relative, err := filepath.Rel(root, path)
				if err != nil {
					return err
				}
				text, err := os.ReadFile(path) //nolint:gosec // below a module's folder
				if err != nil {
					return err
				}
				addFile(files, filepath.Base(s.module)+"/"+filepath.ToSlash(relative), text)
				return nil
			}))
		}
	}
	return files
}

func addFile(files map[string][]byte, name string, text []byte) {
	switch filepath.Ext(name) {
	case ".yml", ".yaml":
		if scrapes.Match(text) {
			files[name] = whole(text)
		}
	case ".md":
		for i, block := range fenced.FindAllSubmatch(text, -1) {
			if scrapes.Match(block[1]) {
				files[fmt.Sprintf("%s#%d", name, i+1)] = block[1]
			}
		}
	}
}

var section = regexp.MustCompile(`(?m)^prometheus(/\w+)?:`)

// whole makes a configuration of the collector of a section of one, as components have in their test data.
func whole(text []byte) []byte {
	if !section.Match(text) {
		return text
	}
	return append([]byte("receivers:\n  "), bytes.ReplaceAll(text, []byte("\n"), []byte("\n  "))...)
}

// elsewhere are bad examples whose fault is not in the file: in a file that it names, or one that does not exist.
var elsewhere = []string{
	"authorization_credentials_file.bad.yml", "url_in_scrape_targetgroup_with_relabel_config.bad.yml", "scrape_config_files_double_import.bad.yml",
	"scrape_config_files_glob.bad.yml", "scrape_config_files_global_duplicate.bad.yml", "scrape_config_files_global.bad.yml", "scrape_config_files_duplicate.bad.yml",
}

// What the linter says about each of them. Whoever changes a rule reads the difference here, and asks of each new finding
// whether it could be defended in front of the file's author.
func TestPublicConfigurations(t *testing.T) {
	files := publicFiles(t)
	assert.Greater(t, len(files), 100)
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	var out bytes.Buffer
	for _, name := range names {
		fmt.Fprintf(&out, "%s\n", name)
		for _, f := range check(name, files[name]) {
			fmt.Fprintf(&out, "  %d:%d: %s: %s (%s)\n", f.Line, f.Column, f.Severity, f.Message, f.Rule)
		}
	}
	const path = "testdata/public.findings"
	if *update {
		require.NoError(t, os.WriteFile(path, out.Bytes(), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), out.String(), "written by go test ./test/lint -update")
}

// check returns the findings, and makes one of a file that cannot be read.
func check(name string, text []byte) []lint.Finding {
	f, err := configfile.Parse(name, text)
	if finding, broken := lint.Broken(err); broken {
		return []lint.Finding{finding}
	}
	return lint.Check(f)
}

// What Prometheus's authors keep as examples of what it refuses is found, as far as scraping goes.
func TestPrometheusBadExamples(t *testing.T) {
	files := publicFiles(t)
	bad := 0
	for name, text := range files {
		if !strings.HasSuffix(name, ".bad.yml") || slices.ContainsFunc(elsewhere, func(e string) bool { return strings.HasSuffix(name, "/"+e) }) {
			continue
		}
		bad++
		failed := slices.ContainsFunc(check(name, text), func(f lint.Finding) bool { return f.Severity.String() == "error" || f.Rule == "unknown-discovery" })
		assert.True(t, failed, name)
	}
	assert.Greater(t, bad, 50)
}
