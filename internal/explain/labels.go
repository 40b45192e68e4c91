// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

const (
	// maxValue bounds what is shown of one value, in bytes.
	maxValue = 4096
	// maxExcerpt bounds a regular expression within a sentence, in bytes.
	maxExcerpt = 80
)

// show is a value as it may be shown: redacted where it looks like a secret.
func show(value string) string {
	if name := secrets.Find(value); name != "" {
		return "<redacted:" + name + ">"
	}
	return bounded(value)
}

func bounded(text string) string { return cut(text, maxValue) }

func excerpt(text string) string { return cut(text, maxExcerpt) }

// cut shortens a text to at most limit bytes, at the boundary of a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}

// list makes a list of labels.
func list(ls labels.Labels) []Label {
	all := make([]Label, 0, ls.Len())
	ls.Range(func(l labels.Label) { all = append(all, Label{l.Name, show(l.Value)}) })
	return all
}

// text is a series as Prometheus writes it, redacted.
func text(ls labels.Labels) string {
	var parts []string
	name := ls.Get(model.MetricNameLabel)
	if name != "" && !model.LegacyValidation.IsValidMetricName(name) {
		parts, name = append(parts, quoted(show(name))), ""
	}
	ls.Range(func(l labels.Label) {
		if l.Name == model.MetricNameLabel {
			return
		}
		label := l.Name
		if !model.LegacyValidation.IsValidLabelName(label) {
			label = quoted(label)
		}
		parts = append(parts, label+"="+quoted(show(l.Value)))
	})
	if len(parts) == 0 {
		return show(name)
	}
	return show(name) + "{" + strings.Join(parts, ", ") + "}"
}

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func quoted(value string) string { return `"` + escapes.Replace(value) + `"` }

// diff compares labels before and after a step.
func diff(before, after labels.Labels) []Change {
	var all []Change
	before.Range(func(l labels.Label) {
		switch now := after.Get(l.Name); {
		case now == "" && l.Value != "":
			all = append(all, Change{Op: "-", Label: l.Name, Before: show(l.Value)})
		case now != l.Value:
			c := Change{Op: "~", Label: l.Name, Before: show(l.Value), After: show(now)}
			if c.Before == c.After {
				c.Before = "(what is redacted here)"
			}
			all = append(all, c)
		}
	})
	after.Range(func(l labels.Label) {
		if before.Get(l.Name) == "" && l.Value != "" {
			all = append(all, Change{Op: "+", Label: l.Name, After: show(l.Value)})
		}
	})
	slices.SortStableFunc(all, func(a, b Change) int { return cmp.Compare(a.Label, b.Label) })
	return all
}

// process applies rules. Kept is false where one drops.
func process(ls labels.Labels, rules []*relabel.Config) (after labels.Labels, kept bool) {
	builder := labels.NewBuilder(ls)
	if !relabel.ProcessBuilder(builder, rules...) {
		return labels.EmptyLabels(), false
	}
	return builder.Labels(), true
}
