// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const charts = "../.."

// The files that are committed are the ones that this command writes.
func TestSchemasAreUpToDate(t *testing.T) {
	definitions, err := load(filepath.Join(charts, shared))
	require.NoError(t, err)
	sources, err := filepath.Glob(filepath.Join(charts, "*", source))
	require.NoError(t, err)
	require.NotEmpty(t, sources)
	for _, path := range sources {
		if path == filepath.Join(charts, shared) {
			continue
		}
		want, err := generate(path, definitions)
		require.NoError(t, err)
		committed, err := os.ReadFile(filepath.Join(filepath.Dir(path), target))
		require.NoError(t, err, "run `go generate ./charts`")
		assert.True(t, bytes.Equal(want, committed), "%s is not what its source gives: run `go generate ./charts`", path)
	}
}

func TestMisspelt(t *testing.T) {
	f := func(name, typed string, want bool) {
		t.Helper()
		assert.Equal(t, want, regexp.MustCompile(misspelt(name, []string{name})).MatchString(typed), "%s for %s", typed, name)
	}
	f("backend", "backand", true)
	f("backend", "bckend", true)
	f("backend", "Backend", true)
	f("backend", "backends", true)
	f("backend", "bakcend", true)
	f("imagePullSecrets", "imagePullSecret", true)
	f("backend", "backend", false)
	f("backend", "interval", false)
	f("replicas", "replicaCount", true)
	f("tag", "tags", true)
	f("tag", "tag", false)
	f("uuid", "uuid", false)
	f("uuid", "uuiid", true)
	f("size", "szie", true)
	f("preset", "endpoint", false)
}

// Of two keys that are alike, each stays what it is.
func TestHintsTakeNoKeyThatIsRight(t *testing.T) {
	names := []string{"annotatedPods", "existingClaim", "existingSecret", "extraVolumeMounts", "extraVolumes", "livenessProbe", "podSecurityContext", "readinessProbe", "securityContext"}
	typed := map[string]string{"existingSecrt": "auth.existingSecret", "extraVolume": "auth.extraVolumes", "securityContex": "auth.securityContext"}
	found := map[string]string{}
	for pattern, schema := range hints("auth", names, names) {
		matched := regexp.MustCompile(pattern)
		for _, name := range names {
			assert.False(t, matched.MatchString(name), "%s is taken for a mistake by %s", name, pattern)
		}
		for text := range typed {
			if matched.MatchString(text) {
				found[text] = schema.(map[string]any)["const"].(string)
			}
		}
	}
	for text, name := range typed {
		assert.Equal(t, "unknown key: did you mean "+name+"?", found[text])
	}
}

func TestExpandNamesTheReferenceThatIsMissing(t *testing.T) {
	c := compiler{definitions: map[string]any{}}
	_, err := c.expand(map[string]any{"properties": map[string]any{"image": map[string]any{"$ref": "imgae"}}}, "")
	assert.ErrorContains(t, err, "image: $ref: common/schema.yaml has no schema of this name")
}

func TestDescriptionIsOneLine(t *testing.T) {
	assert.Equal(t, "How many. Each has its share.", description("# Earlier.\n# -- (int) How many.\n# Each has its share.\n# @default -- none"))
	assert.Empty(t, description("# A remark."))
}

func TestExpandSaysWhatIsExpected(t *testing.T) {
	c := compiler{}
	schema, err := c.expand(map[string]any{"type": "string", "pattern": "^tls://", "expected": "a URL"}, "")
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"type": "string", "if": map[string]any{"pattern": "^tls://"}, "else": map[string]any{"const": "a URL"}}, schema)

	_, err = c.expand(map[string]any{"properties": map[string]any{"url": map[string]any{"type": "string", "pattern": "^tls://"}}}, "")
	assert.ErrorContains(t, err, "url: the pattern ^tls:// is for machines: say in `expected` what people are to write")
}

func TestExpandKeepsPatternsOfKeys(t *testing.T) {
	c := compiler{}
	schema, err := c.expand(map[string]any{
		"properties":        map[string]any{"memory": map[string]any{"type": "string"}},
		"patternProperties": map[string]any{"/": map[string]any{"type": "integer"}},
	}, "limits")
	require.NoError(t, err)
	assert.Contains(t, schema["patternProperties"], "/")
	assert.Len(t, schema["patternProperties"], 2)
	assert.Equal(t, map[string]any{"const": "unknown key: there are memory"}, schema["additionalProperties"])
}
