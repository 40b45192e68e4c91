// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
)

var update = flag.Bool("update", false, "write the files with what is expected")

// golden compares with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path) //nolint:gosec // a file of the test
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "%s: with -update it is written", path)
}

func listed(items []Item) string {
	var b strings.Builder
	for _, i := range items {
		fmt.Fprintf(&b, "%d: %s: %s -> %s: %s\n", i.Line, i.Action, i.Key, i.To, i.Reason)
	}
	return b.String()
}

func valuesOf(t *testing.T, path string) *Values {
	t.Helper()
	text, err := os.ReadFile(path) //nolint:gosec // a file of the test
	require.NoError(t, err)
	f, err := configfile.ParseYAML(filepath.Base(path), text)
	require.NoError(t, err)
	v, err := MigrateValues(f)
	require.NoError(t, err)
	return v
}

func TestValues(t *testing.T) {
	files, err := filepath.Glob("testdata/values/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			v := valuesOf(t, path)
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", string(v.Text)+"---\n"+listed(v.Items)+"---\nmissing: "+strings.Join(v.Missing, ", ")+"\n")
			assert.NotContains(t, string(v.Text), "hunter2")
			assert.NotContains(t, string(v.Text), "not-a-real-one")
			assert.NotContains(t, string(v.Text), "eyJ")
			assert.NotContains(t, fmt.Sprint(v.Items, v.Variables), "hunter2")
			assert.NotContains(t, fmt.Sprint(v.Items, v.Variables), "not-a-real-one")
		})
	}
}

// What is made is what is made of it again.
func TestValuesOnce(t *testing.T) {
	for _, name := range []string{"azure", "older", "new"} {
		first := valuesOf(t, "testdata/values/"+name+".yaml")
		f, err := configfile.ParseYAML(name+".yaml", first.Text)
		require.NoError(t, err)
		second, err := MigrateValues(f)
		require.NoError(t, err)
		assert.Equal(t, string(first.Text), string(second.Text), name)
		for _, i := range second.Items {
			assert.Equal(t, Kept, i.Action, "%+v", i)
		}
	}
}

// The chart takes the new values: its schema and its templates.
func TestValuesRender(t *testing.T) {
	const helm = "../../bin/helm"
	if _, err := os.Stat(helm); err != nil {
		t.Skip("there is no bin/helm: make bin/helm")
	}
	for _, name := range []string{"azure", "older", "new"} {
		t.Run(name, func(t *testing.T) {
			v := valuesOf(t, "testdata/values/"+name+".yaml")
			file := filepath.Join(t.TempDir(), "values.yaml")
			require.NoError(t, os.WriteFile(file, v.Text, 0o600))
			args := []string{"template", "runner", "../../charts/runner", "--namespace", "runner", "--values", file}
			for _, missing := range v.Missing {
				args = append(args, "--set", missing+"="+map[string]string{
					"otel.backend.preset": "prometheus", "otel.backend.endpoint": "https://prometheus.example.com/api/v1/write",
				}[missing])
			}
			out, err := exec.CommandContext(t.Context(), helm, args...).CombinedOutput() //nolint:gosec // the project's own
			require.NoError(t, err, string(out))
			assert.Contains(t, string(out), "kind: StatefulSet")
		})
	}
}

func TestSplitImage(t *testing.T) {
	f := func(reference, registry, repository, tag, digest string) {
		t.Helper()
		a, b, c, d := splitImage(reference)
		assert.Equal(t, []string{registry, repository, tag, digest}, []string{a, b, c, d}, reference)
	}
	f("ghcr.io/kubiyabot/agent-manager:v1", "ghcr.io", "kubiyabot/agent-manager", "v1", "")
	f("localhost:5000/a", "localhost:5000", "a", "", "")
	f("registry.example.com:5000/a/b:1@sha256:00", "registry.example.com:5000", "a/b", "1", "sha256:00")
	f("kubiyabot/agent-manager", "docker.io", "kubiyabot/agent-manager", "", "")
	f("nginx:1", "docker.io", "library/nginx", "1", "")
}

func TestValuesRefusesWhatIsNone(t *testing.T) {
	f, err := configfile.ParseYAML("v.yaml", []byte("- a\n"))
	require.NoError(t, err)
	_, err = MigrateValues(f)
	assert.EqualError(t, err, "v.yaml:1:1: is no mapping: the values of a Helm chart were expected")
}
