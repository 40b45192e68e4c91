// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"

	"github.com/kubiyabot/otelcol-runner/tools/chartdocs/internal/charts"
)

func asMap(node any) map[string]any {
	switch node := node.(type) {
	case charts.Object:
		return node
	case map[string]any:
		return node
	}
	return nil
}

func asList(node any) []any {
	list, _ := node.([]any)
	return list
}

// walk visits every map of a document.
func walk(node any, visit func(map[string]any)) {
	switch node := node.(type) {
	case map[string]any:
		visit(node)
		for _, child := range node {
			walk(child, visit)
		}
	case []any:
		for _, child := range node {
			walk(child, visit)
		}
	}
}

// podSpec returns the pod of a workload, or nil.
func podSpec(object charts.Object) map[string]any {
	for _, path := range [][]string{{"spec", "template", "spec"}, {"spec", "jobTemplate", "spec", "template", "spec"}} {
		if spec := asMap(charts.At(object, path...)); spec != nil {
			return spec
		}
	}
	if object.Kind() == "Pod" {
		return asMap(object["spec"])
	}
	return nil
}

// imagesOf returns the images that workloads run, sorted, each once.
func imagesOf(objects []charts.Object) []string {
	var images []string
	for _, object := range objects {
		spec := podSpec(object)
		for _, key := range []string{"initContainers", "containers"} {
			for _, container := range asList(spec[key]) {
				images = append(images, charts.Text(asMap(container), "image"))
			}
		}
	}
	slices.Sort(images)
	return slices.Compact(images)
}
