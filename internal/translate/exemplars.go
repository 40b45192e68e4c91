// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"encoding/hex"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// Labels that the receiver and OTLP keep apart (contrib pkg/translator/prometheus/constants.go).
const (
	traceID = "trace_id"
	spanID  = "span_id"
)

func (t *Translator) exemplars(ref samplelog.Ref, exemplars pmetric.ExemplarSlice, scraped bool) {
	for i := range exemplars.Len() {
		t.exemplar(ref, exemplars.At(i), scraped)
	}
}

// bucketExemplars gives each exemplar to the bucket that its value is in.
func (t *Translator) bucketExemplars(id uint32, exemplars pmetric.ExemplarSlice, scraped bool) {
	own := t.refs[t.entries[id].refs:]
	for i := range exemplars.Len() {
		e := exemplars.At(i)
		v, _ := exemplarValue(e)
		bucket := len(t.bounds)
		for j, bound := range t.bounds {
			if v <= bound && own[j] != repeated {
				bucket = j
				break
			}
		}
		for own[bucket] == repeated { // the bucket of +Inf, where there is a bound of +Inf
			bucket--
		}
		t.exemplar(own[bucket], e, scraped)
	}
}

func exemplarValue(e pmetric.Exemplar) (float64, bool) {
	switch e.ValueType() {
	case pmetric.ExemplarValueTypeDouble:
		return e.DoubleValue(), true
	case pmetric.ExemplarValueTypeInt:
		return float64(e.IntValue()), true
	default:
		return 0, false
	}
}

// exemplar writes an exemplar. Prometheus takes labels up to a length: beyond it a scraped one is refused, and one of OTLP loses
// its attributes.
func (t *Translator) exemplar(ref samplelog.Ref, e pmetric.Exemplar, scraped bool) {
	v, ok := exemplarValue(e)
	ls, runes := exemplarLabels(e, true)
	if runes > exemplar.ExemplarMaxLabelSetLength && !scraped {
		ls, runes = exemplarLabels(e, false)
	}
	if _, repeats := ls.HasDuplicateLabelNames(); repeats || !ok || runes > exemplar.ExemplarMaxLabelSetLength {
		t.result.RefusedExemplars++
		return
	}
	t.batch.Exemplar(ref, exemplar.Exemplar{Labels: ls, Value: v, Ts: millis(e.Timestamp()), HasTs: true})
	t.result.Exemplars++
}

// exemplarLabels returns the labels, with or without attributes, and how many characters they have. What is not UTF-8 has too many.
func exemplarLabels(e pmetric.Exemplar, attributes bool) (labels.Labels, int) {
	b := labels.NewScratchBuilder(e.FilteredAttributes().Len() + 2)
	runes := 0
	add := func(name, value string) {
		if !utf8.ValidString(name) || !utf8.ValidString(value) || name == "" {
			runes += exemplar.ExemplarMaxLabelSetLength + 1
		}
		runes += utf8.RuneCountInString(name) + utf8.RuneCountInString(value)
		b.Add(name, value)
	}
	if id := e.TraceID(); !id.IsEmpty() {
		add(traceID, hex.EncodeToString(id[:]))
	}
	if id := e.SpanID(); !id.IsEmpty() {
		add(spanID, hex.EncodeToString(id[:]))
	}
	if attributes {
		for k, v := range e.FilteredAttributes().All() {
			add(k, asString(v))
		}
	}
	b.Sort()
	return b.Labels(), runes
}
