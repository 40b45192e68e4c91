// SPDX-License-Identifier: Apache-2.0

package natsexporter

import (
	"errors"

	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
)

// Config is the exporter's configuration: the three keys that the old one had, and what every exporter of the collector has.
type Config struct {
	// Org is whose metrics they are; they are published on the subject metrics.ORG. Required.
	Org string `mapstructure:"org"`
	// Endpoint is the server, as nats://host:port or tls://host:port. Required.
	Endpoint string `mapstructure:"endpoint"`
	// CredsFile holds the user's JWT and key. Empty: none are sent.
	CredsFile string `mapstructure:"creds_file"`
	// JetStream publishes into a stream, and a batch is delivered when the server has acknowledged it. Default: false, core NATS.
	JetStream bool `mapstructure:"jetstream"`
	// Timeout is for one attempt. Default: 5s.
	exporterhelper.TimeoutConfig `mapstructure:",squash"`
	// Queue is in memory. Default: 1,000 batches, sent one after the other: several at a time would overtake each other, and what comes
	// late is refused by Prometheus.
	Queue configoptional.Optional[exporterhelper.QueueBatchConfig] `mapstructure:"sending_queue"`
	// Retry is what the collector does by default: it begins after 5s and gives up after 5 minutes.
	Retry configretry.BackOffConfig `mapstructure:"retry_on_failure"`
}

// Validate says what is missing.
func (c *Config) Validate() error {
	var errs []error
	if c.Org == "" {
		errs = append(errs, errors.New("org: required: whose metrics they are"))
	}
	if c.Endpoint == "" {
		errs = append(errs, errors.New("endpoint: required: the server, as nats://host:port"))
	}
	return errors.Join(errs...)
}
