// SPDX-License-Identifier: Apache-2.0

package samplelog_test

import (
	"context"
	"errors"
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog/crashfs"
)

var errDisk = errors.New("input/output error")

func failReads(fs *crashfs.FS, name string) {
	fs.Fail(func(op, file string) error {
		if op == "read" && path.Base(file) == name {
			return errDisk
		}
		return nil
	})
}

// filled returns the file system of a process that has accepted batches of eight samples and was killed.
func filled(t *testing.T, batches int64) *crashfs.FS {
	t.Helper()
	fs := crashfs.New()
	l, err := openOn(fs)
	require.NoError(t, err)
	for at := range batches {
		require.NoError(t, l.Append(context.Background(), numbered(at+1)))
	}
	require.NoError(t, l.Close())
	return fs
}

// A disk that does not give a segment back does not keep the process from starting: the segment is set aside, and what it held counts
// as accepted and lost.
func TestStartsWithoutASegmentThatCannotBeRead(t *testing.T) {
	fs := filled(t, 4)
	failReads(fs, "segment-00000001.log")
	l, err := openOn(fs)
	require.NoError(t, err)
	require.Equal(t, []string{"segment-00000001.log"}, l.Recovery().SetAside)
	fs.Fail(nil)
	require.NoError(t, l.Append(context.Background(), numbered(5)))
	require.NoError(t, l.Close())
}

// Where only the header of the last segment is damaged, its batches still say how many samples were accepted.
func TestCountsWhatADamagedSegmentHeld(t *testing.T) {
	fs := filled(t, 4)
	name := path.Join(crashDir, "segment-00000001.log")
	f, err := fs.OpenReadWrite(name)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("damaged!"), 14)
	require.NoError(t, err)
	l, err := openOn(fs)
	require.NoError(t, err)
	require.Equal(t, uint64(32), l.Stats().Accepted)
	require.NoError(t, l.Append(context.Background(), numbered(5)))
	require.Equal(t, uint64(40), l.Stats().Accepted)
	require.NoError(t, l.Close())
}

// A reader that cannot read goes on behind the segment when it is told to, and counts what it leaves.
func TestGiveUp(t *testing.T) {
	fs := filled(t, 20)
	l, err := openOn(fs)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	require.NoError(t, l.Append(context.Background(), numbered(21)))
	failReads(fs, "segment-00000001.log")
	run := l.Runs(0)[0]
	r := l.Reader(run, 0, samplelog.Position{}, 0)
	defer r.Close()
	_, err = r.Next()
	require.ErrorIs(t, err, errDisk)
	r.GiveUp()
	read, lost := uint64(0), uint64(0)
	for {
		p, err := r.Next()
		if errors.Is(err, samplelog.ErrNothingNew) {
			break
		}
		require.NoError(t, err)
		read += uint64(len(p.Samples))
		lost += p.Lost[samplelog.ReasonDamaged]
	}
	_, seq := r.Position()
	require.Equal(t, seq, read+lost)
	require.Positive(t, read)
	require.Positive(t, lost)
}
