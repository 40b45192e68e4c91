// SPDX-License-Identifier: Apache-2.0

package virtualtime

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asProgram, in the environment, makes the test binary a program that is not go test.
const asProgram = "VIRTUALTIME_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		Main(func(c Clock) int {
			var slept time.Duration
			if err := c.Run(func() {
				start := time.Now()
				time.Sleep(time.Hour)
				slept = time.Since(start)
			}); err != nil || slept != time.Hour || len(os.Args) != 2 {
				return 1
			}
			return 7
		})
	}
	os.Exit(m.Run())
}

func TestMainRunsAProgram(t *testing.T) {
	for range 2 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "--not-a-flag-of-testing") //nolint:gosec // this test
		cmd.Env = append(os.Environ(), asProgram+"=1")
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		assert.Equal(t, 7, cmd.ProcessState.ExitCode())
		assert.Empty(t, string(out), "nothing of testing's own is printed")
	}
}

func TestSideBySide(t *testing.T) {
	start := time.Now()
	errs := make(chan error)
	for range 8 {
		go func() {
			errs <- FromTest(t).Run(func() { time.Sleep(24 * time.Hour) })
		}()
	}
	for range 8 {
		require.NoError(t, <-errs)
	}
	assert.Less(t, time.Since(start), time.Minute)
}

func TestFailures(t *testing.T) {
	err := FromTest(t).Run(func() { panic("no") })
	require.ErrorContains(t, err, "virtual time: no")

	err = FromTest(t).Run(func() {
		time.Sleep(time.Second)
		<-make(chan int)
	})
	require.ErrorContains(t, err, "deadlock")
}
