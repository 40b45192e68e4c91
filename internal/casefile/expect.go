// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
)

// The kinds of expectations, which are the keys below `expect` and the rules of findings.
const (
	kindSeries  = "series"
	kindLabels  = "labels"
	kindTargets = "targets"
	kindCount   = "count"
	kindPromQL  = "promql"
	kindAbsent  = "absent"
	kindDrops   = "drops"
	kindError   = "error"
	kindEmpty   = "expect" // of a case that expects nothing yet
)

// expectation is one thing that has to hold.
type expectation struct {
	kind string
	// at is where it stands, and what a finding points at.
	at *yaml.Node
	// value is what --update replaces; nil where that cannot be done.
	value *yaml.Node
	// inFlow says that it stands in a flow collection: {a: 1}.
	inFlow bool
	check  func(*view) verdict
}

// verdict is what has become of an expectation. The zero verdict is that it holds.
type verdict struct {
	// message says what is not as expected, in one line or more, with colours. Empty: it is.
	message string
	// actual is what would have to be expected, as text; empty where nothing is known that could be written in its place.
	actual string
	// items are the actual items, where the expectation is a list.
	items []string
	// fill is what an empty expectation could be filled with.
	fill *filling
}

// refusal is an expectation that the configuration is refused.
type refusal struct {
	at     *yaml.Node
	regexp *regexp.Regexp
}

// expectations reads what stands under `expect`.
func (p *parsing) expectations(c *Case, n *yaml.Node) error {
	if isNothing(n) {
		c.add(expectation{
			kind: kindEmpty, at: configfile.Key(c.node, "expect"), value: n, inFlow: c.node.Style&yaml.FlowStyle != 0, check: nothingYet(true),
		})
		return nil
	}
	if err := p.fields(n, "expect", map[string]reader{
		kindSeries: func(key, value *yaml.Node) error {
			if isNothing(value) {
				c.add(expectation{kind: kindSeries, at: key, value: value, inFlow: (n.Style|c.node.Style)&yaml.FlowStyle != 0, check: nothingYet(false)})
				return nil
			}
			return p.pairs(value, kindSeries, func(key, value *yaml.Node) error { return p.series(c, key, value) })
		},
		kindLabels: func(_, value *yaml.Node) error {
			if value.Kind == yaml.MappingNode {
				return p.labels(c, value)
			}
			return p.list(value, kindLabels, func(item *yaml.Node) error { return p.labels(c, item) })
		},
		kindTargets: func(_, value *yaml.Node) error { return p.targets(c, value) },
		kindCount: func(_, value *yaml.Node) error {
			return p.pairs(value, kindCount, func(key, value *yaml.Node) error { return p.count(c, key, value) })
		},
		kindPromQL: func(_, value *yaml.Node) error {
			return p.pairs(value, kindPromQL, func(key, value *yaml.Node) error { return p.promql(c, key, value) })
		},
		kindAbsent: func(_, value *yaml.Node) error {
			return p.list(value, kindAbsent, func(item *yaml.Node) error { return p.absent(c, item) })
		},
		kindDrops: func(_, value *yaml.Node) error {
			return p.pairs(value, kindDrops, func(key, value *yaml.Node) error { return p.drops(c, key, value) })
		},
		kindError: func(_, value *yaml.Node) error { return p.refusal(c, value) },
	}); err != nil {
		return err
	}
	if c.err != nil && len(c.expect) > 0 {
		return p.errorAt(c.err.at, "a configuration that is refused delivers nothing: expect either an error or something else, in two cases")
	}
	if c.err == nil && len(c.expect) == 0 {
		return p.errorAt(n, "the case expects nothing: take out what is empty, or leave `expect` empty for --update")
	}
	return nil
}

// isNothing says whether a value is an empty mapping, or not there at all.
func isNothing(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode && len(n.Content) == 0 || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

func (c *Case) add(e expectation) { c.expect = append(c.expect, e) }

// pairs reads a mapping whose keys are free.
func (p *parsing) pairs(n *yaml.Node, what string, read reader) error {
	if n.Kind != yaml.MappingNode {
		return p.errorAt(n, "%s is a mapping, but this is %s", what, kindOf(n))
	}
	var errs []error
	for key, value := range configfile.Pairs(n) {
		errs = append(errs, read(key, configfile.Resolve(value)))
	}
	return errors.Join(errs...)
}

// list reads a list, or one item without one.
func (p *parsing) list(n *yaml.Node, what string, read func(*yaml.Node) error) error {
	if n.Kind == yaml.SequenceNode {
		return p.each(n, read)
	}
	if n.Kind == yaml.MappingNode {
		return p.errorAt(n, "%s is a list, but this is a mapping", what)
	}
	return read(n)
}

// selectorAt reads a scalar as a selector.
func (p *parsing) selectorAt(n *yaml.Node, what string) (*selector, error) {
	text, err := p.text(n, what)
	if err != nil {
		return nil, err
	}
	s, err := parseSelector(text)
	if err != nil {
		return nil, p.errorAt(n, "%v", err)
	}
	return &s, nil
}

// quantityAt reads a scalar as a number or a comparison.
func (p *parsing) quantityAt(n *yaml.Node, what string) (quantity, error) {
	text, err := p.text(n, what)
	if err != nil {
		return quantity{}, err
	}
	q, err := parseQuantity(text)
	if err != nil {
		return quantity{}, p.errorAt(n, "%v", err)
	}
	return q, nil
}

func (p *parsing) refusal(c *Case, n *yaml.Node) error {
	text, err := p.text(n, "error")
	if err != nil {
		return err
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return p.errorAt(n, "error is a regular expression: %v", err)
	}
	if text == "" {
		return p.errorAt(n, "error is empty, which any error matches: say which")
	}
	c.err = &refusal{at: n, regexp: re}
	return nil
}

// compare is the verdict about a number.
func compare(what string, want quantity, have float64) verdict {
	if want.holds(have) {
		return verdict{}
	}
	v := verdict{message: fmt.Sprintf("%s: expected %s, got %s", what, wanted(want.String()), got(number(have)))}
	if want.op == "" {
		v.actual = number(have)
	}
	return v
}

// strings reads a list of texts, or one.
func (p *parsing) strings(n *yaml.Node, what string) ([]string, error) {
	var all []string
	err := p.list(n, what, func(item *yaml.Node) error {
		text, err := p.text(item, "an item of "+what)
		all = append(all, text)
		return err
	})
	return slices.Clip(all), err
}
