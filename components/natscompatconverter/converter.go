// SPDX-License-Identifier: Apache-2.0

package natscompatconverter

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap"

	"github.com/kubiyabot/otelcol-runner/internal/natscompat"
)

// NewFactory returns the factory of the converter.
func NewFactory() confmap.ConverterFactory {
	return NewFactoryFor(os.Getenv)
}

// NewFactoryFor is NewFactory with another environment than that of the process: getenv returns "" for a variable that is not set.
func NewFactoryFor(getenv func(name string) string) confmap.ConverterFactory {
	return confmap.NewConverterFactory(func(set confmap.ConverterSettings) confmap.Converter {
		return converter{set.Logger, getenv}
	})
}

type converter struct {
	logger *zap.Logger
	getenv func(string) string
}

// Convert makes the changes. The error says what keeps it from it, and what to do.
func (c converter) Convert(_ context.Context, conf *confmap.Conf) error {
	changes, err := natscompat.Translate(tree(conf), c.getenv)
	if err != nil {
		return fmt.Errorf("a configuration that delivered over NATS: %w", err)
	}
	if err := natscompat.Apply(conf, changes, c.getenv); err != nil {
		return fmt.Errorf("a configuration that delivered over NATS: %w", err)
	}
	for _, change := range changes {
		level := zap.InfoLevel
		if change.Warn {
			level = zap.WarnLevel
		}
		c.logger.Log(level, change.String())
	}
	return nil
}

// tree is the configuration, with what is text for the exporter as text: as YAML, ${env:ORG} can be a number.
func tree(conf *confmap.Conf) map[string]any {
	config := conf.ToStringMap()
	exporters, _ := config["exporters"].(map[string]any)
	for id, settings := range exporters {
		key := "exporters" + confmap.KeyDelimiter + id
		settings, _ := settings.(map[string]any)
		if !conf.IsSet(key + confmap.KeyDelimiter + "org") {
			continue // or out of a file, in which it is text
		}
		var exporter struct {
			Org string `mapstructure:"org"`
		}
		if section, err := conf.Sub(key); err == nil && section.Unmarshal(&exporter, confmap.WithIgnoreUnused()) == nil {
			settings["org"] = exporter.Org
		}
	}
	return config
}
