// SPDX-License-Identifier: Apache-2.0

package managed_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	configutil "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/util/compression"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/managed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) *managed.Service {
	t.Helper()
	s, err := managed.Start(t.TempDir(), "127.0.0.1", t.Output())
	require.NoError(t, err)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		assert.NoError(t, s.Close())
	})
	return s
}

// write sends one sample as Prometheus does it.
func write(t *testing.T, s *managed.Service, token string, value float64) error {
	t.Helper()
	target, err := url.Parse(s.URL() + managed.WritePath)
	require.NoError(t, err)
	client, err := remote.NewWriteClient("test", &remote.ClientConfig{
		URL: &configutil.URL{URL: target}, Timeout: model.Duration(5 * time.Second), RetryOnRateLimit: true,
		HTTPClientConfig: configutil.HTTPClientConfig{Authorization: &configutil.Authorization{Type: "Bearer", Credentials: configutil.Secret(token)}},
	})
	require.NoError(t, err)
	defer client.(*remote.Client).Client.CloseIdleConnections()
	request := prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
		Labels:  []prompb.Label{{Name: "__name__", Value: "sent"}},
		Samples: []prompb.Sample{{Timestamp: time.Now().UnixMilli(), Value: value}},
	}}}
	raw, err := request.Marshal()
	require.NoError(t, err)
	body, err := compression.Encode(compression.Snappy, raw, compression.NewSyncEncodeBuffer())
	require.NoError(t, err)
	_, err = client.Store(t.Context(), body, 0)
	return err
}

func TestStates(t *testing.T) {
	s := start(t)
	address := s.URL()
	require.NoError(t, write(t, s, s.Token(), 1))

	require.NoError(t, s.Become(managed.Throttling))
	assert.ErrorContains(t, write(t, s, s.Token(), 2), "429")
	require.NoError(t, s.Become(managed.Failing))
	assert.ErrorContains(t, write(t, s, s.Token(), 3), "503")
	require.NoError(t, s.Become(managed.Away))
	assert.ErrorContains(t, write(t, s, s.Token(), 4), "connection refused")
	require.NoError(t, s.Become(managed.Up))
	assert.Equal(t, address, s.URL(), "it comes back where it was")
	require.NoError(t, write(t, s, s.Token(), 5))

	assert.Equal(t, map[int]int{http.StatusNoContent: 2, http.StatusTooManyRequests: 1, http.StatusServiceUnavailable: 1}, s.Answered())
	stats, err := s.Store().Stats()
	require.NoError(t, err)
	assert.EqualValues(t, 2, stats.SamplesAppended())
}

func TestTokens(t *testing.T) {
	s := start(t)
	assert.ErrorContains(t, write(t, s, "another", 1), "401")
	assert.Equal(t, map[int]int{http.StatusUnauthorized: 1}, s.Answered())

	status, _ := get(t, s.URL()+"/api/v1/query?query=up", "")
	assert.Equal(t, http.StatusUnauthorized, status)
	status, body := get(t, s.URL()+"/api/v1/query?query=up", s.Token())
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `"status":"success"`)

	status, body = get(t, s.URL()+managed.IdentityPath, "")
	assert.Equal(t, http.StatusOK, status)
	var issued struct {
		Token string `json:"access_token"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &issued))
	assert.Equal(t, s.Token(), issued.Token)
	assert.Equal(t, 1, s.Issued())
}

func get(t *testing.T, address, token string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, address, nil)
	require.NoError(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { assert.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}
