// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

// texts remembers which help texts and units look like secrets: they leave the cluster as metadata, with remote write 2.0.
type texts struct {
	off     bool
	verdict map[string]string // text to the name of the pattern that it matches, "" for none
}

// maxTexts bounds what is remembered. A runner has a few hundred metrics.
const maxTexts = 10_000

// redact replaces a metric's help text and unit where they look like a secret.
func (t *texts) redact(m pmetric.Metric) {
	if t.off {
		return
	}
	if name := t.find(m.Description()); name != "" {
		m.SetDescription("<redacted:" + name + ">")
	}
	if name := t.find(m.Unit()); name != "" {
		m.SetUnit("")
	}
}

func (t *texts) find(text string) string {
	if text == "" {
		return ""
	}
	if name, known := t.verdict[text]; known {
		return name
	}
	if t.verdict == nil || len(t.verdict) >= maxTexts {
		t.verdict = map[string]string{}
	}
	name := secrets.Find(text)
	t.verdict[text] = name
	return name
}
