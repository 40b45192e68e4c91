// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// components are those of the runner that expose metrics.
var components = map[string]func(seed uint64) source{
	"agent-manager":   newAgentManager,
	"tool-manager":    newToolManager,
	"workflow-engine": newWorkflowEngine,
}

// Component is the metrics of one pod of a component, and those of its process. They move on with every Gather by the
// time since the last one. Pods with different seeds differ.
func Component(name string, seed uint64) (prometheus.Gatherer, error) {
	newSource, ok := components[name]
	if !ok {
		return nil, fmt.Errorf("component %q has no metrics here; those that have are %s",
			name, strings.Join(slices.Sorted(maps.Keys(components)), ", "))
	}
	component := &component{source: newSource(seed), registry: prometheus.NewRegistry(), last: time.Now().Add(-time.Second)}
	for _, c := range append(runtimeMetrics(), component.source) {
		if err := component.registry.Register(c); err != nil {
			return nil, err
		}
	}
	return component, nil
}

type component struct {
	source   source
	registry *prometheus.Registry

	mu   sync.Mutex // guards last, and that one Gather follows the other
	last time.Time
}

// Gather implements prometheus.Gatherer.
func (c *component) Gather() ([]*dto.MetricFamily, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.source.advance(now.Sub(c.last))
	c.last = now
	return c.registry.Gather()
}
