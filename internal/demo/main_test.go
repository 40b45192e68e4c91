// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"os"
	"testing"

	"github.com/shirou/gopsutil/v4/process"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// thisProcess is the process of the test itself.
func thisProcess(t *testing.T) *process.Process {
	t.Helper()
	p, err := process.NewProcess(int32(os.Getpid())) //nolint:gosec // a process id fits
	require.NoError(t, err)
	return p
}
