// SPDX-License-Identifier: Apache-2.0

// Package natsexporter publishes metrics to NATS: JSON, one message a batch, on a subject for each organization. It is the old path's exporter,
// written again from what is known about it, in both ways that people run NATS.
package natsexporter

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
)

// NewFactory returns the factory of the exporter.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(component.MustNewType("natsexporter"), defaultConfig, exporter.WithMetrics(newMetrics, component.StabilityLevelDevelopment))
}

func defaultConfig() component.Config {
	queue := exporterhelper.NewDefaultQueueConfig()
	queue.NumConsumers = 1
	return &Config{TimeoutConfig: exporterhelper.NewDefaultTimeoutConfig(), Queue: configoptional.Some(queue), Retry: configretry.NewDefaultBackOffConfig()}
}

func newMetrics(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
	c := cfg.(*Config)
	p := &publisher{config: c, logger: set.Logger}
	return exporterhelper.NewMetrics(ctx, set, c, p.publish,
		exporterhelper.WithStart(p.start), exporterhelper.WithShutdown(p.shutdown),
		exporterhelper.WithTimeout(c.TimeoutConfig), exporterhelper.WithRetry(c.Retry), exporterhelper.WithQueue(c.Queue))
}
