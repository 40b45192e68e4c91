// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// The chart's copies say what the files say, and there is one of each.
func TestChartCopiesAreUpToDate(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(configs, "*.yaml"))
	require.NoError(t, err)
	copies, err := filepath.Glob(filepath.Join(configs, chartConfigs, "*.yaml"))
	require.NoError(t, err)
	assert.Len(t, copies, len(paths), "run `go generate ./configs`")
	for _, path := range paths {
		text, err := os.ReadFile(path) //nolint:gosec // a fixed folder
		require.NoError(t, err)
		want, err := chartCopy(filepath.Base(path), text)
		require.NoError(t, err)
		committed, err := os.ReadFile(filepath.Join(configs, chartConfigs, filepath.Base(path)))
		require.NoError(t, err, "run `go generate ./configs`")
		assert.Equal(t, string(want), string(committed), "%s is not what the chart has: run `go generate ./configs`", path)

		var source, copied any
		require.NoError(t, yaml.Unmarshal(text, &source))
		require.NoError(t, yaml.Unmarshal(committed, &copied))
		assert.Equal(t, source, copied, path)
	}
}
