// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// maxJSON is how large an object may get, in bytes of JSON, once its aliases are put in place. etcd takes 1.5 MiB.
	maxJSON = 4 << 20
	// maxNodes is how many values an object may have then: an alias to nothing can multiply as well.
	maxNodes = 1 << 20
	// maxDepth is far above what any object has.
	maxDepth = 100
)

// nodeError is what is wrong with a node.
type nodeError struct {
	node *yaml.Node
	err  error
}

func (e *nodeError) Error() string { return e.err.Error() }

// converter writes an object in YAML as the JSON that kubectl would send. The zero value is ready to use.
type converter struct {
	out     []byte
	nodes   int
	open    []*yaml.Node // what is being written, from the outside in
	offsets []offset     // where each value begins; nil where nobody asks
	record  bool
}

type offset struct {
	at   int
	node *yaml.Node
}

// convert leaves the JSON in c.out.
func (c *converter) convert(node *yaml.Node) error {
	c.out, c.nodes, c.open, c.offsets = c.out[:0], 0, c.open[:0], c.offsets[:0]
	return c.value(node)
}

// nodeAt returns the value that ends at or surrounds a position of the JSON that was written last.
func (c *converter) nodeAt(root *yaml.Node, at int) *yaml.Node {
	c.record = true
	err := c.convert(root)
	c.record = false
	i := sort.Search(len(c.offsets), func(i int) bool { return c.offsets[i].at >= at })
	if err != nil || i == 0 {
		return root
	}
	return c.offsets[i-1].node
}

func (c *converter) value(node *yaml.Node) error {
	if c.nodes++; c.nodes > maxNodes || len(c.out) > maxJSON {
		return &nodeError{node, fmt.Errorf("this object gets larger than %d MiB or %d values once its aliases are put in place: a cluster takes 1.5 MiB", maxJSON>>20, maxNodes)}
	}
	if len(c.open) > maxDepth {
		return &nodeError{node, fmt.Errorf("this is nested more than %d levels deep", maxDepth)}
	}
	if node.Kind == yaml.AliasNode {
		if slices.Contains(c.open, node.Alias) {
			return &nodeError{node, fmt.Errorf("the alias *%s is inside of its own anchor: remove one of them", node.Value)}
		}
		node = node.Alias
	}
	if c.record {
		c.offsets = append(c.offsets, offset{len(c.out), node})
	}
	switch node.Kind {
	case yaml.ScalarNode:
		return c.scalar(node)
	case yaml.SequenceNode:
		return c.sequence(node)
	case yaml.MappingNode:
		return c.mapping(node)
	default:
		return &nodeError{node, errors.New("this is no value")}
	}
}

func (c *converter) sequence(node *yaml.Node) error {
	c.open = append(c.open, node)
	defer func() { c.open = c.open[:len(c.open)-1] }()
	c.out = append(c.out, '[')
	for i, item := range node.Content {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		if err := c.value(item); err != nil {
			return err
		}
	}
	c.out = append(c.out, ']')
	return nil
}

func (c *converter) mapping(node *yaml.Node) error {
	c.open = append(c.open, node)
	defer func() { c.open = c.open[:len(c.open)-1] }()
	c.out = append(c.out, '{')
	err := c.members(node, map[string]bool{})
	c.out = append(c.out, '}')
	return err
}

// members writes the members of a mapping that are not in seen yet: its own, and then those of its merges (<<).
func (c *converter) members(node *yaml.Node, seen map[string]bool) error {
	var merges []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.ShortTag() == "!!merge" {
			merges = append(merges, value)
			continue
		}
		if key = follow(key); key.Kind != yaml.ScalarNode {
			return &nodeError{key, errors.New("a key has to be a plain word here")}
		}
		if seen[key.Value] {
			continue
		}
		if c.out[len(c.out)-1] != '{' {
			c.out = append(c.out, ',')
		}
		seen[key.Value] = true
		c.string(key.Value)
		c.out = append(c.out, ':')
		if err := c.value(value); err != nil {
			return err
		}
	}
	for _, merge := range merges {
		if err := c.merge(merge, seen); err != nil {
			return err
		}
	}
	return nil
}

func (c *converter) merge(node *yaml.Node, seen map[string]bool) error {
	if c.nodes++; c.nodes > maxNodes {
		return &nodeError{node, fmt.Errorf("this object has more than %d values once its aliases are put in place", maxNodes)}
	}
	target := follow(node)
	if slices.Contains(c.open, target) || len(c.open) > maxDepth {
		return &nodeError{node, fmt.Errorf("the alias *%s is inside of its own anchor: remove one of them", node.Value)}
	}
	c.open = append(c.open, target)
	defer func() { c.open = c.open[:len(c.open)-1] }()
	switch target.Kind {
	case yaml.MappingNode:
		return c.members(target, seen)
	case yaml.SequenceNode:
		for _, item := range target.Content {
			if err := c.merge(item, seen); err != nil {
				return err
			}
		}
		return nil
	default:
		return &nodeError{node, errors.New("only a mapping, or a list of mappings, can be merged with <<")}
	}
}

// yaml11 are the words that kubectl's YAML takes for truth values and yaml.v3 does not.
var yaml11 = map[string]string{
	"y": "true", "Y": "true", "yes": "true", "Yes": "true", "YES": "true", "on": "true", "On": "true", "ON": "true",
	"n": "false", "N": "false", "no": "false", "No": "false", "NO": "false", "off": "false", "Off": "false", "OFF": "false",
}

func (c *converter) scalar(node *yaml.Node) error {
	plain := node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0
	switch node.ShortTag() {
	case "!!null":
		c.out = append(c.out, "null"...)
	case "!!bool":
		c.out = append(c.out, strings.ToLower(node.Value)...)
	case "!!int":
		var i int64
		var u uint64
		switch {
		case node.Decode(&i) == nil:
			c.out = strconv.AppendInt(c.out, i, 10)
		case node.Decode(&u) == nil:
			c.out = strconv.AppendUint(c.out, u, 10)
		default:
			return &nodeError{node, fmt.Errorf("%s is too large for a number", node.Value)}
		}
	case "!!float":
		var f float64
		if err := node.Decode(&f); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return &nodeError{node, fmt.Errorf("%s is no number that Kubernetes takes", node.Value)}
		}
		c.out = strconv.AppendFloat(c.out, f, 'g', -1, 64)
	default:
		if word, known := yaml11[node.Value]; known && plain {
			c.out = append(c.out, word...)
			return nil
		}
		c.string(node.Value)
	}
	return nil
}

func (c *converter) string(s string) {
	encoded, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can always be written
	}
	c.out = append(c.out, encoded...)
}

// follow returns what an alias stands for.
func follow(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// field returns the value of a key in a mapping, nil when there is none.
func field(node *yaml.Node, key string) *yaml.Node {
	if node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

// text returns the value of a key in a mapping that is a scalar, or otherwise.
func text(node *yaml.Node, key, otherwise string) string {
	if value := field(node, key); value != nil {
		if value = follow(value); value.Kind == yaml.ScalarNode && value.ShortTag() != "!!null" {
			return value.Value
		}
	}
	return otherwise
}

// typeOffset is where in the JSON an error of its decoder is.
func typeOffset(err error) (int, bool) {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return int(wrongType.Offset), true
	}
	return 0, false
}

// checkName refuses names that no cluster takes, since paths and addresses are made of them.
func checkName(o Object) error {
	if o.Namespace != "" && len(validation.IsDNS1123Label(o.Namespace)) > 0 {
		return fmt.Errorf("%q cannot be a namespace: use small letters, digits and '-'", o.Namespace)
	}
	if !o.kind.served { // names of Roles may have a colon
		if len(content.IsPathSegmentName(o.Name)) > 0 {
			return fmt.Errorf("%q cannot be the name of a %s: leave out '/' and '%%'", o.Name, o.Kind)
		}
		return nil
	}
	if len(validation.IsDNS1123Subdomain(o.Name)) > 0 {
		return fmt.Errorf("%q cannot be the name of a %s: use small letters, digits, '-' and '.'", o.Name, o.Kind)
	}
	return nil
}
