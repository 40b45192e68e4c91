// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"helm.sh/helm/v3/pkg/chart"
)

const ruleFuzz = "fuzz"

// isClear says whether an error tells people what to change: the schema names the key, and `fail` and `required` say what the chart's author
// wrote. Anything else is a template that met a value which it did not expect.
func isClear(err error) bool {
	message := err.Error()
	return strings.Contains(message, "values don't meet the specifications of the schema") || strings.Contains(message, "execution error at (")
}

// node is a key that a schema knows.
type node struct {
	path   []string
	schema map[string]any
}

// nodesOf lists the keys of a chart and of the charts in it.
func nodesOf(c *chart.Chart) ([]node, error) {
	var schema map[string]any
	if err := json.Unmarshal(c.Schema, &schema); err != nil {
		return nil, fmt.Errorf("%s: values.schema.json: %w", c.Name(), err)
	}
	nodes := walkSchema(schema, schema, nil)
	for _, dependency := range c.Dependencies() {
		if dependency.Metadata.Type == "library" || len(dependency.Schema) == 0 {
			continue
		}
		below, err := nodesOf(dependency)
		if err != nil {
			return nil, err
		}
		for _, n := range below {
			n.path = slices.Concat([]string{dependency.Name()}, n.path)
			nodes = append(nodes, n)
		}
	}
	// Helm itself complains of a chart's values that are no map, before any schema is asked.
	nodes = slices.DeleteFunc(nodes, func(n node) bool {
		return len(n.path) == 1 && slices.ContainsFunc(c.Dependencies(), func(d *chart.Chart) bool { return d.Name() == n.path[0] })
	})
	return nodes, nil
}

func walkSchema(root, schema map[string]any, path []string) []node {
	schema = resolve(root, schema)
	var nodes []node
	if len(path) > 0 {
		nodes = append(nodes, node{path: slices.Clone(path), schema: schema})
	}
	properties, _ := schema["properties"].(map[string]any)
	for _, key := range sortedKeys(properties) {
		if child, ok := properties[key].(map[string]any); ok {
			nodes = append(nodes, walkSchema(root, child, append(slices.Clone(path), key))...)
		}
	}
	return nodes
}

// resolve follows a reference within the document.
func resolve(root, schema map[string]any) map[string]any {
	ref, ok := schema["$ref"].(string)
	if !ok {
		return schema
	}
	target, _ := dig(root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...).(map[string]any)
	return target
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Values that YAML, templates, shells or Kubernetes take for something else, and plain ones that many patterns want.
var (
	nasty = []string{
		"", " ", "yes", "no", "null", "~", "true", "1e3", "0x10", "010", "1.10", "2024-01-01", ": ", "a: b", "#x", "- a", "{", "[a", "'", `"`, "%", "@", "`",
		"a\nb", "\t", "é", "日本語", " x", "x ", "<<", "!!str", "&a", "*a", "{{ .Values }}", "{{", "$(HOME)", "${env:HOME}", "$", `\`, "---", "...",
		strings.Repeat("a", 64), strings.Repeat("long-", 60),
	}
	plain = []string{
		"x", "acme", "a-b", "1", "10", "30s", "5m", "100m", "1Gi", "50Gi", "example.com", "https://metrics.example.com/api/v1/write", "http://10.0.0.1:9090/api/v1/write",
		"10.0.0.0/8", "nats://nats.example.com:4222", "registry.example.com", "v1.2.3", "sha256:" + strings.Repeat("0a", 32), "25%", "6f1c2d3e-0000-4000-8000-000000000000",
	}
)

// makeUp gives a value for a key: mostly one that the schema allows.
func makeUp(random *rand.Rand, n node) any {
	if random.IntN(3) == 0 {
		return pick[any](random, nil, "", int64(0), int64(-1), 1.5, true, []any{}, map[string]any{}, []any{"x"}, pick(random, nasty...))
	}
	if options, ok := n.schema["enum"].([]any); ok && len(options) > 0 {
		return pick(random, options...)
	}
	if constant, ok := n.schema["const"]; ok {
		return constant
	}
	switch pick(random, typesOf(n.schema)...) {
	case "boolean":
		return random.IntN(2) == 0
	case "integer", "number":
		low, _ := n.schema["minimum"].(float64)
		return int64(low) + pick[int64](random, 0, 1, 2, 3, 8080)
	case "string":
		return makeUpString(random, n.schema)
	case "array":
		// What is in a list that Kubernetes defines is its business.
		items, _ := n.schema["items"].(map[string]any)
		if slices.Contains(typesOf(items), "string") {
			return []any{makeUpString(random, items), makeUpString(random, items)}
		}
		return []any{}
	case "object":
		if values, ok := valuesOf(n.schema); ok {
			return map[string]any{"example": makeUpString(random, values)}
		}
		return map[string]any{}
	}
	return nil
}

// valuesOf is the schema of the texts in a map whose keys are free.
func valuesOf(schema map[string]any) (map[string]any, bool) {
	patterns, _ := schema["patternProperties"].(map[string]any)
	candidates := []any{schema["additionalProperties"]}
	for _, key := range sortedKeys(patterns) {
		candidates = append(candidates, patterns[key])
	}
	for _, candidate := range candidates {
		// A constant is what is said of a wrong key.
		if values, ok := candidate.(map[string]any); ok && values["const"] == nil && slices.Contains(typesOf(values), "string") {
			return values, true
		}
	}
	return nil, false
}

func typesOf(schema map[string]any) []string {
	switch t := schema["type"].(type) {
	case string:
		return []string{t}
	case []any:
		var types []string
		for _, item := range t {
			types = append(types, fmt.Sprint(item))
		}
		return types
	}
	return []string{"string"}
}

func makeUpString(random *rand.Rand, schema map[string]any) string {
	all := slices.Concat(plain, nasty)
	// The schemas ask by if and else, to say what they want.
	if pattern, ok := dig(schema, "if", "pattern").(string); ok {
		if expression, err := regexp.Compile(pattern); err == nil {
			if matching := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return !expression.MatchString(s) }); len(matching) > 0 {
				all = matching
			}
		}
	}
	return pick(random, all...)
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

// change is one value that was made up.
type change struct {
	path  []string
	value any
}

func (c change) String() string {
	value, err := json.Marshal(c.value)
	if err != nil {
		return err.Error()
	}
	return strings.Join(c.path, ".") + "=" + string(value)
}

// fuzzer makes up values for a chart.
type fuzzer struct {
	source  *source
	nodes   []node
	schemas *schemas
	// refused counts the renderings that ended in a clear message.
	refused atomic.Int64
}

func newFuzzer(s *source, schemas *schemas) (*fuzzer, error) {
	c, err := s.fresh()
	if err != nil {
		return nil, err
	}
	nodes, err := nodesOf(c)
	if err == nil && len(nodes) == 0 {
		err = fmt.Errorf("%s: values.schema.json has no properties", s.name)
	}
	return &fuzzer{source: s, nodes: nodes, schemas: schemas}, err
}

// try renders one set of values. What is wrong with the outcome is reduced to a single change where that does it.
func (f *fuzzer) try(seed uint64) []Violation {
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // has to be repeatable
	file := pick(random, f.source.valuesFiles...)
	var changes []change
	for range 1 + random.IntN(4) {
		n := pick(random, f.nodes...)
		changes = append(changes, change{n.path, makeUp(random, n)})
	}
	problem := f.render(file, changes)
	if problem == "" {
		return nil
	}
	for _, single := range changes {
		if reduced := f.render(file, []change{single}); reduced != "" {
			problem, changes = reduced, []change{single}
			break
		}
	}
	return []Violation{{
		Rule: ruleFuzz, Source: f.source.label(file), Object: fmt.Sprint(changes), Message: problem,
		Remedy: fmt.Sprintf("refuse it in the schema or by a `fail`, or let the template take it (seed %d)", seed),
	}}
}

// render gives what is wrong with the outcome, or "": a rendering that Kubernetes takes and a clear refusal are both right.
func (f *fuzzer) render(file string, changes []change) (problem string) {
	defer func() {
		if r := recover(); r != nil {
			problem = fmt.Sprintf("panic: %v", r)
		}
	}()
	values, err := readValues(file)
	if err != nil {
		return err.Error()
	}
	for _, c := range changes {
		values = set(values, c.path, c.value)
	}
	objects, err := render(f.source, values, situations[1], f.source.label(file))
	if err != nil {
		if isClear(err) {
			f.refused.Add(1)
			return ""
		}
		return err.Error()
	}
	for _, o := range objects {
		if violations := f.schemas.validate(situations[1].kubernetes, o); len(violations) > 0 {
			return violations[0].Object + ": " + violations[0].Message
		}
	}
	return ""
}

// set gives a copy of a map with a value at a path.
func set(m map[string]any, path []string, value any) map[string]any {
	changed := map[string]any{}
	for key, v := range m {
		changed[key] = v
	}
	if len(path) == 1 {
		changed[path[0]] = value
		return changed
	}
	below, _ := m[path[0]].(map[string]any)
	changed[path[0]] = set(below, path[1:], value)
	return changed
}

// judgeFuzz shares the renderings among the charts, by how many keys they have.
func judgeFuzz(charts []*source, schemas *schemas, seed uint64, renderings int, figures *Figures, report *report) {
	var fuzzers []*fuzzer
	keys := 0
	for _, s := range charts {
		if s.library || len(s.valuesFiles) == 0 {
			continue
		}
		f, err := newFuzzer(s, schemas)
		if err != nil {
			report.add(Violation{Rule: ruleFuzz, Source: s.name, Object: "values.schema.json", Message: err.Error()})
			continue
		}
		fuzzers = append(fuzzers, f)
		keys += len(f.nodes)
	}
	var failures atomic.Int64
	for _, f := range fuzzers {
		var seeds []uint64
		for i := range renderings * len(f.nodes) / keys {
			seeds = append(seeds, seed*1_000_000+uint64(i))
		}
		figures.FuzzRenderings += len(seeds)
		inParallel(seeds, func(seed uint64) {
			violations := f.try(seed)
			failures.Add(int64(len(violations)))
			report.add(violations...)
		})
		figures.FuzzRefused += int(f.refused.Load())
	}
	figures.FuzzFailures = int(failures.Load())
}
