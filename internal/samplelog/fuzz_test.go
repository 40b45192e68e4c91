// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"
)

// allKinds is a batch with every kind of sample.
func allKinds(at int64) func(*Batch) error {
	return func(b *Batch) error {
		b.Note("note")
		series := func(name string) Ref {
			m := Metadata{Type: 1, Unit: b.Symbol("seconds"), Help: b.Symbol("What it is.")}
			return b.Series([]Symbol{b.Symbol("__name__"), b.Symbol(name), b.Symbol("a"), b.Symbol("b")}, m)
		}
		r := series("float")
		b.Sample(r, at-1000, at, 1.5)
		b.Exemplar(r, exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "1"), Value: 2, Ts: at})
		b.Histogram(series("histogram"), 0, at, tsdbutil.GenerateTestHistogram(3))
		b.FloatHistogram(series("float_histogram"), 0, at, tsdbutil.GenerateTestFloatHistogram(3))
		b.Histogram(series("custom"), 0, at, tsdbutil.GenerateTestCustomBucketsHistogram(3))
		return nil
	}
}

// segmentBytes returns a segment with some batches, as it is on disk.
func segmentBytes(t testing.TB, batches int) []byte {
	t.Helper()
	dir := t.TempDir()
	l, err := Open(Options{FS: Disk{}, Dir: dir, Shards: 1, SegmentBytes: 1 << 20, OnFull: Block})
	require.NoError(t, err)
	for i := range batches {
		require.NoError(t, l.Append(context.Background(), allKinds(int64(1000*i))))
	}
	require.NoError(t, l.Close())
	data, err := os.ReadFile(filepath.Join(dir, segmentName(1))) //nolint:gosec // our own folder
	require.NoError(t, err)
	return data
}

func TestEveryKindOfSampleComesBack(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, segmentName(1)), segmentBytes(t, 2), 0o600))
	l, err := Open(Options{FS: Disk{}, Dir: dir, Shards: 1, SegmentBytes: 1 << 20, OnFull: Block})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	r := l.Reader(l.Runs(0)[0], 0, Position{}, 0)
	defer r.Close()
	_, err = r.Next()
	require.NoError(t, err)
	p, err := r.Next()
	require.NoError(t, err)
	require.Len(t, p.Samples, 4)
	require.Equal(t, Sample{
		Ref: 4, ST: 0, T: 1000, V: 1.5,
		Exemplars: []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", "1"), Value: 2, Ts: 1000, HasTs: true}},
	}, p.Samples[0])
	require.True(t, tsdbutil.GenerateTestHistogram(3).Equals(p.Samples[1].H))
	require.True(t, tsdbutil.GenerateTestCustomBucketsHistogram(3).Equals(p.Samples[2].H))
	require.True(t, tsdbutil.GenerateTestFloatHistogram(3).Equals(p.Samples[3].FH))
	m := p.View.Metadata(p.Samples[0].Ref)
	require.Equal(t, "seconds", p.View.Text(m.Unit))
	require.Equal(t, "What it is.", p.View.Text(m.Help))
}

// A segment is cut at every byte: the log opens, keeps the batches that are whole, and says what it left out.
func TestTornAtEveryByte(t *testing.T) {
	data := segmentBytes(t, 4)
	dir := t.TempDir()
	path := filepath.Join(dir, segmentName(1))
	for n := range len(data) + 1 {
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, os.MkdirAll(dir, 0o700))
		require.NoError(t, os.WriteFile(path, data[:n], 0o600))
		l, err := Open(Options{FS: Disk{}, Dir: dir, Shards: 1, SegmentBytes: 1 << 20, OnFull: Block})
		require.NoError(t, err, "cut at %d", n)
		got, lost := readTimes(t, l)
		require.Zero(t, lost)
		require.Equal(t, uint64(len(got)), l.Stats().Accepted)
		require.Zero(t, len(got)%4)
		if n == len(data) {
			require.Len(t, got, 16)
		} else {
			rec := l.Recovery()
			require.True(t, rec.TornBytes > 0 || len(rec.SetAside) > 0 || len(got) < 16, "cut at %d", n)
		}
		require.NoError(t, l.Close())
	}
}

// A bit is flipped at every byte: the log opens, and what it cannot give back is counted.
func TestBitFlippedAtEveryByte(t *testing.T) {
	data := segmentBytes(t, 4)
	next := func() []byte { // a segment behind it, so that nothing of it is the end of the log
		l := Options{FS: Disk{}, Dir: t.TempDir(), Shards: 1, SegmentBytes: 1 << 20, OnFull: Block}
		require.NoError(t, os.WriteFile(filepath.Join(l.Dir, segmentName(1)), data, 0o600))
		log, err := Open(l)
		require.NoError(t, err)
		require.NoError(t, log.Close())
		second, err := os.ReadFile(filepath.Join(l.Dir, segmentName(2)))
		require.NoError(t, err)
		return second
	}()
	dir := t.TempDir()
	for i := range data {
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, os.MkdirAll(dir, 0o700))
		flipped := append([]byte(nil), data...)
		flipped[i] ^= 1 << (i % 8)
		require.NoError(t, os.WriteFile(filepath.Join(dir, segmentName(1)), flipped, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, segmentName(2)), next, 0o600))
		l, err := Open(Options{FS: Disk{}, Dir: dir, Shards: 1, SegmentBytes: 1 << 20, OnFull: Block})
		require.NoError(t, err, "byte %d", i)
		got, lost := readTimes(t, l)
		require.Equal(t, uint64(16), uint64(len(got))+lost, "byte %d", i)
		require.LessOrEqual(t, lost, uint64(16), "byte %d", i)
		require.NoError(t, l.Close())
	}
}

func readTimes(t testing.TB, l *Log) (times []int64, lost uint64) {
	t.Helper()
	r := l.Reader(Run{ID: l.Runs(0)[0].ID, Shards: 1}, 0, Position{}, 0)
	defer r.Close()
	for {
		p, err := r.Next()
		if err != nil {
			require.True(t, errors.Is(err, ErrNothingNew) || errors.Is(err, ErrEndOfRun), "%v", err)
			return times, lost
		}
		for _, n := range p.Lost {
			lost += n
		}
		for _, s := range p.Samples {
			times = append(times, s.T)
			_ = p.View.PromLabels(s.Ref)
		}
	}
}

// Whatever is in the files of a folder, the log opens or says why not, and can be read and written.
func FuzzSegment(f *testing.F) {
	whole := segmentBytes(f, 2)
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, segmentName(1)), data, 0o600))
		l, err := Open(Options{FS: Disk{}, Dir: dir, Shards: 1, SegmentBytes: 1 << 20, OnFull: Refuse})
		var newer *VersionError
		if errors.As(err, &newer) {
			return
		}
		require.NoError(t, err)
		for _, run := range l.Runs(0) {
			for shard := range run.Shards {
				r := l.Reader(run, shard, Position{}, 0)
				for {
					if _, err := r.Next(); err != nil {
						require.True(t, errors.Is(err, ErrNothingNew) || errors.Is(err, ErrEndOfRun), "%v", err)
						break
					}
				}
				r.Close()
			}
		}
		require.NoError(t, l.Append(context.Background(), allKinds(1)))
		require.NoError(t, l.Close())
	})
}

// A payload with a right checksum and any content is taken or refused, never a panic.
func FuzzBatch(f *testing.F) {
	data := segmentBytes(f, 1)
	r := frameReader{file: bytesReaderAt(data)}
	_, at, err := r.frame(0, int64(len(data)))
	require.NoError(f, err)
	payload, _, err := r.frame(at, int64(len(data)))
	require.NoError(f, err)
	f.Add(append([]byte(nil), payload...))
	f.Fuzz(func(_ *testing.T, payload []byte) {
		b, err := openBatch(payload)
		if err != nil {
			return
		}
		d := newDecoder()
		view := newView()
		if d.define(b.defs, &view) != nil {
			return
		}
		for {
			p, ok, err := b.next()
			if err != nil || !ok {
				return
			}
			samples, _ := d.samples(&p, &view, nil)
			for _, s := range samples {
				_ = view.PromLabels(s.Ref)
			}
		}
	})
}

// A checkpoint of any content is read or left.
func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, checkpointName), data, 0o600))
		l, err := Open(Options{FS: Disk{}, Dir: dir, Shards: 1, SegmentBytes: 1 << 20, OnFull: Refuse})
		require.NoError(t, err)
		require.NoError(t, l.Close())
	})
}

type bytesReaderAt []byte

func (b bytesReaderAt) ReadAt(p []byte, at int64) (int, error) {
	if at >= int64(len(b)) {
		return 0, os.ErrClosed
	}
	n := copy(p, b[at:])
	if n < len(p) {
		return n, os.ErrClosed
	}
	return n, nil
}
