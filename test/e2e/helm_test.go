// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

// The copy has to stand for a release of its own: all charts in it have its version, and agree about it.
func TestOlderCharts(t *testing.T) {
	folder, err := olderCharts(testbed.Root(t), t.TempDir(), olderVersion)
	require.NoError(t, err)
	charts := 0
	err = filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.Name() != "Chart.yaml" {
			return err
		}
		charts++
		text, err := os.ReadFile(path) //nolint:gosec // a copy of our own
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if version, found := strings.CutPrefix(strings.TrimSpace(line), "version: "); found {
				assert.Equal(t, olderVersion, strings.TrimSpace(version), path)
			}
		}
		return nil
	})
	require.NoError(t, err)
	assert.Greater(t, charts, 5, "the charts, and those in them in the place of links")
}
