// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the chart exposes is what the collector lets through.
func TestMetricsAreUpToDate(t *testing.T) {
	want, err := generate()
	require.NoError(t, err)
	require.Contains(t, want, "^kube_pod_info$\n")
	committed, err := os.ReadFile(filepath.Join("..", "..", target))
	require.NoError(t, err)
	assert.Equal(t, want, string(committed), "charts/%s is not what the profile gives: run `go generate ./charts`", target)
}
