// SPDX-License-Identifier: Apache-2.0

package scope

import (
	"fmt"
	"slices"

	"github.com/prometheus/otlptranslator"
)

// Metrics decides by name which metrics may leave: those of the profile and of include, less those of exclude.
// It is safe for concurrent use.
type Metrics struct {
	profile *Matcher
	include *Matcher
	exclude *Matcher
	namer   otlptranslator.MetricNamer
}

// NewMetrics compiles a metric scope. Errors name the key below `metrics` that is wrong.
func NewMetrics(profile string, include, exclude []Pattern) (*Metrics, error) {
	listed, err := Profile(profile)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	m := &Metrics{namer: otlptranslator.MetricNamer{}}
	if m.profile, err = NewMatcher(listed); err != nil {
		return nil, fmt.Errorf("profile %s%w", profile, err)
	}
	if m.include, err = NewMatcher(include); err != nil {
		return nil, fmt.Errorf("include%w", err)
	}
	if m.exclude, err = NewMatcher(exclude); err != nil {
		return nil, fmt.Errorf("exclude%w", err)
	}
	// An exclude that takes something out of the lists is of use, also where that is dropped at the scrape and never seen here.
	for _, list := range []*Matcher{m.profile, m.include} {
		for name := range list.exact {
			m.exclude.Match(name)
		}
	}
	return m, nil
}

// Include returns the matcher of include.
func (m *Metrics) Include() *Matcher { return m.include }

// Exclude returns the matcher of exclude.
func (m *Metrics) Exclude() *Matcher { return m.exclude }

// Redundant lists the exact names in include that the profile has already.
func (m *Metrics) Redundant() []Pattern {
	var out []Pattern
	for name, r := range m.include.exact {
		if _, ok := m.profile.exact[name]; ok {
			out = append(out, r.pattern)
		}
	}
	slices.Sort(out)
	return out
}

// Match reports whether the metric may leave. A family (classic histogram or summary) is named without its suffixes, and is
// kept or dropped whole: a rule for one of its _bucket, _sum or _count series speaks for the family, since a family that
// lacks one of them is useless to histogram_quantile and is discarded by the receiver. A name that is no Prometheus name
// (OTLP: http.server.requests) matches as it is or as Prometheus would store it.
func (m *Metrics) Match(name string, family bool) bool {
	names := [8]string{name}
	n := 1
	if stored := m.StoredName(name); stored != name {
		names[n] = stored
		n++
	}
	if family {
		for _, base := range names[:n] {
			names[n], names[n+1], names[n+2] = base+"_bucket", base+"_sum", base+"_count"
			n += 3
		}
	}
	if matchAny(m.exclude, names[:n]) {
		return false
	}
	return matchAny(m.profile, names[:n]) || matchAny(m.include, names[:n])
}

// StoredName returns a metric's name as Prometheus stores it, without suffixes for type and unit: kube.pod_info is
// kube_pod_info. What cannot be translated stays as it is.
func (m *Metrics) StoredName(name string) string {
	stored, err := m.namer.Build(otlptranslator.Metric{Name: name})
	if err != nil {
		return name
	}
	return stored
}

func matchAny(m *Matcher, names []string) bool {
	return slices.ContainsFunc(names, m.Match)
}
