// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// seriesValue is what the value of a series has to be.
type seriesValue struct {
	quantity  quantity
	histogram *histogram.FloatHistogram
	word      string // absent or stale, or none
}

// Words for values.
const (
	wordAbsent = "absent"
	wordStale  = "stale"
)

func parseSeriesValue(text string) (seriesValue, error) {
	switch {
	case text == wordAbsent, text == wordStale:
		return seriesValue{word: text}, nil
	case strings.HasPrefix(text, "{{"):
		h, err := parseHistogram(text)
		return seriesValue{histogram: h}, err
	}
	q, err := parseQuantity(text)
	if err != nil {
		return seriesValue{}, fmt.Errorf("%w, nor one of absent, stale and '{{…}}'", err)
	}
	return seriesValue{quantity: q}, nil
}

// parseHistogram reads promtool's form of a native histogram: {{schema:0 sum:5 count:4 buckets:[1 2 1]}}.
func parseHistogram(text string) (*histogram.FloatHistogram, error) {
	_, values, err := promqlParser.ParseSeriesDesc("x " + text)
	if err != nil {
		return nil, fmt.Errorf("%q is no histogram such as '{{schema:0 sum:5 count:4 buckets:[1 2 1]}}': %w", text, withoutPosition(err))
	}
	if len(values) != 1 || values[0].Histogram == nil {
		return nil, fmt.Errorf("%q is not one histogram", text)
	}
	return values[0].Histogram.Compact(0), nil
}

func (w *seriesValue) String() string {
	switch {
	case w.word != "":
		return w.word
	case w.histogram != nil:
		return w.histogram.TestExpression()
	}
	return w.quantity.String()
}

// holds says whether a sample that is no stale marker has the value.
func (w *seriesValue) holds(s *scrapetest.Sample) bool {
	switch {
	case w.word != "":
		return false
	case s.H == nil:
		return w.histogram == nil && w.quantity.holds(s.F)
	case w.histogram == nil:
		return false
	}
	have := s.H.Copy().Compact(0)
	have.CounterResetHint = w.histogram.CounterResetHint // says how it was delivered, not what
	return have.Equals(w.histogram)
}

// sampleText writes the value of a sample in the form in which it can be expected.
func sampleText(s *scrapetest.Sample) string {
	if s.Stale() {
		return wordStale
	}
	if s.H == nil {
		return number(s.F)
	}
	h := s.H.Copy().Compact(0)
	h.CounterResetHint = histogram.UnknownCounterReset
	return h.TestExpression()
}

func (p *parsing) series(c *Case, key, value *yaml.Node) error {
	s, err := p.selectorAt(key, "a series")
	if err != nil {
		return err
	}
	if len(s.matchers) == 0 {
		return p.errorAt(key, "the selector of a series has no matcher: name the metric")
	}
	text, err := p.text(value, "the value of a series")
	if err != nil {
		return err
	}
	want, err := parseSeriesValue(text)
	if err != nil {
		return p.errorAt(value, "%v", err)
	}
	c.add(expectation{kind: kindSeries, at: key, value: value, check: func(v *view) verdict { return v.oneSeries(s, &want) }})
	return nil
}

// oneSeries wants exactly one series.
func (v *view) oneSeries(s *selector, want *seriesValue) verdict {
	var found []scrapetest.Series
	for _, one := range v.result.Live(v.at, s.matchers...) {
		if s.exactly(one.Labels) {
			found = append(found, one)
		}
	}
	switch {
	case want.word == wordAbsent && len(found) == 0:
		return verdict{}
	case want.word == wordStale && len(found) == 0:
		return v.staleSeries(s)
	case len(found) == 0:
		return verdict{message: s.text + " was not delivered" + v.lost(s)}
	case len(found) > 1:
		return verdict{message: fmt.Sprintf("%d series match %s, which has to be one: name labels that tell them apart%s", len(found), s.text, seriesLines(found, maxListed))}
	}
	last := &found[0].Samples[len(found[0].Samples)-1]
	if want.holds(last) {
		return verdict{}
	}
	have := sampleText(last)
	result := verdict{message: fmt.Sprintf("%s: expected %s, got %s", s.text, wanted(want.String()), got(have))}
	if want.quantity.op == "" {
		result.actual = have
	}
	return result
}

// staleSeries wants a series that was live and whose last sample is a stale marker.
func (v *view) staleSeries(s *selector) verdict {
	end := v.result.Scene.Start.Add(v.at).UnixMilli()
	ended := slices.ContainsFunc(v.result.Series, func(one scrapetest.Series) bool {
		if !s.exactly(one.Labels) {
			return false
		}
		i := lastBefore(one.Samples, end)
		return i >= 0 && one.Samples[i].Stale()
	})
	if ended {
		return verdict{}
	}
	return verdict{message: s.text + ": expected " + wanted(wordStale) + ", but it was never there" + v.lost(s)}
}

// lastBefore is the index of the last sample up to a time in milliseconds, or -1.
func lastBefore(samples []scrapetest.Sample, end int64) int {
	i := len(samples) - 1
	for i >= 0 && samples[i].T > end {
		i--
	}
	return i
}

func (p *parsing) labels(c *Case, n *yaml.Node) error {
	var (
		match      *selector
		at         *yaml.Node
		have, lack []string
	)
	if err := p.fields(n, kindLabels, map[string]reader{
		"match": func(_, value *yaml.Node) (err error) {
			at = value
			match, err = p.selectorAt(value, "match")
			return err
		},
		"have": func(_, value *yaml.Node) (err error) {
			have, err = p.strings(value, "have")
			return err
		},
		"lack": func(_, value *yaml.Node) (err error) {
			lack, err = p.strings(value, "lack")
			return err
		},
	}); err != nil {
		return err
	}
	if match == nil {
		return p.errorAt(n, "labels without `match`: say of which series, such as 'up{}'")
	}
	match.open = true // all that match are meant
	if len(have)+len(lack) == 0 {
		return p.errorAt(n, "labels without `have` and `lack`: name labels under one of them")
	}
	c.add(expectation{kind: kindLabels, at: at, check: func(v *view) verdict { return v.labels(match, have, lack) }})
	return nil
}

func (v *view) labels(match *selector, have, lack []string) verdict {
	all := v.result.Live(v.at, match.matchers...)
	if len(all) == 0 {
		return verdict{message: "no series matches " + match.text + ", so that nothing is known of its labels" + v.lost(match)}
	}
	var lines []string
	for _, s := range all {
		var wrong []string
		for _, name := range have {
			if !s.Labels.Has(name) {
				wrong = append(wrong, "lacks "+wanted(name))
			}
		}
		for _, name := range lack {
			if value := s.Labels.Get(name); value != "" {
				wrong = append(wrong, "has "+got(labelText(labels.Label{Name: name, Value: value})))
			}
		}
		if len(wrong) > 0 {
			lines = append(lines, seriesText(s.Labels)+" "+strings.Join(wrong, ", "))
		}
	}
	if len(lines) == 0 {
		return verdict{}
	}
	return verdict{message: fmt.Sprintf("%d of %d series that match %s do not have the labels that they should%s", len(lines), len(all), match.text, listed(lines, maxListed))}
}

func (p *parsing) count(c *Case, key, value *yaml.Node) error {
	s, err := p.selectorAt(key, "a selector")
	if err != nil {
		return err
	}
	s.open = true // all that match are counted
	want, err := p.quantityAt(value, "a count")
	if err != nil {
		return err
	}
	c.add(expectation{kind: kindCount, at: key, value: value, check: func(v *view) verdict {
		all := v.result.Live(v.at, s.matchers...)
		result := compare("the number of series that match "+s.text, want, float64(len(all)))
		if result.message != "" && len(all) == 0 {
			result.message += v.lost(s)
		}
		return result
	}})
	return nil
}

func (p *parsing) absent(c *Case, n *yaml.Node) error {
	s, err := p.selectorAt(n, "a selector")
	if err != nil {
		return err
	}
	if len(s.matchers) == 0 {
		return p.errorAt(n, "absent without a matcher: expect {} to be counted as 0 instead")
	}
	c.add(expectation{kind: kindAbsent, at: n, check: func(v *view) verdict {
		all := v.result.Live(v.at, s.matchers...)
		if len(all) == 0 {
			return verdict{}
		}
		return verdict{message: fmt.Sprintf("%d series match %s, and none should%s", len(all), s.text, seriesLines(all, maxListed))}
	}})
	return nil
}
