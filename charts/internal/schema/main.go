// SPDX-License-Identifier: Apache-2.0

// Command schema writes values.schema.json of each chart from the chart's schema.yaml, which is what people read and
// change: JSON Schema in YAML, without what can be derived. It runs in the folder of the charts (go generate ./charts).
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

const (
	source = "schema.yaml"
	target = "values.schema.json"
	// shared is the file with what several charts use, by name: `$ref: image`.
	shared = "common/schema.yaml"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

// run writes the schema of every chart in dir that has a source.
func run(dir string) error {
	definitions, err := load(filepath.Join(dir, shared))
	if err != nil {
		return err
	}
	sources, err := filepath.Glob(filepath.Join(dir, "*", source))
	if err != nil {
		return fmt.Errorf("looking for %s: %w", source, err)
	}
	for _, path := range sources {
		if path == filepath.Join(dir, shared) {
			continue
		}
		text, err := generate(path, definitions)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), target), text, 0o644); err != nil { //nolint:gosec // everybody may read a schema
			return fmt.Errorf("writing a schema: %w", err)
		}
	}
	return nil
}

// generate is the schema that the source in path gives.
func generate(path string, definitions map[string]any) ([]byte, error) {
	schema, err := load(path)
	if err != nil {
		return nil, err
	}
	texts, err := descriptions(filepath.Join(filepath.Dir(path), "values.yaml"))
	if err != nil {
		return nil, err
	}
	values, err := load(filepath.Join(filepath.Dir(path), "values.yaml"))
	if err != nil {
		return nil, err
	}
	old, err := oldKeys(filepath.Base(filepath.Dir(path)))
	if err != nil {
		return nil, err
	}
	c := compiler{definitions: definitions, descriptions: texts, values: values, old: old}
	expanded, err := c.expand(schema, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	// Helm puts the values of a library there: nobody sets it, and so no message names it.
	if properties, ok := expanded["properties"].(map[string]any); ok {
		properties["common"] = map[string]any{"type": "object"}
	}
	expanded["$schema"] = "http://json-schema.org/draft-07/schema#"
	expanded["$comment"] = "Code generated from " + source + " by `go generate ./charts`. DO NOT EDIT."

	text, err := json.MarshalIndent(expanded, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return append(text, '\n'), nil
}

func load(path string) (map[string]any, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the caller's own folder
	if err != nil {
		return nil, fmt.Errorf("reading the source of a schema: %w", err)
	}
	var schema map[string]any
	if err := yaml.Unmarshal(text, &schema); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return schema, nil
}
