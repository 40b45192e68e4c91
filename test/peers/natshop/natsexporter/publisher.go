// SPDX-License-Identifier: Apache-2.0

package natsexporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/kubiyabot/otelcol-runner/test/peers/natshop/natsclient"
)

type publisher struct {
	config  *Config
	logger  *zap.Logger
	encoder pmetric.JSONMarshaler

	connection *nats.Conn
	stream     jetstream.JetStream
}

func (p *publisher) start(context.Context, component.Host) (err error) {
	if p.connection, err = natsclient.Connect(p.config.Endpoint, p.config.CredsFile, "natsexporter", p.logger); err != nil {
		return err
	}
	p.stream, err = jetstream.New(p.connection)
	return err
}

// publish sends one batch. Core NATS takes it into the client's buffer and says nothing more about it; a stream acknowledges it, and
// knows a repeated one by its ID.
func (p *publisher) publish(ctx context.Context, md pmetric.Metrics) error {
	payload, err := p.encoder.MarshalMetrics(md)
	if err != nil {
		return consumererror.NewPermanent(fmt.Errorf("encoding a batch: %w", err))
	}
	subject := natsclient.Subject(p.config.Org)
	if p.config.JetStream {
		sum := sha256.Sum256(payload)
		_, err = p.stream.Publish(ctx, subject, payload, jetstream.WithMsgID(hex.EncodeToString(sum[:])))
	} else {
		err = p.connection.Publish(subject, payload)
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return consumererror.NewPermanent(fmt.Errorf("a batch of %d bytes, the server takes %d: %w", len(payload), p.connection.MaxPayload(), err))
	}
	return err
}

// shutdown gives what is in the client's buffer to the server.
func (p *publisher) shutdown(context.Context) error {
	if p.connection == nil {
		return nil
	}
	defer p.connection.Close()
	if !p.connection.IsConnected() {
		return nil
	}
	return p.connection.FlushTimeout(p.config.Timeout)
}
