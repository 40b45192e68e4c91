// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

func TestDemoOptions(t *testing.T) {
	var got demoOptions
	cmd := newCmdDemo(streams{}, func(_ context.Context, o *demoOptions) error {
		got = *o
		return nil
	})
	cmd.SetArgs([]string{"--duration", "60s", "--output", "json", "--dir", "d", "--listen", "127.0.0.1:8090", "--chaos"})
	require.NoError(t, cmd.Execute())
	self, err := os.Executable()
	require.NoError(t, err)
	assert.Equal(t, demoOptions{
		duration: time.Minute, output: "json", dir: "d", listen: "127.0.0.1:8090", chaos: true,
		collector: filepath.Join(filepath.Dir(self), "otelcol-runner"),
	}, got)
}

// What a script reads: one JSON object as the last and only line on standard output.
func TestDemoJSON(t *testing.T) {
	code, stdout, stderr := command(t, "demo", "--duration", "8s", "--output", "json", "--collector", testbed.Collector(t))
	require.Equal(t, exitFine, code, stderr)
	assert.Equal(t, 1, strings.Count(stdout, "\n"), stdout)
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	for _, key := range []string{"scraped", "kept", "delivered", "queryable", "seconds_to_first_sample"} {
		assert.Positive(t, got[key], key)
	}
	for _, key := range []string{"lost", "foreign_series", "spoofed_identities", "secret_series"} {
		assert.Zero(t, got[key], key)
	}
	dropped, ok := got["dropped"].(map[string]any)
	require.True(t, ok, "dropped is an object of counts by reason")
	for _, reason := range []string{"metric", "namespace", "secret", "component_series_limit"} {
		assert.Positive(t, dropped[reason], reason)
	}
	assert.GreaterOrEqual(t, got["delivered"], 1000.0)
	assert.Equal(t, true, got["verified"])
	assert.Equal(t, []any{}, got["broken"])
	assert.Contains(t, stderr, "page: http://127.0.0.1:")
	assert.Contains(t, stderr, "  ok  every one of ")
	assert.NotContains(t, stderr, "\x1b")
}

// child is runnerctl as a process of its own.
type child struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	temp           string
}

func start(t *testing.T, args ...string) *child {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c := &child{cmd: exec.Command(self, args...), temp: t.TempDir()} //nolint:gosec // the test binary itself
	c.cmd.Env = append(os.Environ(), asRunnerctl+"=1", "TMPDIR="+c.temp)
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	require.NoError(t, c.cmd.Start())
	return c
}

// collector waits until the collector runs, and returns it.
func (c *child) collector(t *testing.T) *process.Process {
	t.Helper()
	parent, err := process.NewProcess(int32(c.cmd.Process.Pid)) //nolint:gosec // a process id fits
	require.NoError(t, err)
	var found *process.Process
	require.Eventually(t, func() bool {
		children, err := parent.Children()
		if err != nil || len(children) != 1 {
			return false
		}
		found = children[0]
		return true
	}, 30*time.Second, 10*time.Millisecond, "the collector does not start")
	return found
}

func (c *child) assertNothingLeft(t *testing.T, collector *process.Process) {
	t.Helper()
	running, err := collector.IsRunning()
	require.NoError(t, err)
	assert.False(t, running, "the collector is still running")
	left, err := os.ReadDir(c.temp)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestInterruptEndsWithASummary(t *testing.T) {
	for name, sig := range map[string]os.Signal{"SIGINT": syscall.SIGINT, "SIGTERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, "demo", "--collector", testbed.Collector(t))
			collector := c.collector(t)
			require.NoError(t, c.cmd.Process.Signal(sig))
			require.NoError(t, c.cmd.Wait(), c.stderr.String())
			assert.Contains(t, c.stdout.String(), "  ok  every one of ")
			assert.Empty(t, c.stderr.String())
			c.assertNothingLeft(t, collector)
		})
	}
}

func TestASecondInterruptSkipsTheCheck(t *testing.T) {
	c := start(t, "demo", "--output", "json", "--collector", testbed.Collector(t))
	collector := c.collector(t)
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGINT))
	time.Sleep(200 * time.Millisecond) // two signals of a kind at once are one to the receiver
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGINT))
	var exit *exec.ExitError
	require.ErrorAs(t, c.cmd.Wait(), &exit)
	assert.Equal(t, exitFailed, exit.ExitCode())
	assert.Contains(t, c.stderr.String(), "runnerctl: interrupted before the final check\n")
	assert.Contains(t, c.stdout.String(), `"verified":false`)
	c.assertNothingLeft(t, collector)
}

func TestAKilledRunnerctlTakesTheCollectorAlong(t *testing.T) {
	c := start(t, "demo", "--collector", testbed.Collector(t))
	collector := c.collector(t)
	require.NoError(t, c.cmd.Process.Kill())
	require.Error(t, c.cmd.Wait())
	require.Eventually(t, func() bool {
		running, err := collector.IsRunning()
		return err == nil && !running
	}, 30*time.Second, 50*time.Millisecond, "the collector outlives runnerctl")
}
