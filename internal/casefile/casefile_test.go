// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"bytes"
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
