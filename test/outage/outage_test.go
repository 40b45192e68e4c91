// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

// TestMain lets the test binary be its own backend, as the command is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == delivery.BackendCommand {
		ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
		cancel()
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

// A queue in memory does not survive kill -9: the test has to see that.
func TestALossIsSeen(t *testing.T) {
	binary := testbed.Collector(t)
	var out, errs bytes.Buffer
	code := execute(t.Context(), []string{
		"--exporter", "prometheus_remote_write", "--binary", binary, "--duration", "30m", "--series", "40", "--keep", t.TempDir(),
	}, &out, &errs)
	assert.Equal(t, 1, code)
	var res result
	require.NoError(t, json.Unmarshal(out.Bytes(), &res), errs.String())
	assert.GreaterOrEqual(t, res.Lost, 40*120/3, errs.String())
	assert.Zero(t, res.Duplicated, errs.String())
	assert.Equal(t, 2, res.Restarts)
	assert.GreaterOrEqual(t, res.OutageS, 1800.0)
	assert.Positive(t, res.DrainX)
	assert.Positive(t, res.RestMiB)
	assert.Contains(t, errs.String(), "samples lost, 0 duplicated")
	assert.Contains(t, errs.String(), `lost: {__name__="pushed_gauge", id="series-00000"`)
}

func TestRounds(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	c := newClient(nil, nil, 10, now.Add(-time.Hour), now, 15*time.Second)
	assert.Equal(t, 241, c.past)
	assert.Equal(t, now.Add(-time.Hour), c.at(0))
	assert.Equal(t, now, c.at(240))
	assert.Equal(t, now.Add(15*time.Second), c.at(241))
	assert.Equal(t, now.Add(16*time.Second), c.at(242), "from there on a round is a second")
	for _, tc := range []struct {
		after time.Duration
		due   int
	}{{0, 241}, {14 * time.Second, 241}, {15 * time.Second, 242}, {15*time.Second + 999*time.Millisecond, 242}, {17 * time.Second, 244}} {
		assert.Equal(t, tc.due, c.due(now.Add(tc.after)), "%s", tc.after)
		assert.False(t, c.at(tc.due-1).After(now.Add(tc.after)), "what is due is past")
		assert.True(t, c.at(tc.due).After(now.Add(tc.after)))
	}
	assert.Len(t, c.ids, 10)
}

func TestBrokenPromises(t *testing.T) {
	kept := result{DrainX: minDrain, GrowthMiB: maxGrowth}
	require.NoError(t, kept.broken())
	broken := result{Lost: 1, Duplicated: 2, OutOfOrder: 3, DrainX: 49.9, GrowthMiB: 64.1}
	assert.EqualError(t, broken.broken(), "1 samples lost, 2 duplicated, 3 out of order, 0 given up by the exporter\n"+
		"the backlog drained 49.9 times faster than real time, less than 50\n"+
		"the collector's memory grew by 64.1 MiB, more than 64")
}

func TestBadFlags(t *testing.T) {
	var out, errs bytes.Buffer
	assert.Equal(t, 1, execute(t.Context(), []string{"--exporter", "x", "--keep", t.TempDir()}, &out, &errs))
	assert.Contains(t, errs.String(), `there is no configuration for the exporter "x"`)
	assert.Equal(t, 1, execute(t.Context(), []string{"--series", "0"}, &out, &errs))
	assert.Contains(t, errs.String(), "--duration, --interval and --series must be above 0")
	assert.Equal(t, 2, execute(t.Context(), []string{"--series", "x"}, &out, &errs))
	assert.Zero(t, execute(t.Context(), []string{"--help"}, &out, &errs))
	assert.Empty(t, out.String())
}
