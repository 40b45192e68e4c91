// SPDX-License-Identifier: Apache-2.0

package natsreceiver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/kubiyabot/otelcol-runner/test/peers/natshop/credentials"
	"github.com/kubiyabot/otelcol-runner/test/peers/natshop/natsexporter"
)

const patience = 20 * time.Second

// sink takes batches, or fails as often as it is told.
type sink struct {
	mu       sync.Mutex // guards what follows
	failures []error
	names    []string
}

func (s *sink) consume(_ context.Context, md pmetric.Metrics) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failures) > 0 {
		err := s.failures[0]
		s.failures = s.failures[1:]
		return err
	}
	s.names = append(s.names, md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Name())
	return nil
}

func (s *sink) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.names...)
}

// startEnds starts a server and both ends of it.
func startEnds(t *testing.T, stream bool, to *sink) exporter.Metrics {
	t.Helper()
	dir := t.TempDir()
	trust, err := credentials.Make(dir)
	require.NoError(t, err)
	config := filepath.Join(dir, "server.conf")
	require.NoError(t, os.WriteFile(config, []byte("listen: \"127.0.0.1:-1\"\njetstream: {store_dir: \""+dir+"\"}\n"+trust.Server), 0o600))
	options, err := server.ProcessConfigFile(config)
	require.NoError(t, err)
	options.NoSigs = true
	nats, err := server.NewServer(options)
	require.NoError(t, err)
	nats.Start()
	t.Cleanup(nats.Shutdown)
	require.True(t, nats.ReadyForConnections(patience))

	next, err := consumer.NewMetrics(to.consume)
	require.NoError(t, err)
	factory := NewFactory()
	receiving := factory.CreateDefaultConfig().(*Config)
	receiving.Endpoint, receiving.CredsFile, receiving.JetStream = nats.ClientURL(), trust.Consumer, stream
	connector, err := factory.CreateMetrics(t.Context(), receivertest.NewNopSettings(factory.Type()), receiving, next)
	require.NoError(t, err)
	require.NoError(t, connector.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { assert.NoError(t, connector.Shutdown(context.Background())) })

	sender := natsexporter.NewFactory()
	sending := sender.CreateDefaultConfig().(*natsexporter.Config)
	sending.Org, sending.Endpoint, sending.CredsFile, sending.JetStream = "acme", nats.ClientURL(), trust.Publisher, stream
	sending.Retry.InitialInterval = 100 * time.Millisecond
	exp, err := sender.CreateMetrics(t.Context(), exportertest.NewNopSettings(sender.Type()), sending)
	require.NoError(t, err)
	require.NoError(t, exp.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { assert.NoError(t, exp.Shutdown(context.Background())) })
	return exp
}

func batch(name string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(name)
	m.SetEmptyGauge().DataPoints().AppendEmpty().SetDoubleValue(1)
	return md
}

// The subscription of core NATS may be later than the first batch, which nobody keeps then: it is sent until it arrives.
func TestCore(t *testing.T) {
	to := &sink{}
	exp := startEnds(t, false, to)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		assert.NoError(t, exp.ConsumeMetrics(context.Background(), batch("a")))
		assert.Contains(t, to.taken(), "a")
	}, patience, 50*time.Millisecond)
}

// What could not be written comes again, before what was published after it; what is refused for good does not.
func TestStream(t *testing.T) {
	to := &sink{failures: []error{errors.New("the backend is away"), consumererror.NewPermanent(errors.New("out of order"))}}
	exp := startEnds(t, true, to)
	for _, name := range []string{"refused", "a", "b"} {
		require.NoError(t, exp.ConsumeMetrics(t.Context(), batch(name)))
	}
	require.EventuallyWithT(t, func(t *assert.CollectT) { assert.Equal(t, []string{"a", "b"}, to.taken()) }, patience, 50*time.Millisecond)
}
