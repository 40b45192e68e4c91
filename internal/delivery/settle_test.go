// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog/crashfs"
)

// refusing is a receiver that refuses everything, beside a disk without room for what is refused.
type refusing struct{ puts int }

func (*refusing) Send(context.Context, remotewrite.Protocol, []byte, int) remotewrite.Answer {
	return remotewrite.Answer{Status: http.StatusBadRequest, Header: http.Header{}, Body: []byte("out of order sample")}
}

func (r *refusing) Put(*samplelog.View, []samplelog.Sample, string) error {
	r.puts++
	return errors.New("no space left on device")
}

func (*refusing) Attempt(string, time.Duration, int, int) {}
func (*refusing) Partial()                                {}
func (*refusing) Deduplicated()                           {}

// What is refused and cannot be kept does not stop what comes behind it: on a full disk it would do so for ever.
func TestWhatCannotBeKeptIsCounted(t *testing.T) {
	log, err := samplelog.Open(samplelog.Options{FS: crashfs.New(), Dir: "log", Shards: 1, SegmentBytes: 1 << 20, OnFull: samplelog.Block})
	require.NoError(t, err)
	require.NoError(t, log.Append(t.Context(), func(b *samplelog.Batch) error {
		for _, name := range []string{"a", "b", "c"} {
			b.Sample(b.Series([]samplelog.Symbol{b.Symbol("__name__"), b.Symbol(name)}, samplelog.Metadata{}), 0, 1, 1)
		}
		return nil
	}))
	var out bytes.Buffer
	receiver := &refusing{}
	d := New(Config{
		Protocol: remotewrite.V1, MaxSamples: 10, InitialInterval: time.Microsecond, MaxInterval: time.Microsecond,
		Logger: slog.New(slog.NewTextHandler(&out, nil)), Jitter: func() float64 { return 0.5 }, Now: time.Now, Status: func(error) {},
	}, log, receiver, receiver, receiver, receiver)
	d.Start()
	require.Eventually(t, func() bool { return d.Stats().Backlog == 0 }, 10*time.Second, time.Millisecond)
	d.Shutdown(t.Context())
	require.NoError(t, log.Close())
	require.Equal(t, map[string]uint64{remotewrite.ReasonOutOfOrder: 3}, d.Stats().Quarantined)
	require.Equal(t, asideTries+2, receiver.puts, "each but the first is tried once")
	require.Contains(t, out.String(), "they are counted and not kept")
	require.Contains(t, out.String(), "no space left on device")
}
