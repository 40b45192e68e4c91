// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

func texts(findings []Finding) string {
	var all []string
	for _, f := range findings {
		all = append(all, f.String())
	}
	return strings.Join(all, "\n")
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	content, err := os.ReadFile(path) //nolint:gosec // the test's own folder
	require.NoError(t, err)
	content[at] ^= 0x20
	require.NoError(t, os.WriteFile(path, content, 0o600)) //nolint:gosec // the test's own folder
}

// batchOf is where a batch in the middle of the n-th segment of the log is.
func batchOf(t *testing.T, dir string, n int) (path string, offset int64) {
	t.Helper()
	f, err := samplelog.OpenReadOnly(samplelog.Disk{}, dir)
	require.NoError(t, err)
	var offsets []int64
	for b, err := range f.Batches(f.Segments()[n]) {
		require.NoError(t, err)
		offsets = append(offsets, b.Offset)
	}
	return f.Segments()[n].Path, offsets[len(offsets)/2]
}

func TestVerifyAWholeFolder(t *testing.T) {
	f := newFolder(t)
	v, err := opened(t, f.dir).Verify()
	require.NoError(t, err)
	assert.Empty(t, v.Findings, texts(v.Findings))
	assert.Empty(t, v.Notes, texts(v.Notes))
	assert.Positive(t, v.Batches)
	assert.GreaterOrEqual(t, v.Samples, uint64(len(f.backlog)+7))
	assert.Positive(t, v.Bytes)
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	checkpoint := func(t *testing.T, f *folder, change func(*samplelog.Checkpoint)) {
		l, err := samplelog.Open(options(f.dir))
		require.NoError(t, err)
		l.Checkpointer().Change(change)
		require.NoError(t, l.Checkpointer().Store())
		require.NoError(t, l.Close())
	}
	for name, c := range map[string]struct {
		harm func(*testing.T, *folder)
		want []string
	}{
		"a flipped bit": {
			func(t *testing.T, f *folder) {
				path, offset := batchOf(t, f.dir, 2)
				flip(t, path, offset+100)
			},
			[]string{"bytes cannot be read: damaged frame", "are missing"},
		},
		"a flipped bit in the quarantine": {
			func(t *testing.T, f *folder) {
				path, offset := batchOf(t, filepath.Join(f.dir, "quarantine"), 0)
				flip(t, path, offset+20)
			},
			[]string{"quarantine/segment-00000001.log, offset ", "bytes cannot be read"},
		},
		"a header that is not one": {
			func(t *testing.T, f *folder) {
				path, _ := batchOf(t, f.dir, 2)
				flip(t, path, 14)
			},
			[]string{".log, offset 0: the segment has no readable header, nothing in its ", ".log, offset 0: it begins with sample "},
		},
		"a segment that somebody has deleted": {
			func(t *testing.T, f *folder) {
				path, _ := batchOf(t, f.dir, 3)
				require.NoError(t, os.Remove(path))
			},
			[]string{"are missing"},
		},
		"the first segment deleted": {
			func(t *testing.T, f *folder) {
				path, _ := batchOf(t, f.dir, 0)
				require.NoError(t, os.Remove(path))
			},
			[]string{"from before this segment are gone that are not settled"},
		},
		"a slot of the checkpoint": {
			func(t *testing.T, f *folder) {
				checkpoint(t, f, func(*samplelog.Checkpoint) {})
				flip(t, filepath.Join(f.dir, checkpointFile), 30)
			},
			[]string{"CHECKPOINT, offset 0: a slot of the checkpoint cannot be read: the checksum does not match"},
		},
		"totals": {
			func(t *testing.T, f *folder) {
				checkpoint(t, f, func(c *samplelog.Checkpoint) { c.Totals.Acknowledged += 5 })
			},
			[]string{"CHECKPOINT: its totals are 6006 samples, its position is behind 6001"},
		},
		"a position that is not": {
			func(t *testing.T, f *folder) {
				checkpoint(t, f, func(c *samplelog.Checkpoint) { c.Shards[0].Position.Offset++ })
			},
			[]string{"the checkpoint says that shard 0 has come to sample ", " of a batch that is not there"},
		},
		"a position with another number": {
			func(t *testing.T, f *folder) {
				checkpoint(t, f, func(c *samplelog.Checkpoint) { c.Shards[0].Position.Skip-- })
			},
			[]string{"the checkpoint says that shard 0 has come to sample 3000, which is number 2999 there"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			c.harm(t, f)
			v, err := opened(t, f.dir).Verify()
			require.NoError(t, err)
			for _, want := range c.want {
				assert.Contains(t, texts(v.Findings), want)
			}
			// What can be read is still read.
			assert.NotEmpty(t, selected(t, opened(t, f.dir), Selection{All: true}))
		})
	}
}

func TestATornTailIsANote(t *testing.T) {
	f := newFolder(t)
	l, err := Open(f.dir)
	require.NoError(t, err)
	segments := l.segments(Main)
	require.NoError(t, os.Truncate(segments[len(segments)-1].Path, segments[len(segments)-1].End-7))
	v, err := opened(t, f.dir).Verify()
	require.NoError(t, err)
	assert.Empty(t, v.Findings, texts(v.Findings))
	assert.Contains(t, texts(v.Notes), "is not whole: it is being written, or a crash has torn it; it was not acknowledged")
}

func TestDamagedSegmentsAreKnown(t *testing.T) {
	f := newFolder(t)
	path, offset := batchOf(t, f.dir, 2)
	flip(t, path, offset+100)
	require.NoError(t, os.Rename(path, filepath.Join(f.dir, "damaged", filepath.Base(path))))
	l := opened(t, f.dir)
	v, err := l.Verify()
	require.NoError(t, err)
	assert.Contains(t, texts(v.Notes), "damaged/segment-")
	assert.NotContains(t, texts(v.Findings), "damaged/segment-")
	rows, err := l.List()
	require.NoError(t, err)
	assert.Equal(t, Damaged, rows[len(rows)-1].Kind)
	assert.Equal(t, IsDamaged, rows[len(rows)-1].State)
	assert.Positive(t, rows[len(rows)-1].Samples)
	assert.Positive(t, rows[len(rows)-1].DamagedBytes)
}
