// SPDX-License-Identifier: Apache-2.0

// Package delivery sends what is in a log to a remote-write receiver: in order, until the receiver has it, and nothing twice that
// the receiver would mind.
//
// One sender reads each shard of the log and has one request on its way at a time. What it does is a loop:
//
//	collect   take samples from the log until there are enough for a request, or the oldest has waited long enough
//	freeze    write down where the batch ends, so that the same bytes are sent after a crash
//	send      and send again, until the answer settles the batch: delivered, split, or its bad samples set aside
//	settle    move the position behind the batch
//
// A request holds at most one sample of a series. A receiver takes a repeated sample where it is the latest of its series and has
// the same value (Prometheus tsdb/head_append.go, appendable), so that any request can be sent again whose answer was lost. With
// two samples of a series in it the earlier one would be refused as out of order, and on a remote-write 1.0 Prometheus the
// whole request with it. Only receivers that take repeats silently (remotewrite.Profile.RepeatsOK) get several, while the backlog
// is drained.
package delivery

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// Config says how to deliver.
type Config struct {
	Profile remotewrite.Profile
	// Protocol is the protocol to begin with; Fallback says that 1.0 may be used where the receiver does not take 2.0.
	Protocol remotewrite.Protocol
	Fallback bool
	Strict   bool
	// Destination stands for the receiver, without saying its address: what one receiver taught is forgotten for another.
	Destination string
	MaxSamples  int
	MaxBytes    int // of a request before compression; 0: no limit
	MaxWait     time.Duration
	// SamplesPerSecond and RequestsPerSecond bound what all shards send together; 0: no limit.
	SamplesPerSecond, RequestsPerSecond float64
	InitialInterval, MaxInterval        time.Duration
	// MaxSampleAge is how old a sample may be that is sent, 0: any. Older ones are expired.
	MaxSampleAge time.Duration
	// MaxAge is how old a sample may be before it is dropped, 0: any.
	MaxAge time.Duration
	Logger *slog.Logger
	// Jitter returns a number in [0, 1).
	Jitter func() float64
	Now    func() time.Time
	// Status is told when attempts begin to fail, and, with nil, when they succeed again.
	Status func(error)
}

// Transport makes attempts.
type Transport interface {
	// Send makes one attempt, and returns the answer, with a body of at most a few KiB, or why there is none. attempt counts the attempts of the same body, from 0.
	Send(ctx context.Context, p remotewrite.Protocol, body []byte, attempt int) remotewrite.Answer
}

// Aside keeps samples that are not sent.
type Aside interface {
	// Put returns when the samples are durable. Note says why they are set aside.
	Put(view *samplelog.View, samples []samplelog.Sample, note string) error
}

// Observer is told of each attempt.
type Observer interface {
	// Attempt: status is the HTTP status as text, or "error".
	Attempt(status string, took time.Duration, bytes, samples int)
	// Partial: a receiver said that it has stored less than it was sent. Deduplicated: it said that it need not store it (202).
	Partial()
	Deduplicated()
}

// Delivery sends a log.
type Delivery struct {
	cfg        Config
	log        *samplelog.Log
	cp         *samplelog.Checkpointer
	transport  Transport
	quarantine Aside
	expired    Aside
	observer   Observer

	requests, samples *rate.Limiter

	maxSamples atomic.Int64 // learned from answers about size
	protocol   atomic.Value // remotewrite.Protocol, learned
	proven     atomic.Bool  // the receiver has said what it stored of a request of 2.0
	parts      atomic.Bool  // it stores the good samples of a request that it refuses

	settling sync.Mutex // samples move between the log's and the checkpoint's figures

	flush   chan struct{} // closed when the senders shall send all there is and end
	ended   sync.WaitGroup
	cancel  context.CancelFunc
	mu      sync.Mutex
	senders []*sender // of the run that is sent
}

// New prepares the delivery of a log. Nothing is sent before Start.
func New(cfg Config, log *samplelog.Log, transport Transport, quarantine, expired Aside, observer Observer) *Delivery {
	d := &Delivery{
		cfg: cfg, log: log, cp: log.Checkpointer(), transport: transport, quarantine: quarantine, expired: expired, observer: observer,
		flush: make(chan struct{}), requests: limiter(cfg.RequestsPerSecond), samples: limiter(cfg.SamplesPerSecond),
	}
	d.parts.Store(cfg.Profile.Name == remotewrite.Prometheus)
	d.recall()
	return d
}

func limiter(perSecond float64) *rate.Limiter {
	if perSecond <= 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
}

// recall takes over what the receiver taught an earlier process.
func (d *Delivery) recall() {
	d.protocol.Store(d.cfg.Protocol)
	d.maxSamples.Store(int64(d.cfg.MaxSamples))
	r := d.cp.Load().Remembered
	if r.Destination != d.cfg.Destination {
		d.cp.Change(func(c *samplelog.Checkpoint) { c.Remembered = samplelog.Remembered{Destination: d.cfg.Destination} })
		return
	}
	if r.Protocol == string(remotewrite.V1) && d.cfg.Fallback {
		d.protocol.Store(remotewrite.V1)
	}
	d.proven.Store(r.Protocol == string(remotewrite.V2))
	if r.MaxSamples > 0 {
		d.maxSamples.Store(int64(min(r.MaxSamples, d.cfg.MaxSamples)))
	}
}

// Start begins to send.
func (d *Delivery) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.ended.Go(func() { d.run(ctx) })
}

// Shutdown sends what there is until the context ends or an attempt fails, and returns when nothing is sent any more. What is not
// delivered stays in the log.
func (d *Delivery) Shutdown(ctx context.Context) {
	if d.cancel == nil {
		return
	}
	close(d.flush)
	stop := context.AfterFunc(ctx, d.cancel)
	d.ended.Wait()
	stop()
	d.cancel()
}

// run sends one run of segments after the other: a series changes its shard from one to the next, so that all of a run has to
// be delivered before the next begins.
func (d *Delivery) run(ctx context.Context) {
	from := d.cp.Load().Run
	for {
		runs := d.log.Runs(from)
		if len(runs) == 0 { // the checkpoint is not of this log
			runs = d.log.Runs(0)
		}
		senders := d.begin(runs[0])
		var done sync.WaitGroup
		var ended atomic.Int64
		for _, s := range senders {
			done.Go(func() {
				if s.run(ctx) {
					ended.Add(1)
				}
			})
		}
		done.Wait()
		for _, s := range senders {
			s.close()
		}
		if int(ended.Load()) < len(senders) {
			return
		}
		from = runs[0].ID + 1
	}
}

// begin makes the senders of a run, each where the checkpoint says.
func (d *Delivery) begin(run samplelog.Run) []*sender {
	d.settling.Lock() // what was dropped of the run before moves to the checkpoint
	defer d.settling.Unlock()
	d.cp.Change(func(c *samplelog.Checkpoint) {
		if c.Run != run.ID || len(c.Shards) != run.Shards {
			c.Run, c.Shards = run.ID, make([]samplelog.ShardState, run.Shards)
		}
		c.Before = d.log.Before(run.ID)
		d.balance(c)
	})
	state := d.cp.Load()
	senders := make([]*sender, run.Shards)
	for shard := range senders {
		senders[shard] = newSender(d, run, shard, state.Shards[shard])
	}
	d.mu.Lock()
	d.senders = senders
	d.mu.Unlock()
	return senders
}

// balance makes the totals add up with the positions. They do, unless segments of the log were deleted or its checkpoint replaced.
func (d *Delivery) balance(c *samplelog.Checkpoint) {
	passed := c.Before
	settledInBatches := uint64(0)
	for _, s := range c.Shards {
		passed += s.Seq
		if s.Frozen != nil {
			settledInBatches += s.Frozen.Settled
		}
	}
	if sum := c.Totals.Sum(); sum < passed+settledInBatches {
		missing := passed + settledInBatches - sum
		reason := d.log.ReasonGone()
		d.cfg.Logger.Error("samples of the log are gone that had not been delivered: they are counted as dropped", "samples", missing, "reason", reason)
		count(&c.Totals.Dropped, reason, missing)
	}
}

// failing says whether attempts of any shard fail.
func (d *Delivery) failing() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.senders, func(s *sender) bool { return s.failing.Load() != nil })
}

func count(m *map[string]uint64, reason string, n uint64) {
	if n == 0 {
		return
	}
	if *m == nil {
		*m = map[string]uint64{}
	}
	(*m)[reason] += n
}

// Stats are figures of the delivery.
type Stats struct {
	samplelog.Totals
	Accepted uint64
	Backlog  uint64
	// Oldest is the time of the oldest sample that is not settled, milliseconds since the epoch; 0: there is none.
	Oldest int64
	Shards int
	// Failing is why the last attempt of a shard failed, empty where all goes well.
	Failing string
}

// Stats returns figures as of now. Accepted is exactly the totals and the backlog.
func (d *Delivery) Stats() Stats {
	d.settling.Lock()
	totals := d.cp.Load().Totals
	log := d.log.Stats()
	d.settling.Unlock()
	s := Stats{Totals: totals, Accepted: log.Accepted}
	count(&s.Dropped, samplelog.ReasonFull, log.DroppedPending)
	s.Backlog = s.Accepted - min(s.Accepted, s.Sum())
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Shards = len(d.senders)
	for _, sender := range d.senders {
		if oldest := sender.oldest.Load(); oldest != 0 && (s.Oldest == 0 || oldest < s.Oldest) {
			s.Oldest = oldest
		}
		if failing := sender.failing.Load(); failing != nil && *failing != "" {
			s.Failing = *failing
		}
	}
	return s
}
