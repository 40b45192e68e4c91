// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

var promqlParser = parser.NewParser(parser.Options{})

// selector is a PromQL selector that may end in …, for further labels.
type selector struct {
	text     string
	matchers []*labels.Matcher
	open     bool // further labels are allowed
}

// ellipsis is what allows further labels, at the end of a selector.
var ellipsis = regexp.MustCompile(`,?\s*(?:…|\.\.\.)\s*\}\s*$`)

// parseSelector reads a selector. The error is that of PromQL's parser.
func parseSelector(text string) (selector, error) {
	s := selector{text: text}
	plain := ellipsis.ReplaceAllString(text, "}")
	s.open = plain != text
	if strings.TrimSpace(plain) == "{}" {
		return s, nil
	}
	var err error
	if s.matchers, err = promqlParser.ParseMetricSelector(plain); err != nil {
		return selector{}, fmt.Errorf("%q is no selector such as 'up{app=\"x\"}': %w", text, withoutPosition(err))
	}
	return s, nil
}

// withoutPosition takes the place within the expression out of a message.
func withoutPosition(err error) error {
	var all parser.ParseErrors
	if errors.As(err, &all) && len(all) > 0 {
		return all[0].Err
	}
	return err
}

// matches says whether the labels are what the matchers want.
func (s *selector) matches(ls labels.Labels) bool {
	return !slices.ContainsFunc(s.matchers, func(m *labels.Matcher) bool { return !m.Matches(ls.Get(m.Name)) })
}

// further are the labels that the selector does not name.
func (s *selector) further(ls labels.Labels) []labels.Label {
	var more []labels.Label
	ls.Range(func(l labels.Label) {
		if !slices.ContainsFunc(s.matchers, func(m *labels.Matcher) bool { return m.Name == l.Name }) {
			more = append(more, l)
		}
	})
	return more
}

// exactly says whether the labels are what the matchers want, and no others unless the selector is open.
func (s *selector) exactly(ls labels.Labels) bool {
	return s.matches(ls) && (s.open || len(s.further(ls)) == 0)
}

// name is the name of the metric, where the selector gives one.
func (s *selector) name() string {
	for _, m := range s.matchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}
