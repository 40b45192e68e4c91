// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// found is what a folder holds, read without changing it.
type found struct {
	values  []float64
	series  []string
	notes   []string
	damage  []*Damage
	numbers [][2]uint64 // shard, sequence number
}

func readOnly(t *testing.T, dir string) (*Folder, found) {
	t.Helper()
	before := snapshot(t, dir)
	f, err := OpenReadOnly(Disk{}, dir)
	require.NoError(t, err)
	var all found
	for _, s := range f.Segments() {
		for b, err := range f.Batches(s) {
			var d *Damage
			if errors.As(err, &d) {
				all.damage = append(all.damage, d)
				continue
			}
			require.NoError(t, err)
			all.notes = append(all.notes, b.Note)
			for _, p := range b.Parts {
				for i, x := range p.Samples {
					all.values = append(all.values, x.V)
					all.series = append(all.series, b.View.PromLabels(x.Ref).String())
					all.numbers = append(all.numbers, [2]uint64{uint64(p.Shard), p.Seq + uint64(i)}) //nolint:gosec // small
				}
			}
		}
	}
	assert.Equal(t, before, snapshot(t, dir), "the folder has been changed")
	return f, all
}

func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			files[path] = "folder"
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // the test's own folder
		files[path] = string(content)
		return err
	}))
	return files
}

// appendNamed appends a sample of a new series.
func appendNamed(t *testing.T, l *Log, name string, value float64) {
	t.Helper()
	require.NoError(t, l.Append(context.Background(), func(b *Batch) error {
		b.Note("note of " + name)
		b.Sample(b.Series([]Symbol{b.Symbol("__name__"), b.Symbol(name)}, Metadata{}), 0, 1, value)
		return nil
	}))
}

func TestReadOnlyReadsAllAndChangesNothing(t *testing.T) {
	dir := t.TempDir()
	opts := testOptions(dir)
	opts.Shards = 3
	l, err := Open(opts)
	require.NoError(t, err)
	var want []float64
	for i := range 200 {
		appendNamed(t, l, fmt.Sprintf("metric_%d", i), float64(i))
		want = append(want, float64(i))
	}
	f, got := readOnly(t, dir) // while the log is open
	assert.Equal(t, want, got.values)
	assert.Equal(t, `{__name__="metric_7"}`, got.series[7])
	assert.Equal(t, "note of metric_7", got.notes[7])
	assert.Empty(t, got.damage)
	assert.Greater(t, len(f.Segments()), 2)
	assert.Equal(t, opts.Shards, f.Segments()[0].Shards)
	next := map[uint64]uint64{}
	for _, n := range got.numbers {
		assert.Equal(t, next[n[0]], n[1], "numbers of shard %d", n[0])
		next[n[0]]++
	}
	assert.Len(t, next, 3)
	c, checkpointed := f.Checkpoint()
	assert.True(t, checkpointed)
	assert.Zero(t, c.Totals.Sum(), "nothing has been delivered")
	require.NoError(t, l.Checkpointer().Store())
	require.NoError(t, l.Close())

	f, _ = readOnly(t, dir)
	_, checkpointed = f.Checkpoint()
	assert.True(t, checkpointed)
	assert.Equal(t, []Slot{{Offset: 0, Number: 2}, {Offset: slotBytes, Number: 1}}, f.Slots())
}

func TestReadOnlyErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenReadOnly(Disk{}, filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = OpenReadOnly(Disk{}, dir)
	require.ErrorIs(t, err, ErrNoLog)
	require.ErrorContains(t, err, dir+": no log: there is neither a segment nor a checkpoint in it")

	frame, err := encodeHeader(header{Version: formatVersion + 1, Segment: 1, Shards: 1, Base: []uint64{0}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, segmentName(1)), frame, 0o600))
	_, err = OpenReadOnly(Disk{}, dir)
	var newer *VersionError
	require.ErrorAs(t, err, &newer)
	assert.Contains(t, err.Error(), "run the version that wrote it")
}

// logOf makes a log of one segment with n batches of a new series each, and returns the offsets of the batches.
func logOf(t *testing.T, dir string, n int) (path string, offsets []int64) {
	t.Helper()
	opts := testOptions(dir)
	opts.SegmentBytes = 1 << 20
	l, err := Open(opts)
	require.NoError(t, err)
	for i := range n {
		appendNamed(t, l, fmt.Sprintf("metric_%d", i), float64(i))
	}
	require.NoError(t, l.Close())
	f, err := OpenReadOnly(Disk{}, dir)
	require.NoError(t, err)
	for b, err := range f.Batches(f.Segments()[0]) {
		require.NoError(t, err)
		offsets = append(offsets, b.Offset)
	}
	require.Len(t, offsets, n)
	return f.Segments()[0].Path, offsets
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	content, err := os.ReadFile(path) //nolint:gosec // the test's own folder
	require.NoError(t, err)
	content[at] ^= 0x20
	require.NoError(t, os.WriteFile(path, content, 0o600)) //nolint:gosec // the test's own folder
}

// Symbols and series have the number of their place. Behind a batch that is damaged, they must not be taken for others.
func TestDamageNeverChangesLabels(t *testing.T) {
	dir := t.TempDir()
	path, offsets := logOf(t, dir, 4)
	flip(t, path, offsets[1]+frameHeader+5)

	_, got := readOnly(t, dir)
	assert.Equal(t, []string{`{__name__="metric_0"}`, `{__name__="metric_2"}`, `{__name__="metric_3"}`}, got.series)
	require.Len(t, got.damage, 1)
	assert.Equal(t, offsets[1], got.damage[0].Offset)
	assert.Equal(t, offsets[2]-offsets[1], got.damage[0].Bytes)
	assert.False(t, got.damage[0].Torn)

	l, err := Open(testOptions(dir))
	require.NoError(t, err)
	defer func() { assert.NoError(t, l.Close()) }()
	r := l.Reader(l.Runs(0)[0], 0, Position{}, 0)
	defer r.Close()
	var series []string
	lost := uint64(0)
	for {
		p, err := r.Next()
		if errors.Is(err, ErrNothingNew) {
			break
		}
		require.NoError(t, err)
		lost += p.Lost[ReasonDamaged]
		for _, s := range p.Samples {
			series = append(series, p.View.PromLabels(s.Ref).String())
		}
	}
	assert.Equal(t, got.series, series)
	assert.Equal(t, uint64(1), lost)
}

func TestATornTailIsNoDamage(t *testing.T) {
	for cut := int64(1); cut < 60; cut++ {
		dir := t.TempDir()
		path, offsets := logOf(t, dir, 3)
		require.NoError(t, os.Truncate(path, offsets[2]+cut))
		_, got := readOnly(t, dir)
		require.Equal(t, []float64{0, 1}, got.values)
		require.Len(t, got.damage, 1)
		require.True(t, got.damage[0].Torn, "cut at %d", cut)
		require.Equal(t, cut, got.damage[0].Bytes)
	}
	t.Run("reserved but not written", func(t *testing.T) {
		dir := t.TempDir()
		path, offsets := logOf(t, dir, 3)
		require.NoError(t, os.Truncate(path, offsets[2]))
		require.NoError(t, os.Truncate(path, offsets[2]+4096))
		_, got := readOnly(t, dir)
		require.Len(t, got.damage, 1)
		assert.True(t, got.damage[0].Torn)
	})
	t.Run("a flipped bit in the last batch", func(t *testing.T) {
		dir := t.TempDir()
		path, offsets := logOf(t, dir, 3)
		flip(t, path, offsets[2]+frameHeader+1)
		_, got := readOnly(t, dir)
		require.Len(t, got.damage, 1)
		assert.False(t, got.damage[0].Torn)
	})
}

func TestReadOnlySegmentsThatAreUnreadableOrGone(t *testing.T) {
	dir := t.TempDir()
	path, _ := logOf(t, dir, 3)
	f, err := OpenReadOnly(Disk{}, dir)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	for _, err := range f.Batches(f.Segments()[0]) {
		require.ErrorIs(t, err, fs.ErrNotExist)
	}

	require.NoError(t, os.WriteFile(filepath.Join(dir, segmentName(7)), []byte("nonsense, longer than a header"), 0o600))
	f, err = OpenReadOnly(Disk{}, dir)
	require.NoError(t, err)
	require.Len(t, f.Unreadable(), 1)
	assert.Equal(t, int64(30), f.Unreadable()[0].Bytes)
	assert.ErrorContains(t, f.Unreadable()[0].Err, "damaged frame")
}

func TestADamagedSlotIsNamed(t *testing.T) {
	dir := t.TempDir()
	logOf(t, dir, 1)
	l, err := Open(testOptions(dir))
	require.NoError(t, err)
	for range 3 {
		l.Checkpointer().Change(func(c *Checkpoint) { c.Totals.Acknowledged++ })
		require.NoError(t, l.Checkpointer().Store())
	}
	require.NoError(t, l.Close())
	flip(t, filepath.Join(dir, checkpointName), 20) // the slot of the third
	f, _ := readOnly(t, dir)
	require.Error(t, f.Slots()[0].Err)
	require.NoError(t, f.Slots()[1].Err)
	c, ok := f.Checkpoint()
	assert.True(t, ok)
	assert.Equal(t, uint64(2), c.Totals.Acknowledged)
}
