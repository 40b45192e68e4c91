// SPDX-License-Identifier: Apache-2.0

package scopepushdownconverter

import (
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
)

// marker begins the regular expression of a derived rule: the name of a group, which means nothing to the match.
const marker = "(?P<derived_from_scope>"

// Derive returns the rule that drops, at the scrape, what none of the scopes lets pass by its name; a metric_relabel_config with
// Prometheus's defaults. With collector the rule lets the series of targets with the label exporter="otel-collector" pass. ok is false where
// no rule would drop anything, because any name can be in scope.
func Derive(collector bool, scopes ...*scope.Metrics) (rule *relabel.Config, ok bool) {
	names, ok := scope.SeriesRegexp(scopes...)
	if !ok {
		return nil, false
	}
	derived := relabel.DefaultRelabelConfig
	derived.Action = relabel.Keep
	derived.SourceLabels = model.LabelNames{nameLabel}
	source := marker + names + ")"
	if collector {
		derived.SourceLabels = append(derived.SourceLabels, exporterLabel)
		source += ";.*|.*;" + exporterCollector
	}
	regex, err := relabel.NewRegexp(source)
	if err != nil { // made of patterns that compile: of those that are too large together
		return nil, false
	}
	derived.Regex = regex
	return &derived, true
}

// IsDerived reports whether a rule is one that Derive returned, also when it has been written to a configuration and read again.
func IsDerived(rule *relabel.Config) bool {
	return rule.Action == relabel.Keep && strings.HasPrefix(rule.Regex.String(), marker)
}
