// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(dir)
	assert.ErrorContains(t, err, "neither a segment nor a checkpoint in it; name the folder that the exporter has as log::directory")
	_, err = Open(filepath.Join(dir, "none"))
	assert.ErrorContains(t, err, "no such file or directory; name the folder")
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = Open(file)
	assert.ErrorContains(t, err, "is a file: name the folder")
}

func TestList(t *testing.T) {
	f := newFolder(t)
	rows, err := opened(t, f.dir).List()
	require.NoError(t, err)
	samples, backlog, states := map[Kind]uint64{}, uint64(0), map[State]int{}
	for _, r := range rows {
		samples[r.Kind] += r.Samples
		backlog += r.Backlog
		states[r.State]++
		assert.Positive(t, r.Series, r.File)
		assert.Zero(t, r.DamagedBytes)
		if r.Kind != Main {
			continue
		}
		assert.Regexp(t, regexp.MustCompile(`^segment-\d{8}\.log$`), r.File)
		assert.GreaterOrEqual(t, r.Oldest, start)
		assert.LessOrEqual(t, r.Newest, start+rounds*every)
	}
	assert.Equal(t, uint64(len(f.backlog)), backlog)
	assert.Equal(t, map[Kind]uint64{Main: samples[Main], Quarantine: 4, Expired: 3}, samples)
	assert.Positive(t, states[Sending])
	assert.Positive(t, states[Backlog])
	assert.Equal(t, 2, states[SetAside])
	assert.Equal(t, filepath.Join("quarantine", "segment-00000001.log"), rows[len(rows)-2].File)
}

func TestListOfALogThatWasJustBegun(t *testing.T) {
	dir := t.TempDir()
	l, err := samplelog.Open(options(dir))
	require.NoError(t, err)
	require.NoError(t, l.Close())
	rows, err := opened(t, dir).List()
	require.NoError(t, err)
	require.Len(t, rows, 1)
	assert.Equal(t, Empty, rows[0].State)
}

func TestStat(t *testing.T) {
	f := newFolder(t)
	s, err := opened(t, f.dir).Stat(3)
	require.NoError(t, err)
	assert.Equal(t, uint64(len(f.all)), s.Accepted)
	assert.Equal(t, uint64(len(f.backlog)), s.Backlog)
	assert.Equal(t, f.acknowledged, s.Acknowledged)
	assert.Equal(t, map[string]uint64{"duplicate": 4}, s.Quarantined)
	assert.Equal(t, map[string]uint64{"log_full": 40}, s.Dropped)
	assert.Equal(t, s.Accepted, s.Sum()+s.Backlog)
	assert.True(t, s.Balanced)
	assert.Zero(t, s.Missing)
	require.Len(t, s.Metrics, 3)
	assert.Equal(t, "many", s.Metrics[0].Metric)
	assert.Equal(t, 6, s.MoreMetrics)
	assert.Equal(t, "1.0", s.Remembered.Protocol)
	assert.Len(t, s.Shards, shards)
	assert.Equal(t, uint64(4), s.Kept[Quarantine].Reasons["duplicate"])
	assert.Equal(t, uint64(3), s.Kept[Expired].Samples)
	assert.Equal(t, start+(rounds-1)*every+int64(len(metrics())-1), s.Newest)

	total := uint64(0)
	s, err = opened(t, f.dir).Stat(100)
	require.NoError(t, err)
	for _, m := range s.Metrics {
		total += m.Samples
	}
	assert.Equal(t, s.Backlog, total)
}

func TestStatWhileTheProcessWrites(t *testing.T) {
	dir := t.TempDir()
	l, err := samplelog.Open(options(dir))
	require.NoError(t, err)
	defer func() { assert.NoError(t, l.Close()) }()
	f := &folder{}
	f.fill(t, l)
	logs, err := Open(dir)
	require.NoError(t, err)
	f.fill(t, l) // goes on
	s, err := logs.Stat(1)
	require.NoError(t, err)
	assert.Equal(t, uint64(rounds*len(metrics())+f.repeated/2), s.Accepted) //nolint:gosec // small
	assert.Equal(t, s.Accepted, s.Backlog)
	assert.True(t, s.Balanced)

	// A segment that is deleted meanwhile is passed over.
	f.settle(t, l)
	before := len(logs.segments(Main))
	after, err := Open(dir)
	require.NoError(t, err)
	require.Less(t, len(after.segments(Main)), 2*before, "segments have been deleted")
	_, err = logs.Stat(1)
	require.NoError(t, err)
	v, err := logs.Verify()
	require.NoError(t, err)
	assert.Empty(t, v.Findings)
	assert.NotEmpty(t, v.Notes)
}

func TestSelection(t *testing.T) {
	f := newFolder(t)
	l := opened(t, f.dir)
	assert.ElementsMatch(t, f.backlog, selected(t, l, Selection{}))
	assert.ElementsMatch(t, f.quarantine, selected(t, l, Selection{Quarantine: true}))
	assert.ElementsMatch(t, f.expired, selected(t, l, Selection{Expired: true}))
	assert.Len(t, selected(t, l, Selection{Expired: true, Quarantine: true}), 7)
	everything := selected(t, l, Selection{All: true})
	assert.Greater(t, len(everything), len(f.backlog)+7, "delivered and not yet deleted")
	assert.Subset(t, append(append(f.all, f.quarantine...), f.expired...), everything[:100])

	for _, w := range selected(t, l, Selection{Metric: "man.|requests_total"}) {
		assert.Regexp(t, `^\{__name__="(many|requests_total)"`, w.Series)
	}
	assert.Empty(t, selected(t, l, Selection{Metric: "man"}), "it is about the whole name")
	from, to := start+300*every, start+301*every
	got := selected(t, l, Selection{Since: from, Until: to})
	assert.Len(t, got, len(metrics())+1)
	for _, w := range got {
		assert.True(t, w.T >= from && w.T <= to)
	}
	_, err := l.Select(Selection{Metric: "("})
	assert.ErrorContains(t, err, `metric "(" is no regular expression`)
}
