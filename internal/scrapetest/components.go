// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/prometheusremotewriteexporter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/k8sattributesprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/metricstransformprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/resourceprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/debugexporter"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"

	"github.com/kubiyabot/otelcol-runner/components/durableremotewriteexporter"
	"github.com/kubiyabot/otelcol-runner/components/natscompatconverter"
	"github.com/kubiyabot/otelcol-runner/components/scopepushdownconverter"
	"github.com/kubiyabot/otelcol-runner/processors/runnerprocessor"
)

// converters are the distribution's, in its order, for an environment.
func converters(env map[string]string) []confmap.ConverterFactory {
	return []confmap.ConverterFactory{
		natscompatconverter.NewFactoryFor(func(name string) string { return env[name] }),
		scopepushdownconverter.NewFactory(),
	}
}

// processorFactories are the distribution's processors by type, under their former names as well. A test compares them with the manifest.
var processorFactories = map[string]processor.Factory{
	"runner":            runnerprocessor.NewFactory(),
	"memory_limiter":    memorylimiterprocessor.NewFactory(),
	"batch":             batchprocessor.NewFactory(),
	"resource":          resourceprocessor.NewFactory(),
	"metrics_transform": metricstransformprocessor.NewFactory(),
	"metricstransform":  metricstransformprocessor.NewFactory(),
	"k8s_attributes":    k8sattributesprocessor.NewFactory(),
	"k8sattributes":     k8sattributesprocessor.NewFactory(),
}

// notRun says why a processor is left out of a run.
var notRun = map[string]string{
	"memory_limiter": "it depends on the memory of the process",
	"k8s_attributes": "it watches the API server for as long as it runs; the attributes that it adds are missing",
	"k8sattributes":  "it watches the API server for as long as it runs; the attributes that it adds are missing",
}

// The exporters whose translation is known, and the ones that store nothing.
const (
	durableRemoteWrite = "durable_remote_write"
	stockRemoteWrite   = "prometheus_remote_write"
	oldRemoteWrite     = "prometheusremotewrite"
	debugType          = "debug"
)

var exporterFactories = map[string]exporter.Factory{
	durableRemoteWrite: durableremotewriteexporter.NewFactory(),
	stockRemoteWrite:   prometheusremotewriteexporter.NewFactory(),
	oldRemoteWrite:     prometheusremotewriteexporter.NewFactory(),
	debugType:          debugexporter.NewFactory(),
}

// factoryNames lists what there is, for an error.
func factoryNames[F any](all map[string]F) string {
	return strings.Join(slices.Sorted(maps.Keys(all)), ", ")
}

// processor makes the configuration of a processor.
func (c *Config) processor(id component.ID) (processor.Factory, component.Config, error) {
	conf, ok := c.processors[id]
	if !ok {
		return nil, nil, fmt.Errorf("processors::%s is not configured: add it, or take it out of the pipeline", id)
	}
	factory, ok := processorFactories[id.Type().String()]
	if !ok {
		return nil, nil, fmt.Errorf("processors::%s: the distribution has no such processor: it has %s; to try the rest, take it out of the pipeline in a copy", id, factoryNames(processorFactories))
	}
	cfg := factory.CreateDefaultConfig()
	if err := unmarshal(conf, cfg); err != nil {
		return nil, nil, fmt.Errorf("processors::%s: %w", id, err)
	}
	return factory, cfg, nil
}

func (c *Config) exporter(id component.ID) (exporter.Factory, component.Config, error) {
	if _, isConnector := c.connectors[id]; isConnector {
		return nil, nil, fmt.Errorf("connectors::%s: connectors are not run here: put the exporters of the pipeline behind it in its place, in a copy", id)
	}
	conf, ok := c.exporters[id]
	if !ok {
		return nil, nil, fmt.Errorf("exporters::%s is not configured: add it, or take it out of the pipeline", id)
	}
	factory, ok := exporterFactories[id.Type().String()]
	if !ok {
		return nil, nil, fmt.Errorf("exporters::%s: the distribution has no such exporter: it has %s; to try the rest, put one of them in its place in a copy", id, factoryNames(exporterFactories))
	}
	cfg := factory.CreateDefaultConfig()
	if err := unmarshal(conf, cfg); err != nil {
		return nil, nil, fmt.Errorf("exporters::%s: %w", id, err)
	}
	return factory, cfg, nil
}

func (c *Config) checkExporter(id component.ID) error {
	_, _, err := c.exporter(id)
	return err
}

// unmarshal fills a configuration and validates it, as the collector does.
func unmarshal(conf *confmap.Conf, cfg component.Config) error {
	if err := conf.Unmarshal(cfg); err != nil {
		return err
	}
	if runner, isRunner := cfg.(*runnerprocessor.Config); isRunner {
		runner.RequiredEnv = nil // of the process; the scene's environment has been checked
	}
	return confmap.Validate(cfg)
}
