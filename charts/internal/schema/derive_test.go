// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/legacyvalues"
)

// Every key of the previous chart either works, which takes a property of its name, or is refused with the name of the new one.
func TestOldKeysAreKeptOrRefusedByName(t *testing.T) {
	entries, err := legacyvalues.Table()
	require.NoError(t, err)
	runner, err := load(filepath.Join(charts, "runner", target))
	require.NoError(t, err)
	dagger, err := load(filepath.Join(charts, "dagger", target))
	require.NoError(t, err)

	for _, e := range entries {
		schema, path := runner, e.Old
		if below, ok := strings.CutPrefix(e.Old, "dagger."); ok {
			schema, path = dagger, below
		}
		property := at(schema, path)
		if property == nil && assert.True(t, refusedAbove(schema, path), "%s: the schema does not know it", e.Old) {
			continue
		}
		message, refused := property["const"].(string)
		assert.Equal(t, e.Action != legacyvalues.Keep, refused, e.Old)
		if refused {
			assert.Contains(t, message, e.New)
			assert.Contains(t, message, e.Reason)
		}
	}
}

// What takes the place of an old key is a key of the charts.
func TestNewKeysExist(t *testing.T) {
	entries, err := legacyvalues.Table()
	require.NoError(t, err)
	for _, e := range entries {
		if e.New == "" {
			continue
		}
		chart, path := "runner", e.New
		if subchart, below, ok := strings.Cut(e.New, "."); ok && (subchart == "otel" || subchart == "dagger") {
			chart, path = subchart, below
		}
		schema, err := load(filepath.Join(charts, chart, target))
		require.NoError(t, err)
		property := at(schema, path)
		require.NotNil(t, property, "%s: the new key %s is in no schema", e.Old, e.New)
		assert.NotContains(t, property, "const", "%s: the new key %s is refused itself", e.Old, e.New)
	}
}

func TestNullIsRefusedWhereTemplatesCountOnAValue(t *testing.T) {
	c := compiler{values: map[string]any{"replicas": 1, "image": map[string]any{"tag": "", "repository": "r"}, "labels": map[string]any{}, "resources": nil}}
	schema, err := c.expand(map[string]any{"properties": map[string]any{
		"replicas":  map[string]any{"type": "integer"},
		"image":     map[string]any{"properties": map[string]any{"tag": map[string]any{"type": []any{"string", "null"}}, "repository": map[string]any{"type": "string"}}},
		"labels":    map[string]any{"type": "object"},
		"resources": map[string]any{"type": []any{"object", "null"}},
		"other":     map[string]any{"type": "string"},
	}}, "")
	require.NoError(t, err)
	assert.Equal(t, []string{"image", "replicas"}, schema["required"])
	assert.Equal(t, []string{"repository"}, at(schema, "image")["required"])
}

// refusedAbove says whether an object above the path is refused as a whole.
func refusedAbove(schema map[string]any, path string) bool {
	for i := strings.LastIndexByte(path, '.'); i >= 0; i = strings.LastIndexByte(path[:i], '.') {
		if _, refused := at(schema, path[:i])["const"]; refused {
			return true
		}
	}
	return false
}

// at is the schema of the property at a path, or nil.
func at(schema map[string]any, path string) map[string]any {
	for key := range strings.SplitSeq(path, ".") {
		properties, _ := schema["properties"].(map[string]any)
		schema, _ = properties[key].(map[string]any)
	}
	return schema
}
