// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// compiler expands one source. Schemas of draft 7 are written, which every Helm 3 reads.
type compiler struct {
	// definitions are the shared schemas, by name.
	definitions map[string]any
	// descriptions are the comments of values.yaml, by the path of the key.
	descriptions map[string]string
	// values are the defaults of values.yaml.
	values map[string]any
	// old are the keys of the previous chart, by the path of their object.
	old map[string][]oldKey
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
	if err := say(out); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
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
	patterns := map[string]any{}
	given, _ := out["patternProperties"].(map[string]any)
	for pattern, value := range given {
		sub, _ := value.(map[string]any)
		property, err := c.expand(sub, path+"[]")
		if err != nil {
			return nil, err
		}
		patterns[pattern] = property
		out["patternProperties"] = patterns
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
		out["additionalProperties"] = map[string]any{"const": "unknown key: there are " + strings.Join(slices.Sorted(maps.Keys(properties)), ", ")}
		for _, key := range c.old[path] {
			expanded[key.name] = map[string]any{"const": "no longer a key: " + key.instead}
		}
		maps.Copy(patterns, hints(path, slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(expanded))))
		out["patternProperties"] = patterns
	}
	return out, nil
}

// say replaces a pattern and what is expected by schemas that say it: Helm shows people the pattern itself, which is no remedy.
//
//	at '/nats/serverUrl': value must be 'where the bus is, as tls://HOST or tls://HOST:PORT'
func say(schema map[string]any) error {
	pattern, ok := schema["pattern"]
	if !ok {
		return nil
	}
	expected, ok := schema["expected"]
	if !ok {
		return fmt.Errorf("the pattern %v is for machines: say in `expected` what people are to write", pattern)
	}
	schema["if"] = map[string]any{"pattern": pattern}
	schema["else"] = map[string]any{"const": expected}
	delete(schema, "pattern")
	delete(schema, "expected")
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// hints are schemas for keys that were probably meant to be one of names. They make Helm name the right key, where
// additionalProperties has to list all:
//
//	at '/backend/prset': value must be 'unknown key: did you mean backend.preset?'
//
// No pattern takes one of the keys that have a schema of their own.
func hints(path string, names, keys []string) map[string]any {
	patterns := map[string]any{}
	for _, name := range names {
		if pattern := misspelt(name, keys); pattern != "" {
			patterns[pattern] = map[string]any{"const": "unknown key: did you mean " + join(path, name) + "?"}
		}
	}
	return patterns
}

// misspelt is a pattern for texts that were probably meant to be name, and that are none of names: whatever single letter
// is wrong, missing or too much, one half of the name is still right, and the other half is not. (Go's regular expressions
// cannot say "but not": it is written out.)
func misspelt(name string, names []string) string {
	half, most := (len(name)+1)/2, len(name)-len(name)/4
	var beginnings, endings []string
	for _, slack := range []int{4, 2, 1} {
		if slack <= half {
			beginnings = append(beginnings, regexp.QuoteMeta(name[:half])+notQuite(name[half:], slack))
		}
		if slack < len(name)-half {
			endings = append(endings, notQuite(name[:half], slack)+regexp.QuoteMeta(name[half:]))
		}
	}
	if most < len(name) {
		beginnings = append(beginnings, regexp.QuoteMeta(name[:most])+notQuite(name[most:], 1))
	}
	// Two letters that changed places between the halves leave neither right.
	var swapped []string
	if half < len(name) && name[half-1] != name[half] {
		swapped = []string{regexp.QuoteMeta(name[:half-1] + name[half:half+1] + name[half-1:half] + name[half+1:])}
	}
	var parts []string
	for _, candidates := range [][]string{beginnings, endings, swapped} {
		for _, candidate := range candidates {
			if takesNone(candidate, names) {
				parts = append(parts, candidate)
				break
			}
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "^(" + strings.Join(parts, "|") + ")$"
}

func takesNone(pattern string, names []string) bool {
	return !slices.ContainsFunc(names, regexp.MustCompile("^("+pattern+")$").MatchString)
}

// notQuite is a pattern for texts that are up to slack letters longer or shorter than text, and not for text.
func notQuite(text string, slack int) string {
	n := len(text)
	return fmt.Sprintf("(%s|.{%d,%d}|.{%d,%d})", other(text), max(0, n-slack), max(0, n-1), n+1, n+slack)
}

// other is a pattern for texts as long as text that differ from it.
func other(text string) string {
	if len(text) == 1 {
		return "[^" + text + "]"
	}
	return fmt.Sprintf("[^%s].{%d}|%s(%s)", text[:1], len(text)-1, regexp.QuoteMeta(text[:1]), other(text[1:]))
}
