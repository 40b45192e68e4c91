// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog/crashfs"
)

var (
	modelRuns = flag.Int("model.runs", 3000, "how many random histories TestModel plays")
	modelSeed = flag.Uint64("model.seed", 0, "play the history of this seed only")
)

// stored is a sample that the model of a receiver has.
type stored struct {
	t int64
	v float64
}

// receiver is a model of a Prometheus that receives: what it takes, refuses and forgets to answer.
type receiver struct {
	rng    *rand.Rand
	faults bool
	v1Only bool
	maxLen int // samples in a request
	poison string
	// tolerant takes repeats and late samples silently, and stores what is new.
	tolerant bool

	series   map[string][]stored
	requests int
}

type incoming struct {
	name    string
	samples []stored
}

func decode(t testing.TB, p remotewrite.Protocol, body []byte) []incoming {
	raw, err := s2.Decode(nil, body)
	require.NoError(t, err)
	var all []incoming
	if p == remotewrite.V1 {
		var req prompb.WriteRequest
		require.NoError(t, req.Unmarshal(raw))
		for _, ts := range req.Timeseries {
			in := incoming{}
			for _, l := range ts.Labels {
				if l.Name == "series" {
					in.name = l.Value
				}
			}
			for _, s := range ts.Samples {
				in.samples = append(in.samples, stored{s.Timestamp, s.Value})
			}
			all = append(all, in)
		}
		return all
	}
	var req writev2.Request
	require.NoError(t, req.Unmarshal(raw))
	for _, ts := range req.Timeseries {
		b := labels.NewScratchBuilder(0)
		ls, err := ts.ToLabels(&b, req.Symbols)
		require.NoError(t, err)
		in := incoming{name: ls.Get("series")}
		for _, s := range ts.Samples {
			in.samples = append(in.samples, stored{s.Timestamp, s.Value})
		}
		all = append(all, in)
	}
	return all
}

// send implements one attempt against the model.
func (r *receiver) send(t testing.TB, p remotewrite.Protocol, body []byte) remotewrite.Answer {
	r.requests++
	text := func(status int, s string) remotewrite.Answer {
		return remotewrite.Answer{Status: status, Header: http.Header{}, Body: []byte(s)}
	}
	fault := 0
	if r.faults {
		fault = r.rng.IntN(14)
	}
	switch fault {
	case 1:
		return remotewrite.Answer{Err: errors.New("connection refused")}
	case 2:
		a := text(http.StatusTooManyRequests, "slow down")
		a.Header.Set("Retry-After", strconv.Itoa(r.rng.IntN(30)))
		return a
	case 3:
		return text([]int{401, 403, 404, 408, 500, 502, 503, 529}[r.rng.IntN(8)], "no")
	}
	if p == remotewrite.V2 && r.v1Only {
		return text(http.StatusUnsupportedMediaType, "v1 only")
	}
	all := decode(t, p, body)
	n := 0
	for _, in := range all {
		n += len(in.samples)
	}
	if n > r.maxLen {
		return text(http.StatusRequestEntityTooLarge, "too large")
	}
	answer := r.store(t, p, all)
	if fault == 4 || fault == 5 { // stored, but nobody hears of it
		if fault == 4 {
			return remotewrite.Answer{Err: context.DeadlineExceeded}
		}
		return text(http.StatusBadGateway, "gone")
	}
	return answer
}

// store takes what a Prometheus takes: 1.0 is all or nothing, 2.0 is taken sample by sample.
func (r *receiver) store(t testing.TB, p remotewrite.Protocol, all []incoming) remotewrite.Answer {
	refusal := ""
	taken := map[string][]stored{}
	written := 0
	seen := map[string]bool{}
	for _, in := range all {
		require.False(t, seen[in.name], "series %s twice in a request", in.name)
		seen[in.name] = true
		have := r.series[in.name]
		for _, s := range in.samples {
			var latest stored
			if n := len(have); n > 0 {
				latest = have[n-1]
			}
			switch {
			case in.name == r.poison:
				refusal = "label value is not nice"
			case s.t <= latest.t && r.tolerant:
				written++
			case s.t < latest.t:
				refusal = "out of order sample"
			case s.t == latest.t && math.Float64bits(s.v) != math.Float64bits(latest.v):
				refusal = "duplicate sample for timestamp"
			case s.t == latest.t:
				written++
			default:
				have = append(have, s)
				written++
			}
		}
		taken[in.name] = have
	}
	if refusal == "" || p == remotewrite.V2 {
		for name, have := range taken {
			r.series[name] = have
		}
	}
	answer := remotewrite.Answer{Status: http.StatusNoContent, Header: http.Header{}}
	if refusal != "" {
		answer.Status, answer.Body = http.StatusBadRequest, []byte(refusal)
	}
	if p == remotewrite.V2 {
		answer.Header.Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(written))
	}
	return answer
}

// history is one random play: processes that come and go over one folder and one receiver.
type history struct {
	t    testing.TB
	rng  *rand.Rand
	fs   *crashfs.FS
	recv *receiver
	now  time.Time
	full samplelog.OnFull
	// maxAge is how old a sample may be that is sent.
	maxAge time.Duration

	log     *samplelog.Log
	d       *Delivery
	run     samplelog.Run
	senders []*sender
	ended   []bool

	next  map[string]int64 // by series: the time of the next sample
	acked map[string][]stored

	generation uint64
	refs       map[string]samplelog.Ref // of the series of that generation
}

func (h *history) Send(_ context.Context, p remotewrite.Protocol, body []byte, _ int) remotewrite.Answer {
	return h.recv.send(h.t, p, body)
}
func (h *history) Put(*samplelog.View, []samplelog.Sample, string) error { return nil }
func (h *history) Attempt(string, time.Duration, int, int)               {}
func (h *history) Partial()                                              {}
func (h *history) Deduplicated()                                         {}

func (h *history) open() {
	opts := samplelog.Options{
		FS: h.fs, Dir: "log", Shards: 1 + h.rng.IntN(3), SegmentBytes: 2 << 10, OnFull: h.full,
		Now: func() time.Time { return h.now },
	}
	if h.full == samplelog.DropOldest {
		opts.MaxBytes = 8 << 10
	}
	log, err := samplelog.Open(opts)
	require.NoError(h.t, err)
	h.log, h.generation = log, 0
	protocol := remotewrite.V1
	if h.rng.IntN(2) == 0 {
		protocol = remotewrite.V2
	}
	h.d = New(Config{
		Profile: remotewrite.Profile{RepeatsOK: h.recv.tolerant}, MaxSampleAge: h.maxAge,
		Protocol: protocol, Fallback: true, Destination: "model", MaxSamples: 1 + h.rng.IntN(40), MaxWait: 5 * time.Second,
		InitialInterval: time.Second, MaxInterval: 30 * time.Second, Logger: discard, Jitter: h.rng.Float64,
		Now: func() time.Time { return h.now }, Status: func(error) {},
	}, log, h, h, h, h)
	h.beginRun(h.d.cp.Load().Run)
}

func (h *history) beginRun(from uint64) {
	h.run = h.log.Runs(from)[0]
	h.senders = h.d.begin(h.run)
	h.ended = make([]bool, len(h.senders))
}

// push appends a batch of some series, each with its next samples.
func (h *history) push() {
	samples := map[string][]stored{}
	names := make([]string, 0, 12)
	for range 1 + h.rng.IntN(12) {
		name := fmt.Sprint("s", h.rng.IntN(20))
		if samples[name] == nil {
			names = append(names, name)
		}
		for range 1 + h.rng.IntN(2) {
			h.next[name] = max(h.next[name]+1+int64(h.rng.IntN(3)), h.now.UnixMilli())
			samples[name] = append(samples[name], stored{h.next[name], float64(h.rng.IntN(100))})
		}
	}
	err := h.log.Append(context.Background(), func(b *samplelog.Batch) error {
		if h.generation != b.Generation() {
			h.generation, h.refs = b.Generation(), map[string]samplelog.Ref{}
		}
		for _, name := range names {
			ref, known := h.refs[name]
			if !known {
				ls := []samplelog.Symbol{b.Symbol("__name__"), b.Symbol("up"), b.Symbol("series"), b.Symbol(name)}
				ref = b.Series(ls, samplelog.Metadata{})
				h.refs[name] = ref
			}
			for _, s := range samples[name] {
				b.Sample(ref, 0, s.t, s.v)
			}
		}
		return nil
	})
	if err != nil {
		return // it is not accepted
	}
	for name, s := range samples {
		h.acked[name] = append(h.acked[name], s...)
	}
}

// step lets one sender work, and says whether anything was done.
func (h *history) step() bool {
	i := h.rng.IntN(len(h.senders))
	if h.ended[i] {
		if !slices.Contains(h.ended, false) {
			h.beginRun(h.run.ID + 1)
			return true
		}
		return false
	}
	wait, err := h.senders[i].step(context.Background(), false)
	if errors.Is(err, samplelog.ErrEndOfRun) {
		h.ended[i] = true
		return true
	}
	if wait > 0 {
		if wait < idle {
			h.now = h.now.Add(time.Duration(h.rng.Int64N(int64(wait) + int64(wait)/4 + 1)))
		}
		return false
	}
	return true
}

func (h *history) check() {
	stats := h.d.Stats()
	if *modelSeed != 0 {
		for _, s := range h.d.cp.Load().Shards {
			h.t.Logf("   %+v %+v", s, s.Frozen)
		}
		h.t.Logf("%+v pending %d run %+v", stats, h.log.Stats().DroppedPending, h.run)
	}
	require.GreaterOrEqual(h.t, stats.Accepted, stats.Sum())
	require.Equal(h.t, stats.Accepted, stats.Sum()+stats.Backlog)
}

// restart ends the process, as kill -9 or as a power failure, or orderly, and begins another.
func (h *history) restart() {
	kind := h.rng.IntN(3)
	if *modelSeed != 0 {
		h.t.Logf("restart %d", kind)
	}
	switch kind {
	case 0:
		for _, s := range h.senders {
			s.store()
		}
		require.NoError(h.t, h.log.Close())
	default:
		h.fs.Crash(h.rng, h.rng.IntN(2) == 0)
		h.fs = h.fs.After()
	}
	h.open()
}

func playHistory(t testing.TB, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
	h := &history{
		t: t, rng: rng, fs: crashfs.New(), now: time.Unix(1_700_000_000, 0), full: samplelog.Block,
		next: map[string]int64{}, acked: map[string][]stored{},
		recv: &receiver{
			rng: rng, faults: true, v1Only: rng.IntN(3) == 0, maxLen: []int{1000, 17, 3}[rng.IntN(3)], series: map[string][]stored{},
		},
	}
	if rng.IntN(3) == 0 {
		h.recv.poison = "s1"
	}
	h.recv.tolerant = rng.IntN(4) == 0
	if rng.IntN(4) == 0 {
		h.maxAge = time.Duration(1+rng.IntN(90)) * time.Second
	}
	if rng.IntN(4) == 0 {
		h.full = samplelog.DropOldest
	}
	h.open()
	for range 10 + rng.IntN(80) {
		switch p := rng.IntN(20); {
		case p < 8:
			h.push()
		case p < 19:
			h.step()
		default:
			h.restart()
		}
		h.check()
	}
	h.recv.faults = false
	for quiet := 0; quiet < 200; {
		if h.step() {
			quiet = 0
		} else {
			quiet++
			h.now = h.now.Add(time.Second)
		}
	}
	h.compare()
}

// compare looks at what became of every sample that was acknowledged.
func (h *history) compare() {
	t := h.t
	for _, s := range h.senders {
		s.store()
	}
	stats := h.d.Stats()
	require.Zero(t, stats.Backlog)
	require.Equal(t, stats.Accepted, stats.Sum())
	missing, pushed := uint64(0), uint64(0)
	for name, want := range h.acked {
		got := h.recv.series[name]
		for i := 1; i < len(got); i++ {
			require.Greater(t, got[i].t, got[i-1].t)
		}
		pushed += uint64(len(want))
		if name == h.recv.poison {
			missing += uint64(len(want))
			continue
		}
		for _, s := range want {
			if !slices.Contains(got, s) {
				missing++
			}
		}
	}
	accounted := stats.Expired
	for _, n := range stats.Quarantined {
		accounted += n
	}
	for reason, n := range stats.Dropped {
		require.Equal(t, samplelog.ReasonFull, reason, "%d", n)
		accounted += n
	}
	require.GreaterOrEqual(t, stats.Accepted, pushed)
	// A batch may have been in the log although its caller never heard of it.
	require.LessOrEqual(t, missing, accounted)
	if h.full == samplelog.Block && h.recv.poison == "" && h.maxAge == 0 {
		require.Zero(t, missing)
		require.Zero(t, accounted, "%v", stats)
	}
}

// Whatever a receiver answers, and whenever the process dies: every accepted sample arrives once and in order, or is counted.
func TestModel(t *testing.T) {
	if *modelSeed != 0 {
		playHistory(t, *modelSeed)
		return
	}
	for seed := uint64(1); seed <= uint64(*modelRuns); seed++ { //nolint:gosec // not negative
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) { playHistory(t, seed) })
		if !ok {
			t.Fatalf("play it again: go test ./internal/delivery -run TestModel -model.seed %d", seed)
		}
	}
}
