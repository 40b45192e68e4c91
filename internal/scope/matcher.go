// SPDX-License-Identifier: Apache-2.0

// Package scope holds the rules that say what may leave the cluster: which names match, which metrics a profile lists,
// and what a kube-state-metrics series speaks about. The runner processor enforces them.
package scope

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"
)

// plainName matches what can only be meant as an exact name: no character of it is special in a regexp.
var plainName = regexp.MustCompile(`^[a-zA-Z0-9_:-]+$`)

// Pattern is an exact name or a regular expression (RE2) that has to match the whole name, as in a Prometheus relabel rule.
// Examples: `up`, `kube_hpa_.*`, `(tool|agent)-manager`.
type Pattern string

// Validate reports a pattern that is empty or is no regular expression. The error says what is wrong and how to mend it; the
// caller adds the key.
func (p Pattern) Validate() error {
	_, err := p.compile()
	return err
}

func (p Pattern) compile() (*labels.FastRegexMatcher, error) {
	if p == "" {
		return nil, errors.New("empty: name something, or remove the entry")
	}
	if plainName.MatchString(string(p)) {
		return nil, nil
	}
	// The standard parser first: its errors can be taken apart.
	if _, err := syntax.Parse(string(p), syntax.Perl); err != nil {
		var syntaxErr *syntax.Error
		if errors.As(err, &syntaxErr) {
			return nil, fmt.Errorf("invalid regexp %q: %s: fix or quote it", string(p), syntaxErr.Code)
		}
		return nil, fmt.Errorf("invalid regexp %q: %w: fix or quote it", string(p), err)
	}
	return labels.NewFastRegexMatcher(string(p))
}

// rule is one compiled pattern; matched remembers whether it ever matched, so that an operator can be told of one that does not.
type rule struct {
	pattern Pattern
	regexp  *labels.FastRegexMatcher // nil for an exact name
	matched atomic.Bool
}

func (r *rule) match(name string) bool {
	if r.regexp == nil {
		if name != string(r.pattern) {
			return false
		}
	} else if !r.regexp.MatchString(name) {
		return false
	}
	if !r.matched.Load() {
		r.matched.Store(true)
	}
	return true
}

// Matcher is a set of patterns. The zero Matcher matches nothing. It is safe for concurrent use.
type Matcher struct {
	exact    map[string]*rule
	patterns []*rule
	rules    []*rule // all of them, in the order given
}

// NewMatcher compiles patterns. It fails on the first invalid one.
func NewMatcher(patterns []Pattern) (*Matcher, error) {
	m := &Matcher{exact: make(map[string]*rule, len(patterns))}
	for i, p := range patterns {
		re, err := p.compile()
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		r := &rule{pattern: p, regexp: re}
		m.rules = append(m.rules, r)
		if re == nil {
			m.exact[string(p)] = r
		} else {
			m.patterns = append(m.patterns, r)
		}
	}
	return m, nil
}

// Match reports whether any pattern matches the whole of name. The empty name never matches: what is unknown is out of scope.
func (m *Matcher) Match(name string) bool {
	if name == "" {
		return false
	}
	if r, ok := m.exact[name]; ok {
		return r.match(name)
	}
	for _, r := range m.patterns {
		if r.match(name) {
			return true
		}
	}
	return false
}

// Empty reports whether the matcher has no pattern.
func (m *Matcher) Empty() bool { return len(m.rules) == 0 }

// Unmatched lists the patterns that have not matched anything yet, in the order given.
func (m *Matcher) Unmatched() []Pattern {
	var out []Pattern
	for _, r := range m.rules {
		if !r.matched.Load() {
			out = append(out, r.pattern)
		}
	}
	return out
}
