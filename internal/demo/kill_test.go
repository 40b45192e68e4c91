// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// What the collector said it had accepted and its log does not have counts as kept, and is lost then.
func TestALogThatLacksWhatWasAccepted(t *testing.T) {
	dir := t.TempDir()
	l, err := samplelog.Open(samplelog.Options{FS: samplelog.Disk{}, Dir: dir, Shards: 1, SegmentBytes: 1 << 20, OnFull: samplelog.Block})
	require.NoError(t, err)
	require.NoError(t, l.Append(t.Context(), func(b *samplelog.Batch) error {
		ref := b.Series([]samplelog.Symbol{b.Symbol("__name__"), b.Symbol("up")}, samplelog.Metadata{})
		for i := range int64(10) {
			b.Sample(ref, 0, i, 1)
		}
		return nil
	}))
	require.NoError(t, l.Close())

	f := func(said, want int64) {
		t.Helper()
		r := &run{
			opts: Options{Screen: nil}, client: &http.Client{}, telemetry: "http://127.0.0.1:1/", logDir: dir, collector: startScript(t, "exec sleep 60\n"),
			launch: func() (*collector, error) { return startScript(t, "exec sleep 60\n"), nil },
			seen:   counters{KeptSamples: 12, Log: Log{Accepted: said}},
		}
		require.NoError(t, r.kill(t.Context()))
		assert.Equal(t, want, r.earlier.KeptSamples)
		assert.Equal(t, want, r.state.Result.KeptSamples)
		assert.Equal(t, int64(1), r.state.Result.Kills)
		assert.Equal(t, counters{}, r.seen)
	}
	f(7, 10)  // three were accepted after it was asked
	f(10, 10) // two of those it had kept were in flight
	f(11, 11) // one is missing
}

func TestALogThatWasNotBegunHasAcceptedNothing(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		n, err := acceptedIn(dir)
		require.NoError(t, err)
		assert.Zero(t, n)
	}
}
