// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
)

// Release says that a shard of the run that is read needs nothing before a position any more. Segments that no shard needs are
// deleted; damaged ones are set aside.
func (l *Log) Release(run uint64, shard int, to Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if run != l.reading || shard >= len(l.settled) {
		return
	}
	l.settled[shard] = to
	needed := l.settled[0].Segment
	for _, p := range l.settled {
		needed = min(needed, p.Segment)
	}
	freed := false
	for len(l.segments) > 1 && l.segments[0].Segment < needed {
		if !l.remove(l.segments[0]) {
			break
		}
		l.segments = l.segments[1:]
		freed = true
	}
	if freed {
		l.broadcast()
	}
}

// remove deletes the file of a segment, or sets it aside where it is damaged.
func (l *Log) remove(s *segment) bool {
	var err error
	if s.damaged {
		to := filepath.Join(l.opts.Dir, damagedName, segmentName(s.Segment))
		if err = l.opts.FS.Rename(s.path, to); err == nil {
			l.opts.Logger.Warn("a damaged segment of the log is set aside: what could be read of it has been settled", "file", s.path, "moved_to", to)
		}
	} else {
		err = l.opts.FS.Remove(s.path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.opts.Logger.Error("a segment of the log that is not needed any more cannot be deleted, and will be tried again", "file", s.path, "error", err)
		return false
	}
	return true
}

// dropOldest deletes the oldest segment that is not written to, and counts what no reader had taken of it.
func (l *Log) dropOldest() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) < 2 {
		return false
	}
	s := l.segments[0]
	if !l.remove(s) {
		return false
	}
	if err := l.opts.FS.SyncDir(l.opts.Dir); err != nil { // a segment that comes back after a crash would be out of order
		l.opts.Logger.Error("deleting the oldest segment of the log may not outlive a crash", "file", s.path, "error", err)
	}
	dropped := uint64(0)
	for shard := range l.pending {
		if s.Run != l.reading {
			break
		}
		if first := max(s.Base[shard], l.consumed[shard]); s.next[shard] > first {
			l.pending[shard] += s.next[shard] - first
			dropped += s.next[shard] - first
		}
	}
	l.segments = l.segments[1:]
	l.opts.Logger.Warn("the log is full: its oldest segment is dropped", "file", s.path, "samples", dropped, "reason", ReasonFull)
	l.broadcast()
	return true
}

// consume says that a reader has taken samples of a segment, up to the one before seq. Where the segment was dropped in the
// meantime, they are not lost after all.
func (l *Log) consume(run uint64, shard int, id, seq uint64, samples int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if run != l.reading {
		return
	}
	l.consumed[shard] = seq
	if !slices.ContainsFunc(l.segments, func(s *segment) bool { return s.Segment == id }) {
		l.pending[shard] -= min(l.pending[shard], uint64(samples)) //nolint:gosec // a length
	}
}

// pendingOf returns how many samples of a shard were dropped to make room and are not settled yet.
func (l *Log) pendingOf(run uint64, shard int) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if run != l.reading {
		return 0
	}
	return l.pending[shard]
}

// SettleDropped says that samples that were dropped to make room (ReasonFull) are counted elsewhere from now on.
func (l *Log) SettleDropped(run uint64, shard int, n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if run == l.reading {
		l.pending[shard] -= min(l.pending[shard], n)
	}
}

// ReasonGone is why segments are gone that an earlier process had: it made room where that is configured.
func (l *Log) ReasonGone() string {
	if l.opts.OnFull == DropOldest {
		return ReasonFull
	}
	return ReasonDamaged
}

func (l *Log) markDamaged(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if s.Segment == id {
			s.damaged = true
		}
	}
}

// vanished forgets a segment whose file somebody else has deleted. The one that is written to stays until there is another.
func (l *Log) vanished(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.active(); a.Segment == id {
		if l.file != nil { // what would be written to it would be gone
			l.fail(errDeleted)
		}
		if l.begin() != nil {
			return // the next batch tries it again
		}
	}
	l.opts.Logger.Error("a segment of the log has been deleted by somebody else: its samples are counted as dropped", "segment", id)
	l.segments = slices.DeleteFunc(l.segments, func(s *segment) bool { return s.Segment == id })
}

var errDeleted = errors.New("somebody else has deleted its file")

func (l *Log) view(t *table) View {
	l.mu.Lock()
	defer l.mu.Unlock()
	return t.View
}

// Stats are figures of a log.
type Stats struct {
	// Accepted samples, since the folder was made.
	Accepted uint64
	// DroppedPending samples were deleted to make room and are not in the checkpoint's totals yet.
	DroppedPending uint64
	Segments       int
	Bytes          int64
	Next           uint64 // the number of the segment that comes after the last
}

// Stats returns figures of the log as of now.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.active()
	s := Stats{Accepted: a.total(), Segments: len(l.segments), Bytes: l.bytes(), Next: a.Segment + 1}
	for _, n := range l.pending {
		s.DroppedPending += n
	}
	return s
}

// Free returns the bytes that can still be written in the file system of the log.
func (l *Log) Free() (uint64, error) { return l.opts.FS.Free(l.opts.Dir) }
