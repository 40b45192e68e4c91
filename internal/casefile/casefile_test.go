// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/report"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

func load(t *testing.T, paths ...string) []*File {
	t.Helper()
	files, err := Load(paths...)
	require.NoError(t, err)
	return files
}

func run(t *testing.T, files []*File, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), scrapetest.New(virtualtime.FromTest(t)), files, o)
	require.NoError(t, err)
	return r
}

// text writes what came out as a person reads it.
func text(t *testing.T, s report.Suite) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, report.Write(&b, "text", s, report.Options{}))
	return b.String()
}

func TestPassing(t *testing.T) {
	r := run(t, load(t, "testdata/passing_test.yaml"), Options{})
	assert.False(t, r.Suite.Failed(), text(t, r.Suite))
	assert.Len(t, r.Suite.Cases, 3)
}

func TestDifferences(t *testing.T) {
	r := run(t, load(t, "testdata/failing.yaml"), Options{})
	golden(t, "testdata/failing.txt", text(t, r.Suite))
}

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file, whose content was looked at.
func golden(t *testing.T, path, have string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(have), 0o600)) //nolint:gosec // a constant
	}
	want, err := os.ReadFile(path) //nolint:gosec // a constant
	require.NoError(t, err)
	assert.Equal(t, string(want), have)
}

func TestUpdate(t *testing.T) {
	before, err := os.ReadFile("testdata/update/before.yaml")
	require.NoError(t, err)
	f, err := Parse("testdata/update/before.yaml", before)
	require.NoError(t, err)
	r := run(t, []*File{f}, Options{})
	updates, err := r.Updates()
	require.NoError(t, err)
	require.Len(t, updates, 1)
	golden(t, "testdata/update/after.txt", string(updates[0].After))
	diff, err := updates[0].Diff()
	require.NoError(t, err)
	golden(t, "testdata/update/diff.txt", diff)

	// What was updated passes, and gives nothing to update.
	f, err = Parse("testdata/update/before.yaml", updates[0].After)
	require.NoError(t, err)
	r = run(t, []*File{f}, Options{})
	updates, err = r.Updates()
	require.NoError(t, err)
	assert.Empty(t, updates)
	golden(t, "testdata/update/left.txt", text(t, r.Suite))
}

func TestCoverage(t *testing.T) {
	r := run(t, load(t, "testdata/passing_test.yaml"), Options{Coverage: true})
	require.False(t, r.Suite.Failed(), text(t, r.Suite))
	assert.Equal(t, "100.0 %", r.Coverage.String())
	assert.Empty(t, r.Coverage.Case(100).Findings)

	r = run(t, load(t, "testdata/gaps.yaml"), Options{Coverage: true})
	require.False(t, r.Suite.Failed(), text(t, r.Suite))
	var b bytes.Buffer
	require.NoError(t, r.Coverage.WriteText(&b))
	b.WriteString(r.Coverage.String() + "\n" + text(t, report.Suite{Unit: "case", Cases: []report.Case{r.Coverage.Case(100)}}))
	golden(t, "testdata/coverage.txt", b.String())
	assert.False(t, r.Coverage.Case(r.Coverage.Percent()).Failed())
}
