// SPDX-License-Identifier: Apache-2.0

// Package natsreceiver consumes what natsexporter publishes. With Prometheus's remote write behind it, it is the old path's connector.
package natsreceiver

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
)

// Config is the receiver's configuration.
type Config struct {
	// Org is whose metrics are consumed; * takes those of all. Default: *.
	Org string `mapstructure:"org"`
	// Endpoint is the server, as nats://host:port or tls://host:port. Required.
	Endpoint string `mapstructure:"endpoint"`
	// CredsFile holds the user's JWT and key. Empty: none are sent.
	CredsFile string `mapstructure:"creds_file"`
	// Group is the queue group, or the name of the durable consumer. Default: connector.
	Group string `mapstructure:"group"`
	// JetStream consumes from the stream, which the receiver makes when it is not there, and acknowledges a message when it has been written.
	JetStream bool `mapstructure:"jetstream"`
	// AckWait is how long the server waits for a message's acknowledgement before it delivers it again. The receiver asks for more time while
	// a message is being written. Default: 30s, as the server's.
	AckWait time.Duration `mapstructure:"ack_wait"`
}

// Validate says what is missing.
func (c *Config) Validate() error {
	if c.Endpoint == "" {
		return errors.New("endpoint: required: the server, as nats://host:port")
	}
	return nil
}

// NewFactory returns the factory of the receiver.
func NewFactory() receiver.Factory {
	return receiver.NewFactory(component.MustNewType("nats"), func() component.Config {
		return &Config{Org: "*", Group: "connector", AckWait: 30 * time.Second}
	}, receiver.WithMetrics(func(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
		return &subscriber{config: cfg.(*Config), logger: set.Logger, next: next}, nil
	}, component.StabilityLevelDevelopment))
}
