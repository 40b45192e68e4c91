// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/configs"
	"github.com/kubiyabot/otelcol-runner/internal/demo/sample"
)

// The overlay replaces what needs Kubernetes or a fixed port. Where the reference configuration renames one of these
// keys, the overlay would add a key beside it, so every key it writes has to exist there.
func TestEveryKeyOfTheOverlayIsInTheReference(t *testing.T) {
	content, err := overlay([]string{"kubiya-apps"}, "/sd", 4242)
	require.NoError(t, err)
	var laid, reference object
	require.NoError(t, yaml.Unmarshal(content, &laid))
	require.NoError(t, yaml.Unmarshal(configs.Collector, &reference))
	assertKeys(t, "", laid, reference)
}

func assertKeys(t *testing.T, path string, laid, reference object) {
	t.Helper()
	for key, value := range laid {
		there, ok := reference[key]
		if !assert.True(t, ok, "%s%s is not in the reference configuration", path, key) {
			continue
		}
		if inner, ok := value.(object); ok {
			require.IsType(t, object{}, there, path+key)
			assertKeys(t, path+key+"::", inner, there.(object))
		}
	}
}

// What is kept is counted per series, whose labels a target_info would change when its target goes.
func TestTheOverlaysJobsDropTargetInfo(t *testing.T) {
	content, err := overlay([]string{"kubiya-apps"}, "/sd", 4242)
	require.NoError(t, err)
	assert.Contains(t, string(content), "regex: target_info")
}

func TestDiscovery(t *testing.T) {
	dir := t.TempDir()
	d := discovery{dir: dir, targets: []sample.Target{
		{Job: "b", Address: "127.0.0.1:1", Labels: map[string]string{"app": "x"}},
		{Job: "a", Address: "127.0.0.1:2"},
		{Job: "b", Address: "127.0.0.1:3"},
	}}
	assert.Equal(t, []string{"a", "b"}, d.jobs())

	read := func(job string) (groups []struct {
		Targets []string
		Labels  map[string]string
	}) {
		content, err := os.ReadFile(filepath.Join(dir, job+".json")) //nolint:gosec // the test's own folder
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(content, &groups))
		return groups
	}
	require.NoError(t, d.publish())
	require.Len(t, read("b"), 2)
	assert.Equal(t, []string{"127.0.0.1:1"}, read("b")[0].Targets)
	assert.Equal(t, map[string]string{"app": "x"}, read("b")[0].Labels)
	require.NoError(t, d.withdraw())
	assert.Empty(t, read("a"))
	assert.Empty(t, read("b"))

	d.dir = filepath.Join(dir, "gone")
	assert.ErrorContains(t, d.publish(), "the list of targets cannot be written")
}
