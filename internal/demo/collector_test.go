// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/demo/sample"
)

func TestRedact(t *testing.T) {
	word := "hun" + "ter2hunter2" // obviously no credential
	for in, want := range map[string]string{
		"authorization: " + sample.FakeToken():              "authorization: Bearer [redacted]",
		"jwt eyJ" + "hbGciOiJI.eyJ" + "zdWIiOiIx.c2ln end":  "jwt [redacted] end",
		"dial http://user:" + word + "@10.0.0.1:9090/write": "dial http://user:[redacted]@10.0.0.1:9090/write",
		`{"client_secret": "` + word + `", "id": 7}`:        `{"client_secret": "[redacted]", "id": 7}`,
		"password=" + word + " tries=3":                     "password=[redacted] tries=3",
		"Scrape failed: connection refused":                 "Scrape failed: connection refused",
	} {
		assert.Equal(t, want, redact(in))
	}
}

func TestTailKeepsTheLastLines(t *testing.T) {
	var page strings.Builder
	for i := range logTail + 5 {
		_, _ = fmt.Fprintf(&page, "line %d\n", i)
	}
	page.WriteString("no newline")
	var log tail
	var file bytes.Buffer
	require.NoError(t, log.read(strings.NewReader(page.String()), &file))
	assert.NotContains(t, log.String(), "line 5\n")
	assert.Contains(t, log.String(), "  line 6\n")
	assert.True(t, strings.HasSuffix(log.String(), "  no newline"))
	assert.Equal(t, page.String()+"\n", file.String())
	assert.Equal(t, "  (it logged nothing)", (&tail{}).String())
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestTailDrainsTheLogAlthoughTheDiskIsFull(t *testing.T) {
	from := strings.NewReader(strings.Repeat("x\n", 10_000))
	assert.EqualError(t, (&tail{}).read(from, fullDisk{}), "no space left on device")
	assert.Zero(t, from.Len())
}

// script is a program that behaves as a collector does on one of its bad days.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "collector")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o700)) //nolint:gosec // it has to be executable
	return path
}

func startScript(t *testing.T, body string) *collector {
	t.Helper()
	c, err := startCollector(script(t, body), nil, os.Environ(), filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.kill()) })
	return c
}

func TestACollectorThatEndsEarlyShowsItsLogWithoutSecrets(t *testing.T) {
	c := startScript(t, "echo 'cannot bind 127.0.0.1:8888' >&2\necho 'sent "+sample.FakeToken()+"' >&2\nexit 3\n")
	<-c.exited
	assert.EqualError(t, c.early(), "the collector ended by itself (exit status 3); its last log lines:\n"+
		"  cannot bind 127.0.0.1:8888\n  sent Bearer [redacted]")
	assert.Error(t, c.stop(), "it did not end because it was asked to")
}

func TestStop(t *testing.T) {
	t.Run("a collector that ends well", func(t *testing.T) {
		c := startScript(t, "trap 'exit 0' TERM\necho ready >&2\nwhile :; do sleep 0.05; done\n")
		waitForLog(t, c, "ready")
		assert.NoError(t, c.stop())
	})
	t.Run("a collector that ends badly", func(t *testing.T) {
		c := startScript(t, "trap 'echo bye >&2; exit 1' TERM\necho ready >&2\nwhile :; do sleep 0.05; done\n")
		waitForLog(t, c, "ready")
		assert.EqualError(t, c.stop(), "the collector ended with exit status 1; its last log lines:\n  ready\n  bye")
	})
}

func waitForLog(t *testing.T, c *collector, want string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(c.log.String(), want) }, 10*time.Second, 5*time.Millisecond)
}

func TestUseReadsTheProcess(t *testing.T) {
	c := startScript(t, "echo ready >&2\nwhile :; do :; done\n")
	waitForLog(t, c, "ready")
	require.Eventually(t, func() bool { return c.use().CPU > 0 }, 10*time.Second, 20*time.Millisecond)
	assert.Positive(t, c.use().RSS)
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGKILL))
	<-c.exited
	assert.Zero(t, c.use())
}

func TestStartCollectorErrors(t *testing.T) {
	_, err := startCollector(filepath.Join(t.TempDir(), "none"), nil, nil, filepath.Join(t.TempDir(), "log"))
	assert.ErrorContains(t, err, "does not start")
	_, err = startCollector(script(t, ""), nil, nil, filepath.Join(t.TempDir(), "no", "folder"))
	assert.ErrorContains(t, err, "the collector's log cannot be written")
}
