// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"cmp"
	"errors"
	"slices"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// batch is what one shard sends at a time: a stretch of the log, and the samples of it that are to be sent.
type batch struct {
	view    samplelog.View
	samples []samplelog.Sample // the series' samples are neighbours, in the order of time

	at, end     samplelog.Position // where the stretch begins and ends
	seq, endSeq uint64

	// What is in the stretch and not to be sent.
	expired    []samplelog.Sample
	unsendable []samplelog.Sample
	overLimit  []samplelog.Sample
	dropped    map[string]uint64

	segment uint64   // that the samples are from: references and view belong to it
	stamp   uint32   // of this batch in stamps
	stamps  []uint32 // by series: of the last batch that had a sample of it
	merged  bool     // a series has several samples
	oldest  int64    // the earliest time of a sample, milliseconds
	newest  int64    // the latest
}

func (b *batch) reset() {
	clear(b.samples)
	clear(b.expired)
	clear(b.unsendable)
	clear(b.overLimit)
	b.samples, b.expired, b.unsendable, b.overLimit = b.samples[:0], b.expired[:0], b.unsendable[:0], b.overLimit[:0]
	b.dropped, b.merged, b.segment, b.oldest, b.newest = nil, false, 0, 0, 0
	b.view = samplelog.View{}
	if b.stamp++; b.stamp == 0 { // after four billion batches
		clear(b.stamps)
		b.stamp = 1
	}
}

// taken says whether the batch covers anything of the log.
func (b *batch) taken() bool { return b.endSeq > b.seq || b.at != b.end }

// limits decide what goes into a batch and what becomes of it. The same limits make the same batch of the same log.
type limits struct {
	protocol      remotewrite.Protocol
	maxSamples    int
	merge         bool  // a series may have several samples
	expiredBefore int64 // older samples are set aside, milliseconds; 0: none
	droppedBefore int64 // older samples are dropped
	until         uint64
	labels        *labelLimits // nil: the receiver's limits are not known for sure
}

// maxLeftOut bounds the memory for samples that are not to be sent.
const maxLeftOut = 50_000

// reasonAge is why samples are dropped that are older than log::max_age.
const reasonAge = "max_age"

// cursor reads a shard sample by sample: a batch may end within what one call has brought.
type cursor struct {
	reader *samplelog.Reader
	piece  *samplelog.Piece
	used   int // samples of piece that have been taken
}

// position is where the next sample is.
func (c *cursor) position() (samplelog.Position, uint64) {
	if c.piece == nil {
		return c.reader.Position()
	}
	at := c.piece.At
	at.Skip += c.used
	return at, c.piece.Seq + uint64(c.used) //nolint:gosec // a length
}

// fill takes samples into a batch until it is full, or until there are no more for now (samplelog.ErrNothingNew) or at all in
// this run (samplelog.ErrEndOfRun).
func (c *cursor) fill(b *batch, l limits) (full bool, err error) {
	for {
		if l.until > 0 && b.endSeq >= l.until {
			return true, nil
		}
		if c.piece == nil {
			piece, err := c.reader.Next()
			if err != nil {
				return errors.Is(err, samplelog.ErrEndOfRun) && b.taken(), err
			}
			c.piece, c.used = piece, 0
			for reason, n := range piece.Lost {
				b.drop(reason, n)
			}
			b.end, b.endSeq = c.position()
		}
		if len(c.piece.Samples) > 0 {
			if b.segment != 0 && b.segment != c.piece.At.Segment {
				return true, nil
			}
			b.segment, b.view = c.piece.At.Segment, c.piece.View
		}
		for c.used < len(c.piece.Samples) {
			if l.until > 0 && b.endSeq >= l.until || !b.take(&c.piece.Samples[c.used], l) {
				b.end, b.endSeq = c.position()
				return true, nil
			}
			c.used++
			b.end, b.endSeq = c.position()
		}
		b.end, b.endSeq = c.piece.Next, c.piece.Seq+uint64(len(c.piece.Samples))
		c.piece = nil
	}
}

// take puts one sample where it belongs; false means that it does not fit the batch any more.
func (b *batch) take(s *samplelog.Sample, l limits) bool {
	leftOut := len(b.expired) + len(b.unsendable) + len(b.overLimit)
	if len(b.samples) >= l.maxSamples || leftOut >= maxLeftOut && l.until == 0 { // a batch that was frozen before has its end
		return false
	}
	switch {
	case s.T < l.droppedBefore:
		b.drop(reasonAge, 1)
		return true
	case s.T < l.expiredBefore:
		b.expired = append(b.expired, *s)
		return true
	case !remotewrite.Sendable(s, l.protocol):
		b.unsendable = append(b.unsendable, *s)
		return true
	}
	if l.labels != nil && !l.labels.fits(b.segment, &b.view, s.Ref) {
		b.overLimit = append(b.overLimit, *s)
		return true
	}
	if int(s.Ref) >= len(b.stamps) {
		b.stamps = append(b.stamps, make([]uint32, int(s.Ref)+1-len(b.stamps))...)
	}
	stamp := &b.stamps[s.Ref]
	switch {
	case *stamp != b.stamp:
		*stamp = b.stamp
	case !l.merge:
		return false
	default:
		b.merged = true
	}
	if len(b.samples) == 0 || s.T < b.oldest {
		b.oldest = s.T
	}
	if len(b.samples) == 0 || s.T > b.newest {
		b.newest = s.T
	}
	b.samples = append(b.samples, *s)
	return true
}

func (b *batch) drop(reason string, n uint64) {
	if b.dropped == nil {
		b.dropped = map[string]uint64{}
	}
	b.dropped[reason] += n
}

// arrange puts the samples of each series next to each other, the series in the order in which the segment got to know them.
func (b *batch) arrange() {
	if !b.merged {
		return
	}
	slices.SortStableFunc(b.samples, func(x, y samplelog.Sample) int { return cmp.Compare(x.Ref, y.Ref) })
}
