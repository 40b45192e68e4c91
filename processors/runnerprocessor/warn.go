// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"go.uber.org/zap"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
)

// reportUnused tells of rules that have matched nothing, which is how a mistyped name shows.
func (p *runnerProcessor) reportUnused() {
	for _, list := range []struct {
		key     string
		matcher *scope.Matcher
	}{
		{"scope::namespaces", p.namespaces},
		{"scope::components", p.components},
		{"scope::metrics::include", p.metrics.Include()},
		{"scope::metrics::exclude", p.metrics.Exclude()},
		{"scope::labels::drop", p.labelDrop},
		{"scope::labels::keep", p.labelKeep},
	} {
		if unused := list.matcher.Unmatched(); len(unused) > 0 {
			p.logger.Warn("Some rules have matched nothing since the start: are they spelled right?",
				zap.String("key", list.key), zap.Reflect("rules", unused), zap.Duration("after", unusedAfter))
		}
	}
}

// warning is what makes two warnings the same.
type warning struct{ metric, detail string }

// warnOnce logs a warning about a metric the first time.
func (p *runnerProcessor) warnOnce(message, metric, detail string, fields ...zap.Field) {
	if len(metric) > maxCachedLength {
		metric = metric[:maxCachedLength]
	}
	key := warning{metric, detail}
	if _, ok := p.warned[key]; ok || len(p.warned) >= maxWarnings {
		return
	}
	p.warned[key] = struct{}{}
	p.logger.Warn(message, append(fields, zap.String("metric", metric))...)
}

// warnLimit tells of a limit that is reached.
func (p *runnerProcessor) warnLimit(metric string, why reason, c *componentStats) {
	// Looked up here as well, since this comes for each series above the limit.
	if _, ok := p.warned[warning{metric, reasonNames[why]}]; ok {
		return
	}
	p.warnOnce("A limit of live series is reached: new series are dropped and counted", metric, reasonNames[why],
		zap.String("reason", reasonNames[why]), zap.String("component", c.name))
}

// warnSecret names the metric and the label in which a secret was found, never the value.
func (p *runnerProcessor) warnSecret(metric, label string, pattern int, c *componentStats) {
	if len(label) > maxCachedLength {
		label = label[:maxCachedLength]
	}
	p.warnOnce("A label value looks like a secret: mend the component that exposes it", metric, p.stats.patterns[pattern]+" in "+label,
		zap.String("reason", p.stats.patterns[pattern]), zap.String("label", label), zap.String("component", c.name))
}
