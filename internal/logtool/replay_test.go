// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// backend is a real Prometheus behind a handler.
func backend(t *testing.T, wrap func(http.Handler) http.Handler) (url string, stored func() []want) {
	t.Helper()
	b, err := prombackend.Open(t.TempDir(), prombackend.Options{})
	require.NoError(t, err)
	handler := b.Handler()
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.Close()
		assert.NoError(t, b.Close())
	})
	return server.URL + "/api/v1/write", func() (all []want) {
		for series, err := range b.Series(t.Context(), math.MinInt64, math.MaxInt64) {
			require.NoError(t, err)
			for _, s := range series.Samples {
				all = append(all, wanted(series.Labels, &samplelog.Sample{T: s.T, V: s.F, H: s.H, FH: s.FH}))
			}
		}
		return all
	}
}

func replayTo(url, state string) ReplayOptions {
	return ReplayOptions{Target: Target{Endpoint: url, Version: "test"}, Receiver: "auto", Protocol: "auto", State: state}
}

func ignore(Replayed) {}

func TestReplay(t *testing.T) {
	f := newFolder(t)
	url, stored := backend(t, nil)
	r, err := reader(t, f.dir, Selection{}).Replay(t.Context(), replayTo(url, t.TempDir()), nothing, ignore)
	require.NoError(t, err)
	assert.ElementsMatch(t, sameNaN(firsts(f.backlog)), sameNaN(stored()))
	assert.Equal(t, uint64(len(firsts(f.backlog))), r.Acknowledged)
	assert.Equal(t, r.Selected, r.Acknowledged)
	assert.Equal(t, uint64(len(f.backlog)), r.Selected+r.Repeated)
	assert.Zero(t, r.Left)
	assert.Positive(t, r.Bytes)
	assert.Empty(t, r.Failing)
}

func TestReplayOfEverythingIsInTheOrderOfTime(t *testing.T) {
	f := newFolder(t)
	url, stored := backend(t, nil)
	sel := Selection{All: true}
	all := firsts(selected(t, opened(t, f.dir), sel))
	r, err := reader(t, f.dir, sel).Replay(t.Context(), replayTo(url, t.TempDir()), nothing, ignore)
	require.NoError(t, err)
	assert.Empty(t, r.Quarantined, "a Prometheus server refuses what is out of order")
	assert.ElementsMatch(t, sameNaN(all), sameNaN(stored()))
}

func TestAnInterruptedReplayGoesOn(t *testing.T) {
	f := newFolder(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var requests atomic.Int64
	url, stored := backend(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			if requests.Add(1) == 20 {
				cancel()
			}
		})
	})
	state := filepath.Join(t.TempDir(), "state")
	r, err := reader(t, f.dir, Selection{}).Replay(ctx, replayTo(url, state), nothing, ignore)
	require.ErrorIs(t, err, context.Canceled)
	assert.Positive(t, r.Left)
	assert.Positive(t, r.Acknowledged)
	assert.False(t, r.Resumed)

	t.Run("with other options it is another replay", func(t *testing.T) {
		_, err := reader(t, f.dir, Selection{Expired: true}).Replay(t.Context(), replayTo(url, state), nothing, ignore)
		require.ErrorContains(t, err, "is the state of another replay")
		_, err = reader(t, f.dir, Selection{}).Replay(t.Context(), replayTo(url+"x", state), nothing, ignore)
		require.ErrorContains(t, err, "is the state of another replay")
	})
	r, err = reader(t, f.dir, Selection{}).Replay(t.Context(), replayTo(url, state), nothing, ignore)
	require.NoError(t, err)
	assert.True(t, r.Resumed)
	assert.Equal(t, r.Selected, r.Acknowledged)
	assert.ElementsMatch(t, sameNaN(firsts(f.backlog)), sameNaN(stored()))
}

func TestACopyThatWasInterruptedIsMadeAgain(t *testing.T) {
	f := newFolder(t)
	url, stored := backend(t, nil)
	state := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := reader(t, f.dir, Selection{}).Replay(ctx, replayTo(url, state), nothing, ignore)
	require.ErrorIs(t, err, context.Canceled)
	r, err := reader(t, f.dir, Selection{}).Replay(t.Context(), replayTo(url, state), nothing, ignore)
	require.NoError(t, err)
	assert.False(t, r.Resumed)
	assert.Len(t, stored(), len(firsts(f.backlog)))
}

// What is refused is set aside in the state of the replay, with its answer, and the rest arrives.
func TestReplayOfWhatIsRefused(t *testing.T) {
	f := newFolder(t)
	url, stored := backend(t, nil)
	_, err := reader(t, f.dir, Selection{}).Replay(t.Context(), replayTo(url, t.TempDir()), nothing, ignore)
	require.NoError(t, err)
	before := len(stored())

	// The same again: all but the latest sample of each series is out of order now.
	state := t.TempDir()
	sel := Selection{Metric: "requests_total", Since: start + 390*every}
	o := replayTo(url, state)
	o.Protocol = "1.0"
	r, err := reader(t, f.dir, sel).Replay(t.Context(), o, nothing, ignore)
	require.NoError(t, err)
	assert.Equal(t, uint64(2), r.Acknowledged, "the latest of each series")
	assert.Equal(t, r.Selected-2, r.Quarantined["out_of_order"])
	assert.Len(t, stored(), before)
	refused := selected(t, opened(t, filepath.Join(state, "log")), Selection{Quarantine: true})
	assert.Len(t, refused, int(r.Selected-2)) //nolint:gosec // small
}

func TestReplayAuthenticates(t *testing.T) {
	f := newFolder(t)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("not-a-"+"secret\n"), 0o600))
	for name, c := range map[string]struct {
		target Target
		want   string
	}{
		"token":    {Target{BearerTokenFile: secret}, "Bearer not-a-secret"},
		"password": {Target{User: "acme", PasswordFile: secret}, "Basic YWNtZTpub3QtYS1zZWNyZXQ="},
	} {
		t.Run(name, func(t *testing.T) {
			var got atomic.Value
			url, _ := backend(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					got.Store(r.Header.Get("Authorization"))
					assert.Equal(t, "otelcol-runner/test", r.Header.Get("User-Agent"))
					next.ServeHTTP(w, r)
				})
			})
			o := replayTo(url, t.TempDir())
			o.Target = c.target
			o.Target.Endpoint, o.Target.Version = url, "test"
			_, err := reader(t, f.dir, Selection{Expired: true}).Replay(t.Context(), o, nothing, ignore)
			require.NoError(t, err)
			assert.Equal(t, c.want, got.Load())
		})
	}
}

func TestReplayErrors(t *testing.T) {
	f := newFolder(t)
	for name, c := range map[string]struct {
		change func(*ReplayOptions)
		want   string
	}{
		"no URL":       {func(o *ReplayOptions) { o.Target.Endpoint = "example.com" }, "endpoint: not a URL of http or https: use a form like"},
		"a password":   {func(o *ReplayOptions) { o.Target.Endpoint = "http://a:" + "b@c/" }, "would get into logs: use --user and --password-file"},
		"both":         {func(o *ReplayOptions) { o.Target.User, o.Target.BearerTokenFile = "a", "b" }, "exclude each other"},
		"no password":  {func(o *ReplayOptions) { o.Target.User = "a" }, "belong together"},
		"no such file": {func(o *ReplayOptions) { o.Target.BearerTokenFile = "/nowhere" }, "the secret cannot be read: open /nowhere"},
		"receiver":     {func(o *ReplayOptions) { o.Receiver = "oracle" }, `receiver "oracle" is not known, use one of auto, azure`},
		"protocol":     {func(o *ReplayOptions) { o.Protocol = "3.0" }, `protocol "3.0" is not known: use auto, 1.0 or 2.0`},
		"a folder in use": {func(o *ReplayOptions) {
			require.NoError(t, os.WriteFile(filepath.Join(o.State, "holiday.jpg"), nil, 0o600))
		}, "is not empty, and not the state of a replay: use an empty or a new folder"},
	} {
		t.Run(name, func(t *testing.T) {
			o := replayTo("http://127.0.0.1:1/", t.TempDir())
			c.change(&o)
			_, err := reader(t, f.dir, Selection{}).Replay(t.Context(), o, nothing, ignore)
			require.ErrorContains(t, err, c.want)
			assert.False(t, strings.Contains(err.Error(), "b@c"))
		})
	}
}

// A receiver that takes only the last 20 minutes gets no older samples.
func TestReplayToAReceiverThatTakesNoOldSamples(t *testing.T) {
	f := newFolder(t)
	url, stored := backend(t, nil)
	o := replayTo(url, t.TempDir())
	o.Receiver = "azure"
	r, err := reader(t, f.dir, Selection{Expired: true, Quarantine: true}).Replay(t.Context(), o, nothing, ignore)
	require.NoError(t, err)
	assert.Empty(t, stored())
	assert.Equal(t, uint64(7), r.Expired)
}
