// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A batch that cannot be written because of what it defines must not keep those behind it from being written.
func TestTooManyDefinitionsConcernOneBatch(t *testing.T) {
	l, err := Open(testOptions(t.TempDir()))
	require.NoError(t, err)
	value := strings.Repeat("x", 1<<20)
	err = l.Append(context.Background(), func(b *Batch) error {
		for i := range maxDefinitions >> 20 {
			b.Sample(b.Series([]Symbol{b.Symbol("series"), b.Symbol(fmt.Sprint(i, value))}, Metadata{}), 0, 1, 1)
		}
		return nil
	})
	require.ErrorContains(t, err, "64 MiB of new series and their labels in one batch, at most 64 MiB are possible: send smaller batches")
	appendSamples(t, l, 2, 2)
	times, lost := readAll(t, l.Reader(l.Runs(0)[0], 0, Position{}, 0))
	require.Equal(t, []int64{2, 2}, times)
	require.Zero(t, lost)
	require.Less(t, cap(l.batch.defs.B), maxKept)
	require.NoError(t, l.Close())
}

// A batch that is as large as the log may be is delivered, and makes room for the next one.
func TestBatchAsLargeAsTheLog(t *testing.T) {
	opts := testOptions(t.TempDir())
	opts.SegmentBytes, opts.MaxBytes, opts.OnFull = 1<<10, 4<<10, Refuse
	l, err := Open(opts)
	require.NoError(t, err)
	appendSamples(t, l, 2000, 1)
	require.Greater(t, l.Stats().Bytes, opts.MaxBytes)
	var full *FullError
	require.ErrorAs(t, l.Append(context.Background(), func(*Batch) error { return nil }), &full)
	require.ErrorAs(t, l.Append(context.Background(), func(*Batch) error { return nil }), &full)
	require.Equal(t, 2, l.Stats().Segments)
	r := l.Reader(l.Runs(0)[0], 0, Position{}, 0)
	defer r.Close()
	times, lost := readAll(t, r)
	require.Len(t, times, 2000)
	require.Zero(t, lost)
	at, _ := r.Position()
	l.Release(l.Runs(0)[0].ID, 0, at)
	appendSamples(t, l, 1, 2)
	require.NoError(t, l.Close())
}

// Somebody deletes the segment that is written to: what it held is counted, and nothing is accepted into a file without a name.
func TestSegmentThatIsWrittenToIsDeleted(t *testing.T) {
	opts := testOptions(t.TempDir())
	opts.SegmentBytes = 1 << 20
	l, err := Open(opts)
	require.NoError(t, err)
	appendSamples(t, l, 3, 1)
	require.NoError(t, os.Remove(filepath.Join(opts.Dir, segmentName(1))))
	r := l.Reader(l.Runs(0)[0], 0, Position{}, 0)
	defer r.Close()
	_, err = r.Next()
	require.ErrorIs(t, err, os.ErrNotExist)
	appendSamples(t, l, 2, 2)
	times, lost := readAll(t, r)
	require.Equal(t, []int64{2, 2}, times)
	require.Equal(t, uint64(3), lost)
	require.NoError(t, l.Close())

	l, err = Open(opts)
	require.NoError(t, err)
	require.Equal(t, uint64(5), l.Stats().Accepted)
	require.NoError(t, l.Close())
}

// The end of the log is lost that the checkpoint tells of: the samples are counted as dropped, not forgotten.
func TestLostEndIsCounted(t *testing.T) {
	for _, shards := range []int{1, 2} {
		opts := testOptions(t.TempDir())
		opts.SegmentBytes = 1 << 20
		l, err := Open(opts)
		require.NoError(t, err)
		appendSamples(t, l, 3, 1)
		end := l.Stats().Bytes
		appendSamples(t, l, 4, 2)
		l.Checkpointer().Change(func(c *Checkpoint) { c.Accepted, c.NextSegment = l.Stats().Accepted, l.Stats().Next })
		require.NoError(t, l.Checkpointer().Store())
		require.NoError(t, l.Close())
		require.NoError(t, os.Truncate(filepath.Join(opts.Dir, segmentName(1)), end))

		opts.Shards = shards
		l, err = Open(opts)
		require.NoError(t, err)
		require.Equal(t, uint64(7), l.Stats().Accepted)
		runs := l.Runs(0)
		if shards == 2 {
			require.Equal(t, uint64(7), l.Before(runs[1].ID))
		} else {
			times, lost := readAll(t, l.Reader(runs[0], 0, Position{}, 0))
			require.Len(t, times, 3)
			require.Equal(t, uint64(4), lost)
		}
		require.NoError(t, l.Close())
	}
}

// lockedFiles is a disk with a file that cannot be opened.
type lockedFiles struct {
	Disk
	name string
}

func (d lockedFiles) Open(name string) (File, error) {
	if filepath.Base(name) == d.name {
		return nil, os.ErrPermission
	}
	return d.Disk.Open(name)
}

// A segment that cannot even be opened does not keep the log from starting.
func TestSegmentThatCannotBeOpened(t *testing.T) {
	opts := testOptions(t.TempDir())
	for at := range int64(2) {
		l, err := Open(opts)
		require.NoError(t, err)
		appendSamples(t, l, 3, at+1)
		l.Checkpointer().Change(func(c *Checkpoint) { c.Accepted = l.Stats().Accepted })
		require.NoError(t, l.Checkpointer().Store())
		require.NoError(t, l.Close())
	}
	opts.FS = lockedFiles{name: segmentName(2)}
	l, err := Open(opts)
	require.NoError(t, err)
	times, lost := readAll(t, l.Reader(l.Runs(0)[0], 0, Position{}, 0))
	require.Equal(t, []int64{1, 1, 1}, times)
	require.Equal(t, uint64(3), lost)
	require.NoError(t, l.Close())
}

// failingSync is a disk whose files, while it is told so, take writes and do not make them durable.
type failingSync struct {
	Disk
	fail *bool
}

type unsynced struct {
	File
	fail *bool
}

func (d failingSync) Create(name string) (File, error) {
	f, err := d.Disk.Create(name)
	return unsynced{f, d.fail}, err
}

func (f unsynced) Sync() error {
	if *f.fail {
		return errors.New("input/output error")
	}
	return f.File.Sync()
}

// A batch that was refused because it could not be made durable is in the file, and never read: its sender has it still.
func TestRefusedBatchIsNotRead(t *testing.T) {
	opts := testOptions(t.TempDir())
	fail := false
	opts.FS, opts.OnFull = failingSync{fail: &fail}, Refuse
	l, err := Open(opts)
	require.NoError(t, err)
	appendSamples(t, l, 1, 1)
	fail = true
	err = l.Append(context.Background(), func(b *Batch) error {
		b.Sample(b.Series([]Symbol{b.Symbol("__name__"), b.Symbol("up")}, Metadata{}), 0, 2, 2)
		return nil
	})
	require.ErrorContains(t, err, "the log cannot take the samples: input/output error")
	fail = false
	appendSamples(t, l, 1, 2)
	for range 2 {
		times, lost := readAll(t, l.Reader(l.Runs(0)[0], 0, Position{}, 0))
		require.Equal(t, []int64{1, 2}, times)
		require.Zero(t, lost)
		require.Equal(t, uint64(2), l.Stats().Accepted)
		require.NoError(t, l.Close())
		l, err = Open(opts)
		require.NoError(t, err)
	}
	require.NoError(t, l.Close())
}

// Numbers that have been sent are not given again, where the end of the log is lost that had them.
func TestNumbersAreNotGivenTwice(t *testing.T) {
	opts := testOptions(t.TempDir())
	opts.SegmentBytes, opts.Shards = 1<<20, 2
	l, err := Open(opts)
	require.NoError(t, err)
	appendSamples(t, l, 20, 1)
	at := Position{Segment: 1, Offset: l.Stats().Bytes + 1000}
	l.Checkpointer().Change(func(c *Checkpoint) {
		c.Run, c.NextSegment, c.Shards = 1, 2, []ShardState{{Position: at, Seq: 100}, {Position: at, Seq: 50, Frozen: &Frozen{End: at, EndSeq: 200}}}
	})
	require.NoError(t, l.Checkpointer().Store())
	require.NoError(t, l.Close())
	l, err = Open(opts)
	require.NoError(t, err)
	require.Equal(t, uint64(300), l.Stats().Accepted)
	require.Equal(t, []uint64{100, 200}, l.active().Base)
	require.NoError(t, l.Close())
}

// All segments are gone: numbers go on where they were, or the checkpoint would be about others.
func TestAllSegmentsAreDeleted(t *testing.T) {
	opts := testOptions(t.TempDir())
	l, err := Open(opts)
	require.NoError(t, err)
	appendSamples(t, l, 3, 1)
	l.Checkpointer().Change(func(c *Checkpoint) { c.Accepted, c.NextSegment = l.Stats().Accepted, 8 })
	require.NoError(t, l.Checkpointer().Store())
	require.NoError(t, l.Close())
	require.NoError(t, os.Remove(filepath.Join(opts.Dir, segmentName(1))))
	l, err = Open(opts)
	require.NoError(t, err)
	require.Equal(t, []Run{{ID: 8, Shards: 1}}, l.Runs(0))
	require.Equal(t, uint64(3), l.Stats().Accepted)
	require.NoError(t, l.Close())
}

// A segment of which the end is missing is kept aside, not deleted, when the rest of it is settled.
func TestShortenedSegmentIsKept(t *testing.T) {
	opts := testOptions(t.TempDir())
	l, err := Open(opts)
	require.NoError(t, err)
	appendSamples(t, l, 1, 1)
	end := l.Stats().Bytes
	appendSamples(t, l, 1, 2)
	for range 2 { // segment 2 says where segment 1 ends
		require.NoError(t, l.Close())
		l, err = Open(opts)
		require.NoError(t, err)
	}
	require.NoError(t, l.Close())
	require.NoError(t, os.Truncate(filepath.Join(opts.Dir, segmentName(1)), end))
	l, err = Open(opts)
	require.NoError(t, err)
	r := l.Reader(l.Runs(0)[0], 0, Position{}, 0)
	defer r.Close()
	times, lost := readAll(t, r)
	require.Equal(t, []int64{1}, times)
	require.Equal(t, uint64(1), lost)
	at, _ := r.Position()
	l.Release(l.Runs(0)[0].ID, 0, at)
	require.FileExists(t, filepath.Join(opts.Dir, damagedName, segmentName(1)))
	require.NoError(t, l.Close())
}
