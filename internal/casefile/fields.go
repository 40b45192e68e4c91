// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/util/strutil"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
)

// reader reads one value of a mapping.
type reader func(key, value *yaml.Node) error

// fields reads a mapping whose keys are known. Everything that is wrong is reported, not only the first of it.
func (f *File) fields(mapping *yaml.Node, what string, readers map[string]reader) error {
	if mapping.Kind != yaml.MappingNode {
		return f.errorAt(mapping, "%s is a mapping: use some of %s", what, list(readers))
	}
	var errs []error
	for key, value := range configfile.Pairs(mapping) {
		read, known := readers[key.Value]
		if !known {
			errs = append(errs, f.unknown(key, what, slices.Sorted(maps.Keys(readers))))
			continue
		}
		errs = append(errs, read(key, configfile.Resolve(value)))
	}
	return errors.Join(errs...)
}

func list(readers map[string]reader) string {
	return strings.Join(slices.Sorted(maps.Keys(readers)), ", ")
}

func (f *File) unknown(key *yaml.Node, what string, known []string) error {
	remedy := "use " + strings.Join(known, ", ")
	if similar := nearest(key.Value, known); similar != "" {
		remedy = fmt.Sprintf("did you mean %q?", similar)
	}
	return f.errorAt(key, "%s has no key %q: %s", what, short(key.Value), remedy)
}

func (f *File) errorAt(n *yaml.Node, format string, args ...any) error {
	return f.yaml.ErrorAt(f.yaml.Pos(n), format, args...)
}

// text reads a scalar as a text.
func (f *File) text(n *yaml.Node, what string) (string, error) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		return "", f.errorAt(n, "%s is a text, but this is %s", what, kindOf(n))
	}
	return n.Value, nil
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "nothing"
	}
	return "the value " + short(n.Value)
}

// similarEnough is the least similarity, as Jaro and Winkler measure it, at which a name is offered in place of another.
const similarEnough = 0.8

// nearest is the name that is most like the one given, or none.
func nearest(name string, known []string) string {
	best, score := "", similarEnough
	matcher := strutil.NewJaroWinklerMatcher(name)
	for _, k := range known {
		if s := matcher.Score(k); s > score {
			best, score = k, s
		}
	}
	return best
}

// short keeps a value of the user's from filling a message.
func short(text string) string {
	const limit = 80
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return text
}

// checkKeys looks for keys in n that the type has no field for. The decoder's own check has neither column nor suggestion.
func (f *File) checkKeys(n *yaml.Node, t reflect.Type, what string) error {
	n = configfile.Resolve(n)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var errs []error
	switch {
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		fields := map[string]reflect.Type{}
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			fields[name] = t.Field(i).Type
		}
		for key, value := range configfile.Pairs(n) {
			field, known := fields[key.Value]
			if !known {
				errs = append(errs, f.unknown(key, what, slices.Sorted(maps.Keys(fields))))
				continue
			}
			errs = append(errs, f.checkKeys(value, field, key.Value))
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for key, value := range configfile.Pairs(n) {
			errs = append(errs, f.checkKeys(value, t.Elem(), short(key.Value)))
		}
	case t.Kind() == reflect.Map && n.ShortTag() != "!!null":
		return f.errorAt(n, "%s is a mapping, but this is %s", what, kindOf(n))
	case n.Kind != yaml.SequenceNode && t.Kind() == reflect.Slice && n.ShortTag() != "!!null":
		return f.errorAt(n, "%s is a list, but this is %s", what, kindOf(n))
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, item := range configfile.Items(n) {
			errs = append(errs, f.checkKeys(item, t.Elem(), "an item of "+what))
		}
	}
	return errors.Join(errs...)
}
