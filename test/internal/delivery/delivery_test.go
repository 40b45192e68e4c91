// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	configutil "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/util/compression"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

// TestMain lets the test binary be its own backend, as the commands are theirs.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == delivery.BackendCommand {
		ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := delivery.RunBackend(ctx, os.Args[2:], os.Stderr)
		cancel()
		if err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// point is a sample that is written into the store.
type point struct {
	t int64
	v float64
}

// now is a time of day that is easy to read in findings.
var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC).UnixMilli()

// store opens a backend with these series in it.
func store(t *testing.T, series map[string][]point) *prombackend.Backend {
	t.Helper()
	b, err := prombackend.Open(t.TempDir(), prombackend.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	for metric, points := range series {
		ls := labels.FromStrings(model.MetricNameLabel, metric, delivery.IDLabel, "a")
		if metric == "up" || metric == "foreign" {
			ls = labels.FromStrings(model.MetricNameLabel, metric)
		}
		for _, p := range points {
			appender := b.DB().Appender(t.Context())
			_, err := appender.Append(0, ls, p.t, p.v)
			require.NoError(t, err)
			require.NoError(t, appender.Commit())
		}
	}
	return b
}

func TestCompareFindsWhatIsPlanted(t *testing.T) {
	exposed := []delivery.Exposure{
		{T: now, V: 1.5, Owed: true}, {T: now + 10, V: 2.5, Owed: true}, {T: now + 20, V: 3.5, Owed: true},
		{T: now + 20, Width: 10, V: 4.5},
	}
	for _, tc := range []struct {
		name                         string
		stored                       map[string][]point
		lost, duplicated, outOfOrder []string
		missing                      []float64
		count, stale                 int
	}{
		{
			name:   "all is well",
			stored: map[string][]point{"m": {{now, 1.5}, {now + 10, 2.5}, {now + 20, 3.5}, {now + 25, 4.5}}, "up": {{now, 1}}},
			count:  4,
		},
		{
			name:   "a sample that is not owed may be missing",
			stored: map[string][]point{"m": {{now, 1.5}, {now + 10, 2.5}, {now + 20, 3.5}}},
			count:  3, missing: []float64{4.5},
		},
		{
			name:   "a loss",
			stored: map[string][]point{"m": {{now, 1.5}, {now + 20, 3.5}}},
			count:  2, missing: []float64{4.5},
			lost: []string{`{__name__="m", id="a"} 2.5 at 12:00:00.010`},
		},
		{
			name: "a series is lost", missing: []float64{4.5},
			lost: []string{`{id="a"} 1.5 at 12:00:00.000`, `{id="a"} 2.5 at 12:00:00.010`, `{id="a"} 3.5 at 12:00:00.020`},
		},
		{
			name:   "a value that is off by one bit",
			stored: map[string][]point{"m": {{now, 1.5}, {now + 10, math.Nextafter(2.5, 3)}, {now + 20, 3.5}}},
			count:  2, missing: []float64{4.5},
			lost:       []string{`{__name__="m", id="a"} 2.5 at 12:00:00.010`},
			duplicated: []string{`{__name__="m", id="a"} 2.5000000000000004 at 12:00:00.010: nobody exposed this value`},
		},
		{
			name:   "a sample twice",
			stored: map[string][]point{"m": {{now, 1.5}, {now + 10, 2.5}, {now + 11, 2.5}, {now + 20, 3.5}}},
			count:  3, missing: []float64{4.5},
			duplicated: []string{`{__name__="m", id="a"} 2.5 at 12:00:00.011: the same sample is stored at another time too`},
		},
		{
			name:   "a sample at another time",
			stored: map[string][]point{"m": {{now, 1.5}, {now + 11, 2.5}, {now + 20, 3.5}, {now + 31, 4.5}}},
			count:  2, missing: []float64{4.5},
			lost: []string{`{__name__="m", id="a"} 2.5 at 12:00:00.010`},
			duplicated: []string{
				`{__name__="m", id="a"} 2.5 at 12:00:00.011: it was exposed at 12:00:00.010`,
				`{__name__="m", id="a"} 4.5 at 12:00:00.031: it was exposed at 12:00:00.020`,
			},
		},
		{
			name:   "a second series",
			stored: map[string][]point{"m": {{now, 1.5}, {now + 10, 2.5}, {now + 20, 3.5}}, "n": {{now, 1.5}}},
			count:  3, missing: []float64{4.5},
			duplicated: []string{`{__name__="n", id="a"} 1.5 at 12:00:00.000: the same series is stored as {__name__="m", id="a"} too`},
		},
		{
			name:   "a series of nobody",
			stored: map[string][]point{"m": {{now, 1.5}, {now + 10, 2.5}, {now + 20, 3.5}}, "foreign": {{now, 1}}},
			count:  3, missing: []float64{4.5},
			duplicated: []string{`{__name__="foreign"} 1 at 12:00:00.000: nobody exposed this series`},
		},
		{
			name:   "a stale marker",
			stored: map[string][]point{"m": {{now, 1.5}, {now + 10, 2.5}, {now + 20, 3.5}, {now + 30, math.Float64frombits(value.StaleNaN)}}},
			count:  3, missing: []float64{4.5}, stale: 1,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var ledger delivery.Ledger
			ledger.Add("a", exposed...)
			verdict, err := delivery.Compare(&ledger, delivery.All(t.Context(), store(t, tc.stored)))
			require.NoError(t, err)
			assert.Equal(t, tc.lost, verdict.Lost)
			assert.Equal(t, tc.duplicated, verdict.Duplicated)
			assert.Empty(t, verdict.OutOfOrder)
			assert.Equal(t, tc.missing, verdict.Missing["a"])
			assert.Equal(t, tc.stale, verdict.StaleMarkers)
			assert.Equal(t, len(exposed), verdict.Exposed)
			assert.Equal(t, tc.count, verdict.Stored)
		})
	}
}

func TestCompareFindsASwap(t *testing.T) {
	var ledger delivery.Ledger
	// Scraped samples: their timestamps are the collector's, so that two of them can change places.
	ledger.Add("a", delivery.Exposure{T: now, Width: 50, V: 1.5, Owed: true}, delivery.Exposure{T: now, Width: 50, V: 2.5, Owed: true})
	verdict, err := delivery.Compare(&ledger, delivery.All(t.Context(), store(t, map[string][]point{"m": {{now + 10, 2.5}, {now + 20, 1.5}}})))
	require.NoError(t, err)
	assert.Equal(t, []string{`{__name__="m", id="a"} 1.5 at 12:00:00.020: a later exposure is stored before it`}, verdict.OutOfOrder)
	assert.Empty(t, verdict.Lost)
	assert.Equal(t, 2, verdict.Stored)
}

func TestValuesIncreaseAndRepeat(t *testing.T) {
	values := delivery.NewValues()
	for n := range 1000 {
		assert.Less(t, values.Value("a", n), values.Value("a", n+1))
		assert.Equal(t, math.Float64bits(values.Value("a", n)), math.Float64bits(values.Value("a", n)))
	}
}

// bench is a bench whose backend runs; no test here runs a collector.
func bench(t *testing.T) *delivery.Bench {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	b, err := delivery.NewBench(t.TempDir(), self, nil)
	require.NoError(t, err)
	t.Cleanup(b.Discard)
	startBackend(t, b)
	return b
}

func startBackend(t *testing.T, b *delivery.Bench) {
	t.Helper()
	require.NoError(t, b.StartBackend())
	require.NoError(t, b.AwaitBackend(t.Context()))
}

// request is a remote-write request for one series, whose id is "a".
type request struct {
	v2     bool
	points []point
}

func send(t *testing.T, b *delivery.Bench, r request) error {
	t.Helper()
	var raw []byte
	var err error
	message := remoteapi.WriteV1MessageType
	if r.v2 {
		message = remoteapi.WriteV2MessageType
		series := writev2.TimeSeries{LabelsRefs: []uint32{1, 2, 3, 4}}
		for _, p := range r.points {
			series.Samples = append(series.Samples, writev2.Sample{Timestamp: p.t, Value: p.v})
		}
		raw, err = (&writev2.Request{Symbols: []string{"", "__name__", "m", "id", "a"}, Timeseries: []writev2.TimeSeries{series}}).Marshal()
	} else {
		series := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: "m"}, {Name: "id", Value: "a"}}}
		for _, p := range r.points {
			series.Samples = append(series.Samples, prompb.Sample{Timestamp: p.t, Value: p.v})
		}
		raw, err = (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{series}}).Marshal()
	}
	require.NoError(t, err)
	body, err := compression.Encode(compression.Snappy, raw, compression.NewSyncEncodeBuffer())
	require.NoError(t, err)
	target, err := url.Parse(b.RemoteWrite())
	require.NoError(t, err)
	client, err := remote.NewWriteClient("test", &remote.ClientConfig{
		URL: &configutil.URL{URL: target}, Timeout: model.Duration(10 * time.Second), WriteProtoMsg: message,
	})
	require.NoError(t, err)
	defer client.(*remote.Client).Client.CloseIdleConnections()
	_, err = client.Store(t.Context(), body, 0)
	return err
}

func TestTrafficFindsWhatIsPlanted(t *testing.T) {
	base := time.Now().UnixMilli()
	v1 := func(points ...point) request { return request{points: points} }
	for _, tc := range []struct {
		name                  string
		requests              []request
		conflicts, outOfOrder int
		repeated              int
		refused               string
	}{
		{name: "in order", requests: []request{v1(point{base, 1}), v1(point{base + 1, 2}), {v2: true, points: []point{{base + 2, 3}, {base + 3, 4}}}}},
		{name: "the latest again", requests: []request{v1(point{base, 1}), v1(point{base, 1})}, repeated: 1},
		{name: "a swap", requests: []request{v1(point{base + 1, 2}), v1(point{base, 1})}, outOfOrder: 1, refused: "out of order sample"},
		{name: "a swap, tried twice", requests: []request{v1(point{base + 1, 2}), v1(point{base, 1}), v1(point{base, 1})}, outOfOrder: 1, refused: "out of order sample"},
		// Prometheus answers 204 to this and drops the sample at commit.
		{name: "a swap within a request", requests: []request{v1(point{base + 1, 2}, point{base, 1})}, outOfOrder: 1},
		{name: "two values", requests: []request{v1(point{base, 1}), {v2: true, points: []point{{base, 2}}}}, conflicts: 1, repeated: 1, refused: "duplicate sample for timestamp"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := bench(t)
			for _, r := range tc.requests {
				_ = send(t, b, r) // refused ones are in the traffic
			}
			require.NoError(t, b.Backend.Stop())
			traffic, err := b.Traffic()
			require.NoError(t, err)
			assert.Len(t, traffic.Conflicts, tc.conflicts)
			assert.Len(t, traffic.OutOfOrder, tc.outOfOrder)
			assert.Equal(t, tc.repeated, traffic.Repeated)
			if tc.refused == "" {
				assert.Equal(t, map[int]int{0: 0, http.StatusNoContent: len(tc.requests)}, traffic.Requests)
				assert.Empty(t, traffic.Refusals)
				return
			}
			require.Len(t, traffic.Refusals, 1)
			for text := range traffic.Refusals {
				assert.Contains(t, text, "400 ")
				assert.Contains(t, text, tc.refused)
			}
		})
	}
}

func TestAKilledBackendKeepsWhatItAcknowledged(t *testing.T) {
	b := bench(t)
	base := time.Now().UnixMilli()
	for i := range int64(20) {
		require.NoError(t, send(t, b, request{points: []point{{base + i, float64(i)}}}))
	}
	require.NoError(t, b.Backend.Kill())
	require.Error(t, send(t, b, request{points: []point{{base + 20, 20}}}), "nobody listens")
	startBackend(t, b)
	require.NoError(t, send(t, b, request{points: []point{{base + 19, 19}}}))

	n, err := b.Query(t.Context(), `sum(count_over_time({id="a"}[1m]))`, time.Now())
	require.NoError(t, err)
	assert.InDelta(t, 20, n, 0)
	n, err = b.Query(t.Context(), "absent_metric", time.Now())
	require.NoError(t, err)
	assert.Zero(t, n)

	require.NoError(t, b.Backend.Stop())
	traffic, err := b.Traffic()
	require.NoError(t, err)
	assert.Equal(t, map[int]int{0: 0, http.StatusNoContent: 21}, traffic.Requests)
	assert.Equal(t, 1, traffic.Repeated, "the second life's request repeats one of the first life's")

	stored, err := b.Stored()
	require.NoError(t, err)
	var ledger delivery.Ledger
	for i := range int64(20) {
		ledger.Add("a", delivery.Exposure{T: base + i, V: float64(i), Owed: true})
	}
	verdict, err := delivery.Compare(&ledger, delivery.All(t.Context(), stored))
	require.NoError(t, err)
	require.NoError(t, stored.Close())
	assert.Equal(t, 20, verdict.Stored)
	assert.Empty(t, verdict.Lost)
	assert.Empty(t, verdict.Duplicated)
}
