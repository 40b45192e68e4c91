// SPDX-License-Identifier: Apache-2.0

package samplelog_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog/crashfs"
)

const crashDir = "log"

func openOn(fs samplelog.FS) (*samplelog.Log, error) {
	return samplelog.Open(samplelog.Options{FS: fs, Dir: crashDir, Shards: 2, SegmentBytes: 3000, OnFull: samplelog.Refuse})
}

// workload appends numbered batches to a log, moves its checkpoint and lets segments go, until an operation fails. It returns the
// times of the batches that were acknowledged, and how far the checkpoint has come for sure.
func workload(l *samplelog.Log, batches int) (acked []int64, stored uint64, err error) {
	run := l.Runs(0)[0]
	readers := []*samplelog.Reader{l.Reader(run, 0, samplelog.Position{}, 0), l.Reader(run, 1, samplelog.Position{}, 0)}
	for n := range batches {
		at := int64(n + 1)
		if err := l.Append(context.Background(), numbered(at)); err != nil {
			return acked, stored, err
		}
		acked = append(acked, at)
		if n%5 != 4 {
			continue
		}
		for shard, r := range readers {
			for {
				if _, err := r.Next(); errors.Is(err, samplelog.ErrNothingNew) {
					break
				} else if err != nil {
					return acked, stored, err
				}
			}
			if n%10 != 9 {
				continue
			}
			at, seq := r.Position()
			l.Checkpointer().Change(func(c *samplelog.Checkpoint) {
				c.Run, c.NextSegment = run.ID, l.Stats().Next
				if len(c.Shards) == 0 {
					c.Shards = make([]samplelog.ShardState, 2)
				}
				c.Totals.Acknowledged += seq - c.Shards[shard].Seq
				c.Shards[shard] = samplelog.ShardState{Position: at, Seq: seq}
			})
			if err := l.Checkpointer().Store(); err != nil {
				return acked, stored, err
			}
			stored = l.Checkpointer().Load().Totals.Acknowledged
			l.Release(run.ID, shard, at)
		}
	}
	return acked, stored, nil
}

// numbered fills a batch of eight series with one sample each, at a time that is its number.
func numbered(at int64) func(*samplelog.Batch) error {
	return func(b *samplelog.Batch) error {
		for i := range 8 {
			labels := []samplelog.Symbol{b.Symbol("__name__"), b.Symbol("up"), b.Symbol("series"), b.Symbol(fmt.Sprint(i))}
			b.Sample(b.Series(labels, samplelog.Metadata{}), 0, at, float64(at))
		}
		return nil
	}
}

// rest returns the times of all samples behind the checkpoint, by series, and checks that they are in order.
func rest(t *testing.T, l *samplelog.Log) (times map[string][]int64, lost uint64) {
	t.Helper()
	times = map[string][]int64{}
	state := l.Checkpointer().Load()
	for _, run := range l.Runs(0) {
		for shard := range run.Shards {
			var from samplelog.ShardState
			if state.Run == run.ID && shard < len(state.Shards) {
				from = state.Shards[shard]
			}
			r := l.Reader(run, shard, from.Position, from.Seq)
			for {
				p, err := r.Next()
				if errors.Is(err, samplelog.ErrNothingNew) || errors.Is(err, samplelog.ErrEndOfRun) {
					break
				}
				require.NoError(t, err)
				for _, n := range p.Lost {
					lost += n
				}
				for _, s := range p.Samples {
					series := p.View.PromLabels(s.Ref).Get("series")
					times[series] = append(times[series], s.T)
				}
			}
			r.Close()
		}
	}
	return times, lost
}

// Whatever the operation at which the process dies, and whatever the disk keeps of what was not synced: the next one opens the log,
// and finds every batch that was acknowledged and not yet settled, in order and once.
func TestCrashAtEveryWrite(t *testing.T) {
	const batches = 60
	whole := crashfs.New()
	l, err := openOn(whole)
	require.NoError(t, err)
	_, _, err = workload(l, batches)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	operations := whole.Writes()
	require.Greater(t, operations, 150)

	seeds := 6
	if testing.Short() {
		seeds = 2
	}
	for k := 1; k <= operations; k++ {
		for seed := range seeds {
			crashOnce(t, k, uint64(seed), batches)
		}
	}
}

func crashOnce(t *testing.T, k int, seed uint64, batches int) {
	t.Helper()
	name := fmt.Sprintf("crash at operation %d, seed %d", k, seed)
	fs := crashfs.New()
	fs.CrashAt(k, rand.New(rand.NewPCG(seed, uint64(k)))) //nolint:gosec // a test
	var acked []int64
	var stored uint64
	if l, err := openOn(fs); err == nil {
		acked, stored, _ = workload(l, batches)
		_ = l.Close()
	}
	fs.Crash(rand.New(rand.NewPCG(seed, 0)), true) //nolint:gosec // a test; only where the workload came to its end

	after := fs.After()
	l, err := openOn(after)
	require.NoError(t, err, name)
	defer func() { require.NoError(t, l.Close()) }()
	settled := l.Checkpointer().Load().Totals.Acknowledged
	require.GreaterOrEqual(t, settled, stored, name)

	times, lost := rest(t, l)
	require.Zero(t, lost, name)
	found := uint64(0)
	for series, got := range times {
		found += uint64(len(got))
		for i := 1; i < len(got); i++ {
			require.Equal(t, got[i-1]+1, got[i], "%s: series %s", name, series)
		}
	}
	if len(acked) > 0 {
		for series, got := range times {
			require.GreaterOrEqual(t, got[len(got)-1], acked[len(acked)-1], "%s: series %s", name, series)
		}
	}
	require.GreaterOrEqual(t, settled+found, uint64(8*len(acked)), name)
	require.Equal(t, l.Stats().Accepted, settled+found, name)
}
