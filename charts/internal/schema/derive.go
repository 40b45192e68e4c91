// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"github.com/kubiyabot/otelcol-runner/internal/legacyvalues"
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
		_, least := property["minItems"]
		return kind == "array" && !least || kind == "object" && !fields
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

// oldKey is a key of the previous chart that has gone.
type oldKey struct {
	name string
	// instead is the new key and the reason.
	instead string
}

// oldKeys gives the keys that a chart refuses by name, by the path of the object that they were in.
func oldKeys(chart string) (map[string][]oldKey, error) {
	var prefix string
	switch chart {
	case "runner":
	case "dagger":
		// A subchart sees its own values only.
		prefix = "dagger."
	default:
		return nil, nil
	}
	entries, err := legacyvalues.Table()
	if err != nil {
		return nil, err
	}
	keys := map[string][]oldKey{}
	for _, e := range entries {
		path, below := strings.CutPrefix(e.Old, prefix)
		if !below || e.Action == legacyvalues.Keep {
			continue
		}
		parent, name := "", path
		if at := strings.LastIndexByte(path, '.'); at >= 0 {
			parent, name = path[:at], path[at+1:]
		}
		instead := e.Reason
		if e.New != "" {
			instead = "use " + e.New + ". " + e.Reason
		}
		keys[parent] = append(keys[parent], oldKey{name: name, instead: instead})
	}
	return keys, nil
}
