// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
	"github.com/kubiyabot/otelcol-runner/test/internal/admission"
)

// rule is what the annotations of a rule in Rego say.
var rule = regexp.MustCompile(`(?m)^# custom:\n#   id: (\S+)\n#   severity: (?:high|medium|low)\n#   remedy: >-\n#     (.+)$`)

// TestRules compares what has to be said twice: in Rego, in CEL, in the fixtures and in the README.
func TestRules(t *testing.T) {
	policies := filepath.Join(testbed.Root(t), "test", "charts", "policies")
	remedies := map[string]string{}
	for _, match := range rule.FindAllStringSubmatch(readAll(t, filepath.Join(policies, "rego", "*.rego")), -1) {
		assert.NotContains(t, remedies, match[1], "a second rule of this id")
		remedies[match[1]] = match[2]
	}
	require.GreaterOrEqual(t, len(remedies), 30)

	t.Run("every rule has fixtures", func(t *testing.T) {
		folders, err := os.ReadDir(filepath.Join(policies, "fixtures"))
		require.NoError(t, err)
		var names []string
		for _, folder := range folders {
			names = append(names, folder.Name())
			assert.FileExists(t, filepath.Join(policies, "fixtures", folder.Name(), "bad.yaml"))
			assert.FileExists(t, filepath.Join(policies, "fixtures", folder.Name(), "good.yaml"))
		}
		assert.ElementsMatch(t, keys(remedies), names)
	})

	enforced, err := admission.Rules(policies)
	require.NoError(t, err)
	readme := readAll(t, filepath.Join(policies, "README.md"))

	t.Run("every rule is in CEL, or the README says why not", func(t *testing.T) {
		var regoOnly []string
		for _, match := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| Rego only").FindAllStringSubmatch(readme, -1) {
			regoOnly = append(regoOnly, match[1])
		}
		assert.ElementsMatch(t, keys(remedies), append(regoOnly, enforced...))
	})

	t.Run("the README lists every rule", func(t *testing.T) {
		for id := range remedies {
			assert.Contains(t, readme, "\n| `"+id+"` |")
		}
	})

	t.Run("both languages give the same remedy", func(t *testing.T) {
		said := regexp.MustCompile(`\\'`).ReplaceAllString(readAll(t, filepath.Join(policies, "admission", "*.yaml")), "'")
		for _, id := range enforced {
			assert.Regexp(t, `\[`+id+`\] .*: `+regexp.QuoteMeta(remedies[id])+`'?\n`, said, id)
		}
	})
}

func readAll(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files, pattern)
	var text []byte
	for _, file := range files {
		content, err := os.ReadFile(file) //nolint:gosec // a file of this repository
		require.NoError(t, err)
		text = append(text, content...)
	}
	return string(text)
}

func keys(m map[string]string) []string {
	var ids []string
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
