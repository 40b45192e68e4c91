// SPDX-License-Identifier: Apache-2.0

package scope

import (
	"maps"
	"slices"
	"strings"

	"github.com/grafana/regexp/syntax"
)

// receiverSuffixes are what the Prometheus receiver takes off the name of a series to find its family
// (contrib receiver/prometheusreceiver/internal/util.go, normalizeMetricName), whatever the type of the family is.
var receiverSuffixes = []string{"_bucket", "_count", "_created", "_info", "_sum", "_total"}

// entrySuffixes are what an entry of a scope can have that the family it speaks for has not: those that Match adds, _info, which the
// runner processor gives back to info metrics, and _total, which the receiver gives to a series that ends in _created.
var entrySuffixes = []string{"_bucket", "_count", "_info", "_sum", "_total"}

// uncertain matches the names that no rule here decides about: target_info, which the receiver makes resource attributes of; those that
// are no classic Prometheus names, which Match also takes as they would be stored; and the empty one, which fails the scrape.
const uncertain = `target_info|[0-9].*|.*[^a-zA-Z0-9_:].*|`

// SeriesRegexp returns a regular expression (RE2, to be anchored, as in a Prometheus relabel rule) that matches the name of each
// scraped series that can become a part of what one of the scopes lets pass, or can change it. A scrape knows series and not yet
// families, and nothing certain of their type. So a name matches when it is that of a listed family, or becomes it by one of the
// suffixes that the receiver takes off; it is for Match to decide about the metric that is made of it. An exclude takes the
// exact names that it matches out of the lists; else it is left to Match. ok is false where any name could be in scope.
func SeriesRegexp(scopes ...*Metrics) (regexp string, ok bool) {
	// A target can expose what Prometheus writes for each scrape, and the processor knows a target by that.
	names := maps.Clone(healthMetrics)
	patterns := map[string]bool{}
	for _, m := range scopes {
		for _, list := range []*Matcher{m.profile, m.include} {
			for _, r := range list.rules {
				if r.regexp == nil {
					m.addNames(names, string(r.pattern))
				} else if !addPatterns(patterns, string(r.pattern)) {
					return "", false
				}
			}
		}
	}
	all := strings.Join(append(sorted(names), sorted(patterns)...), "|")
	return "(?:" + all + ")(?:" + strings.Join(receiverSuffixes, "|") + ")?|" + uncertain, true
}

// addNames adds the families that an exact name can speak for. One that an exclude matches speaks for none: whatever family it would be
// the name of a series of, the exclude matches that family too.
func (m *Metrics) addNames(names map[string]bool, name string) {
	if m.exclude.Match(name) {
		return
	}
	names[name] = true
	for _, suffix := range entrySuffixes {
		if family, found := strings.CutSuffix(name, suffix); found && family != "" {
			names[family] = true
		}
	}
}

// addPatterns is addNames for a regular expression: it adds others that match the families. It reports false where those are too many,
// or where the pattern matches everything anyway.
func addPatterns(patterns map[string]bool, pattern string) bool {
	parsed, err := syntax.Parse(pattern, syntax.Perl|syntax.DotNL)
	if err != nil {
		return false // it has been compiled before
	}
	re := withoutAssertions(parsed)
	if matchesAnything(re) {
		return false
	}
	if re.String() != parsed.String() {
		pattern = re.String()
	}
	patterns[group(pattern)] = true
	for _, suffix := range entrySuffixes {
		terms, ok := cutSuffix(re, suffix)
		if !ok {
			return false
		}
		for written, t := range terms {
			if t.Op != syntax.OpEmptyMatch && written != re.String() {
				patterns[group(written)] = true
			}
		}
	}
	return true
}

// plainPattern reports whether a pattern can be an alternative among others as it is.
func plainPattern(pattern string) bool { return !strings.ContainsAny(pattern, "|?\\") }

func group(pattern string) string {
	if plainPattern(pattern) {
		return pattern
	}
	return "(?:" + pattern + ")"
}

func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for s := range set {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}
