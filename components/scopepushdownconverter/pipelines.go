// SPDX-License-Identifier: Apache-2.0

package scopepushdownconverter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/confmap"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
	"github.com/kubiyabot/otelcol-runner/processors/runnerprocessor"
)

// passive are the processors that hand on what they take: a name that comes out is the one that went in. Which metrics they get makes no
// difference to what they do with the others.
var passive = []string{"memory_limiter", "batch"}

// scopesOf returns the scopes of all runner processors that a receiver's metrics go to first; none where one of them does not want
// them pushed down. The error says why nothing can be said about what happens to the receiver's metrics.
func scopesOf(conf *confmap.Conf, receiver string) ([]*scope.Metrics, error) {
	var service struct {
		Pipelines map[string]pipeline `mapstructure:"pipelines"`
	}
	section, err := conf.Sub("service")
	if err != nil {
		return nil, err
	}
	if err := section.Unmarshal(&service, confmap.WithIgnoreUnused()); err != nil {
		return nil, err
	}
	var scopes []*scope.Metrics
	for id, p := range service.Pipelines {
		if typeOf(id) != "metrics" || !slices.Contains(p.Receivers, receiver) {
			continue
		}
		processor, err := p.runner()
		if err != nil {
			return nil, fmt.Errorf("pipeline %s: %w", id, err)
		}
		cfg, err := processorConfig(conf, processor)
		if err != nil {
			return nil, fmt.Errorf("processors::%s: %w", processor, err)
		}
		if !cfg.Scope.Pushdown {
			return nil, nil
		}
		metrics := cfg.Scope.Metrics
		m, err := scope.NewMetrics(metrics.Profile, metrics.Include, metrics.Exclude)
		if err != nil {
			return nil, fmt.Errorf("processors::%s::scope::metrics::%w", processor, err)
		}
		scopes = append(scopes, m)
	}
	return scopes, nil
}

// pipeline is what matters here of a pipeline.
type pipeline struct {
	Receivers  []string `mapstructure:"receivers"`
	Processors []string `mapstructure:"processors"`
}

// runner returns the runner processor of the pipeline.
func (p *pipeline) runner() (string, error) {
	for _, id := range p.Processors {
		switch kind := typeOf(id); {
		case kind == "runner":
			return id, nil
		case !slices.Contains(passive, kind):
			return "", fmt.Errorf("the processor %s comes before a runner processor, and may want or rename what is out of scope: put it behind", id)
		}
	}
	return "", errors.New("there is no runner processor in it")
}

// processorConfig reads the configuration of a runner processor as the collector does.
func processorConfig(conf *confmap.Conf, id string) (*runnerprocessor.Config, error) {
	all, err := conf.Sub("processors")
	if err != nil {
		return nil, err
	}
	section, err := all.Sub(id)
	if err != nil {
		return nil, err
	}
	cfg := runnerprocessor.NewFactory().CreateDefaultConfig().(*runnerprocessor.Config)
	return cfg, section.Unmarshal(cfg)
}

// typeOf returns the type of a component or the signal of a pipeline: of prometheus/2 it is prometheus.
func typeOf(id string) string {
	kind, _, _ := strings.Cut(id, "/")
	return strings.TrimSpace(kind)
}
