// SPDX-License-Identifier: Apache-2.0

package confdiff

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// The kinds of queries.
const (
	Panel     = "panel"
	Variable  = "variable"
	Alert     = "alert"
	Recording = "recording"
)

// Query is an expression of a dashboard or a rule.
type Query struct {
	Kind string `json:"kind"`
	File string `json:"file"`
	// Line is where the expression is; 0: not known.
	Line int `json:"line,omitempty"`
	// Name is the panel, the variable, the alert, or the metric that is recorded. Of a dashboard, its title comes first.
	Name string `json:"name"`
	// Expr is the expression as it is written.
	Expr string `json:"expr"`
	// Err says why it could not be read; empty where it could.
	Err string `json:"error,omitempty"`

	selectors []selector
}

// selector is a part of a query that asks for series.
type selector struct {
	matchers []*labels.Matcher
	// needs are the labels that the query reads of the series, by which it groups, joins or names them.
	needs []string
}

// String is the selector as PromQL.
func (s *selector) String() string {
	name, rest := "", []string{}
	for _, m := range s.matchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			name = m.Value
			continue
		}
		rest = append(rest, m.String())
	}
	if len(rest) == 0 && name != "" {
		return name
	}
	return name + "{" + strings.Join(rest, ",") + "}"
}

// metric is the name that the selector asks for; empty where it is more than one.
func (s *selector) metric() string {
	for _, m := range s.matchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

// maxExpr bounds an expression, in bytes, and with it how deep it is nested.
const maxExpr = 64 << 10

var promQL = parser.NewParser(parser.Options{EnableExperimentalFunctions: true, ExperimentalDurationExpr: true, EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true})

// read parses the expression, in which variables have been replaced. Labels that templates read of the result are shown.
func (q *Query) read(expr string, shown []string) {
	if len(expr) > maxExpr {
		q.Err = fmt.Sprintf("it has more than %d KiB", maxExpr>>10)
		return
	}
	parsed, err := promQL.ParseExpr(expr)
	if err != nil {
		// Where a number is wanted, any value is none.
		var second error
		if parsed, second = promQL.ParseExpr(bareAny.ReplaceAllString(expr, "1")); second != nil {
			q.Err = err.Error()
			return
		}
	}
	q.visit(parsed, shown)
}

// visit collects the selectors below a node. needs are the labels that are read of its result.
func (q *Query) visit(node parser.Node, needs []string) {
	switch n := node.(type) {
	case *parser.VectorSelector:
		if n.Name == anyText && len(n.LabelMatchers) == 1 {
			return // a number, most likely
		}
		matchers := make([]*labels.Matcher, 0, len(n.LabelMatchers))
		for _, m := range n.LabelMatchers {
			if m = anyValue(m); m != nil {
				matchers = append(matchers, m)
			}
		}
		needs = slices.DeleteFunc(slices.Clone(needs), func(name string) bool { return strings.Contains(name, anyText) })
		slices.Sort(needs)
		q.selectors = append(q.selectors, selector{matchers, slices.Compact(needs)})
		return
	case *parser.AggregateExpr:
		if n.Without {
			needs = slices.DeleteFunc(slices.Clone(needs), func(name string) bool { return slices.Contains(n.Grouping, name) })
		} else {
			needs = n.Grouping
		}
	case *parser.BinaryExpr:
		q.visitBinary(n, needs)
		return
	case *parser.Call:
		needs = labelsOfCall(n, needs)
	}
	for child := range parser.ChildrenIter(node) {
		q.visit(child, needs)
	}
}

// visitBinary says which labels are read of each side. The result of a join has those of the side with several, and what is included
// of the other; that of a join of one with one by named labels has only these.
func (q *Query) visitBinary(n *parser.BinaryExpr, needs []string) {
	left, right := needs, needs
	if m := n.VectorMatching; m != nil {
		var on []string
		if m.On {
			on = m.MatchingLabels
		}
		switch {
		case m.Card == parser.CardManyToOne:
			left, right = slices.Concat(without(needs, m.Include), on), slices.Concat(on, m.Include)
		case m.Card == parser.CardOneToMany:
			left, right = slices.Concat(on, m.Include), slices.Concat(without(needs, m.Include), on)
		case n.Op == parser.LAND || n.Op == parser.LUNLESS:
			left, right = slices.Concat(needs, on), on
		case m.Card == parser.CardOneToOne && m.On:
			left, right = on, on
		}
	}
	q.visit(n.LHS, left)
	q.visit(n.RHS, right)
}

func without(names, those []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(those, name) })
}

// labelsOfCall are the labels that are read of a function's arguments. label_replace and label_join make one of others.
func labelsOfCall(n *parser.Call, needs []string) []string {
	text := func(i int) string {
		if i < len(n.Args) {
			if s, ok := n.Args[i].(*parser.StringLiteral); ok {
				return s.Val
			}
		}
		return ""
	}
	switch n.Func.Name {
	case "label_replace":
		return append(without(needs, []string{text(1)}), text(3))
	case "label_join":
		needs = without(needs, []string{text(1)})
		for i := 3; i < len(n.Args); i++ {
			needs = append(needs, text(i))
		}
	}
	return needs
}

// anyText stands for the value of a variable that may be anything.
const anyText = "ANY_VALUE_OF_A_VARIABLE"

var (
	// bareAny is a variable that stands alone, as numbers do.
	bareAny = regexp.MustCompile(`\b` + anyText + `\b`)
	// durationAny is one that is a duration.
	durationAny = regexp.MustCompile(`([\[:]\s*|offset\s+)` + anyText)
)

// anyValue is a matcher that takes any value where a variable is; nil where it then says nothing.
func anyValue(m *labels.Matcher) *labels.Matcher {
	if !strings.Contains(m.Value, anyText) {
		return m
	}
	pattern := m.Value
	switch m.Type {
	case labels.MatchNotEqual, labels.MatchNotRegexp:
		return nil
	case labels.MatchEqual:
		pattern = regexp.QuoteMeta(pattern)
	}
	changed, err := labels.NewMatcher(labels.MatchRegexp, m.Name, strings.ReplaceAll(pattern, anyText, ".+"))
	if err != nil {
		return nil
	}
	return changed
}

// variables are those of a dashboard, by name: what each stands for where it is a duration or a number, else nothing.
type variables map[string]string

// variablePattern is Grafana's own: $name, [[name]], [[name:format]], ${name}, ${name.field:format}.
var variablePattern = regexp.MustCompile(`\$(\w+)|\[\[(\w+?)(?::\w+)?\]\]|\$\{(\w+)(?:\.[^:^}]+)?(?::[^}]+)?\}`)

// builtins are Grafana's own variables. Whatever time is on display, the same series are asked for.
var builtins = map[string]string{
	"__rate_interval": "5m", "__interval": "5m", "__range": "1h",
	"__interval_ms": "300000", "__rate_interval_ms": "300000", "__range_ms": "3600000", "__range_s": "3600",
	"__from": "0", "__to": "0",
}

// replace replaces variables as Grafana would, those that may be anything by anyText.
func (v variables) replace(expr string) string {
	expr = variablePattern.ReplaceAllStringFunc(expr, func(ref string) string {
		parts := variablePattern.FindStringSubmatch(ref)
		name := parts[1] + parts[2] + parts[3]
		for _, known := range []map[string]string{builtins, v} {
			if value, ok := known[name]; ok && value != "" {
				return value
			}
		}
		if strings.HasPrefix(name, "__auto_interval") {
			return "5m"
		}
		return anyText
	})
	return durationAny.ReplaceAllString(expr, "${1}5m")
}

// template finds the labels that a legend or an annotation reads: {{ pod }}, {{ $labels.pod }}.
var template = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-zA-Z_][a-zA-Z0-9_]*)\s*\}\}`)

func templateLabels(texts ...string) []string {
	names := map[string]bool{}
	for _, text := range texts {
		for _, m := range template.FindAllStringSubmatch(text, -1) {
			names[m[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// place is where the query is, for messages.
func (q *Query) place() string {
	if q.Line == 0 {
		return q.File
	}
	return fmt.Sprintf("%s:%d", q.File, q.Line)
}
