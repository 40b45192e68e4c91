// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"encoding/hex"
	"hash/maphash"
	"slices"
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

// exemplars writes the exemplars of a point to one series.
func (t *Translator) exemplars(ref samplelog.Ref, exemplars pmetric.ExemplarSlice, scraped bool) {
	for i := range exemplars.Len() {
		t.exemplar(ref, exemplars.At(i), scraped)
	}
	t.writeExemplars()
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
	t.writeExemplars()
}

// exemplarOf is an exemplar of a series.
type exemplarOf struct {
	ref samplelog.Ref
	exemplar.Exemplar
}

// newest is the newest exemplar of a series.
type newest struct {
	ts     int64
	value  float64
	labels uint64 // hash
}

// seriesKey stands for the labels of a series, over all segments.
type seriesKey [2]uint64

// maxNewest is how many series' newest exemplars are remembered. One that is forgotten is written again.
const maxNewest = 1 << 16

// writeExemplars writes the exemplars that are new, in the order in which a TSDB takes them. A target exposes an exemplar until
// there is another one. A TSDB drops those that it has, and so do Prometheus's receivers of remote write 1.0, but those of 2.0
// answer 400 to all of a request when one exemplar in it is older than the newest of its series.
func (t *Translator) writeExemplars() {
	slices.SortStableFunc(t.pending, func(a, b exemplarOf) int { return exemplar.Compare(a.Exemplar, b.Exemplar) })
	for _, e := range t.pending {
		n := newest{ts: e.Ts, value: e.Value, labels: e.Labels.Hash()}
		key := t.keyOf(e.ref)
		if last, found := t.newest[key]; found && !t.again && !n.after(last) {
			continue
		}
		if len(t.newest) == maxNewest {
			clear(t.newest)
		}
		t.newest[key] = n
		t.batch.Exemplar(e.ref, e.Exemplar)
		t.result.Exemplars++
	}
	clear(t.pending) // let go of the batch
	t.pending = t.pending[:0]
}

// after compares as the TSDB of Prometheus does (tsdb/exemplar.go, validateExemplar).
func (n newest) after(last newest) bool {
	switch {
	case n == last:
		return false
	case n.ts != last.ts:
		return n.ts > last.ts
	case n.value < last.value:
		return false
	default:
		return n.value != last.value || n.labels > last.labels
	}
}

func (t *Translator) keyOf(ref samplelog.Ref) seriesKey {
	var k seriesKey
	for _, s := range t.view.AppendLabels(nil, ref) {
		text := t.text(s)
		k[0] = mix(k[0], maphash.String(t.seed, text))
		k[1] = mix(k[1], maphash.String(t.second, text))
	}
	return k
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

// exemplar makes an exemplar pending. Prometheus takes labels up to a length: beyond it a scraped one is refused, and one of OTLP loses
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
	t.pending = append(t.pending, exemplarOf{ref, exemplar.Exemplar{Labels: ls, Value: v, Ts: millis(e.Timestamp()), HasTs: true}})
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
