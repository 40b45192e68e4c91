// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The files that the charts carry are the ones that the code asks for.
func TestFilesAreCurrent(t *testing.T) {
	files, err := generate()
	require.NoError(t, err)
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join("..", "..", path))
		require.NoError(t, err)
		assert.Equal(t, want, string(got), "charts/%s is not current: run `go generate ./charts`", path)
	}
}
