// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"context"
	"fmt"
	"testing"

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
