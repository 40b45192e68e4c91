// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// line is a line of a page. What is not changed stays as it was, to the byte.
type line struct {
	raw string
	// Of a sample:
	series   string // name and labels, as the page has them or redacted
	value    string
	rest     string // the timestamp, with the space before it; and the exemplar, with " # " before it
	exemplar bool
	labels   labels.Labels
	changed  bool
}

func (l *line) isSample() bool { return l.series != "" }

func (l *line) String() string {
	if !l.changed {
		return l.raw
	}
	return l.series + " " + l.value + l.rest
}

// pageCleaner makes pages fit to be written. It is for one goroutine, since pages share what stands for secrets.
type pageCleaner struct {
	redactor   *redactor
	pseudonyms *pseudonyms
	anonymiser *anonymiser // nil: values stay
	key        string      // of the page
	leftOut    tally
}

// clean returns a page without what must not be written. Key names the page from sample to sample.
func (c *pageCleaner) clean(key string, body []byte, openMetrics bool) []byte {
	c.key = key
	var lines []line
	types := map[string]model.MetricType{}
	for text := range strings.Lines(string(body)) {
		if l, kept := c.line(strings.TrimRight(text, "\n"), openMetrics, types); kept {
			lines = append(lines, l)
		}
	}
	if c.anonymiser != nil {
		c.anonymiser.page(key, lines, types)
	}
	var b bytes.Buffer
	b.Grow(len(body))
	for i := range lines {
		b.WriteString(lines[i].String())
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// line reads one line by itself, with Prometheus's parser of the page's format. One that the parser does not take is kept, since it
// is what makes a scrape fail, unless it could hold what must not be written.
func (c *pageCleaner) line(text string, openMetrics bool, types map[string]model.MetricType) (line, bool) {
	l := line{raw: text}
	if strings.TrimSpace(text) == "" || openMetrics && text == "# EOF" {
		return l, true
	}
	parser := parserOf(text, openMetrics)
	kind, err := parser.Next()
	if err != nil {
		_, secret := c.redactor.redact("line", text)
		if secret || c.anonymiser != nil || len(c.pseudonyms.labels) > 0 {
			c.leftOut.add("pages with lines that no parser takes", c.key)
			return l, false
		}
		return l, true
	}
	switch kind {
	case textparse.EntryType:
		name, metricType := parser.Type()
		types[string(name)] = metricType
	case textparse.EntryHelp:
		name, help := parser.Help()
		if word, secret := c.redactor.redact("help of "+string(name), string(help)); secret {
			l.raw = "# HELP " + quoted(string(name)) + " " + word
		}
	case textparse.EntryComment:
		if word, secret := c.redactor.redact("comment", text); secret {
			l.raw = "# " + word
		}
	case textparse.EntrySeries:
		c.sample(&l, parser)
	default: // a unit
	}
	return l, true
}

func parserOf(text string, openMetrics bool) textparse.Parser {
	if openMetrics {
		return textparse.NewOpenMetricsParser([]byte(text+"\n# EOF\n"), labels.NewSymbolTable())
	}
	return textparse.NewPromParser([]byte(text+"\n"), labels.NewSymbolTable(), false)
}

// hasSample says whether a page has a sample at all.
func hasSample(body []byte, openMetrics bool) bool {
	for text := range strings.Lines(string(body)) {
		if kind, err := parserOf(strings.TrimRight(text, "\n"), openMetrics).Next(); err == nil && kind == textparse.EntrySeries {
			return true
		}
	}
	return false
}

// sample takes a sample apart and replaces values of labels.
func (c *pageCleaner) sample(l *line, parser textparse.Parser) {
	series, _, _ := parser.Series()
	parser.Labels(&l.labels)
	l.series = string(series)
	// The parser starts at the name, and what is left of the line has no braces before its exemplar.
	_, rest, _ := strings.Cut(l.raw, l.series)
	rest = strings.TrimLeft(rest, " \t")
	end := strings.IndexAny(rest, " \t")
	if end < 0 {
		end = len(rest)
	}
	l.value, l.rest = rest[:end], rest[end:]
	var e exemplar.Exemplar
	l.exemplar = parser.Exemplar(&e)
	if l.exemplar && c.hasSecret(e.Labels) {
		l.cutExemplar()
		c.leftOut.add("pages with exemplars that hold secrets", c.key)
	}
	if changed, any := c.labels(l.labels); any {
		l.labels, l.series, l.changed = changed, exposed(changed), true
	}
}

func (c *pageCleaner) hasSecret(ls labels.Labels) bool {
	found := false
	ls.Range(func(l labels.Label) {
		_, secret := c.redactor.redact("exemplar", l.Value)
		_, named := c.pseudonyms.labels[l.Name]
		found = found || secret || named
	})
	return found
}

func (l *line) cutExemplar() {
	l.rest, _, _ = strings.Cut(l.rest, " # ")
	l.exemplar, l.changed = false, true
}

func (l *line) setValue(value float64) {
	l.value, l.changed = format(value), true
}

// labels returns the labels of a sample with what must not be written replaced.
func (c *pageCleaner) labels(ls labels.Labels) (labels.Labels, bool) {
	changed := false
	builder := labels.NewBuilder(ls)
	ls.Range(func(l labels.Label) {
		if l.Name == model.MetricNameLabel {
			return
		}
		value, secret := c.redactor.redact("label "+l.Name, l.Value)
		if !secret {
			value, secret = c.pseudonyms.of(l.Name, l.Value)
		}
		if secret {
			changed = true
			builder.Set(l.Name, value)
		}
	})
	if !changed {
		return ls, false
	}
	return builder.Labels(), true
}

// exposed writes a series as a page does.
func exposed(ls labels.Labels) string {
	var b strings.Builder
	name := ls.Get(model.MetricNameLabel)
	legacy := model.LegacyValidation.IsValidMetricName(name)
	if legacy {
		b.WriteString(name)
	}
	b.WriteByte('{')
	first := true
	separate := func() {
		if !first {
			b.WriteByte(',')
		}
		first = false
	}
	if !legacy {
		separate()
		b.WriteString(quoted(name))
	}
	ls.Range(func(l labels.Label) {
		if l.Name == model.MetricNameLabel {
			return
		}
		separate()
		b.WriteString(quoted(l.Name) + `="` + escaper.Replace(l.Value) + `"`)
	})
	b.WriteByte('}')
	return b.String()
}

var escaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// quoted writes a name, in quotes where it needs them.
func quoted(name string) string {
	if model.LegacyValidation.IsValidMetricName(name) {
		return name
	}
	return `"` + escaper.Replace(name) + `"`
}
