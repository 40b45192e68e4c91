// SPDX-License-Identifier: Apache-2.0

package prombackend_test

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	configutil "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
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
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// start opens a backend and serves it over HTTP.
func start(t *testing.T) (*prombackend.Backend, string) {
	t.Helper()
	b, err := prombackend.Open(t.TempDir(), prombackend.Options{})
	require.NoError(t, err)
	server := httptest.NewServer(b.Handler())
	t.Cleanup(func() {
		server.Close()
		http.DefaultClient.CloseIdleConnections()
		assert.NoError(t, b.Close())
	})
	return b, server.URL
}

// write sends the request as Prometheus's own remote-write client does.
func write(t *testing.T, baseURL string, message remoteapi.WriteMessageType, request interface{ Marshal() ([]byte, error) }) error {
	t.Helper()
	target, err := url.Parse(baseURL + "/api/v1/write")
	require.NoError(t, err)
	client, err := remote.NewWriteClient("test", &remote.ClientConfig{
		URL:              &configutil.URL{URL: target},
		Timeout:          model.Duration(5 * time.Second),
		HTTPClientConfig: configutil.HTTPClientConfig{},
		WriteProtoMsg:    message,
	})
	require.NoError(t, err)
	t.Cleanup(client.(*remote.Client).Client.CloseIdleConnections)

	raw, err := request.Marshal()
	require.NoError(t, err)
	body, err := compression.Encode(compression.Snappy, raw, compression.NewSyncEncodeBuffer())
	require.NoError(t, err)
	_, err = client.Store(context.Background(), body, 0)
	return err
}

func v1(name string, samples ...prompb.Sample) *prompb.WriteRequest {
	return &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
		Labels:  []prompb.Label{{Name: "__name__", Value: name}, {Name: "job", Value: "test"}},
		Samples: samples,
	}}}
}

func collect(t *testing.T, b *prombackend.Backend, matchers ...*labels.Matcher) []prombackend.Series {
	t.Helper()
	var all []prombackend.Series
	for s, err := range b.Series(context.Background(), math.MinInt64, math.MaxInt64, matchers...) {
		require.NoError(t, err)
		all = append(all, s)
	}
	return all
}

func TestWriteV1ThenReadBack(t *testing.T) {
	b, baseURL := start(t)
	now := time.Now().UnixMilli()
	stale := math.Float64frombits(value.StaleNaN)

	request := v1("requests_total", prompb.Sample{Timestamp: now, Value: 3}, prompb.Sample{Timestamp: now + 1000, Value: stale})
	request.Timeseries[0].Exemplars = []prompb.Exemplar{{Labels: []prompb.Label{{Name: "trace_id", Value: "abc"}}, Value: 1, Timestamp: now}}
	native := histogram.Histogram{
		Schema: 1, ZeroThreshold: 1e-128, Count: 3, Sum: 4.5,
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1, 1},
	}
	request.Timeseries = append(request.Timeseries, prompb.TimeSeries{
		Labels:     []prompb.Label{{Name: "__name__", Value: "latency"}},
		Histograms: []prompb.Histogram{prompb.FromIntHistogram(now, &native)},
	})
	require.NoError(t, write(t, baseURL, remoteapi.WriteV1MessageType, request))

	all := collect(t, b)
	require.Len(t, all, 2)
	assert.Equal(t, `{__name__="latency"}`, all[0].Labels.String())
	require.Len(t, all[0].Samples, 1)
	assert.True(t, native.Equals(all[0].Samples[0].H), "got %v", all[0].Samples[0].H)
	assert.Equal(t, `{__name__="requests_total", job="test"}`, all[1].Labels.String())
	require.Len(t, all[1].Samples, 2)
	assert.Equal(t, prombackend.Sample{T: now, F: 3}, all[1].Samples[0])
	assert.Equal(t, now+1000, all[1].Samples[1].T)
	assert.True(t, value.IsStaleNaN(all[1].Samples[1].F), "the stale marker keeps its bits")

	one := collect(t, b, labels.MustNewMatcher(labels.MatchEqual, "job", "test"))
	require.Len(t, one, 1)

	exemplars, err := b.Exemplars(context.Background(), now, now)
	require.NoError(t, err)
	require.Len(t, exemplars, 1)
	assert.Equal(t, `{trace_id="abc"}`, exemplars[0].Exemplars[0].Labels.String())

	stats, err := b.Stats()
	require.NoError(t, err)
	assert.Equal(t, map[int]int64{http.StatusNoContent: 1}, stats.Requests)
	assert.Positive(t, stats.BodyBytes)
	assert.EqualValues(t, 2, stats.FloatSamples)
	assert.EqualValues(t, 1, stats.HistogramSamples)
	assert.EqualValues(t, 3, stats.SamplesAppended())
	assert.EqualValues(t, 2, stats.Series)
	assert.Zero(t, stats.RejectedSamples)
}

func TestWriteV2(t *testing.T) {
	b, baseURL := start(t)
	now := time.Now().UnixMilli()
	require.NoError(t, write(t, baseURL, remoteapi.WriteV2MessageType, &writev2.Request{
		Symbols:    []string{"", "__name__", "temperature"},
		Timeseries: []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2}, Samples: []writev2.Sample{{Timestamp: now, Value: 21.5}}}},
	}))
	result, err := b.Query(context.Background(), "temperature * 2", time.UnixMilli(now))
	require.NoError(t, err)
	vector, err := result.Vector()
	require.NoError(t, err)
	require.Len(t, vector, 1)
	assert.Equal(t, now, vector[0].T)
	assert.InDelta(t, 43, vector[0].F, 0)
}

func TestRefusedSamplesAreCounted(t *testing.T) {
	b, baseURL := start(t)
	now := time.Now().UnixMilli()
	require.NoError(t, write(t, baseURL, remoteapi.WriteV1MessageType, v1("a", prompb.Sample{Timestamp: now, Value: 1})))

	t.Run("a repeated sample is accepted and stored once", func(t *testing.T) {
		require.NoError(t, write(t, baseURL, remoteapi.WriteV1MessageType, v1("a", prompb.Sample{Timestamp: now, Value: 1})))
		stats, err := b.Stats()
		require.NoError(t, err)
		assert.EqualValues(t, 1, stats.SamplesAppended())
	})
	t.Run("out of order", func(t *testing.T) {
		request := v1("b", prompb.Sample{Timestamp: now, Value: 1})
		request.Timeseries = append(request.Timeseries, v1("a", prompb.Sample{Timestamp: now - 1, Value: 1}).Timeseries...)
		err := write(t, baseURL, remoteapi.WriteV1MessageType, request)
		assert.ErrorContains(t, err, "out of order sample")
		stats, err := b.Stats()
		require.NoError(t, err)
		assert.EqualValues(t, 1, stats.Requests[http.StatusBadRequest])
		assert.EqualValues(t, 2, stats.RejectedSamples, "the refused one and the one that was rolled back with it")
	})
	t.Run("invalid labels", func(t *testing.T) {
		request := &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
			Labels: []prompb.Label{{Name: "nameless", Value: "x"}}, Samples: []prompb.Sample{{Timestamp: now, Value: 1}},
		}}}
		require.NoError(t, write(t, baseURL, remoteapi.WriteV1MessageType, request))
		stats, err := b.Stats()
		require.NoError(t, err)
		assert.EqualValues(t, 3, stats.RejectedSamples)
	})
	assert.Len(t, collect(t, b), 1)
}

func TestHTTPAPI(t *testing.T) {
	_, baseURL := start(t)
	now := time.Now()
	require.NoError(t, write(t, baseURL, remoteapi.WriteV1MessageType, v1("up", prompb.Sample{Timestamp: now.UnixMilli(), Value: 1})))
	span := "start=" + now.Add(-time.Minute).Format(time.RFC3339) + "&end=" + now.Add(time.Minute).Format(time.RFC3339)

	for _, tc := range []struct {
		name, path string
		status     int
		contains   string
	}{
		{"instant query", "/api/v1/query?query=up", http.StatusOK, `"resultType":"vector","result":[{"metric":{"__name__":"up","job":"test"}`},
		{"range query", "/api/v1/query_range?query=up&step=30&" + span, http.StatusOK, `"resultType":"matrix"`},
		{"series", "/api/v1/series?match[]=up", http.StatusOK, `[{"__name__":"up","job":"test"}]`},
		{"label values", "/api/v1/label/job/values", http.StatusOK, `["test"]`},
		{"label names", "/api/v1/labels", http.StatusOK, `["__name__","job"]`},
		{"exemplars", "/api/v1/query_exemplars?query=up&" + span, http.StatusOK, `"data":[]`},
		{"bad expression", "/api/v1/query?query=up(", http.StatusBadRequest, `"errorType":"bad_data"`},
		{"a part that is absent", "/api/v1/targets", http.StatusNotFound, "404 page not found"},
		{"health", "/-/healthy", http.StatusOK, "Healthy"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, body := get(t, baseURL+tc.path)
			assert.Equal(t, tc.status, status)
			assert.Contains(t, body, tc.contains)
			if strings.HasPrefix(tc.path, "/api") && tc.status == http.StatusOK {
				var envelope struct{ Status string }
				require.NoError(t, json.Unmarshal([]byte(body), &envelope))
				assert.Equal(t, "success", envelope.Status)
			}
		})
	}
}

func get(t *testing.T, address string) (int, string) {
	t.Helper()
	response, err := http.Get(address) //nolint:gosec // the test's own server
	require.NoError(t, err)
	defer func() { assert.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestQueryErrors(t *testing.T) {
	b, _ := start(t)
	_, err := b.Query(context.Background(), "sum(", time.Now())
	assert.ErrorContains(t, err, `PromQL "sum(": 1:5: parse error`)

	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = b.Query(cancelled, "vector(1)", time.Now())
	assert.ErrorContains(t, err, `PromQL "vector(1)": query was canceled`)
}

func TestOpenErrors(t *testing.T) {
	t.Run("not a folder", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		_, err := prombackend.Open(filepath.Join(file, "data"), prombackend.Options{})
		assert.ErrorContains(t, err, "cannot keep its data in")
		assert.ErrorContains(t, err, "choose a folder that this user can write")
	})
	t.Run("read-only folder", func(t *testing.T) {
		_, err := prombackend.Open("/proc/self", prombackend.Options{})
		assert.ErrorContains(t, err, `cannot keep its data in "/proc/self"`)
	})
	t.Run("in use", func(t *testing.T) {
		dir := t.TempDir()
		b, err := prombackend.Open(dir, prombackend.Options{})
		require.NoError(t, err)
		_, err = prombackend.Open(dir, prombackend.Options{})
		assert.ErrorContains(t, err, "is another process using this folder?")
		require.NoError(t, b.Close())
	})
}

func TestReopenKeepsWhatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	b, err := prombackend.Open(dir, prombackend.Options{})
	require.NoError(t, err)
	server := httptest.NewServer(b.Handler())
	now := time.Now().UnixMilli()
	require.NoError(t, write(t, server.URL, remoteapi.WriteV1MessageType, v1("a", prompb.Sample{Timestamp: now, Value: 7})))
	server.Close()
	require.NoError(t, b.Close())

	b, err = prombackend.Open(dir, prombackend.Options{})
	require.NoError(t, err)
	all := collect(t, b)
	require.Len(t, all, 1)
	assert.Equal(t, []prombackend.Sample{{T: now, F: 7}}, all[0].Samples)
	require.NoError(t, b.Close())
}
