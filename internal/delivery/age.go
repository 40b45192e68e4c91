// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// age says what a frozen batch has become while it waited.
type age int

const (
	freshEnough  age = iota
	tooOldToSend     // it holds samples that are not to be sent any more: it is decided on anew
	tooOldAtAll      // nothing of what is left of it is to be sent any more
)

// outdated compares a frozen batch with the age that the receiver takes and with the age that may be kept. A batch of which a part
// has been settled cannot be decided on anew: it goes on until all of it is too old.
func (s *sender) outdated(now time.Time) age {
	if len(s.frozen.Pending) == 0 {
		return freshEnough
	}
	limit := s.d.cfg.MaxSampleAge
	if drop := s.d.cfg.MaxAge; drop > 0 && (limit == 0 || drop < limit) {
		limit = drop
	}
	if limit == 0 {
		return freshEnough
	}
	before := now.Add(-limit).UnixMilli()
	switch {
	case s.frozen.Settled > 0 && s.batch.newest < before:
		return tooOldAtAll
	case s.frozen.Settled == 0 && s.batch.oldest < before:
		return tooOldToSend
	default:
		return freshEnough
	}
}

// thaw gives a frozen batch up, of which nothing has been settled, so that it is decided on anew.
func (s *sender) thaw() {
	s.frozen = nil
	s.change(nil)
	since := s.since
	s.rewind()
	s.since = since // it has waited for more samples already; and the receiver's pause goes on
}

// leaveRest sets aside, or drops, what is pending of a batch, and returns how long to wait before it is tried again; 0: it is done.
func (s *sender) leaveRest() time.Duration {
	r := s.frozen.Pending[0]
	drop := s.d.cfg.MaxAge > 0 && s.batch.newest < s.d.cfg.Now().Add(-s.d.cfg.MaxAge).UnixMilli()
	if drop {
		s.settled(func(t *samplelog.Totals, n uint64) { count(&t.Dropped, reasonAge, n) })
		return 0
	}
	if wait := s.putAside(s.d.expired, s.batch.samples[r[0]:r[1]], noteExpired); wait > 0 {
		return wait
	}
	s.settled(func(t *samplelog.Totals, n uint64) { t.Expired += n })
	return 0
}

// watchAge warns while there is still time to do something about a backlog that the receiver will not take any more.
func (s *sender) watchAge(now time.Time) {
	limit := s.d.cfg.MaxSampleAge
	if limit == 0 || s.batch.oldest == 0 {
		return
	}
	old := now.Sub(time.UnixMilli(s.batch.oldest))
	if old < limit/2 || now.Sub(s.aged) < warnEvery {
		return
	}
	s.aged = now
	s.d.cfg.Logger.Warn("the backlog nears the age that the receiver still takes: what becomes older is set aside and not sent",
		"shard", s.shard, "age", old.Round(time.Second), "receiver_takes", limit)
}
