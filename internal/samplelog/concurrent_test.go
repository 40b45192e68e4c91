// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Between a reader's look at the end of the segment and its step to the next one, the segment may have grown and been completed.
func TestReaderStaysInASegmentThatGrewMeanwhile(t *testing.T) {
	opts := testOptions(t.TempDir())
	opts.SegmentBytes = 1 << 10
	l, err := Open(opts)
	require.NoError(t, err)
	appendSamples(t, l, 1, 1)
	r := l.Reader(l.Runs(0)[0], 0, Position{}, 0)
	defer r.Close()
	times, lost := readAll(t, r)
	require.Equal(t, []int64{1}, times)
	require.Zero(t, lost)
	s, _, err := r.segment()
	require.NoError(t, err)
	for at := int64(2); l.Stats().Segments < 2; at++ {
		appendSamples(t, l, 5, at)
	}
	piece, err := r.leave(s)
	require.NoError(t, err)
	require.Nil(t, piece, "samples that are there are taken for lost")
	times, lost = readAll(t, r)
	require.Zero(t, lost)
	require.Equal(t, int(l.Stats().Accepted)-1, len(times)) //nolint:gosec // few
	require.NoError(t, l.Close())
}

// Several callers append and several shards are read at once, while segments are cut and deleted: each sample is read once, in order.
func TestAppendsAndReadersAtOnce(t *testing.T) {
	const shards, callers, batches = 3, 4, 150
	l, err := Open(Options{FS: Disk{}, Dir: t.TempDir(), Shards: shards, SegmentBytes: 2 << 10, SyncInterval: time.Microsecond, OnFull: Block})
	require.NoError(t, err)
	run := l.Runs(0)[0]
	var appending, reading sync.WaitGroup
	done := make(chan struct{})
	for caller := range callers {
		appending.Go(func() {
			for at := range int64(batches) {
				err := l.Append(context.Background(), func(b *Batch) error {
					for i := range 3 {
						ref := b.Series([]Symbol{b.Symbol("__name__"), b.Symbol("up"), b.Symbol("series"), b.Symbol(fmt.Sprint(caller, i))}, Metadata{})
						b.Sample(ref, 0, at+1, float64(at))
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers := make([]*Reader, shards)
	for shard := range shards {
		readers[shard] = l.Reader(run, shard, Position{}, 0)
	}
	var mu sync.Mutex
	last := map[string]int64{}
	total := 0
	for shard, r := range readers {
		reading.Go(func() {
			defer r.Close()
			for {
				changed := l.Changed()
				p, err := r.Next()
				if errors.Is(err, ErrNothingNew) {
					at, _ := r.Position()
					l.Release(run.ID, shard, at)
					select {
					case <-changed:
						continue
					case <-done:
						if _, err := r.Next(); err != nil {
							return
						}
						t.Error("a sample after the last")
						return
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
				if len(p.Lost) > 0 {
					t.Errorf("shard %d: lost %v at %v", shard, p.Lost, p.At)
				}
				mu.Lock()
				for _, s := range p.Samples {
					name := p.View.PromLabels(s.Ref).Get("series")
					if s.T != last[name]+1 {
						t.Errorf("series %s: %d after %d", name, s.T, last[name])
					}
					last[name] = s.T
					total++
				}
				mu.Unlock()
			}
		})
	}
	appending.Wait()
	for {
		mu.Lock()
		all := total == callers*batches*3
		mu.Unlock()
		if all || t.Failed() {
			break
		}
		<-time.After(time.Millisecond)
	}
	close(done)
	reading.Wait()
	require.Equal(t, uint64(callers*batches*3), l.Stats().Accepted)
	require.NoError(t, l.Close())
}
