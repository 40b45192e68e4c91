// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/kubiyabot/otelcol-runner/tools/chartdocs/internal/charts"
)

// everything is the runner with all that it can have, at addresses that tell apart what a rule is about.
func everything() charts.Release {
	return charts.Release{Name: "runner", Namespace: "runner", Values: map[string]any{
		"global":        map[string]any{"organization": "acme"},
		"networkPolicy": map[string]any{"apiServer": map[string]any{"cidrs": []any{apiServerAddress}}},
		"imageUpdater": map[string]any{"enabled": true, "workloads": []any{
			map[string]any{"kind": "Deployment", "name": "runner-agent-manager", "container": "agent-manager", "image": "ghcr.io/kubiyabot/agent-manager:v0.5.1"},
			map[string]any{"kind": "StatefulSet", "name": "runner-dagger-engine", "container": "dagger-engine", "image": "ghcr.io/kubiyabot/kubiya-registry:v0.2.1"},
		}},
		"otel": map[string]any{
			"backend": map[string]any{"preset": "prometheus", "endpoint": "https://prometheus.example.com/api/v1/write"},
			"presets": map[string]any{"otlp": map[string]any{"enabled": true}},
			"networkPolicy": map[string]any{
				"apiServer": map[string]any{"cidrs": []any{apiServerAddress}},
				"backend":   map[string]any{"cidrs": []any{backendAddress}},
			},
		},
		"kube-state-metrics": map[string]any{"networkPolicy": map[string]any{"apiServer": map[string]any{"cidrs": []any{apiServerAddress}}}},
	}}
}

// images lists what the charts pull, for those who mirror it.
func images(root string) (map[string][]byte, error) {
	objects, err := charts.Render(root, "runner", everything())
	if err != nil {
		return nil, err
	}
	text := "# Generated from the charts by `make chart-docs`; not to be edited.\n" + strings.Join(imagesOf(objects), "\n") + "\n"
	return map[string][]byte{"examples/private-registry/images.txt": []byte(text)}, nil
}
