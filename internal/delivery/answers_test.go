// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog/crashfs"
)

// What a receiver of 2.0 says about what it has written decides what is counted, and that nothing is sent again.
func TestWhatWasWritten(t *testing.T) {
	for name, tc := range map[string]struct {
		code, written             int
		acknowledged, quarantined uint64
		partial                   uint64
		receiver                  string
		requests                  int
	}{
		"all":                       {http.StatusNoContent, 4, 4, 0, 0, "", 1},
		"more than was sent":        {http.StatusNoContent, 9, 4, 0, 0, "", 1},
		"a part":                    {http.StatusNoContent, 1, 1, 0, 3, "", 1},
		"none":                      {http.StatusNoContent, 0, 0, 0, 4, "", 1},
		"refused, and none written": {http.StatusBadRequest, 0, 0, 4, 0, remotewrite.Prometheus, 1},
		// It may be one that takes all or nothing: each sample is tried.
		"refused, and none written, by whom is not known": {http.StatusBadRequest, 0, 0, 4, 0, "", 7},
		"refused, and all written":                        {http.StatusBadRequest, 4, 4, 0, 0, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newByHand(t, crashfs.New(), func(c *Config) {
				c.Protocol, c.Profile.Name = remotewrite.V2, tc.receiver
			})
			b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer {
				a := status(tc.code)
				a.Header.Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(tc.written))
				return a
			}
			b.push(0, names(4)...)
			b.work()
			stats := b.d.Stats()
			require.Equal(t, tc.requests, b.requests)
			require.Equal(t, tc.acknowledged, stats.Acknowledged)
			require.Equal(t, tc.quarantined, stats.Quarantined[remotewrite.ReasonOther])
			require.Equal(t, tc.partial, stats.Dropped[reasonPartial])
			require.Zero(t, stats.Backlog)
		})
	}
}

// A receiver that refuses everything does not hold up the queue for ever.
func TestIsolatingIsBounded(t *testing.T) {
	b := newByHand(t, crashfs.New(), func(*Config) {})
	b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer { return status(http.StatusUnprocessableEntity) }
	b.push(0, names(5000)...)
	b.work()
	require.Less(t, b.requests, maxIsolating+50)
	require.Equal(t, map[string]uint64{remotewrite.ReasonOther: 5000}, b.d.Stats().Quarantined)
}

// hanging is a receiver that never answers.
type hanging struct {
	byHand
	asked chan struct{}
}

func (h *hanging) Send(ctx context.Context, _ remotewrite.Protocol, _ []byte, _ int) remotewrite.Answer {
	close(h.asked)
	<-ctx.Done()
	return remotewrite.Answer{Err: ctx.Err()}
}

// A request that hangs does not hang the shutdown, and its batch stays.
func TestShutdownWhileARequestHangs(t *testing.T) {
	b := newByHand(t, crashfs.New(), func(c *Config) { c.Now = time.Now })
	b.push(0, "a")
	h := &hanging{asked: make(chan struct{})}
	d := New(b.d.cfg, b.log, h, h, h, h)
	d.Start()
	<-h.asked
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		d.Shutdown(ctx)
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		require.Fail(t, "the shutdown hangs")
	}
	require.Equal(t, uint64(1), d.Stats().Backlog)
}

// Each segment has its own numbers of series.
func TestLabelLimitsAreOfASegment(t *testing.T) {
	b := newByHand(t, crashfs.New(), func(c *Config) {
		c.Profile = remotewrite.Profile{DropsOverLimit: true, MaxLabels: 63, MaxLabelName: 511, MaxLabelValue: 20}
	})
	b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer { return status(http.StatusNoContent) }
	b.push(0, strings.Repeat("x", 21))
	b.work()
	require.Equal(t, uint64(1), b.d.Stats().Quarantined[remotewrite.ReasonLabelLimit])
	view := &samplelog.View{}
	require.NoError(t, b.log.Append(t.Context(), func(batch *samplelog.Batch) error {
		batch.Sample(batch.Series([]samplelog.Symbol{batch.Symbol("__name__"), batch.Symbol("short")}, samplelog.Metadata{}), 0, 1, 1)
		*view = *batch.View()
		return nil
	}))
	l := newLabelLimits(b.d.cfg.Profile)
	require.False(t, l.fits(1, view, 0))
	require.True(t, l.fits(1, view, 1))
	require.False(t, l.fits(1, view, 0), "it is remembered")
	l.verdict[0] = 1
	require.False(t, l.fits(2, view, 0), "of another segment")
}

// What is dropped to make room is counted at once, not when the sender gets there.
func TestDroppedIsCountedAtOnce(t *testing.T) {
	b := newByHand(t, crashfs.New(), func(*Config) {})
	b.answer = func(remotewrite.Protocol, []byte) remotewrite.Answer { return status(http.StatusNoContent) }
	log, err := samplelog.Open(samplelog.Options{
		FS: crashfs.New(), Dir: "log", Shards: 1, SegmentBytes: 1, MaxBytes: 1 << 10, OnFull: samplelog.DropOldest,
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	b.log, b.d = log, New(b.d.cfg, log, b, b, b, b)
	b.s.close()
	b.s = b.d.begin(log.Runs(0)[0])[0]
	defer b.s.close()
	for range 20 {
		b.push(0, "a")
	}
	before := b.d.Stats()
	require.Positive(t, before.Dropped[samplelog.ReasonFull])
	require.Equal(t, uint64(20), before.Accepted)
	require.Equal(t, uint64(20), before.Sum()+before.Backlog)
	b.work()
	after := b.d.Stats()
	require.Equal(t, before.Dropped, after.Dropped)
	require.Equal(t, before.Backlog, after.Acknowledged)
	require.Zero(t, after.Backlog)
}

// What is set aside is kept with the reason, up to a size; above it the oldest goes, also where one batch is larger.
func TestSetAside(t *testing.T) {
	fs := crashfs.New()
	b := newByHand(t, fs, func(*Config) {})
	b.push(0, names(300)...)
	piece, err := b.s.cursor.reader.Next()
	require.NoError(t, err)
	aside := NewSetAside(fs, "log/quarantine", 4<<10, discard)
	require.NoError(t, aside.Close(), "before anything was set aside")
	for i := range 40 {
		require.NoError(t, aside.Put(&piece.View, piece.Samples[i:i+1], "note "+strconv.Itoa(i)))
	}
	require.NoError(t, aside.Put(&piece.View, piece.Samples, "all"))
	require.NoError(t, aside.Put(&piece.View, piece.Samples[:1], "after"))
	require.NoError(t, aside.Close())

	folder, err := samplelog.OpenReadOnly(fs, "log/quarantine")
	require.NoError(t, err)
	var notes []string
	for _, s := range folder.Segments() {
		for batch, err := range folder.Batches(s) {
			require.NoError(t, err)
			notes = append(notes, batch.Note)
		}
	}
	require.Equal(t, "after", notes[len(notes)-1])
	require.NotContains(t, notes, "note 0")
}
