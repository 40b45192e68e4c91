// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Reasons for which samples of the log are dropped.
const (
	// ReasonFull: deleted to make room (OnFull drop_oldest).
	ReasonFull = "log_full"
	// ReasonDamaged: the log was damaged or deleted by something else.
	ReasonDamaged = "log_damaged"
)

// ErrEndOfRun says that a shard has been read to the end of its run of segments: what follows has another number of shards.
var ErrEndOfRun = errors.New("end of the run of segments")

// ErrNothingNew says that a reader has read all that is durable.
var ErrNothingNew = errors.New("nothing new in the log")

// Run is a row of segments with one number of shards.
type Run struct {
	// ID is the number of its first segment.
	ID     uint64
	Shards int
}

// Runs returns the runs of the log from the one with that number on, the oldest first. There is always at least one.
func (l *Log) Runs(from uint64) []Run {
	l.mu.Lock()
	defer l.mu.Unlock()
	var runs []Run
	for _, s := range l.segments {
		if s.Run >= from && (len(runs) == 0 || runs[len(runs)-1].ID != s.Run) {
			runs = append(runs, Run{ID: s.Run, Shards: s.Shards})
		}
	}
	return runs
}

// Before returns how many samples all runs before one have accepted.
func (l *Log) Before(run uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if s.Run == run {
			return s.Before
		}
	}
	return 0
}

// Piece is what one batch of the log has for one shard.
type Piece struct {
	View    View
	Samples []Sample // valid until the next call of Reader.Next
	// At is the position of the first of the samples, Seq its number in the run.
	At  Position
	Seq uint64
	// Next is the position behind the last.
	Next Position
	// Lost are the samples between the piece before and this one that are not in the log any more, by reason.
	Lost map[string]uint64
}

// Reader reads one shard of one run in order, up to what is durable. It is not safe for concurrent use; several readers are.
type Reader struct {
	log   *Log
	run   Run
	shard int
	seq   uint64 // the number of the sample that comes next
	at    Position
	// passed are samples that were dropped to make room, that have been returned as lost, and that are not settled.
	passed uint64

	open  uint64 // the segment that file, view and defined belong to
	file  File
	read  frameReader
	dec   *decoder
	table *table // of the segment, where this process was writing it when the reader came
	view  View   // a snapshot of table, or built from the segment's batches
	known int64  // the offset up to which it has been built

	samples []Sample
}

// Reader returns a reader of a shard, from a position on that was returned by another or is zero: the begin of the run.
func (l *Log) Reader(run Run, shard int, from Position, seq uint64) *Reader {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reading != run.ID || l.settled == nil {
		l.reading = run.ID
		l.settled = make([]Position, run.Shards)
		l.consumed = make([]uint64, run.Shards)
		l.pending = make([]uint64, run.Shards)
	}
	if from.Segment == 0 {
		from.Segment = run.ID
	}
	l.settled[shard], l.consumed[shard] = from, seq
	if first := l.segments[0]; l.opts.OnFull == DropOldest && first.Run == run.ID && from.Segment < first.Segment {
		l.pending[shard] = max(first.Base[shard], seq) - seq // an earlier process made room
	}
	return &Reader{log: l, run: run, shard: shard, seq: seq, at: from, dec: newDecoder()}
}

// Close closes the file that is open.
func (r *Reader) Close() {
	if r.file != nil {
		_ = r.file.Close() // opened for reading
	}
	r.file, r.open = nil, 0
}

// Position returns the position behind the last sample that was read, and its number.
func (r *Reader) Position() (Position, uint64) { return r.at, r.seq }

// SettleDropped is Log.SettleDropped for what the reader has returned as lost.
func (r *Reader) SettleDropped(n uint64) {
	r.log.SettleDropped(r.run.ID, r.shard, n)
	r.passed -= min(r.passed, n)
}

// GiveUp goes to the end of the segment, of which the file system does not give the rest back. What was not read is lost.
func (r *Reader) GiveUp() {
	s, end, err := r.segment()
	if err != nil {
		return
	}
	r.log.markDamaged(s.Segment)
	r.log.opts.Logger.Error("the disk does not give back a part of the log: the samples in it are counted as dropped, the segment is kept aside",
		"file", s.path, "offset", r.at.Offset, "bytes", end-r.at.Offset)
	r.Close()
	r.at = Position{Segment: s.Segment, Offset: max(end, r.at.Offset)}
}

// Skip says that the samples before a number are accounted for, although they were not read.
func (r *Reader) Skip(seq uint64) { r.seq = max(r.seq, seq) }

// Next returns the next samples of the shard. ErrNothingNew: there are none yet, see Log.Changed. ErrEndOfRun: there will be none.
// Any other error comes from the file system, and another try may help. Pieces with Lost may have no samples.
func (r *Reader) Next() (*Piece, error) {
	for {
		s, end, err := r.segment()
		if err != nil {
			return nil, err
		}
		if r.at.Offset <= s.begin {
			if lost := r.gap(s.Base[r.shard]); lost != nil {
				return &Piece{At: r.at, Seq: r.seq, Next: r.at, Lost: lost}, nil
			}
			r.at.Offset = s.begin
		}
		if r.at.Offset >= end {
			piece, err := r.leave(s)
			if piece != nil || err != nil {
				return piece, err
			}
			continue
		}
		piece, err := r.piece(s, end)
		if piece != nil || err != nil {
			return piece, err
		}
	}
}

// segment returns a copy of the segment of the position, or of the first behind it where it is gone, and its durable end.
func (r *Reader) segment() (segment, int64, error) {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.segments, func(s *segment) bool { return s.Segment >= r.at.Segment })
	if i < 0 {
		return segment{}, 0, ErrNothingNew // the new segment could not be made yet
	}
	s := l.segments[i]
	if s.Run != r.run.ID {
		return segment{}, 0, ErrEndOfRun
	}
	if s.Segment != r.at.Segment {
		r.at = Position{Segment: s.Segment}
	}
	return *s, s.end, nil
}

// gap returns what is missing before the sample with a number.
func (r *Reader) gap(seq uint64) map[string]uint64 {
	if seq <= r.seq {
		return nil
	}
	missing := seq - r.seq
	r.seq = seq
	lost := map[string]uint64{}
	pending := r.log.pendingOf(r.run.ID, r.shard)
	if n := min(missing, pending-min(pending, r.passed)); n > 0 {
		lost[ReasonFull] = n
		r.passed += n
	}
	if n := missing - lost[ReasonFull]; n > 0 {
		lost[ReasonDamaged] = n
	}
	return lost
}

// leave goes from the end of a segment to the next one.
func (r *Reader) leave(s segment) (*Piece, error) {
	l := r.log
	l.mu.Lock()
	last := l.active().Segment <= s.Segment
	// What is known of it is from before: it may have grown since then, and have been completed.
	grown := slices.ContainsFunc(l.segments, func(now *segment) bool { return now.Segment == s.Segment && now.end > r.at.Offset })
	next := s.next[r.shard]
	l.mu.Unlock()
	switch {
	case last:
		return nil, ErrNothingNew
	case grown:
		return nil, nil
	}
	if lost := r.gap(next); lost != nil {
		l.markDamaged(s.Segment)
		return &Piece{At: r.at, Seq: r.seq, Next: r.at, Lost: lost}, nil
	}
	r.at = Position{Segment: s.Segment + 1}
	return nil, nil
}

// piece reads the batch at the position. It returns nil where the batch has nothing for the shard.
func (r *Reader) piece(s segment, end int64) (*Piece, error) {
	if err := r.openFile(s); err != nil {
		return nil, err
	}
	payload, next, err := r.read.frame(r.at.Offset, end)
	if err == nil {
		var piece *Piece
		if piece, err = r.decode(payload, next); err == nil {
			return piece, nil
		}
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	if !errors.Is(err, errDamaged) {
		return nil, fmt.Errorf("reading %s: %w", s.path, err)
	}
	r.log.markDamaged(s.Segment)
	next, failed := r.read.resync(r.at.Offset+1, end)
	if failed != nil {
		return nil, fmt.Errorf("reading %s: %w", s.path, failed)
	}
	r.log.opts.Logger.Error("a part of the log is damaged: the samples in it are counted as dropped, the segment is kept aside",
		"file", s.path, "offset", r.at.Offset, "bytes", next-r.at.Offset, "error", err)
	r.at = Position{Segment: s.Segment, Offset: next}
	return nil, nil
}

// decode takes a payload apart and moves on.
func (r *Reader) decode(payload []byte, next int64) (*Piece, error) {
	f, err := openBatch(payload)
	if err != nil {
		return nil, err
	}
	if r.table != nil {
		r.view = r.log.view(r.table)
	} else if r.at.Offset >= r.known {
		if err := r.dec.define(f.defs, &r.view); err != nil {
			return nil, err
		}
		r.known = next
	}
	for {
		p, ok, err := f.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			r.at = Position{Segment: r.at.Segment, Offset: next}
			return nil, nil
		}
		if p.shard != r.shard {
			continue
		}
		if cap(r.samples) > maxKept/64 {
			r.samples = nil
		}
		if r.samples, err = r.dec.samples(&p, &r.view, r.samples[:0]); err != nil {
			return nil, err
		}
		skip := min(r.at.Skip, len(r.samples))
		lost := r.gap(p.firstSeq + uint64(skip)) //nolint:gosec // not negative
		piece := &Piece{
			View: r.view, Samples: r.samples[skip:], Lost: lost, Seq: r.seq,
			At: r.at, Next: Position{Segment: r.at.Segment, Offset: next},
		}
		r.seq += uint64(len(piece.Samples))
		r.at = piece.Next
		r.log.consume(r.run.ID, r.shard, r.at.Segment, r.seq, len(piece.Samples))
		return piece, nil
	}
}

// openFile opens the file of a segment. Where another process wrote it, or this one has forgotten its series, they are read from
// its batches before the position.
func (r *Reader) openFile(s segment) error {
	if r.open == s.Segment && r.file != nil {
		return nil
	}
	r.Close()
	f, err := r.log.opts.FS.Open(s.path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			r.log.vanished(s.Segment)
		}
		return fmt.Errorf("opening a segment of the log: %w", err)
	}
	r.open, r.file = s.Segment, f
	r.read = frameReader{file: f, buf: r.read.buf[:0]}
	r.table = s.table
	if s.table != nil {
		return nil
	}
	r.view, r.known = newView(), s.begin
	for r.known < r.at.Offset {
		payload, next, err := r.read.frame(r.known, s.end)
		if err == nil {
			var b batchFrame
			if b, err = openBatch(payload); err == nil {
				err = r.dec.define(b.defs, &r.view)
			}
			if err != nil {
				err = fmt.Errorf("%w: %w", errDamaged, err)
			}
		}
		if errors.Is(err, errDamaged) {
			next, err = r.read.resync(r.known+1, s.end)
		}
		if err != nil {
			r.Close()
			return fmt.Errorf("reading %s: %w", s.path, err)
		}
		r.known = next
	}
	return nil
}
