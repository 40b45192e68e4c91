// SPDX-License-Identifier: Apache-2.0

package configfile

import (
	"iter"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	nullTag = "!!null"
	textTag = "!!str"
)

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == nullTag }

// Resolve returns what a node stands for: the target of an alias, and for a mapping with merge keys (<<) a mapping with
// all of their keys. Keys and values stay the nodes that they are in the file, so that positions are kept. Nil gives nil.
func Resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.Kind != yaml.MappingNode || !hasMerge(n) {
		return n
	}
	merged := *n
	merged.Content = nil
	seen := map[string]bool{}
	appendPairs(&merged, n, seen)
	return &merged
}

func hasMerge(mapping *yaml.Node) bool {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if isMerge(mapping.Content[i]) {
			return true
		}
	}
	return false
}

func isMerge(key *yaml.Node) bool { return key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" }

// appendPairs adds the pairs of from to: its own before merged ones, and of those the first before later ones.
func appendPairs(to, from *yaml.Node, seen map[string]bool) {
	for i := 0; i+1 < len(from.Content); i += 2 {
		key := from.Content[i]
		if isMerge(key) || seen[key.Value] {
			continue
		}
		seen[key.Value] = true
		to.Content = append(to.Content, key, from.Content[i+1])
	}
	for i := 0; i+1 < len(from.Content); i += 2 {
		if !isMerge(from.Content[i]) {
			continue
		}
		source := from.Content[i+1]
		for source.Kind == yaml.AliasNode {
			source = source.Alias
		}
		switch source.Kind {
		case yaml.MappingNode:
			appendPairs(to, source, seen)
		case yaml.SequenceNode:
			for _, item := range source.Content {
				for item.Kind == yaml.AliasNode {
					item = item.Alias
				}
				if item.Kind == yaml.MappingNode {
					appendPairs(to, item, seen)
				}
			}
		}
	}
}

// Pairs iterates over the keys of a mapping and their values, both as they stand in the file, with merge keys replaced. A node
// that is no mapping has none.
func Pairs(mapping *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		m := Resolve(mapping)
		if m == nil || m.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(m.Content); i += 2 {
			if !yield(m.Content[i], m.Content[i+1]) {
				return
			}
		}
	}
}

// Items returns the items of a sequence, resolved. A node that is no sequence has none.
func Items(sequence *yaml.Node) []*yaml.Node {
	s := Resolve(sequence)
	if s == nil || s.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]*yaml.Node, len(s.Content))
	for i, n := range s.Content {
		items[i] = Resolve(n)
	}
	return items
}

// Get returns the value below a path of keys, resolved, or nil where there is none: Get(root, "service", "telemetry").
func Get(n *yaml.Node, keys ...string) *yaml.Node {
	n = Resolve(n)
	for _, key := range keys {
		var next *yaml.Node
		for k, v := range Pairs(n) {
			if k.Value == key {
				next = Resolve(v)
				break
			}
		}
		if next == nil {
			return nil
		}
		n = next
	}
	return n
}

// Key returns the node of a key in a mapping, or nil.
func Key(mapping *yaml.Node, key string) *yaml.Node {
	for k := range Pairs(mapping) {
		if k.Value == key {
			return k
		}
	}
	return nil
}

// Lookup returns the node at a path, resolved, or nil: receivers::prometheus::config::scrape_configs[2]::relabel_configs[0].
// The path of the root is empty; an item of a bare list is [2].
func (f *File) Lookup(path string) *yaml.Node {
	n := Resolve(f.Root)
	if path == "" {
		return n
	}
	for part := range strings.SplitSeq(path, "::") {
		name, indices := splitIndices(part)
		if name != "" {
			n = Get(n, name)
		}
		for _, i := range indices {
			items := Items(n)
			if i >= len(items) {
				return nil
			}
			n = items[i]
		}
		if n == nil {
			return nil
		}
	}
	return n
}

// splitIndices takes a[1][2] apart.
func splitIndices(part string) (name string, indices []int) {
	for strings.HasSuffix(part, "]") {
		open := strings.LastIndexByte(part, '[')
		if open < 0 {
			break
		}
		i, err := strconv.Atoi(part[open+1 : len(part)-1])
		if err != nil || i < 0 {
			break
		}
		indices = append([]int{i}, indices...)
		part = part[:open]
	}
	return part, indices
}

// PathPos returns where the node at a path stands, or the zero Position where there is none.
func (f *File) PathPos(path string) Position {
	return f.Pos(f.Lookup(path))
}

// Pos returns where a node begins. Nil is nowhere.
func (f *File) Pos(n *yaml.Node) Position {
	if n == nil {
		return Position{}
	}
	return Position{n.Line, n.Column}
}

// Walk calls visit for each value of the file with its path, in the order of the text; key is nil for the root and for items.
// Aliases and merge keys are not followed, so that everything is visited once, where it stands; their nodes are visited. When
// visit returns false, what is below the value is left out.
func (f *File) Walk(visit func(path string, key, value *yaml.Node) bool) {
	walk("", nil, f.Root, visit)
}

func walk(path string, key, n *yaml.Node, visit func(path string, key, value *yaml.Node) bool) {
	if !visit(path, key, n) {
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			below := k.Value
			if path != "" {
				below = path + "::" + k.Value
			}
			walk(below, k, n.Content[i+1], visit)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			walk(path+"["+strconv.Itoa(i)+"]", nil, item, visit)
		}
	}
}
