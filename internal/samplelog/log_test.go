// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

func testOptions(dir string) Options {
	return Options{FS: Disk{}, Dir: dir, Shards: 1, SegmentBytes: 4 << 10, OnFull: Block}
}

// appendSamples adds a sample to each of n series, with the value and time t.
func appendSamples(t testing.TB, l *Log, n int, at int64) {
	t.Helper()
	require.NoError(t, l.Append(context.Background(), func(b *Batch) error {
		name, job := b.Symbol("__name__"), b.Symbol("series")
		for i := range n {
			ref := b.Series([]Symbol{name, b.Symbol("up"), job, b.Symbol(fmt.Sprint(i))}, Metadata{})
			b.Sample(ref, 0, at, float64(at))
			if i == 0 {
				b.Exemplar(ref, exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "1"), Value: 1, Ts: at})
			}
		}
		return nil
	}))
}

func readAll(t testing.TB, r *Reader) (times []int64, lost uint64) {
	t.Helper()
	for {
		p, err := r.Next()
		if err != nil {
			require.ErrorIs(t, err, ErrNothingNew)
			return times, lost
		}
		for _, n := range p.Lost {
			lost += n
		}
		for _, s := range p.Samples {
			times = append(times, s.T)
			require.Equal(t, "up", p.View.PromLabels(s.Ref).Get("__name__"))
		}
	}
}

func TestLogKeepsWhatItAccepted(t *testing.T) {
	dir := t.TempDir()
	var want []int64
	for restart := range 4 {
		l, err := Open(testOptions(dir))
		require.NoError(t, err)
		require.Equal(t, uint64(len(want)), l.Stats().Accepted)
		for i := range 100 {
			at := int64(restart*1000 + i)
			appendSamples(t, l, 3, at)
			want = append(want, at, at, at)
		}
		r := l.Reader(l.Runs(0)[0], 0, Position{}, 0)
		got, lost := readAll(t, r)
		require.Equal(t, want, got)
		require.Zero(t, lost)
		r.Close()
		require.NoError(t, l.Close())
	}
}

func TestBlockSaysThatItWaits(t *testing.T) {
	var out strings.Builder
	opts := testOptions(t.TempDir())
	opts.SegmentBytes, opts.MaxBytes = 1, 600
	opts.Logger = slog.New(slog.NewTextHandler(&out, nil))
	l, err := Open(opts)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	for at := int64(0); l.Stats().Bytes < opts.MaxBytes; at++ {
		appendSamples(t, l, 1, at)
	}
	require.Empty(t, out.String())
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		err = l.Append(ctx, func(*Batch) error { return nil })
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "log::max_bytes is reached")
	}
	require.Equal(t, 1, strings.Count(out.String(), "the log takes no samples: whoever sends them waits until it can be written again"), out.String())

	r := l.Reader(l.Runs(0)[0], 0, Position{}, 0)
	defer r.Close()
	_, _ = readAll(t, r)
	at, _ := r.Position()
	l.Release(l.Runs(0)[0].ID, 0, at)
	appendSamples(t, l, 1, 100)
	require.Equal(t, 1, strings.Count(out.String(), "the log takes samples again"), out.String())
}

// A folder that cannot be written to is named, with what to do.
func TestOpenSaysWhichFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Open(testOptions(filepath.Join(file, "log")))
	require.ErrorContains(t, err, file)
	require.ErrorContains(t, err, "use a folder that this process may write to")
}
