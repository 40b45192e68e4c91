// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// chartConfigs is where the collector's chart has its copies, seen from collector.yaml.
const chartConfigs = "../charts/otel/files/configs"

// runChart writes the copy of every configuration in dir into the folder to. A chart cannot read files outside of its own folder.
func runChart(dir, to string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return fmt.Errorf("looking for configurations: %w", err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil { //nolint:gosec // everybody may read a chart
		return fmt.Errorf("making the folder of the chart's copies: %w", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path) //nolint:gosec // the caller's own folder
		if err != nil {
			return fmt.Errorf("reading a configuration: %w", err)
		}
		copied, err := chartCopy(filepath.Base(path), text)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), copied, 0o644); err != nil { //nolint:gosec // as above
			return fmt.Errorf("writing a chart's copy: %w", err)
		}
	}
	return nil
}

// chartCopy is a configuration without its comments: Helm drops them anyway when it changes the configuration, and a
// release, which holds all files of its chart, may not be larger than a Secret.
func chartCopy(name string, text []byte) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	uncomment(&document)
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Code generated from configs/%s by `go generate ./configs`. DO NOT EDIT.\n", name)
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out.Bytes(), nil
}

func uncomment(node *yaml.Node) {
	node.HeadComment, node.LineComment, node.FootComment = "", "", ""
	for _, child := range node.Content {
		uncomment(child)
	}
}
