// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog/crashfs"
)

// byHand is one sender over a log in memory, worked by hand, with a receiver that gives prepared answers.
type byHand struct {
	t        *testing.T
	now      time.Time
	log      *samplelog.Log
	d        *Delivery
	s        *sender
	answer   func(p remotewrite.Protocol, body []byte) remotewrite.Answer
	requests int
	puts     int
}

func (b *byHand) Send(_ context.Context, p remotewrite.Protocol, body []byte, _ int) remotewrite.Answer {
	b.requests++
	return b.answer(p, body)
}

func (b *byHand) Put(*samplelog.View, []samplelog.Sample, string) error {
	b.puts++
	return nil
}
func (*byHand) Attempt(string, time.Duration, int, int) {}
func (*byHand) Partial()                                {}
func (*byHand) Deduplicated()                           {}

func newByHand(t *testing.T, fs samplelog.FS, change func(*Config)) *byHand {
	b := &byHand{t: t, now: time.Unix(1_700_000_000, 0)}
	log, err := samplelog.Open(samplelog.Options{FS: fs, Dir: "log", Shards: 1, SegmentBytes: 1 << 20, OnFull: samplelog.Block})
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() }) // some tests close it themselves
	cfg := Config{
		Protocol: remotewrite.V1, MaxSamples: 10_000, InitialInterval: time.Second, MaxInterval: 30 * time.Second, Logger: discard,
		Jitter: func() float64 { return 0.5 }, Now: func() time.Time { return b.now }, Status: func(error) {},
	}
	change(&cfg)
	b.log, b.d = log, New(cfg, log, b, b, b, b)
	b.s = b.d.begin(log.Runs(b.d.cp.Load().Run)[0])[0]
	t.Cleanup(b.s.close)
	return b
}

// push appends a sample of that age to each series.
func (b *byHand) push(age time.Duration, series ...string) {
	require.NoError(b.t, b.log.Append(b.t.Context(), func(batch *samplelog.Batch) error {
		for _, name := range series {
			ref := batch.Series([]samplelog.Symbol{batch.Symbol("__name__"), batch.Symbol(name)}, samplelog.Metadata{})
			batch.Sample(ref, 0, b.now.Add(-age).UnixMilli(), 1)
		}
		return nil
	}))
}

// work lets the sender work until it has to wait, and returns for how long.
func (b *byHand) work() time.Duration {
	for range 10_000 {
		wait, err := b.s.step(b.t.Context(), false)
		require.NoError(b.t, err)
		if wait > 0 {
			return wait
		}
	}
	require.Fail(b.t, "the sender does not come to rest")
	return 0
}

func status(code int) remotewrite.Answer {
	return remotewrite.Answer{Status: code, Header: http.Header{}}
}

// One shard writes the checkpoint of all while another changes its batch.
func TestCheckpointSharesNothingWithSenders(t *testing.T) {
	b := newByHand(t, crashfs.New(), func(*Config) {})
	b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer { return status(http.StatusBadGateway) }
	b.push(0, "a", "b")
	b.work()
	b.s.frozen.Pending[0][1], b.s.frozen.Settled = 1, 1
	f := b.d.cp.Load().Shards[0].Frozen
	require.Equal(t, [][2]int{{0, 2}}, f.Pending)
	require.Zero(t, f.Settled)
}

// That a batch becomes too old is no reason to ask earlier than the receiver wants.
func TestTooOldBatchKeepsThePause(t *testing.T) {
	b := newByHand(t, crashfs.New(), func(c *Config) { c.MaxSampleAge = time.Minute })
	b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer {
		a := status(http.StatusTooManyRequests)
		a.Header.Set("Retry-After", "300")
		return a
	}
	b.push(50*time.Second, "a")
	require.GreaterOrEqual(t, b.work(), 5*time.Minute)
	for range 28 {
		b.now = b.now.Add(10 * time.Second)
		b.push(55*time.Second, "a", "b")
		b.work()
	}
	require.Equal(t, 1, b.requests)
	b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer { return status(http.StatusNoContent) }
	b.now = b.now.Add(21 * time.Second)
	b.push(0, "c")
	b.work()
	require.Equal(t, 2, b.requests)
	stats := b.d.Stats()
	require.Equal(t, []uint64{57, 1, 0}, []uint64{stats.Expired, stats.Acknowledged, stats.Backlog})
}

// A batch that is decided on anew has waited for more samples already.
func TestTooOldBatchDoesNotWaitAgain(t *testing.T) {
	b := newByHand(t, crashfs.New(), func(c *Config) { c.MaxSampleAge, c.MaxWait = time.Minute, 5*time.Second })
	b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer { return status(http.StatusNoContent) }
	b.push(58*time.Second, "a")
	b.push(0, "b")
	b.now = b.now.Add(b.work())
	b.work()
	require.Equal(t, 1, b.requests)
	stats := b.d.Stats()
	require.Equal(t, []uint64{1, 1, 0}, []uint64{stats.Expired, stats.Acknowledged, stats.Backlog})
}

func TestRateIsThatOfAllSamples(t *testing.T) {
	b := newByHand(t, crashfs.New(), func(c *Config) { c.SamplesPerSecond = 1000 })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, b.d.admit(ctx, 2500), "would exceed context deadline")
}

// Histograms that 1.0 has no form for are told apart from what stands between them, however many there are.
func TestFallbackSetsAsideOnlyWhatCannotBeSent(t *testing.T) {
	b := newByHand(t, crashfs.New(), func(c *Config) { c.Protocol, c.Fallback = remotewrite.V2, true })
	b.answer = func(p remotewrite.Protocol, _ []byte) remotewrite.Answer {
		if p == remotewrite.V2 {
			return status(http.StatusUnsupportedMediaType)
		}
		return status(http.StatusNoContent)
	}
	const n = 1500
	custom := &histogram.Histogram{
		Schema: histogram.CustomBucketsSchema, Count: 1, Sum: 1, CustomValues: []float64{1, 2},
		PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []int64{1},
	}
	require.NoError(t, b.log.Append(t.Context(), func(batch *samplelog.Batch) error {
		for i := range n {
			ref := batch.Series([]samplelog.Symbol{batch.Symbol("__name__"), batch.Symbol(fmt.Sprint(i))}, samplelog.Metadata{})
			if i < n/2 { // the log keeps floats before histograms
				batch.Sample(ref, 0, b.now.UnixMilli(), 1)
				continue
			}
			h := custom
			if i%2 == 0 {
				h = &histogram.Histogram{Count: 1, Sum: 1, PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []int64{1}}
			}
			batch.Histogram(ref, 0, b.now.UnixMilli(), h)
		}
		return nil
	}))
	b.work()
	stats := b.d.Stats()
	require.Equal(t, map[string]uint64{reasonUnsendable: n / 4}, stats.Quarantined)
	require.Equal(t, uint64(n-n/4), stats.Acknowledged)
}

// failingReads is a file system whose segments can be opened and not be read.
type failingReads struct {
	samplelog.FS
	fail bool
	open int
}

type failingFile struct {
	samplelog.File
	fs *failingReads
}

var errRead = errors.New("input/output error")

func (f *failingReads) Open(name string) (samplelog.File, error) {
	file, err := f.FS.Open(name)
	if err != nil {
		return nil, err
	}
	f.open++
	return &failingFile{file, f}, nil
}

func (f *failingFile) ReadAt(p []byte, at int64) (int, error) {
	if f.fs.fail {
		return 0, errRead
	}
	return f.File.ReadAt(p, at)
}

func (f *failingFile) Close() error {
	f.fs.open--
	return f.File.Close()
}

// A frozen batch that cannot be read is tried again, each time with the file of the time before closed.
func TestFrozenBatchThatCannotBeRead(t *testing.T) {
	fs := &failingReads{FS: crashfs.New()}
	b := newByHand(t, fs, func(*Config) {})
	b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer { return status(http.StatusBadGateway) }
	b.push(0, "a")
	b.work()
	b.s.close()
	require.NoError(t, b.log.Close())

	b = newByHand(t, fs, func(*Config) {})
	b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer { return status(http.StatusNoContent) }
	require.NotNil(t, b.s.frozen)
	fs.fail = true
	for range 5 {
		b.now = b.now.Add(b.work())
	}
	require.Contains(t, b.d.Stats().Failing, errRead.Error())
	require.LessOrEqual(t, fs.open, 1)
	fs.fail = false
	b.work()
	require.Equal(t, uint64(1), b.d.Stats().Acknowledged)
}

// The end of a frozen batch is known: what is left out of it now, and was not then, does not make it shorter.
func TestFrozenBatchKeepsItsEnd(t *testing.T) {
	b := batch{}
	b.reset()
	b.overLimit = make([]samplelog.Sample, maxLeftOut)
	s := &samplelog.Sample{T: 1}
	require.False(t, b.take(s, limits{maxSamples: 10}))
	require.True(t, b.take(s, limits{maxSamples: 10, until: 1}))
}

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint("series", i)
	}
	return all
}

// What fits is remembered, over restarts too; a single sample that is too large says nothing about requests.
func TestSizeIsLearned(t *testing.T) {
	for _, tc := range []struct{ fits, learned int }{{fits: 30, learned: 25}, {fits: 0, learned: 10_000}} {
		fs := crashfs.New()
		b := newByHand(t, fs, func(*Config) {})
		b.answer = func(_ remotewrite.Protocol, body []byte) remotewrite.Answer {
			if n := len(decode(t, remotewrite.V1, body)); n > tc.fits {
				return status(http.StatusRequestEntityTooLarge)
			}
			return status(http.StatusNoContent)
		}
		b.push(0, names(100)...)
		b.work()
		require.EqualValues(t, tc.learned, b.d.maxSamples.Load())
		b.s.close()
		b.s.store()
		require.NoError(t, b.log.Close())
		b = newByHand(t, fs, func(*Config) {})
		require.EqualValues(t, tc.learned, b.d.maxSamples.Load())
		b.s.close()
		require.NoError(t, b.log.Close())
		b = newByHand(t, fs, func(c *Config) { c.Destination = "another" })
		require.EqualValues(t, 10_000, b.d.maxSamples.Load())
	}
}

// Pauses double up to the longest one. What a receiver asks for is a pause at least as long, whatever the jitter.
func TestPauses(t *testing.T) {
	b := newByHand(t, crashfs.New(), func(c *Config) {
		c.MaxInterval, c.Jitter = 5*time.Second, func() float64 { return 0 }
	})
	after := ""
	b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer {
		a := status(http.StatusServiceUnavailable)
		a.Header.Set("Retry-After", after)
		return a
	}
	b.push(0, "a")
	for _, want := range []time.Duration{950, 1900, 3800, 4750, 4750} {
		wait := b.work()
		require.Equal(t, want*time.Millisecond, wait)
		require.Equal(t, wait, b.work(), "an attempt in a pause")
		b.now = b.now.Add(wait)
	}
	require.Equal(t, 5, b.requests)
	after = "90"
	require.Equal(t, 90*time.Second, b.work())
}

// A shard that has nothing in the log's segments does not keep them from being deleted.
func TestIdleShardKeepsNoSegments(t *testing.T) {
	b := newByHand(t, crashfs.New(), func(*Config) {})
	b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer { return status(http.StatusNoContent) }
	log, err := samplelog.Open(samplelog.Options{FS: crashfs.New(), Dir: "log", Shards: 32, SegmentBytes: 1, OnFull: samplelog.Block})
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	b.log, b.d = log, New(b.d.cfg, log, b, b, b, b)
	senders := b.d.begin(log.Runs(0)[0])
	for range 5 {
		b.push(0, "a")
		for _, s := range senders {
			b.s.close()
			b.s = s
			b.work()
		}
	}
	for _, s := range senders {
		defer s.close()
	}
	require.LessOrEqual(t, log.Stats().Segments, 2)
	require.Zero(t, b.d.Stats().Backlog)
}

// A frozen batch of which a part is settled, and of which the log has lost a part: nothing is counted twice, nothing is forgotten.
func TestFrozenBatchThatIsDamaged(t *testing.T) {
	fs := crashfs.New()
	b := newByHand(t, fs, func(c *Config) { c.MaxWait = time.Second })
	codes := []int{413, 204, 413, 204, 502}
	b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer { return status(codes[b.requests-1]) }
	b.push(0, "a", "b")
	second := b.log.Stats().Bytes
	b.push(0, "c", "d")
	b.work()
	b.now = b.now.Add(time.Second)
	b.work()
	require.Len(t, codes, b.requests)
	require.Equal(t, uint64(3), b.d.Stats().Acknowledged)
	b.s.store()
	b.s.close()
	require.NoError(t, b.log.Close())
	f, err := fs.OpenReadWrite("log/segment-00000001.log")
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("damage"), second)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	b = newByHand(t, fs, func(*Config) {})
	b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer { return status(http.StatusNoContent) }
	b.push(time.Second, "e")
	b.work()
	stats := b.d.Stats()
	require.Equal(t, []uint64{5, 5, 0, 0}, []uint64{stats.Accepted, stats.Acknowledged, stats.Dropped[samplelog.ReasonDamaged], stats.Backlog})
}
