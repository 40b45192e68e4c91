// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"

	"github.com/kubiyabot/otelcol-runner/processors/runnerprocessor/internal/metadata"
)

// NewFactory returns the factory of the runner processor.
func NewFactory() processor.Factory {
	return processor.NewFactory(
		metadata.Type,
		createDefaultConfig,
		processor.WithMetrics(createMetrics, metadata.MetricsStability),
	)
}

func createMetrics(ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Metrics) (processor.Metrics, error) {
	p, err := newRunnerProcessor(set, cfg.(*Config))
	if err != nil {
		return nil, err
	}
	return p.asProcessor(ctx, set, next)
}

func (p *runnerProcessor) asProcessor(ctx context.Context, set processor.Settings, next consumer.Metrics) (processor.Metrics, error) {
	return processorhelper.NewMetrics(ctx, set, p.cfg, next, p.processMetrics,
		processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true}),
		processorhelper.WithStart(p.start),
		processorhelper.WithShutdown(p.shutdown))
}
