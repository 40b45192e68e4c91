// SPDX-License-Identifier: Apache-2.0

// Package manifest_test builds a distribution of one's own from builder-config.yaml, as docs/custom-distribution.md
// describes it.
package manifest_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

// A cold build compiles more than a thousand packages.
const limit = 20 * time.Minute

// The component that the documentation adds. Our own module does not have it.
const added = "go.opentelemetry.io/collector/exporter/otlphttpexporter v0.165.0"

// run runs a command in dir and returns everything that it printed.
func run(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // fixed commands of this test
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// replaced is text with old, which is in it once, replaced.
func replaced(t *testing.T, text, old, with string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(text, old), "builder-config.yaml has %q once", old)
	return strings.Replace(text, old, with, 1)
}

// value is what the manifest says for a key of `dist`.
func value(t *testing.T, manifest, key string) string {
	t.Helper()
	for line := range strings.Lines(manifest) {
		if after, found := strings.CutPrefix(line, "  "+key+": "); found {
			return strings.TrimSpace(after)
		}
	}
	require.FailNow(t, "builder-config.yaml has no dist."+key)
	return ""
}

// Nothing in the manifest is special to this repository: with one more line, OCB makes a collector of it that has the
// component, and everything that ours has.
func TestAddAComponent(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testbed.Root(t), "builder-config.yaml"))
	require.NoError(t, err)
	manifest := string(text)
	module, tags := value(t, manifest, "module"), value(t, manifest, "build_tags")
	_, err = os.Stat(filepath.Join(testbed.Root(t), strings.TrimPrefix(module, "github.com/kubiyabot/otelcol-runner/"), "main.go"))
	require.Error(t, err, "dist.module %s is a package of our own module, which makes the name ambiguous for OCB: name it github.com/kubiyabot/otelcol-runner/build", module)

	output := filepath.Join(t.TempDir(), "build")
	manifest = replaced(t, manifest, "\nexporters:\n", "\nexporters:\n  - gomod: "+added+"\n")
	manifest = replaced(t, manifest, "output_path: ./build", "output_path: "+output)
	file := filepath.Join(t.TempDir(), "builder-config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(manifest), 0o600)) //nolint:gosec // the test's own folder

	// `path: .` in the manifest is relative to where builder runs.
	out, err := run(t, testbed.Root(t), "go", "tool", "-modfile=tools/go.mod", "builder", "--config", file, "--skip-compilation")
	if err != nil {
		// `go mod tidy`, which builder runs, also wants what the tests of the components import. One such module is not
		// published everywhere; no component needs it.
		require.Contains(t, out, "failed to update go.mod", out)
		for line := range strings.Lines(out) {
			if strings.Contains(line, ": reading ") {
				require.Contains(t, line, "/pkg/semconvtest@", "another module is not served: %s", out)
			}
		}
		out, err = run(t, output, "go", "mod", "tidy", "-e")
		require.NoError(t, err, out)
	}

	out, err = run(t, output, "go", "build", "-tags", tags, "-ldflags", "-s -w", "-o", "custom", ".")
	require.NoError(t, err, out)

	binary := filepath.Join(output, "custom")
	out, err = run(t, output, binary, "components")
	require.NoError(t, err, out)
	for _, component := range []string{"otlp_http", "prometheus_remote_write", "runner", "azuread_auth"} {
		assert.Contains(t, out, "name: "+component+"\n")
	}

	t.Setenv("RUNNER_ORGANIZATION", "acme")
	t.Setenv("RUNNER_NAME", "r1")
	t.Setenv("RUNNER_NAMESPACE", "runner-acme")
	t.Setenv("REMOTE_WRITE_URL", "http://127.0.0.1:1/api/v1/write")
	out, err = run(t, output, binary, "validate", "--config="+filepath.Join(testbed.Root(t), "configs", "collector.yaml"))
	require.NoError(t, err, out)
}
