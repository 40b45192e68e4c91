// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
)

// compiler expands one source. Schemas of draft 7 are written, which every Helm 3 reads.
type compiler struct {
	// definitions are the shared schemas, by name.
	definitions map[string]any
	// descriptions are the comments of values.yaml, by the path of the key.
	descriptions map[string]string
	// values are the defaults of values.yaml.
	values map[string]any
	// old are the keys of previous charts, by the path of their object: a template refuses them with the new key's name.
	old map[string][]string
	// hints are the schemas of property names, by the text that stands for each until the rest is indented.
	hints map[string][]byte
}

// expand gives the schema that is written for the one at the path of keys: references are replaced by what they refer
// to, an object with properties takes no others, and comments of values.yaml become descriptions.
func (c *compiler) expand(schema map[string]any, path string) (map[string]any, error) {
	out := map[string]any{}
	if name, ok := schema["$ref"].(string); ok {
		definition, found := c.definitions[name].(map[string]any)
		if !found {
			return nil, fmt.Errorf("%s: $ref: %s has no schema of this name", path, shared)
		}
		maps.Copy(out, definition)
	}
	maps.Copy(out, schema)
	delete(out, "$ref")
	if text := c.descriptions[path]; text != "" {
		out["description"] = text
	}
	for _, key := range []string{"additionalProperties", "items"} {
		if sub, ok := out[key].(map[string]any); ok {
			expanded, err := c.expand(sub, path+"[]")
			if err != nil {
				return nil, err
			}
			out[key] = expanded
		}
	}
	properties, ok := out["properties"].(map[string]any)
	if !ok {
		return out, nil
	}
	expanded := make(map[string]any, len(properties))
	for key, value := range properties {
		sub, _ := value.(map[string]any)
		property, err := c.expand(sub, join(path, key))
		if err != nil {
			return nil, err
		}
		expanded[key] = property
	}
	out["properties"] = expanded
	if _, ok := out["type"]; !ok {
		out["type"] = "object"
	}
	if required := c.required(expanded, path); len(required) > 0 && out["required"] == nil {
		out["required"] = required
	}
	if _, ok := out["additionalProperties"]; !ok {
		out["additionalProperties"] = false
		for _, key := range c.old[path] {
			expanded[key] = map[string]any{"description": "A key of the previous chart, refused with the name of the new one."}
		}
		placeholder, err := c.hint(slices.Sorted(maps.Keys(properties)), c.old[path])
		if err != nil {
			return nil, err
		}
		out["propertyNames"] = placeholder
	}
	return out, nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// hint keeps the schema of the names that an object takes, and gives what stands for it. It makes Helm name the right
// key next to one that is mistyped, which additionalProperties alone does not:
//
//	at '/backend': additional properties 'prset' not allowed
//	at '': invalid propertyName 'prset'
//	  at '': value must be 'preset'
//
// Old keys are let through, and never suggested.
func (c *compiler) hint(names, old []string) (string, error) {
	schema := map[string]any{}
	for _, name := range slices.Backward(names) {
		schema = map[string]any{"if": map[string]any{"pattern": misspelt(name)}, "then": map[string]any{"const": name}, "else": schema}
	}
	text, err := json.Marshal(map[string]any{"if": map[string]any{"enum": append(names, old...)}, "else": schema})
	if err != nil {
		return "", fmt.Errorf("writing a hint: %w", err)
	}
	if c.hints == nil {
		c.hints = map[string][]byte{}
	}
	key := "@" + strconv.Itoa(len(c.hints)) + "@"
	c.hints[strconv.Quote(key)] = text
	return key, nil
}

// misspelt is a pattern for texts that were probably meant to be name: whatever single letter is wrong, missing or too
// much, one half of the name is still right. Patterns that count edits are longer than the schema itself.
func misspelt(name string) string {
	half := (len(name) + 1) / 2
	part := func(n int) string { return fmt.Sprintf(".{%d,%d}", max(0, n-2), n+2) }
	return "^(?:" + regexp.QuoteMeta(name[:half]) + part(len(name)-half) + "|" + part(half) + regexp.QuoteMeta(name[half:]) + ")$"
}
