// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// refusingDisk is a disk that, while it is told so, refuses an operation: "create" of a segment, or "write" behind its header.
type refusingDisk struct {
	Disk
	op *string
}

type refusingFile struct {
	File
	op     *string
	writes int
}

var errRefused = errors.New("no space left on device")

func (d refusingDisk) Create(name string) (File, error) {
	if *d.op == "create" {
		return nil, errRefused
	}
	f, err := d.Disk.Create(name)
	return &refusingFile{File: f, op: d.op}, err
}

func (f *refusingFile) Write(p []byte) (int, error) {
	if f.writes++; *f.op == "write" && f.writes > 1 {
		return 0, errRefused
	}
	return f.File.Write(p)
}

func oneSample(b *Batch) error {
	b.Sample(b.Series([]Symbol{b.Symbol("__name__"), b.Symbol("up")}, Metadata{}), 0, 1, 1)
	return nil
}

// On a full disk, where there is room for headers only, tries leave nothing behind.
func TestFailedWritesLeaveNoSegments(t *testing.T) {
	opts := testOptions(t.TempDir())
	op := ""
	opts.FS, opts.OnFull = refusingDisk{op: &op}, Refuse
	l, err := Open(opts)
	require.NoError(t, err)
	appendSamples(t, l, 1, 1)
	op = "write"
	for range 10 {
		require.ErrorIs(t, l.Append(context.Background(), oneSample), errRefused)
	}
	require.LessOrEqual(t, l.Stats().Segments, 2)
	names, err := Disk{}.List(opts.Dir)
	require.NoError(t, err)
	require.LessOrEqual(t, len(names), 5, "%v", names)
	op = ""
	appendSamples(t, l, 1, 2)
	times, lost := readAll(t, l.Reader(l.Runs(0)[0], 0, Position{}, 0))
	require.Equal(t, []int64{1, 2}, times)
	require.Zero(t, lost)
	require.NoError(t, l.Close())
}

// A log that could not begin a segment when it was opened begins it later, with the number of shards that it was opened with.
func TestFirstSegmentIsMadeLater(t *testing.T) {
	opts := testOptions(t.TempDir())
	l, err := Open(opts)
	require.NoError(t, err)
	appendSamples(t, l, 3, 1)
	require.NoError(t, l.Close())

	op := "create"
	opts.FS, opts.Shards, opts.OnFull = refusingDisk{op: &op}, 2, Refuse
	l, err = Open(opts)
	require.NoError(t, err)
	times, _ := readAll(t, l.Reader(l.Runs(0)[0], 0, Position{}, 0))
	require.Len(t, times, 3)
	require.ErrorIs(t, l.Append(context.Background(), oneSample), errRefused)
	op = ""
	appendSamples(t, l, 3, 2)
	require.Equal(t, 2, l.Runs(0)[1].Shards)
	require.Equal(t, uint64(6), l.Stats().Accepted)
	require.NoError(t, l.Close())
}

// Close makes durable what a caller waits for, and nothing is taken after it.
func TestCloseKeepsWhatWasWritten(t *testing.T) {
	opts := testOptions(t.TempDir())
	opts.SyncInterval = 200 * time.Millisecond
	l, err := Open(opts)
	require.NoError(t, err)
	appendSamples(t, l, 1, 1)
	before := l.Stats().Bytes
	waiting := make(chan error)
	go func() { waiting <- l.Append(context.Background(), oneSample) }()
	require.Eventually(t, func() bool { return l.Stats().Bytes > before }, 10*time.Second, time.Millisecond)
	require.NoError(t, l.Close())
	require.NoError(t, <-waiting)
	require.ErrorIs(t, l.Append(context.Background(), oneSample), ErrClosed)
	require.NoError(t, l.Close())

	l, err = Open(opts)
	require.NoError(t, err)
	require.Equal(t, uint64(2), l.Stats().Accepted)
	require.NoError(t, l.Close())
}

// Only the segment that is written to has its series in memory.
func TestCompleteSegmentsGiveBackTheirSeries(t *testing.T) {
	opts := testOptions(t.TempDir())
	opts.SegmentBytes = 1
	l, err := Open(opts)
	require.NoError(t, err)
	for at := range int64(3) {
		appendSamples(t, l, 1, at)
	}
	for _, s := range l.segments[:2] {
		require.Nil(t, s.table)
	}
	require.NotNil(t, l.active().table)
	require.NoError(t, l.Close())
}
