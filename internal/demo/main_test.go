// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/shirou/gopsutil/v4/process"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// builtCollector is the path of the real binary.
func builtCollector(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		require.NotEqual(t, filepath.Dir(dir), dir, "this test is not inside the module")
		dir = filepath.Dir(dir)
	}
	binary := filepath.Join(dir, "bin", "otelcol-runner")
	if _, err := os.Stat(binary); errors.Is(err, os.ErrNotExist) {
		t.Fatal("no bin/otelcol-runner: run `make build` first")
	}
	return binary
}

// thisProcess is the process of the test itself.
func thisProcess(t *testing.T) *process.Process {
	t.Helper()
	p, err := process.NewProcess(int32(os.Getpid())) //nolint:gosec // a process id fits
	require.NoError(t, err)
	return p
}
