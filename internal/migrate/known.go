// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/charts"
	"github.com/kubiyabot/otelcol-runner/internal/configfile"
)

// subcharts are the charts whose values are below a key of the runner's.
var subcharts = []string{"otel", "kube-state-metrics", "dagger"}

// chartValues are the defaults of the runner's chart: every key that there is.
type chartValues struct {
	runner *yaml.Node
	sub    map[string]*yaml.Node
}

func loadChartValues() (*chartValues, error) {
	c := &chartValues{sub: map[string]*yaml.Node{}}
	for _, chart := range append([]string{"runner"}, subcharts...) {
		name := chart + "/values.yaml"
		text, err := charts.Values.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f, err := configfile.ParseYAML("charts/"+name, text)
		if err != nil {
			return nil, fmt.Errorf("the values of the chart: %w", err)
		}
		if chart == "runner" {
			c.runner = f.Root
			continue
		}
		c.sub[chart] = f.Root
	}
	return c, nil
}

// at returns the default of a key, or nil where there is none: the key is unknown, or below a map that takes anything.
func (c *chartValues) at(path []string) *yaml.Node {
	if n := configfile.Get(c.runner, path...); n != nil {
		return n
	}
	if len(path) > 1 && c.sub[path[0]] != nil {
		return configfile.Get(c.sub[path[0]], path[1:]...)
	}
	return nil
}

// knows says whether the chart has a key, or a map that takes anything above it.
func (c *chartValues) knows(path []string) bool {
	for depth := len(path); depth > 0; depth-- {
		n := c.at(path[:depth])
		switch {
		case n == nil:
			continue
		case depth == len(path):
			return true
		default:
			return n.Kind == yaml.MappingNode && len(n.Content) == 0
		}
	}
	return false
}

// section says whether a key holds other keys that are known one by one.
func (c *chartValues) section(path []string) bool {
	n := c.at(path)
	return n != nil && n.Kind == yaml.MappingNode && len(n.Content) > 0
}
