// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// label is a label of a series.
type label struct{ name, value samplelog.Symbol }

// metricName is the name as a metric is stored.
func (t *Translator) metricName(name string) string {
	if !t.settings.EscapeNames {
		return name
	}
	return model.EscapeName(name, model.UnderscoreEscaping)
}

// labelName is the name as a label is stored. A colon is for metrics only.
func (t *Translator) labelName(name string) string {
	if !t.settings.EscapeNames {
		return name
	}
	return strings.ReplaceAll(model.EscapeName(name, model.UnderscoreEscaping), ":", "_")
}

// setLabels makes t.labels the labels that all series of a point have, without the name, in the order of their names.
func (t *Translator) setLabels(id uint32) {
	p := &t.entries[id]
	m := &t.metrics[p.metric]
	ls := t.labels[:0]
	keys := t.keys.at(p.keys)
	for i, value := range t.values[p.values:][:len(keys)] {
		if value != 0 {
			ls = append(ls, label{keys[i], value})
		}
	}
	if t.settings.EscapeNames {
		ls = t.escape(ls)
	}
	for i, value := range t.valuesOf(m.resource)[3:] {
		if name := t.promoted[i]; value != absent && value != 0 && find(ls, name) < 0 {
			ls = append(ls, label{name, value})
		}
	}
	r := t.resources[m.resource]
	ls = set(ls, label{t.names.job, r.job})
	ls = set(ls, label{t.names.instance, r.instance})
	for _, l := range t.scopes[m.scope].labels {
		ls = set(ls, l)
	}
	ls = slices.DeleteFunc(ls, func(l label) bool { return l.name == t.names.metric }) // also what has become it: ..name..
	slices.SortFunc(ls, func(a, b label) int { return strings.Compare(t.text(a.name), t.text(b.name)) })
	t.labels = ls
}

// escape escapes the names of labels, and joins those that become one.
func (t *Translator) escape(ls []label) []label {
	slices.SortFunc(ls, func(a, b label) int { return strings.Compare(t.text(a.name), t.text(b.name)) })
	out := ls[:0]
	for _, l := range ls {
		l.name = t.batch.Symbol(t.labelName(t.text(l.name)))
		if i := find(out, l.name); i >= 0 {
			out[i].value = t.batch.Symbol(t.text(out[i].value) + ";" + t.text(l.value))
		} else {
			out = append(out, l)
		}
	}
	return out
}

func find(ls []label, name samplelog.Symbol) int {
	return slices.IndexFunc(ls, func(l label) bool { return l.name == name })
}

// set sets a label, unless its value is empty.
func set(ls []label, l label) []label {
	if l.value == 0 {
		return ls
	}
	if i := find(ls, l.name); i >= 0 {
		ls[i] = l
		return ls
	}
	return append(ls, l)
}

// series returns the series with t.labels, a name and, where it has a value, one more label. Equal labels are one series, of
// whatever point: a receiver takes each series once in a request.
func (t *Translator) series(metric uint32, name samplelog.Symbol, own label) samplelog.Ref {
	t.setSeries(name, own)
	meta := t.metrics[metric].meta
	hash := hashSymbols(t.symbols)
	if ref, found := t.findSeries(hash); found {
		if t.view.Metadata(ref) != meta {
			t.renew(t.text(t.metrics[metric].name))
		}
		return ref
	}
	ref := t.batch.Series(t.symbols, meta)
	t.seriesIndex.add(hash, uint32(ref))
	return ref
}

// setSeries makes t.symbols the labels of a series: t.labels, a name and, where it has a value, one more label.
func (t *Translator) setSeries(name samplelog.Symbol, own label) {
	pending := [2]label{{t.names.metric, name}, own} // in the order of their names: __name__ comes before le and quantile
	rest := pending[:]
	if own.value == 0 {
		rest = rest[:1]
	}
	symbols := t.symbols[:0]
	for _, l := range t.labels {
		for len(rest) > 0 && t.text(rest[0].name) < t.text(l.name) {
			symbols = append(symbols, rest[0].name, rest[0].value)
			rest = rest[1:]
		}
		if l.name != own.name || own.value == 0 {
			symbols = append(symbols, l.name, l.value)
		}
	}
	for _, l := range rest {
		symbols = append(symbols, l.name, l.value)
	}
	t.symbols = symbols
}

// findSeries returns the series of the segment with the labels t.symbols.
func (t *Translator) findSeries(hash uint32) (samplelog.Ref, bool) {
	for s := t.seriesIndex.search(hash); ; {
		id, found := t.seriesIndex.next(&s)
		if !found {
			return 0, false
		}
		ref := samplelog.Ref(id)
		if t.others = t.view.AppendLabels(t.others[:0], ref); slices.Equal(t.others, t.symbols) {
			return ref, true
		}
	}
}

// Suffixes of the series of one metric.
const (
	suffixBucket  = "_bucket"
	suffixCount   = "_count"
	suffixSum     = "_sum"
	suffixTotal   = "_total"
	suffixInfo    = "_info"
	suffixCreated = "_created"
)

// suffixed returns the name of a series of a metric. It is remembered in one of the metric's own fields.
func (t *Translator) suffixed(m *metric, field *samplelog.Symbol, suffix string) samplelog.Symbol {
	if *field == 0 {
		name := t.text(m.name)
		if suffix == suffixCreated && m.kind.prom == promCounter {
			name = strings.TrimSuffix(name, suffixTotal)
		}
		*field = t.batch.Symbol(t.metricName(name + suffix))
	}
	return *field
}

// numberName returns the name of the series of a number with t.labels, and undoes what the receiver does to names
// (contrib receiver/prometheusreceiver/internal/metadata.go, metadataForMetric). It is false where the receiver gave the name away.
func (t *Translator) numberName(m *metric) (samplelog.Symbol, bool) {
	switch {
	case !m.kind.scraped:
	case m.kind.prom == promInfo && !strings.HasSuffix(t.text(m.name), suffixInfo):
		return t.suffixed(m, &m.value, suffixInfo), true
	case m.kind.prom == promGaugeHistogram && m.kind.data == pmetric.MetricTypeGauge:
		if find(t.labels, t.names.le) < 0 {
			return 0, false
		}
		return t.suffixed(m, &m.bucket, suffixBucket), true
	}
	return t.suffixed(m, &m.value, ""), true
}
