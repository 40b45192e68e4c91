// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

const (
	frameHeaderBytes = 12 // before the payload of a frame
	emptyRecordBytes = 4  // of a kind of samples that a batch has none of
	slotHeaderBytes  = 16 // before the JSON of a slot of the checkpoint
	// tornOffsets is how many ends of the log are cut off, one byte more each.
	tornOffsets = 4096
)

// damageRows are files of the log that are not as they were written.
func damageRows() []row {
	lost := func(log string) want {
		return want{dropped: map[string]int{samplelog.ReasonDamaged: some}, log: []string{log}}
	}
	const (
		part, whole = "a part of the log is damaged", "a segment of the log has no readable header and is set aside"
		tornLog     = "the log ends in a batch that was not written to its end"
	)
	rows := []row{
		{name: "bit flip: header", fault: "of a segment: all of it is set aside and counted", inject: damaged(kept, flip(inHeader)), want: lost(whole)},
		{name: "bit flip: definitions", fault: "of a batch: it is counted, and so is what needs its series", inject: damaged(kept, flip(inDefinitions)), want: lost(part)},
		{name: "bit flip: samples", fault: "of a batch: it is counted", inject: damaged(kept, flip(inSamples)), want: lost(part)},
		{name: "bit flip: histograms", fault: "of a batch: it is counted", inject: damaged(kept, flip(inHistograms)), want: lost(part)},
		{name: "bit flip: exemplars", fault: "of a batch: it is counted", inject: damaged(kept, flip(inExemplars)), want: lost(part)},
		{name: "bit flip: frozen batch", fault: "in the batch that was being sent: it is counted", inject: damaged(kept, flip(inFirst)), want: lost(part)},
		{name: "bit flip: frame length", fault: "a length of 4 GiB: it is counted", inject: damaged(kept, flip(inLength)), want: lost(part)},
		{name: "bit flip: checkpoint", fault: "in its newer slot, while a batch is frozen: the older slot is taken", inject: damagedCheckpoint(1), want: want{}},
		{
			name: "bit flip: checkpoint, both slots", fault: "all of the log is sent again", inject: damagedCheckpoint(2),
			want: want{log: []string{"the checkpoint cannot be read: the whole log is sent again"}},
		},
		{name: "garbage header", fault: "the first 4 KiB of a segment are zeros, as a disk may leave them", inject: damaged(kept, zeros), want: lost(whole)},
		{name: "segment deleted", fault: "somebody has deleted a segment between two starts", inject: damaged(gone, deleteSegment), want: lost("")},
		{
			name: "torn tail at 4,096 offsets", fault: "the last 1 to 4,096 bytes are missing: whole batches stay, nothing else does (the package that the exporter opens its log with, on a real run's files)",
			inject: tornEverywhere, want: want{answers: map[string]int{"503": 1}},
		},
	}
	for _, x := range []struct {
		name string
		at   func(offset, end int64) int64
	}{
		{"in the frame's header", func(offset, _ int64) int64 { return offset + 5 }},
		{"in the middle", func(offset, end int64) int64 { return (offset + end) / 2 }},
		{"one byte short", func(_, end int64) int64 { return end - 1 }},
	} {
		rows = append(rows, row{
			name: "torn tail, " + x.name, fault: "the last batch was not written to its end, and not acknowledged: it is left out", inject: torn(x.at),
			want: want{log: []string{tornLog}, counted: map[string]int{"torn_records_total": 1}},
		})
	}
	return rows
}

// What becomes of the file of a segment that is damaged.
const (
	kept = true
	gone = false
)

// damaged makes a log with samples of all kinds in its first segment, and more in a second one, while the receiver is away; lets something
// happen to the first; and starts the collector again.
func damaged(stays bool, happen func(r *rig, path string)) func(*rig) {
	return func(r *rig) {
		r.front.set(status(http.StatusServiceUnavailable))
		r.start()
		r.rounds(fewRounds, fewSeries)
		for range 2 { // the first of each kind brings definitions
			b := newBatch()
			for i := range fewSeries {
				b.histogram(seriesName(i), r.clock, uint64(r.clock/1000)+uint64(i)) //nolint:gosec // not negative
			}
			r.push(b)
			b = newBatch()
			for i := range fewSeries {
				b.exemplar(seriesName(i), r.clock, float64(r.clock/1000))
			}
			r.push(b)
			r.rounds(1, fewSeries)
		}
		r.calls(2)
		r.kill()
		r.start()
		r.rounds(fewRounds, fewSeries)
		r.kill()
		first := r.segments()[0]
		content := readFile(r, first.Path)
		happen(r, first.Path)
		spoilt, _ := os.ReadFile(first.Path) // it may be gone
		require.False(r, bytes.Equal(content, spoilt), "nothing has happened to %s", first.Path)
		r.start()
		r.front.set(nil)
		r.settle()
		r.rounds(1, fewSeries)
		r.settle()
		if stays {
			aside := filepath.Join(r.logDir, "damaged", filepath.Base(first.Path))
			r.await("the damaged segment to be set aside", func() bool {
				b, err := os.ReadFile(aside) //nolint:gosec // a file of our own
				return err == nil && bytes.Equal(b, spoilt)
			})
		}
	}
}

// segments looks at the log. The collector must have ended.
func (r *rig) segments() []samplelog.SegmentInfo {
	log, err := samplelog.OpenReadOnly(samplelog.Disk{}, r.logDir)
	require.NoError(r, err)
	return log.Segments()
}

// logged is a batch of the log, as far as it matters here.
type logged struct {
	offset, end                       int64
	defines                           bool
	floats, histograms, withExemplars bool
	samples                           int
}

// batches reads a segment.
func (r *rig) batches(path string) []logged {
	log, err := samplelog.OpenReadOnly(samplelog.Disk{}, filepath.Dir(path))
	require.NoError(r, err)
	var found []logged
	known := 0
	for _, s := range log.Segments() {
		if s.Path != path {
			continue
		}
		for b, err := range log.Batches(s) {
			require.NoError(r, err)
			l := logged{offset: b.Offset, end: b.End, defines: b.View.Len() > known}
			known = b.View.Len()
			for _, p := range b.Parts {
				l.samples += len(p.Samples)
				for _, x := range p.Samples {
					l.histograms = l.histograms || x.H != nil || x.FH != nil
					l.floats = l.floats || x.H == nil && x.FH == nil
					l.withExemplars = l.withExemplars || len(x.Exemplars) > 0
				}
			}
			found = append(found, l)
		}
	}
	require.NotEmpty(r, found)
	return found
}

// flip flips one bit of a segment.
func flip(where func([]logged) int64) func(*rig, string) {
	return func(r *rig, path string) { flipBit(r, path, where(r.batches(path))) }
}

func flipBit(r *rig, path string, offset int64) {
	content := readFile(r, path)
	content[offset] ^= 0x10
	require.NoError(r, os.WriteFile(path, content, 0o600))
}

func inHeader([]logged) int64     { return frameHeaderBytes + 3 }
func inFirst(all []logged) int64  { return all[0].end - 1 }
func inLength(all []logged) int64 { return all[3].offset + 7 }
func inSamples(all []logged) int64 {
	return pick(all, false, false, false).end - 3*emptyRecordBytes - 1
}
func inExemplars(all []logged) int64 { return pick(all, false, true, false).end - 1 }

func inHistograms(all []logged) int64 {
	return pick(all, true, false, false).end - 2*emptyRecordBytes - 1
}

func inDefinitions(all []logged) int64 {
	return pick(all, true, false, true).offset + frameHeaderBytes + 8
}

// pick returns the last batch of a kind.
func pick(all []logged, histograms, exemplars, defines bool) logged {
	for _, b := range slices.Backward(all) {
		if b.histograms == histograms && b.withExemplars == exemplars && b.defines == defines {
			return b
		}
	}
	return logged{}
}

func zeros(r *rig, path string) {
	content := readFile(r, path)
	clear(content[:min(len(content), 4<<10)])
	require.NoError(r, os.WriteFile(path, content, 0o600))
}

func deleteSegment(r *rig, path string) { require.NoError(r, os.Remove(path)) }

// damagedCheckpoint flips a bit in the newer slot of the checkpoint, or in both.
func damagedCheckpoint(slots int) func(*rig) {
	return func(r *rig) {
		if slots == 1 { // what has been delivered is told by the older slot too
			r.start()
			r.rounds(fewRounds, fewSeries)
			r.settle()
			r.stop()
		}
		r.front.set(status(http.StatusServiceUnavailable))
		r.start()
		r.rounds(fewRounds, fewSeries)
		r.calls(len(r.front.all()) + 2)
		r.kill()
		log, err := samplelog.OpenReadOnly(samplelog.Disk{}, r.logDir)
		require.NoError(r, err)
		all := slices.Clone(log.Slots())
		slices.SortFunc(all, func(a, b samplelog.Slot) int { return int(b.Number) - int(a.Number) }) //nolint:gosec // small numbers
		for _, s := range all[:slots] {
			flipBit(r, filepath.Join(r.logDir, "CHECKPOINT"), s.Offset+slotHeaderBytes+20)
		}
		r.start()
		r.front.set(nil)
	}
}

// torn cuts the last batch of the log, which nobody owes then.
func torn(cut func(offset, end int64) int64) func(*rig) {
	return func(r *rig) {
		r.front.set(status(http.StatusServiceUnavailable))
		r.start()
		r.rounds(fewRounds, fewSeries)
		r.calls(2)
		b := r.next(fewSeries)
		r.push(b)
		r.kill()
		segments := r.segments()
		path := segments[len(segments)-1].Path
		all := r.batches(path)
		last := all[len(all)-1]
		require.Equal(r, fewSeries, last.samples)
		require.NoError(r, os.Truncate(path, cut(last.offset, last.end)))
		r.truth.forget(b.samples...)
		r.pushed -= len(b.samples)
		r.start()
		r.front.set(nil)
		r.settle()
		r.rounds(1, fewSeries)
		r.settle()
		aside, err := os.ReadDir(filepath.Join(r.logDir, "damaged"))
		require.NoError(r, err)
		require.Empty(r, aside, "a torn tail is no damage")
	}
}

// tornEverywhere opens copies of a log that a run has left, each with one byte less.
func tornEverywhere(r *rig) {
	r.front.set(status(http.StatusServiceUnavailable))
	r.start()
	r.rounds(2*fewRounds, 10*fewSeries)
	r.calls(2)
	r.kill()
	segments := r.segments()
	path := segments[len(segments)-1].Path
	all, content := r.batches(path), readFile(r, path)
	require.Greater(r, len(content), tornOffsets)
	scratch := filepath.Join(r.dir, "scratch")
	_, unmount, err := mountTmpfs(scratch, moreDiskBytes)
	require.NoError(r, err)
	r.cleanup(unmount)
	checkpoint := readFile(r, filepath.Join(r.logDir, "CHECKPOINT"))
	for cut := 1; cut <= tornOffsets; cut++ {
		require.NoError(r, os.RemoveAll(filepath.Join(scratch, "log")))
		mkdir(r, filepath.Join(scratch, "log"))
		size := int64(len(content) - cut)
		require.NoError(r, os.WriteFile(filepath.Join(scratch, "log", filepath.Base(path)), content[:size], 0o600))
		require.NoError(r, os.WriteFile(filepath.Join(scratch, "log", "CHECKPOINT"), checkpoint, 0o600))
		require.NoError(r, openTorn(filepath.Join(scratch, "log"), all, size), "%d bytes are missing", cut)
	}
	sent := len(r.front.all())
	r.start()
	r.calls(sent + 1)
	r.front.set(nil)
}

// openTorn opens a log whose last segment has that size, and looks whether it has its whole batches, and nothing else.
func openTorn(dir string, all []logged, size int64) (err error) {
	log, err := samplelog.Open(samplelog.Options{FS: samplelog.Disk{}, Dir: dir, Shards: 1, SegmentBytes: moreDiskBytes})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	whole, end := 0, all[0].offset
	for _, b := range all {
		if b.end <= size {
			whole, end = whole+b.samples, b.end
		}
	}
	if got := log.Stats().Accepted; got != uint64(whole) {
		return fmt.Errorf("%d samples accepted instead of %d", got, whole)
	}
	if got := log.Recovery().TornBytes; got != size-end {
		return fmt.Errorf("%d bytes left out instead of %d", got, size-end)
	}
	reader := log.Reader(log.Runs(0)[0], 0, samplelog.Position{}, 0)
	defer reader.Close()
	read := 0
	for {
		piece, err := reader.Next()
		switch {
		case errors.Is(err, samplelog.ErrNothingNew):
			if read != whole {
				return fmt.Errorf("%d samples read instead of %d", read, whole)
			}
			return nil
		case err != nil:
			return err
		case len(piece.Lost) > 0:
			return fmt.Errorf("%v samples lost", piece.Lost)
		}
		read += len(piece.Samples)
	}
}
