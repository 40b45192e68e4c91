// SPDX-License-Identifier: Apache-2.0

package remotewrite_test

import (
	"bytes"
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// TestPrometheusStoresTheRequests sends a runner's scrape, a stale marker in a histogram among it, to Prometheus's own write
// handler, in both versions.
func TestPrometheusStoresTheRequests(t *testing.T) {
	for _, p := range []remotewrite.Protocol{remotewrite.V1, remotewrite.V2} {
		t.Run(string(p), func(t *testing.T) {
			backend, address := receiver(t)
			view, samples := runner(t)
			now := time.Now().UnixMilli()
			for i := range samples {
				samples[i].T = now + int64(i%7)
			}
			stale := &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}
			samples[0] = samplelog.Sample{Ref: samples[0].Ref, T: now, H: stale}

			answer := post(t, address, p, 0, encode(p, view, samples))
			v := remotewrite.Classify(answer, remotewrite.Request{Protocol: p, Samples: len(samples), Probing: true})
			assert.Equal(t, remotewrite.Delivered, v.Action, v.Text)
			assert.False(t, v.Partial)
			assert.Equal(t, p == remotewrite.V2, v.WrittenKnown)

			stored := map[string]prombackend.Sample{}
			for s, err := range backend.Series(context.Background(), math.MinInt64, math.MaxInt64) {
				require.NoError(t, err)
				require.Len(t, s.Samples, 1)
				stored[s.Labels.String()] = s.Samples[0]
			}
			require.Len(t, stored, len(samples))
			for _, s := range samples[1:] {
				got := stored[view.PromLabels(s.Ref).String()]
				require.Equal(t, s.T, got.T)
				require.Equal(t, math.Float64bits(s.V), math.Float64bits(got.F))
			}
			got := stored[view.PromLabels(samples[0].Ref).String()]
			require.NotNil(t, got.H)
			assert.True(t, value.IsStaleNaN(got.H.Sum))
		})
	}
}

// TestWhatPrometheusRefuses asks a real Prometheus for its answers.
func TestWhatPrometheusRefuses(t *testing.T) {
	now := time.Now().UnixMilli()
	bad := map[string]struct {
		reason string
		sample samplelog.Sample
	}{
		"duplicate":    {remotewrite.ReasonDuplicate, samplelog.Sample{T: now, V: 2}},
		"out of order": {remotewrite.ReasonOutOfOrder, samplelog.Sample{T: now - 1, V: 2}},
		"too old":      {remotewrite.ReasonTooOld, samplelog.Sample{T: now - 5*time.Hour.Milliseconds(), V: 2}},
		"future":       {remotewrite.ReasonTooFarInFuture, samplelog.Sample{T: now + time.Hour.Milliseconds(), V: 2}},
		"histogram":    {remotewrite.ReasonInvalid, samplelog.Sample{T: now + 1, H: &histogram.Histogram{Count: 1, PositiveSpans: []histogram.Span{{Length: 3}}}}},
	}
	for _, p := range []remotewrite.Protocol{remotewrite.V1, remotewrite.V2} {
		for name, tc := range bad {
			t.Run(string(p)+" "+name, func(t *testing.T) {
				_, address := receiver(t)
				write(t, func(b *samplelog.Batch) {
					ref := b.Series(intern(b, []string{"__name__", "a", "job", "x"}), samplelog.Metadata{})
					other := b.Series(intern(b, []string{"__name__", "b", "job", "x"}), samplelog.Metadata{})
					require.Equal(t, 2, post(t, address, p, 0, encode(p, b.View(), []samplelog.Sample{{Ref: ref, T: now, V: 1}})).Status/100)

					tc.sample.Ref = ref
					samples := []samplelog.Sample{{Ref: other, T: now, V: 1}, tc.sample}
					v := remotewrite.Classify(post(t, address, p, 1, encode(p, b.View(), samples)), remotewrite.Request{Protocol: p, Samples: 2, Probing: true})
					assert.Equal(t, remotewrite.Isolate, v.Action, v.Text)
					assert.Equal(t, tc.reason, v.Reason, v.Text)
					assert.Equal(t, p == remotewrite.V2, v.WrittenKnown)
					assert.Equal(t, p == remotewrite.V2, v.Written == 1)

					v = remotewrite.Classify(post(t, address, p, 2, encode(p, b.View(), samples[1:])), remotewrite.Request{Protocol: p, Samples: 1})
					assert.Equal(t, p == remotewrite.V2, v.NoneWritten, "nothing to look for")
				})
			})
		}
	}
}

// TestTooLargeForPrometheus: its limit before compression is 32 MiB.
func TestTooLargeForPrometheus(t *testing.T) {
	_, address := receiver(t)
	v := remotewrite.Classify(post(t, address, remotewrite.V1, 0, make([]byte, 33<<20)), remotewrite.Request{Protocol: remotewrite.V1, Samples: 9})
	assert.Equal(t, remotewrite.Split, v.Action, v.Text)
}

func encode(p remotewrite.Protocol, view *samplelog.View, samples []samplelog.Sample) []byte {
	var e remotewrite.Encoder
	if p == remotewrite.V1 {
		return e.V1(view, samples)
	}
	return e.V2(view, samples)
}

// receiver is a real Prometheus, and the address that it takes samples on.
func receiver(t *testing.T) (*prombackend.Backend, string) {
	t.Helper()
	b, err := prombackend.Open(t.TempDir(), prombackend.Options{})
	require.NoError(t, err)
	server := httptest.NewServer(b.Handler())
	t.Cleanup(func() {
		server.Close()
		assert.NoError(t, b.Close())
	})
	return b, server.URL + "/api/v1/write"
}

// post sends a message, and returns what Classify needs to know.
func post(t *testing.T, address string, p remotewrite.Protocol, attempt int, raw []byte) remotewrite.Answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(remotewrite.Compress(nil, raw)))
	require.NoError(t, err)
	request.Header = remotewrite.Header(p, attempt)
	response, err := http.DefaultClient.Do(request) //nolint:bodyclose // ReadAnswer does
	require.NoError(t, err)
	return remotewrite.ReadAnswer(response)
}
