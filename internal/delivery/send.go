// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// maxIsolating is how many requests are spent on finding the bad samples of one batch. What is not told apart by then is set aside
// together, or a receiver that refuses everything would hold up the queue.
const maxIsolating = 1000

// warnEvery is how often an ongoing failure is logged.
const warnEvery = time.Minute

// send makes one attempt for the first pending range, and acts on the answer. It returns how long to wait before the next step.
func (s *sender) send(ctx context.Context) (time.Duration, error) {
	r := s.frozen.Pending[0]
	samples := s.batch.samples[r[0]:r[1]]
	protocol := remotewrite.Protocol(s.frozen.Protocol)
	if s.frozen.Downgraded {
		protocol = remotewrite.V1
		if n := alike(samples, protocol); n < len(samples) {
			s.split(r[0] + n)
			return 0, nil
		}
		if !remotewrite.Sendable(&samples[0], protocol) {
			return s.refuse(remotewrite.Verdict{Reason: reasonUnsendable, Text: noteUnsendable}, samples), nil
		}
	}
	if len(s.body) == 0 {
		raw := s.encode(protocol, samples)
		if limit := s.d.cfg.MaxBytes; limit > 0 && raw > limit && len(samples) > 1 {
			s.halve()
			return 0, nil
		}
	}
	if err := s.d.admit(ctx, len(samples)); err != nil {
		return 0, err
	}
	start := s.d.cfg.Now()
	answer := s.d.transport.Send(ctx, protocol, s.body, s.attempts)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	s.attempts++
	now := s.d.cfg.Now()
	s.d.observer.Attempt(statusText(answer), now.Sub(start), len(s.body), len(samples))
	verdict := remotewrite.Classify(answer, remotewrite.Request{
		Protocol: protocol, Samples: len(samples), Probing: s.d.cfg.Fallback && !s.d.proven.Load(), Strict: s.d.cfg.Strict, Profile: s.d.cfg.Profile, Now: now,
	})
	return s.act(verdict, samples)
}

// encodeAtOnce is how many samples of remote write 1.0 are encoded at a time: 400 KiB of a request that has 4 MiB, uncompressed.
const encodeAtOnce = 1000

// encode makes the body of a request, and returns its size before compression. A request of 1.0 is its series one after the other,
// so that it can be made in parts; that of 2.0 is small.
func (s *sender) encode(p remotewrite.Protocol, samples []samplelog.Sample) int {
	s.packer.Reset()
	if p == remotewrite.V2 {
		s.packer.Add(s.encoder.V2(&s.batch.view, samples))
	}
	for p != remotewrite.V2 && len(samples) > 0 {
		n := min(encodeAtOnce, len(samples))
		for n < len(samples) && samples[n].Ref == samples[n-1].Ref { // a series is not in two parts
			n++
		}
		s.packer.Add(s.encoder.V1(&s.batch.view, samples[:n]))
		samples = samples[n:]
	}
	s.body = s.packer.Bytes()
	return s.packer.Raw()
}

func statusText(a remotewrite.Answer) string {
	if a.Err != nil {
		return "error"
	}
	return strconv.Itoa(a.Status)
}

// admit waits until the drain's limits allow a request.
func (d *Delivery) admit(ctx context.Context, samples int) error {
	if err := d.requests.Wait(ctx); err != nil {
		return err
	}
	for at := max(1, d.samples.Burst()); samples > 0; samples -= at {
		if err := d.samples.WaitN(ctx, min(samples, at)); err != nil {
			return err
		}
	}
	return nil
}

// act does what the answer asks for.
func (s *sender) act(v remotewrite.Verdict, samples []samplelog.Sample) (time.Duration, error) {
	n := len(samples)
	switch v.Action {
	case remotewrite.Delivered:
		s.delivered(v, n)
	case remotewrite.FallbackV1:
		if !s.d.cfg.Fallback {
			s.fail("the receiver does not take remote write 2.0 (" + v.Text + "): set protocol: auto or \"1.0\"")
			return s.pause(v.After), nil
		}
		s.fallBack(v)
	case remotewrite.Split:
		if n == 1 {
			s.size.own = true
			return s.refuse(v, samples), nil
		}
		s.size.refused = v.Text
		s.halve()
	case remotewrite.Isolate:
		s.isolated++
		if v.WrittenKnown && v.Written > 0 && v.Written < n {
			s.d.parts.Store(true)
		}
		if v.AllWritten { // what was refused were exemplars
			s.delivered(v, n)
			return 0, nil
		}
		// A receiver that takes all or nothing has written none as well, and may still take most of them.
		hopeless := v.NoneWritten && s.d.parts.Load()
		if n == 1 || s.sameSeries(samples) || hopeless || s.isolated > maxIsolating {
			return s.refuse(v, samples), nil
		}
		s.halve()
	case remotewrite.Drop:
		s.d.cfg.Logger.Error("strict: the receiver refused samples, which are dropped", "samples", n, "answer", v.Text)
		s.settled(func(t *samplelog.Totals, n uint64) { count(&t.Dropped, reasonStrict, n) })
		s.healthy()
	default:
		s.fail(v.Text)
		return s.pause(v.After), nil
	}
	return 0, nil
}

func (s *sender) sameSeries(samples []samplelog.Sample) bool {
	return s.batch.merged && samples[0].Ref == samples[len(samples)-1].Ref
}

// delivered settles the range: the receiver has it, all but what it says it has not.
func (s *sender) delivered(v remotewrite.Verdict, n int) {
	missing := uint64(0)
	if v.Partial {
		missing = uint64(max(0, n-v.Written))
		s.d.observer.Partial()
		s.d.cfg.Logger.Warn("the receiver has stored less than it was sent, without saying which samples it left out",
			"sent", n, "stored", v.Written, "answer", v.Text)
	}
	if v.Deduplicated {
		s.d.observer.Deduplicated()
	}
	if v.WrittenKnown && s.d.proven.CompareAndSwap(false, true) {
		s.d.cp.Change(func(c *samplelog.Checkpoint) { c.Remembered.Protocol = string(remotewrite.V2) })
	}
	s.settled(func(t *samplelog.Totals, n uint64) {
		missing = min(missing, n)
		t.Acknowledged += n - missing
		count(&t.Dropped, reasonPartial, missing)
	})
	s.size.fits = max(s.size.fits, n)
	s.healthy()
}

// halve puts two ranges in the place of the first.
func (s *sender) halve() { s.split(s.cut(s.frozen.Pending[0])) }

// split ends the first range before a sample, with which another one begins.
func (s *sender) split(at int) {
	f := s.frozen
	r := f.Pending[0]
	f.Pending = append([][2]int{{r[0], at}, {at, r[1]}}, f.Pending[1:]...)
	s.change(nil)
	s.body, s.attempts = s.body[:0], 0
}

// cut returns where to cut a range: between two series where that can be, so that no series is in two requests.
func (s *sender) cut(r [2]int) int {
	middle := (r[0] + r[1]) / 2
	if !s.batch.merged {
		return middle
	}
	ref := s.batch.samples[middle].Ref
	for i := middle; i > r[0]; i-- {
		if s.batch.samples[i-1].Ref != ref {
			return i
		}
	}
	for i := middle; i < r[1]; i++ {
		if s.batch.samples[i].Ref != ref {
			return i
		}
	}
	return middle
}

// refuse puts samples into the quarantine, with the answer.
func (s *sender) refuse(v remotewrite.Verdict, samples []samplelog.Sample) time.Duration {
	if wait := s.putAside(s.d.quarantine, samples, v.Reason+": "+v.Text); wait > 0 {
		return wait
	}
	n := len(samples)
	if now := s.d.cfg.Now(); now.Sub(s.refused) >= warnEvery {
		s.refused = now
		s.d.cfg.Logger.Error("the receiver refuses samples for good: they are set aside, see `runnerctl log dump --quarantine`",
			"samples", n, "reason", v.Reason, "series", s.batch.view.PromLabels(samples[0].Ref).String(), "answer", v.Text)
	}
	s.settled(func(t *samplelog.Totals, n uint64) { count(&t.Quarantined, v.Reason, n) })
	s.healthy()
	return 0
}

// fallBack goes on with remote write 1.0, for this batch and from now on.
func (s *sender) fallBack(v remotewrite.Verdict) {
	s.d.cfg.Logger.Info("the receiver does not take remote write 2.0: the batch is sent again as 1.0, and so is all that follows", "answer", v.Text)
	s.d.protocol.Store(remotewrite.V1)
	s.d.cp.Change(func(c *samplelog.Checkpoint) { c.Remembered.Protocol = string(remotewrite.V1) })
	s.frozen.Downgraded = true
	s.change(nil)
	s.store()
	s.body, s.attempts = s.body[:0], 0
}

// alike returns how many of the first samples a protocol has a form for, or has none for.
func alike(samples []samplelog.Sample, p remotewrite.Protocol) int {
	n := 1
	for n < len(samples) && remotewrite.Sendable(&samples[n], p) == remotewrite.Sendable(&samples[0], p) {
		n++
	}
	return n
}

// size is what the answers to one batch say about the size of requests.
type size struct {
	refused string // an answer that speaks of size
	fits    int    // samples of the largest request that was taken
	own     bool   // a single sample was refused: it is large, not the requests
}

// learnSize remembers how many samples a request may have.
func (d *Delivery) learnSize(s size) {
	if s.refused == "" || s.own || s.fits == 0 || int64(s.fits) >= d.maxSamples.Load() {
		return
	}
	d.maxSamples.Store(int64(s.fits))
	d.cp.Change(func(c *samplelog.Checkpoint) { c.Remembered.MaxSamples = s.fits })
	d.cfg.Logger.Info("the receiver does not take requests of this size: they get smaller", "max_samples", s.fits, "answer", s.refused)
}

func (d *Delivery) currentProtocol() remotewrite.Protocol {
	return d.protocol.Load().(remotewrite.Protocol)
}

// pause returns how long to wait after a failure: what the receiver asked for, or twice as long as the last time, with jitter so
// that senders that failed together do not come back together.
func (s *sender) pause(after time.Duration) time.Duration {
	c := &s.d.cfg
	s.interval = min(max(c.InitialInterval, 2*s.interval), c.MaxInterval)
	wait := s.interval
	if after > 0 {
		wait = after
	}
	wait += time.Duration(float64(wait) * 0.1 * (c.Jitter() - 0.5))
	if after > 0 {
		wait = max(wait, after) // not before the receiver wants it
	}
	s.notBefore = c.Now().Add(wait)
	return max(wait, time.Millisecond)
}

// fail notes that samples do not get through, and says so now and then.
func (s *sender) fail(why string) {
	now := s.d.cfg.Now()
	first := s.failing.Load() == nil
	s.failing.Store(&why)
	if first {
		s.d.cfg.Status(errors.New(why))
	}
	if first || now.Sub(s.warned) >= warnEvery {
		s.warned = now
		s.d.cfg.Logger.Warn("sending failed; it is tried until it succeeds, nothing is lost",
			"shard", s.shard, "attempts", s.attempts, "backlog", s.d.Stats().Backlog, "error", why)
	}
}

// healthy notes that the receiver has answered for good.
func (s *sender) healthy() {
	s.interval, s.notBefore = 0, time.Time{}
	if s.failing.Swap(nil) == nil {
		return
	}
	s.warned = time.Time{}
	if !s.d.failing() { // another shard may still fail
		s.d.cfg.Status(nil)
	}
	s.d.cfg.Logger.Info("sending works again", "shard", s.shard, "backlog", s.d.Stats().Backlog)
}
