// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// sender delivers one shard of one run.
type sender struct {
	d        *Delivery
	segments samplelog.Run
	shard    int

	cursor cursor
	batch  batch
	since  time.Time // when the first sample of the batch came
	frozen *samplelog.Frozen

	encoder  remotewrite.Encoder
	labels   *labelLimits
	packer   remotewrite.Compressor
	body     []byte // of the first pending range; empty: to be made
	limitsOf limits

	attempts       int // of the first pending range, in this process
	notBefore      time.Time
	interval       time.Duration
	size           size
	asideFailed    int    // times in a row that samples could not be set aside
	isolated       int    // requests that were made to find bad samples in this batch
	unread         int    // how often in a row the log could not be read
	counted        uint64 // samples of the batch that are still to be sent although they are in the totals already
	countedDropped uint64 // of those, samples that were dropped to make room
	dirty          bool   // the checkpoint has changes that are not stored

	oldest  atomic.Int64 // milliseconds
	failing atomic.Pointer[string]
	// When was last said that attempts fail, that the backlog is old, that samples are refused, that the checkpoint cannot be written, that
	// samples are not kept.
	warned, aged, refused, unstored, unkept time.Time
}

func newSender(d *Delivery, run samplelog.Run, shard int, state samplelog.ShardState) *sender {
	s := &sender{d: d, segments: run, shard: shard, frozen: state.Frozen, labels: newLabelLimits(d.cfg.Profile)}
	s.cursor.reader = d.log.Reader(run, shard, state.Position, state.Seq)
	s.begin()
	return s
}

func (s *sender) close() { s.cursor.reader.Close() }

// rewind goes back to where the batch begins.
func (s *sender) rewind() {
	s.cursor.reader.Close()
	s.cursor = cursor{reader: s.d.log.Reader(s.segments, s.shard, s.batch.at, s.batch.seq)}
	s.begin()
}

// begin starts a batch at the cursor.
func (s *sender) begin() {
	s.batch.reset()
	s.batch.at, s.batch.seq = s.cursor.position()
	s.batch.end, s.batch.endSeq = s.batch.at, s.batch.seq
	s.body, s.attempts, s.isolated, s.counted, s.countedDropped = s.body[:0], 0, 0, 0, 0
	s.size = size{}
	s.since = time.Time{}
	s.oldest.Store(0)
}

// run works until the run of segments is delivered (true), or the delivery ends.
func (s *sender) run(ctx context.Context) bool {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	flush := s.d.flush
	flushing := false
	for {
		changed := s.d.log.Changed() // taken before the log is read, so that nothing is missed
		next, err := s.step(ctx, flushing)
		switch {
		case errors.Is(err, samplelog.ErrEndOfRun):
			return true
		case ctx.Err() != nil, flushing && err != nil:
			s.store()
			return false
		case next == 0:
			continue
		}
		if flushing { // nothing to do, or an attempt has failed: the rest is for the next process
			s.store()
			return false
		}
		if s.frozen != nil { // new samples do not shorten a pause
			changed = nil
		}
		timer.Reset(next)
		select {
		case <-changed:
		case <-timer.C:
		case <-flush:
			flushing, flush = true, nil
			if s.frozen != nil && s.attempts > 0 { // no early attempt while the receiver wants a pause
				s.store()
				return false
			}
		case <-ctx.Done():
		}
	}
}

// idle is how long a sender waits for news that it will be told of anyway.
const idle = time.Hour

// step does the next thing, and returns how long there is nothing to do; 0: there is more. samplelog.ErrEndOfRun ends the run.
func (s *sender) step(ctx context.Context, flushing bool) (time.Duration, error) {
	now := s.d.cfg.Now()
	if s.frozen == nil || !s.batch.taken() {
		wait, err := s.collect(now, flushing)
		if err != nil || wait > 0 {
			return wait, err
		}
	}
	s.watchAge(now)
	switch s.outdated(now) {
	case tooOldToSend:
		s.thaw()
		return 0, nil
	case tooOldAtAll:
		return s.leaveRest(), nil
	default:
	}
	if len(s.frozen.Pending) == 0 {
		return s.settle(), nil
	}
	if wait := s.notBefore.Sub(now); wait > 0 {
		return wait, nil
	}
	return s.send(ctx)
}

// collect fills the batch and freezes it when it is ready.
func (s *sender) collect(now time.Time, flushing bool) (time.Duration, error) {
	if s.frozen != nil {
		return s.restore(now)
	}
	l := s.limits(now)
	full, err := s.cursor.fill(&s.batch, l)
	switch {
	case errors.Is(err, samplelog.ErrEndOfRun):
		if !s.batch.taken() {
			s.change(func(_ *samplelog.Checkpoint, own *samplelog.ShardState) { own.Position, own.Seq = s.cursor.position() })
			s.store()
			return 0, err
		}
		full = true
	case errors.Is(err, samplelog.ErrNothingNew):
	case err != nil:
		wait, _ := s.unreadable(err)
		return wait, nil
	}
	s.unread = 0
	if !s.batch.taken() {
		s.passSegments()
		s.store()
		return idle, nil
	}
	if s.since.IsZero() {
		s.since = now
	}
	s.oldest.Store(s.batch.oldest)
	nothing := len(s.batch.samples) == 0 // only what is not to be sent
	if wait := s.d.cfg.MaxWait - now.Sub(s.since); !full && !nothing && !flushing && wait > 0 {
		s.store()
		return wait, nil
	}
	s.freeze(l)
	return 0, nil
}

// maxUnread is how often the log is read in vain before the rest of the segment is given up: longer than a disk hiccups.
const maxUnread = 10

// unreadable is for an error of the file system. It returns how long to wait before another try, and whether there will be none.
func (s *sender) unreadable(err error) (wait time.Duration, gaveUp bool) {
	s.fail("reading the log: " + err.Error())
	if s.unread++; s.unread >= maxUnread {
		s.unread, gaveUp = 0, true
		s.cursor.reader.GiveUp()
	}
	return s.pause(0), gaveUp
}

// passSegments moves the position of a shard that has nothing in the segments it has read, so that they can be deleted.
func (s *sender) passSegments() {
	at, seq := s.cursor.position()
	if at.Segment == s.batch.at.Segment {
		return
	}
	s.begin()
	s.change(func(_ *samplelog.Checkpoint, own *samplelog.ShardState) { own.Position, own.Seq = at, seq })
}

// limits returns what decides about the next batch.
func (s *sender) limits(now time.Time) limits {
	if s.batch.taken() {
		return s.limitsOf // all of a batch is decided on in the same way
	}
	l := limits{
		protocol: s.d.currentProtocol(), maxSamples: int(s.d.maxSamples.Load()), merge: s.d.cfg.Profile.RepeatsOK, labels: s.labels,
	}
	if age := s.d.cfg.MaxSampleAge; age > 0 {
		l.expiredBefore = now.Add(-age).UnixMilli()
	}
	if age := s.d.cfg.MaxAge; age > 0 {
		l.droppedBefore = now.Add(-age).UnixMilli()
	}
	s.limitsOf = l
	return l
}

// freeze decides on the batch, and makes the decision durable before anything of it is sent.
func (s *sender) freeze(l limits) {
	s.batch.arrange()
	f := &samplelog.Frozen{
		End: s.batch.end, EndSeq: s.batch.endSeq, Protocol: string(l.protocol),
		ExpiredBefore: l.expiredBefore, DroppedBefore: l.droppedBefore, Samples: len(s.batch.samples),
	}
	if n := len(s.batch.samples); n > 0 {
		f.Pending = [][2]int{{0, n}}
	}
	s.frozen = f
	s.change(func(_ *samplelog.Checkpoint, own *samplelog.ShardState) {
		own.Position, own.Seq = s.batch.at, s.batch.seq
	})
	if len(f.Pending) > 0 {
		s.store()
	}
}

// restore reads the batch again that an earlier process has frozen.
func (s *sender) restore(now time.Time) (time.Duration, error) {
	f := s.frozen
	l := limits{
		protocol: remotewrite.Protocol(f.Protocol), maxSamples: maxRestored, merge: true,
		expiredBefore: f.ExpiredBefore, droppedBefore: f.DroppedBefore, until: f.EndSeq, labels: s.labels,
	}
	s.limitsOf = l
	_, err := s.cursor.fill(&s.batch, l)
	switch {
	case err == nil, errors.Is(err, samplelog.ErrNothingNew), errors.Is(err, samplelog.ErrEndOfRun):
	default:
		wait, gaveUp := s.unreadable(err)
		if gaveUp {
			break // with what could be read of it
		}
		s.rewind()
		return wait, nil
	}
	s.unread = 0
	s.batch.arrange()
	s.oldest.Store(s.batch.oldest)
	s.countLost()
	if n := len(s.batch.samples); n != f.Samples || slices.ContainsFunc(f.Pending, func(r [2]int) bool { return r[0] < 0 || r[0] >= r[1] || r[1] > n }) {
		s.restoreRest()
	}
	f.End, f.EndSeq = s.batch.end, s.batch.endSeq
	s.since = now
	return 0, nil
}

// countLost counts what is missing at the end of a restored batch. What is missing before is a gap, which the reader has counted.
func (s *sender) countLost() {
	b := &s.batch
	if b.endSeq < s.frozen.EndSeq {
		b.drop(s.d.log.ReasonGone(), s.frozen.EndSeq-b.endSeq)
		b.endSeq = s.frozen.EndSeq
		s.cursor.reader.Skip(b.endSeq)
	}
}

// restoreRest is for a batch of which the log has lost a part. What is left of it is sent as a whole; some of it, or of what is
// lost, has been counted by the earlier process.
func (s *sender) restoreRest() {
	f := s.frozen
	f.Pending, f.Samples = nil, len(s.batch.samples)
	if n := len(s.batch.samples); n > 0 {
		f.Pending = [][2]int{{0, n}}
	}
	s.counted = f.Settled
	for _, reason := range []string{samplelog.ReasonFull, samplelog.ReasonDamaged} {
		counted := min(s.batch.dropped[reason], s.counted)
		s.batch.dropped[reason] -= counted
		s.counted -= counted
		if reason == samplelog.ReasonFull {
			s.countedDropped = counted
		}
	}
}

// maxRestored bounds a batch that is read again; it was frozen under a smaller limit.
const maxRestored = 1 << 20

// change changes the shard's part of the checkpoint, in memory.
func (s *sender) change(f func(c *samplelog.Checkpoint, own *samplelog.ShardState)) {
	s.d.cp.Change(func(c *samplelog.Checkpoint) {
		own := &c.Shards[s.shard]
		if f != nil {
			f(c, own)
		}
		own.Frozen = s.frozen.Clone() // other shards write the checkpoint while this one changes its batch
	})
	s.dirty = true
}

// store makes the changes of the checkpoint durable. Where that fails, sending goes on: after a crash, samples are sent again that
// the receiver has, which it takes or refuses.
func (s *sender) store() {
	if !s.dirty {
		return
	}
	stats := s.d.log.Stats()
	s.d.cp.Change(func(c *samplelog.Checkpoint) { c.Accepted, c.NextSegment = stats.Accepted, stats.Next })
	if err := s.d.cp.Store(); err != nil {
		if now := s.d.cfg.Now(); now.Sub(s.unstored) >= warnEvery {
			s.unstored = now
			s.d.cfg.Logger.Error("the checkpoint cannot be written: after a crash, samples will be sent again", "error", err)
		}
		return
	}
	s.dirty = false
	s.d.log.Release(s.segments.ID, s.shard, s.batch.at)
}
