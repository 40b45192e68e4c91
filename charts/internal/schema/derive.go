// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// required lists the properties of the object at path that have a default and that templates count on. Helm takes a null in
// somebody's values as "without this key", which would end in a template's nil pointer. Lists, maps with any keys, and what may be
// null by its schema can be missing.
func (c *compiler) required(properties map[string]any, path string) []string {
	defaults, _ := lookup(c.values, path).(map[string]any)
	var names []string
	for name := range defaults {
		property, ok := properties[name].(map[string]any)
		if ok && !optional(property) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func optional(property map[string]any) bool {
	switch kind := property["type"].(type) {
	case []any:
		return slices.Contains(kind, any("null"))
	case string:
		_, fields := property["properties"]
		return kind == "array" || kind == "object" && !fields
	}
	return false
}

// lookup is the value at a path, or nil.
func lookup(values map[string]any, path string) any {
	var at any = values
	if path == "" {
		return at
	}
	for key := range strings.SplitSeq(path, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = object[key]
	}
	return at
}

// oldKeys reads the keys that a chart refuses by name, by the path of the object that they were in. A chart may have none.
func oldKeys(path string) (map[string][]string, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the caller's own folder
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the keys of previous charts: %w", err)
	}
	var entries []struct {
		Old string `yaml:"old"`
	}
	if err := yaml.Unmarshal(text, &entries); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	keys := map[string][]string{}
	for _, e := range entries {
		at := strings.LastIndexByte(e.Old, '.')
		parent := ""
		if at >= 0 {
			parent = e.Old[:at]
		}
		keys[parent] = append(keys[parent], e.Old[at+1:])
	}
	return keys, nil
}
