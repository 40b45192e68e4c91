// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// resourcePrefix marks a resource attribute among labels.
const resourcePrefix = "resource:"

// point is a data point with the resource it is of.
type point struct {
	name, kind, unit string
	attributes       pcommon.Map
	resource         pcommon.Map
}

// pointsOf are all data points.
func pointsOf(md pmetric.Metrics) []point {
	var all []point
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				add := func(kind string, attributes pcommon.Map) {
					all = append(all, point{name: m.Name(), kind: kind, unit: m.Unit(), attributes: attributes, resource: rm.Resource().Attributes()})
				}
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					for _, p := range m.Gauge().DataPoints().All() {
						add("Gauge", p.Attributes())
					}
				case pmetric.MetricTypeSum:
					kind := "Sum, " + m.Sum().AggregationTemporality().String()
					if m.Sum().IsMonotonic() {
						kind += ", monotonic"
					}
					for _, p := range m.Sum().DataPoints().All() {
						add(kind, p.Attributes())
					}
				case pmetric.MetricTypeHistogram:
					for _, p := range m.Histogram().DataPoints().All() {
						add("Histogram, "+strconv.Itoa(p.BucketCounts().Len())+" buckets", p.Attributes())
					}
				case pmetric.MetricTypeExponentialHistogram:
					for _, p := range m.ExponentialHistogram().DataPoints().All() {
						add("ExponentialHistogram", p.Attributes())
					}
				case pmetric.MetricTypeSummary:
					for _, p := range m.Summary().DataPoints().All() {
						add("Summary, "+strconv.Itoa(p.QuantileValues().Len())+" quantiles", p.Attributes())
					}
				}
			}
		}
	}
	return all
}

// same says whether two points are of one series.
func (p *point) same(other point) bool {
	return p.name == other.name && p.attributes.Equal(other.attributes) && p.resource.Equal(other.resource)
}

// labels are name, attributes and resource attributes as labels.
func (p *point) labels() labels.Labels {
	b := labels.NewBuilder(labels.EmptyLabels())
	b.Set(model.MetricNameLabel, p.name)
	for name, v := range p.attributes.All() {
		b.Set(name, v.AsString())
	}
	for name, v := range p.resource.All() {
		b.Set(resourcePrefix+name, v.AsString())
	}
	return b.Labels()
}

func (p *point) facts() []Fact {
	facts := []Fact{{"type", p.kind}}
	if p.unit != "" {
		facts = append(facts, Fact{"unit", p.unit})
	}
	return facts
}

// translated is what an exporter made of a data point. Resource attributes that it made no labels of are left out.
func translated(before, after labels.Labels) []Change {
	own := labels.NewBuilder(before)
	before.Range(func(l labels.Label) {
		if strings.HasPrefix(l.Name, resourcePrefix) {
			own.Del(l.Name)
		}
	})
	return diff(own.Labels(), after)
}

// reasons say what the runner processor's reasons mean.
var reasons = map[string]string{ //nolint:gosec // words, no credentials
	"namespace":              "the target is in none of scope::namespaces",
	"object_namespace":       "it speaks about an object in another namespace than scope::namespaces",
	"component":              "the label app is none of scope::components",
	"metric":                 "the metric is not in scope::metrics",
	"secret":                 "a label value looks like a secret, and scope::secrets is drop",
	"label_count":            "it has more labels than limits::label_count",
	"label_name_length":      "the name of a label is longer than limits::label_name_length",
	"label_value_length":     "the value of a label is longer than limits::label_value_length",
	"series_limit":           "there are as many live series as limits::series",
	"metric_series_limit":    "the metric has as many live series as limits::series_per_metric",
	"component_series_limit": "the component has as many live series as limits::series_per_component",
	"collision":              "another live series has the same labels, once labels are dropped or redacted",
	"stale":                  "it is the stale marker of a series that is not live",
}

func reasonText(reason string) string {
	if meaning := reasons[reason]; meaning != "" {
		return reason + " (" + meaning + ")"
	}
	return reason
}

// value is a sample as text.
func value(s *scrapetest.Sample) string {
	switch {
	case s.Stale():
		return "stale"
	case s.H != nil:
		return s.H.String()
	}
	return number(s.F)
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
