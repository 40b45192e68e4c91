// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const configs = "../.."

// The files that are committed are the ones that this command writes, and there are no others.
func TestVariantsAreUpToDate(t *testing.T) {
	base, err := os.ReadFile(filepath.Join(configs, source))
	require.NoError(t, err)
	want := []string{filepath.Join(configs, source)}
	for _, v := range variants {
		rendered, err := v.render(string(base))
		require.NoError(t, err)
		path := filepath.Join(configs, v.file)
		committed, err := os.ReadFile(path) //nolint:gosec // a fixed folder
		require.NoError(t, err, "run `go generate ./configs`")
		assert.Equal(t, rendered, string(committed), "%s is not what collector.yaml gives: run `go generate ./configs`", v.file)
		want = append(want, path)
	}
	found, err := filepath.Glob(filepath.Join(configs, "*.yaml"))
	require.NoError(t, err)
	assert.ElementsMatch(t, want, found, "each file in configs/ is collector.yaml or one of the variants")
}

func TestRenderNamesThePlaceThatIsMissing(t *testing.T) {
	base, err := os.ReadFile(filepath.Join(configs, source))
	require.NoError(t, err)

	f := func(place string) {
		t.Helper()
		_, err := variants[0].render(strings.ReplaceAll(string(base), place, ""))
		assert.ErrorContains(t, err, "collector.yaml has the text")
		assert.ErrorContains(t, err, "0 times, it has to be there once: adapt the places in render.go")
	}
	f(placeAbout)
	f(placeEnv)
	f(placeRequiredEnv)
	f(placeExporter)
	f(placeReceiver)
	f(placeExtension)
	f(placeService)
}

func TestRunNeedsCollectorYAML(t *testing.T) {
	assert.ErrorContains(t, run(t.TempDir()), "run `go generate ./configs`")
}

func TestRunWritesWholeFiles(t *testing.T) {
	dir := t.TempDir()
	base, err := os.ReadFile(filepath.Join(configs, source))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, source), base, 0o600)) //nolint:gosec // the test's own folder
	require.NoError(t, run(dir))
	written, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	require.NoError(t, err)
	assert.Len(t, written, len(variants)+1)
}
