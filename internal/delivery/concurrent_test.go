// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// atOnce is a model of a receiver for several senders at a time.
type atOnce struct {
	t  *testing.T
	mu sync.Mutex
	receiver
}

func (r *atOnce) Send(_ context.Context, p remotewrite.Protocol, body []byte, _ int) remotewrite.Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.send(r.t, p, body)
	a.Header.Del("Retry-After")
	return a
}
func (*atOnce) Put(*samplelog.View, []samplelog.Sample, string) error { return nil }
func (*atOnce) Attempt(string, time.Duration, int, int)               {}
func (*atOnce) Partial()                                              {}
func (*atOnce) Deduplicated()                                         {}

// Batches come from several callers, shards send at once over a receiver that fails, figures are read meanwhile, and processes come
// and go with other numbers of shards: every sample arrives once and in order, and the figures add up at every moment.
func TestAllAtOnce(t *testing.T) {
	const callers, series, batches, processes = 3, 7, 60, 4
	seed := rand.Uint64() //nolint:gosec // a test
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // a test
	recv := &atOnce{t: t, receiver: receiver{rng: rng, faults: true, maxLen: 13, series: map[string][]stored{}}}
	dir := t.TempDir()
	next := make([]int64, callers)
	for process := range processes {
		log, err := samplelog.Open(samplelog.Options{
			FS: samplelog.Disk{}, Dir: dir, Shards: []int{3, 3, 1, 2}[process], SegmentBytes: 4 << 10, SyncInterval: time.Microsecond, OnFull: samplelog.Block,
		})
		require.NoError(t, err)
		d := New(Config{
			Protocol: remotewrite.V2, Fallback: true, Destination: "model", MaxSamples: 20, MaxWait: time.Millisecond,
			InitialInterval: 10 * time.Microsecond, MaxInterval: 100 * time.Microsecond,
			Logger: discard, Jitter: func() float64 { return 0.5 }, Now: time.Now, Status: func(error) {},
		}, log, recv, recv, recv, recv)
		d.Start()
		var appending, watching sync.WaitGroup
		generation, refs := uint64(0), map[string]samplelog.Ref{} // used under the log's lock
		for caller := range callers {
			appending.Go(func() {
				for range batches {
					next[caller]++
					err := log.Append(t.Context(), func(b *samplelog.Batch) error {
						if generation != b.Generation() {
							generation, refs = b.Generation(), map[string]samplelog.Ref{}
						}
						for i := range series {
							name := fmt.Sprint(caller, "-", i)
							if _, known := refs[name]; !known {
								labels := []samplelog.Symbol{b.Symbol("__name__"), b.Symbol("up"), b.Symbol("series"), b.Symbol(name)}
								refs[name] = b.Series(labels, samplelog.Metadata{})
							}
							b.Sample(refs[name], 0, next[caller], float64(next[caller]))
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		done := make(chan struct{})
		watching.Go(func() {
			last := Stats{}
			for {
				s := d.Stats()
				if s.Accepted != s.Sum()+s.Backlog || s.Accepted < last.Accepted || s.Acknowledged < last.Acknowledged || s.Sum() < last.Sum() {
					t.Errorf("%+v after %+v", s, last)
					return
				}
				last = s
				select {
				case <-done:
					return
				case <-time.After(100 * time.Microsecond):
				}
			}
		})
		appending.Wait()
		if process == processes-1 {
			require.Eventually(t, func() bool { return d.Stats().Backlog == 0 }, 20*time.Second, time.Millisecond)
		}
		close(done)
		watching.Wait()
		d.Shutdown(t.Context())
		require.NoError(t, log.Close())
		if process == processes-1 {
			s := d.Stats()
			require.Equal(t, uint64(callers*series*batches*processes), s.Acknowledged)
			require.Equal(t, s.Accepted, s.Acknowledged)
		}
	}
	for caller := range callers {
		for i := range series {
			got := recv.series[fmt.Sprint(caller, "-", i)]
			require.Len(t, got, batches*processes)
			for n, s := range got {
				require.Equal(t, int64(n+1), s.t)
			}
		}
	}
}
