// SPDX-License-Identifier: Apache-2.0

package natscompat

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const signalMetrics = "metrics"

// pipeline is one of service::pipelines.
type pipeline struct {
	path   string // its key
	signal string
	ids    map[string][]string // of its components, by role: receivers, processors, exporters
}

// pipelinesOf are the pipelines by ID, without those that the collector cannot read either.
func pipelinesOf(config map[string]any) []*pipeline {
	all := section(config, "service", "pipelines")
	var out []*pipeline
	for _, id := range sortedKeys(all) {
		body, ok := all[id].(map[string]any)
		if !ok {
			continue
		}
		p := &pipeline{"service::pipelines::" + id, typeOf(id), map[string][]string{}}
		for role, ids := range body {
			p.ids[role] = texts(ids)
		}
		out = append(out, p)
	}
	return out
}

// toNATS says whether the pipeline delivers to NATS.
func (p *pipeline) toNATS() bool { return len(ofType(p.ids["exporters"], natsType, true)) > 0 }

// section is the map at a path; nil where there is none.
func section(config map[string]any, path ...string) map[string]any {
	if len(path) == 0 {
		return config
	}
	below, _ := config[path[0]].(map[string]any)
	return section(below, path[1:]...)
}

// componentsOf are the IDs of a type, sorted.
func componentsOf(config map[string]any, role, kind string) []string {
	return ofType(sortedKeys(section(config, role)), kind, true)
}

// ofType are the IDs that are of a type, or that are not.
func ofType(ids []string, kind string, is bool) []string {
	var out []string
	for _, id := range ids {
		if (typeOf(id) == kind) == is {
			out = append(out, id)
		}
	}
	return out
}

// typeOf returns the type of a component or the signal of a pipeline: of prometheus/2 it is prometheus.
func typeOf(id string) string {
	kind, _, _ := strings.Cut(id, "/")
	return strings.TrimSpace(kind)
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

func list(v any) []any {
	out, _ := v.([]any)
	return out
}

// texts are those of a list.
func texts(v any) []string {
	var out []string
	for _, item := range list(v) {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// text is a scalar as text: YAML makes a number of an organization 42.
func text(v any) string {
	switch v.(type) {
	case string, int, int64, uint64, float64, bool:
		return fmt.Sprint(v)
	}
	return ""
}

func anys(ids []string) []any {
	out := make([]any, 0, len(ids))
	for _, id := range ids {
		out = append(out, id)
	}
	return out
}
