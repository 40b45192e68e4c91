// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRunSaysWhatIsInTheWay(t *testing.T) {
	collector := script(t, "exit 0\n")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, taken.Close()) }()

	for name, c := range map[string]struct {
		opts Options
		want string
	}{
		"no binary": {
			Options{Collector: "/nowhere/otelcol-runner"},
			"no collector binary at \"/nowhere/otelcol-runner\": run `make build`, or name one with --collector",
		},
		"a folder for a binary": {
			Options{Collector: t.TempDir()}, "is a folder: name the file itself with --collector",
		},
		"a binary without the right to run": {
			Options{Collector: file}, "cannot be executed",
		},
		"the port is in use": {
			Options{Collector: collector, Listen: taken.Addr().String()},
			"address already in use; choose another port, or 127.0.0.1:0 for a free one",
		},
		"no address": {
			Options{Collector: collector, Listen: "nonsense"}, `--listen "nonsense"`,
		},
		"a folder that cannot be": {
			Options{Collector: collector, Listen: "127.0.0.1:0", Dir: filepath.Join(file, "x")},
			"cannot be created: ",
		},
		"a folder with something in it": {
			Options{Collector: collector, Listen: "127.0.0.1:0", Dir: filepath.Dir(file)},
			"is not empty: the demo counts what it stores there; choose an empty or a new folder",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.opts.Screen = io.Discard
			_, err := Run(t.Context(), c.opts)
			assert.ErrorContains(t, err, c.want)
		})
	}
}

func TestAFolderThatCannotBeWritten(t *testing.T) {
	const readOnly = "/proc/self/task" // no user may create files here, root neither
	if _, err := os.Stat(readOnly); err != nil {
		t.Skip("this system has no /proc")
	}
	_, _, err := workFolder(filepath.Join(readOnly, "demo"))
	assert.ErrorContains(t, err, "choose a folder that this user can write")
}

func TestNoTemporaryFolder(t *testing.T) {
	t.Setenv("TMPDIR", "/nowhere")
	_, _, err := workFolder("")
	assert.ErrorContains(t, err, "no temporary folder")
	assert.ErrorContains(t, err, "name a folder with --dir")
}

func TestFreePortsAreDifferent(t *testing.T) {
	ports, err := freePorts(20)
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, p := range ports {
		assert.False(t, seen[p])
		seen[p] = true
	}
}
