// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-openapi/spec"
	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/processors/runnerprocessor"
)

// schema is the schema that is published, with references replaced.
func schema(t *testing.T) *spec.Schema {
	t.Helper()
	text, err := os.ReadFile("../../docs/schema/scrape-test.schema.json")
	require.NoError(t, err)
	s := &spec.Schema{}
	require.NoError(t, json.Unmarshal(text, s))
	s.ID = "" // it is not to be fetched
	require.NoError(t, spec.ExpandSchema(s, s, nil))
	return s
}

// valid says whether the schema takes a test file.
func valid(t *testing.T, s *spec.Schema, text []byte) error {
	t.Helper()
	var content any
	require.NoError(t, yaml.Unmarshal(text, &content))
	encoded, err := json.Marshal(content)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(encoded, &content))
	return validate.AgainstSchema(s, content, strfmt.Default)
}

func TestSchemaTakesAllTestFiles(t *testing.T) {
	s := schema(t)
	var paths []string
	for _, pattern := range []string{"testdata/*.yaml", "testdata/update/*.yaml", "../../configs/tests/*_test.yaml", "../../cmd/runnerctl/testdata/*_test.yaml"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		paths = append(paths, found...)
	}
	checked := 0
	for _, path := range paths {
		text, err := os.ReadFile(path) //nolint:gosec // from the repository
		require.NoError(t, err)
		if strings.Contains(string(text), "\ncases:") {
			assert.NoError(t, valid(t, s, text), path)
			checked++
		}
	}
	assert.GreaterOrEqual(t, checked, 4)
}

// Each of these is refused by the schema, so that an editor shows it, and by Parse.
func TestSchemaRefusesMistakes(t *testing.T) {
	s := schema(t)
	for _, text := range mistakes {
		assert.Error(t, valid(t, s, []byte(text)), text) //nolint:testifylint // all of them
		_, err := Parse("x_test.yaml", []byte(text))
		assert.Error(t, err, text) //nolint:testifylint // all of them
	}
}

var mistakes = []string{
	`{}`,
	`{cases: []}`,
	`{cases: [{name: a, expect: {}}], config: [a]}`,
	`{cases: [{name: a, expect: {}}], config: a, Configs: []}`,
	`{cases: [{name: a}]}`,
	`{cases: [{expect: {}}]}`,
	`{cases: [{name: a, at: soon, expect: {}}]}`,
	`{cases: [{name: a, at: 30, expect: {}}]}`,
	`{cases: [{name: a, expect: {serie: {up: 1}}}]}`,
	`{cases: [{name: a, expect: {series: {up: [1]}}}]}`,
	`{cases: [{name: a, expect: {count: {up: many}}}]}`,
	`{cases: [{name: a, expect: {count: {up: '=> 3'}}}]}`,
	`{cases: [{name: a, expect: {drops: {scope: 3}}}]}`,
	`{cases: [{name: a, expect: {labels: {have: [a]}}}]}`,
	`{cases: [{name: a, expect: {labels: {match: up, has: [a]}}}]}`,
	`{cases: [{name: a, expect: {targets: {keep: 3}}}]}`,
	`{cases: [{name: a, expect: {targets: {job: {x: {drop: 3}}}}}]}`,
	`{cases: [{name: a, expect: {targets: {kept: some}}}]}`,
	`{cases: [{name: a, expect: {promql: {up: maybe}}}]}`,
	`{cases: [{name: a, expect: {absent: {up: 1}}}]}`,
	`{cases: [{name: a, expect: {error: [a]}}]}`,
	`{cases: [{name: a, expect: {}}], scene: {page: {}}}`,
	`{cases: [{name: a, expect: {}}], scene: {pages: {"a:1/b": {body: x}}}}`,
	`{cases: [{name: a, expect: {}}], scene: {pages: {"a:1/b": {status: 7}}}}`,
	`{cases: [{name: a, expect: {}}], scene: {steps: [{after: 3s}]}}`,
	`{cases: [{name: a, expect: {}}], scene: {targets: {job: [{target: [a]}]}}}`,
	`{cases: [{name: a, expect: {}}], scene: {manifests: a.yaml}}`,
	`{cases: [{name: a, expect: {}}], scene: 7}`,
}

// The schema has the keys that Parse knows, everywhere.
func TestSchemaHasAllKeys(t *testing.T) {
	s := schema(t)
	property := func(s *spec.Schema, path ...string) *spec.Schema {
		for _, name := range path {
			var next spec.Schema
			switch name {
			case "[]":
				next = *s.Items.Schema
			case "*":
				next = *s.AdditionalProperties.Schema
			case "|":
				for _, one := range s.AnyOf {
					if one.Properties != nil {
						next = one
					}
				}
			default:
				var ok bool
				next, ok = s.Properties[name]
				require.True(t, ok, "%v", path)
			}
			s = &next
		}
		return s
	}
	for text, path := range map[string][]string{
		`{zzzz: 1}`:            nil,
		`{cases: [{zzzz: 1}]}`: {"cases", "[]"},
		`{cases: [{name: a, expect: {zzzz: 1}}]}`:                                {"cases", "[]", "expect"},
		`{cases: [{name: a, expect: {labels: {zzzz: 1}}}]}`:                      {"cases", "[]", "expect", "labels", "|"},
		`{cases: [{name: a, expect: {targets: {zzzz: 1}}}]}`:                     {"cases", "[]", "expect", "targets"},
		`{cases: [{name: a, expect: {targets: {job: {x: {zzzz: 1}}}}}]}`:         {"cases", "[]", "expect", "targets", "job", "*"},
		`{cases: [{name: a, expect: {}}], scene: {zzzz: 1}}`:                     {"scene", "|"},
		`{cases: [{name: a, expect: {}}], scene: {pages: {"a:1/b": {zzzz: 1}}}}`: {"scene", "|", "pages", "*", "|"},
		`{cases: [{name: a, expect: {}}], scene: {steps: [{zzzz: 1}]}}`:          {"scene", "|", "steps", "[]"},
		`{cases: [{name: a, expect: {}}], scene: {targets: {a: [{zzzz: 1}]}}}`:   {"scene", "|", "targets", "*", "[]"},
	} {
		_, err := Parse("x_test.yaml", []byte(text))
		require.Error(t, err, text)
		_, known, found := strings.Cut(err.Error(), "use ")
		require.True(t, found, err)
		var names []string
		for name := range property(s, path...).Properties {
			names = append(names, name)
		}
		slices.Sort(names)
		assert.Equal(t, strings.Split(known, ", "), names, text)
	}

	var reasons []string
	for name := range property(s, "cases", "[]", "expect", "drops").Properties {
		reasons = append(reasons, name)
	}
	assert.ElementsMatch(t, append(runnerprocessor.DropReasons(), outOfScope), reasons)
}
