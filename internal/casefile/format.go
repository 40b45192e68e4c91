// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

const (
	// maxListed is how many series a message names.
	maxListed = 5
	// maxTargets is how many targets a message names.
	maxTargets = 10
	// maxValue bounds a label value in a message, in characters.
	maxValue = 200
)

// Colours. Package report takes them out where they are not wanted.
const (
	red   = "\x1b[31m"
	green = "\x1b[32m"
	faint = "\x1b[2m"
	reset = "\x1b[0m"
)

// wanted is what was expected, and got what there is instead.
func wanted(text string) string { return green + text + reset }
func got(text string) string    { return red + text + reset }

// missing and surplus are lines of a difference, in the colours that those have everywhere.
func missing(text string) string { return red + "- " + text + reset }
func surplus(text string) string { return green + "+ " + text + reset }

// seriesText writes a series as PromQL does, the name first.
func seriesText(ls labels.Labels) string {
	var parts []string
	name := ""
	ls.Range(func(l labels.Label) {
		if isPlainName(l) {
			name = l.Value
			return
		}
		parts = append(parts, labelText(l))
	})
	if len(parts) == 0 && name != "" {
		return name
	}
	return name + "{" + strings.Join(parts, ", ") + "}"
}

// isPlainName says whether a label is the name of a metric that can stand in front of the braces.
func isPlainName(l labels.Label) bool {
	return l.Name == model.MetricNameLabel && model.LegacyValidation.IsValidMetricName(l.Value)
}

func labelName(name string) string {
	if !model.LegacyValidation.IsValidLabelName(name) {
		return strconv.Quote(name)
	}
	return name
}

// labelText writes a label for a message: short, and without what looks like a secret.
func labelText(l labels.Label) string {
	value := l.Value
	if kind := secrets.Find(value); kind != "" {
		value = "<redacted:" + kind + ">"
	}
	if runes := []rune(value); len(runes) > maxValue {
		value = string(runes[:maxValue]) + "…"
	}
	return labelName(l.Name) + "=" + strconv.Quote(value)
}

// listed writes lines below a message, the first of them.
func listed(lines []string, limit int) string {
	var b strings.Builder
	for i, line := range lines {
		if i == limit {
			fmt.Fprintf(&b, "\n  … and %d more", len(lines)-limit)
			break
		}
		b.WriteString("\n  " + line)
	}
	return b.String()
}

func seriesLines(all []scrapetest.Series, limit int) string {
	lines := make([]string, len(all))
	for i := range all {
		last := &all[i].Samples[len(all[i].Samples)-1]
		lines[i] = seriesText(all[i].Labels) + " " + got(sampleText(last))
	}
	return listed(lines, limit)
}
