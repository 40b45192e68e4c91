// SPDX-License-Identifier: Apache-2.0

package configfile

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxRounds = 100     // of references that lead to references
	maxValue  = 1 << 20 // bytes of one value with its references replaced
)

// Value returns a scalar as Prometheus sees it: `$$` in a collector's file is `$`. References are left as they are.
func (f *File) Value(n *yaml.Node) string {
	n = Resolve(n)
	if n == nil {
		return ""
	}
	if f.Kind != Collector || f.expanded {
		return n.Value
	}
	return strings.ReplaceAll(n.Value, "$$", "$")
}

// HasReference says whether a value, or one below it, holds a reference such as ${env:NAME}, which is only known when the
// collector starts. Files of Prometheus have none.
func (f *File) HasReference(n *yaml.Node) bool {
	n = Resolve(n)
	if n == nil || f.Kind != Collector || f.expanded {
		return false
	}
	if n.Kind == yaml.ScalarNode {
		_, found := findReference(n.Value)
		return found
	}
	return slices.ContainsFunc(n.Content, f.HasReference)
}

// reference is one ${…} in a text.
type reference struct {
	text       string // all of it, with the braces
	scheme     string // env where it has none
	name       string
	fallback   string // what stands behind :-
	hasDefault bool
}

var (
	schemeAndName = regexp.MustCompile(`(?s)^([A-Za-z][A-Za-z0-9+.-]+):(.*)$`)
	variableName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// findReference returns the first reference that the collector would replace: the innermost one before the first closing brace
// that is not escaped by a $ in front of it. It goes by confmap's rules (go.opentelemetry.io/collector/confmap, expand.go).
func findReference(text string) (reference, bool) {
	for rest := text; ; {
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return reference{}, false
		}
		if start := strings.LastIndex(rest[:end], "${"); start >= 0 {
			dollars := start - len(strings.TrimRight(rest[:start], "$"))
			if dollars%2 == 0 {
				return parseReference(rest[start : end+1]), true
			}
		}
		rest = rest[end+1:]
	}
}

func parseReference(text string) reference {
	r := reference{text: text, scheme: "env", name: text[2 : len(text)-1]}
	if m := schemeAndName.FindStringSubmatch(r.name); m != nil {
		r.scheme, r.name = m[1], m[2]
	}
	if r.scheme == "env" {
		r.name, r.fallback, r.hasDefault = strings.Cut(r.name, ":-")
	}
	return r
}

// Expand returns the file as the collector sees it at its start: references to environment variables replaced by what lookup
// returns for them, or their default, or nothing, and `$$` by `$`. A value that is one reference becomes what the variable's
// text is in YAML, which may be a list or a mapping. Positions stay those of the text, and Text is what it was. A file of
// Prometheus is returned as it is.
//
// The error is an *Error at a reference that the collector would refuse: a scheme other than env, or a name that is none.
func (f *File) Expand(lookup func(name string) (value string, found bool)) (*File, error) {
	if f.Kind != Collector || f.expanded {
		return f, nil
	}
	e := expansion{file: f, lookup: lookup, copies: map[*yaml.Node]*yaml.Node{}}
	root, err := e.copy(f.Root)
	if err != nil {
		return nil, err
	}
	expanded := *f
	expanded.Root, expanded.expanded = root, true
	if err := expanded.checkNodes(); err != nil {
		return nil, err
	}
	return &expanded, nil
}

type expansion struct {
	file   *File
	lookup func(string) (string, bool)
	copies map[*yaml.Node]*yaml.Node // so that an alias refers to the copy
	rounds int                       // of values that became lists or mappings, around the current one
	nodes  int                       // made in all
}

func (e *expansion) copy(n *yaml.Node) (*yaml.Node, error) {
	if e.nodes++; e.nodes > maxNodes {
		return nil, e.file.errorAt(e.file.Pos(n), "the file has more than %d values once references are replaced: shorten the variables", maxNodes)
	}
	c := *n
	switch n.Kind {
	case yaml.AliasNode:
		if c.Alias = e.copies[n.Alias]; c.Alias == nil {
			return nil, e.file.errorAt(e.file.Pos(n), "*%s stands inside of what it refers to: an alias cannot contain itself", short(n.Value))
		}
		return &c, nil
	case yaml.ScalarNode:
		if err := e.scalar(&c); err != nil {
			return nil, err
		}
		e.copies[n] = &c
		return &c, nil
	}
	content, err := e.content(n)
	if err != nil {
		return nil, err
	}
	c.Content = content
	e.copies[n] = &c
	return &c, nil
}

// content copies what is below a collection.
func (e *expansion) content(n *yaml.Node) ([]*yaml.Node, error) {
	content := make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			// The collector does not look for references in keys.
			key := *child
			e.copies[child], content[i] = &key, &key
			continue
		}
		c, err := e.copy(child)
		if err != nil {
			return nil, err
		}
		content[i] = c
	}
	return content, nil
}

// scalar replaces the references in a scalar, one after the other, until there are none.
func (e *expansion) scalar(n *yaml.Node) error {
	for range maxRounds {
		r, found := findReference(n.Value)
		if !found {
			n.Value = strings.ReplaceAll(n.Value, "$$", "$")
			return nil
		}
		value, err := e.resolve(n, r)
		if err != nil {
			return err
		}
		if n.Value == r.text {
			done, err := e.whole(n, r, value)
			if done || err != nil {
				return err
			}
			continue
		}
		n.Value = strings.ReplaceAll(n.Value, r.text, value)
		if len(n.Value) > maxValue {
			return e.file.errorAt(e.file.Pos(n), "is longer than %d bytes with its references replaced: shorten the variables", maxValue)
		}
	}
	return e.file.errorAt(e.file.Pos(n), "still has references after %d replacements: remove the circle of variables", maxRounds)
}

// whole makes a scalar that is one reference what the variable's text is in YAML, and reports whether it is done then: a text
// may hold more references. It goes by confmap's NewRetrievedFromYAML.
func (e *expansion) whole(n *yaml.Node, r reference, value string) (bool, error) {
	if value == "" {
		n.Value, n.Tag, n.Style = "", nullTag, 0
		if r.hasDefault && r.fallback == "" {
			n.Tag = textTag
		}
		return true, nil
	}
	inner := File{Name: e.file.Name, Text: []byte(value)}
	inner.lines = lineStarts(inner.Text)
	if inner.checkText() != nil || inner.decode() != nil || inner.Root.ShortTag() == textTag {
		n.Value, n.Tag, n.Style = value, textTag, yaml.DoubleQuotedStyle
		return false, nil
	}
	place(inner.Root, n.Line, n.Column)
	root := inner.Root
	n.Kind, n.Tag, n.Style, n.Value = root.Kind, root.Tag, root.Style, root.Value
	if root.Kind == yaml.ScalarNode {
		return true, nil
	}
	if e.rounds++; e.rounds > maxDepth {
		return false, e.file.errorAt(e.file.Pos(n), "still has references after %d replacements: remove the circle of variables", e.rounds)
	}
	content, err := e.content(root)
	e.rounds--
	n.Content = content
	return true, err
}

func (e *expansion) resolve(n *yaml.Node, r reference) (string, error) {
	pos := e.file.Pos(n)
	if r.scheme != "env" {
		return "", e.file.errorAt(pos, "reference %s: only env is read here: put the content in its place", short(r.text))
	}
	if !variableName.MatchString(r.name) {
		return "", e.file.errorAt(pos, "reference %s: %q is no name of an environment variable: write $$ for a $ that Prometheus is to see", short(r.text), short(r.name))
	}
	if value, found := e.lookup(r.name); found {
		return value, nil
	}
	return r.fallback, nil
}

// place moves a node and all below it to one position.
func place(n *yaml.Node, line, column int) {
	n.Line, n.Column = line, column
	for _, child := range n.Content {
		place(child, line, column)
	}
}

// Known returns a scalar as Prometheus sees it, with references replaced by their defaults, and whether that is all that is
// needed: a reference without a default is only known when the collector starts.
func (f *File) Known(n *yaml.Node) (value string, known bool) {
	if !f.HasReference(n) {
		return f.Value(n), true
	}
	value = Resolve(n).Value
	for range maxRounds {
		r, found := findReference(value)
		if !found {
			return strings.ReplaceAll(value, "$$", "$"), true
		}
		if !r.hasDefault {
			return "", false
		}
		if value = strings.ReplaceAll(value, r.text, r.fallback); len(value) > maxValue {
			return "", false
		}
	}
	return "", false
}
