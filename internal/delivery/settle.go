// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// Reasons for which samples are set aside or dropped, besides those of the answers.
const (
	reasonUnsendable = "unsendable"    // the protocol has no form for them: a native histogram with custom buckets over 1.0
	reasonPartial    = "partial_write" // the receiver said that it stored less than it was sent
	reasonStrict     = "rejected"      // strict: an answer after which the specification wants no repetition
)

// settled takes the first pending range off the batch. outcome counts what became of its n samples.
func (s *sender) settled(outcome func(t *samplelog.Totals, n uint64)) {
	f := s.frozen
	r := f.Pending[0]
	n := uint64(r[1] - r[0]) //nolint:gosec // a length
	f.Pending = f.Pending[1:]
	f.Settled += n
	counted := min(s.counted, n)
	s.counted -= counted
	s.change(func(c *samplelog.Checkpoint, _ *samplelog.ShardState) { outcome(&c.Totals, n-counted) })
	s.body, s.attempts = s.body[:0], 0
}

// settle ends a batch of which nothing is pending: what was not to be sent is set aside, and the position moves behind it. It
// returns how long to wait before it is tried again; 0: it is done.
func (s *sender) settle() time.Duration {
	b := &s.batch
	if wait := s.putAside(s.d.expired, b.expired, noteExpired); wait > 0 {
		return wait
	}
	if wait := s.putAside(s.d.quarantine, b.unsendable, reasonUnsendable+": "+noteUnsendable); wait > 0 {
		return wait
	}
	if wait := s.putAside(s.d.quarantine, b.overLimit, remotewrite.ReasonLabelLimit+": "+noteOverLimit); wait > 0 {
		return wait
	}
	s.d.learnSize(s.size)
	s.frozen = nil
	s.d.settling.Lock()
	s.cursor.reader.SettleDropped(b.dropped[samplelog.ReasonFull] + s.countedDropped)
	s.change(func(c *samplelog.Checkpoint, own *samplelog.ShardState) {
		c.Totals.Expired += uint64(len(b.expired))
		count(&c.Totals.Quarantined, reasonUnsendable, uint64(len(b.unsendable)))
		count(&c.Totals.Quarantined, remotewrite.ReasonLabelLimit, uint64(len(b.overLimit)))
		for reason, n := range b.dropped {
			count(&c.Totals.Dropped, reason, n)
		}
		own.Position, own.Seq = b.end, b.endSeq
	})
	s.d.settling.Unlock()
	s.begin()
	return 0
}

// Notes of what is set aside without an answer.
const (
	noteExpired    = "older than the receiver takes"
	noteOverLimit  = "more or longer labels than the receiver stores; it would drop the series without saying so"
	noteUnsendable = "remote write 1.0 has no form for native histograms with custom buckets"
)

// asideTries is how often it is tried to set samples aside. A disk that is full of backlog must not keep the backlog from being sent:
// where there is still no room then, the samples are counted, and not kept.
const asideTries = 5

// putAside writes samples to one of the logs for what is not sent. Where that fails it returns how long to wait before another try:
// nothing is settled until it can be done, or has been given up.
func (s *sender) putAside(to Aside, samples []samplelog.Sample, note string) time.Duration {
	if len(samples) == 0 {
		return 0
	}
	err := to.Put(&s.batch.view, samples, note)
	if err == nil {
		s.asideFailed = 0
		return 0
	}
	if s.asideFailed++; s.asideFailed < asideTries {
		s.fail("setting samples aside: " + err.Error())
		return s.pause(0)
	}
	if now := s.d.cfg.Now(); now.Sub(s.unkept) >= warnEvery {
		s.unkept = now
		s.d.cfg.Logger.Error("samples that are not sent cannot be set aside: they are counted and not kept, or nothing else would be sent",
			"samples", len(samples), "why_not_sent", note, "error", err)
	}
	return 0
}
