// SPDX-License-Identifier: Apache-2.0

package remotewrite

import (
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// V2 returns an io.prometheus.write.v2.Request, uncompressed, valid until the next call. The symbols come first, and in each
// series the labels before the metadata: Mimir reads them in that order (mimirpb, UnmarshalRW2).
func (e *Encoder) V2(view *samplelog.View, samples []samplelog.Sample) []byte {
	e.begin(view)
	b := e.symbolize(e.buf[:0], view, samples)
	for len(samples) > 0 {
		n := run(samples)
		b = e.appendSeriesV2(b, view, samples[:n])
		samples = samples[n:]
	}
	e.buf = b
	return b
}

// begin forgets the numbers of the last request.
func (e *Encoder) begin(view *samplelog.View) {
	if n := view.Symbols(); n > len(e.numbers) {
		e.numbers = make([]number, n+n/4)
		e.stamp = 0
	}
	e.stamp++
	if e.stamp == 0 {
		clear(e.numbers)
		e.stamp = 1
	}
	e.next = 1
	e.numbers[0] = number{stamp: e.stamp} // the empty string is number 0
}

// symbolize appends all symbols of the request, and gives them their numbers in the order in which they are first used. The
// names of labels and the values that all series share are in the first series, so that they have numbers of one byte.
// Other orders (names first, by frequency) make no difference of 1 % after compression.
func (e *Encoder) symbolize(b []byte, view *samplelog.View, samples []samplelog.Sample) []byte {
	b = append(b, 4<<3|wireBytes, 0) // the empty string
	exemplars := false
	for i := range samples {
		exemplars = exemplars || len(samples[i].Exemplars) > 0
		if i > 0 && samples[i].Ref == samples[i-1].Ref {
			continue
		}
		e.labels = view.AppendLabels(e.labels[:0], samples[i].Ref)
		for _, s := range e.labels {
			b = e.number(b, view, s)
		}
		m := view.Metadata(samples[i].Ref)
		b = e.number(b, view, m.Unit)
		b = e.number(b, view, m.Help)
	}
	if exemplars {
		b = e.symbolizeExemplars(b, view, samples)
	}
	return b
}

// number gives a symbol the next number, and appends it, unless it has one.
func (e *Encoder) number(b []byte, view *samplelog.View, s samplelog.Symbol) []byte {
	n := &e.numbers[s]
	if n.stamp == e.stamp {
		return b
	}
	*n = number{e.stamp, e.next}
	e.next++
	return appendString(b, 4, view.Text(s))
}

// symbolizeExemplars appends the strings of exemplars, which are not symbols of the segment. Requests with exemplars are rare,
// so that a map is good enough to write each string once.
func (e *Encoder) symbolizeExemplars(b []byte, view *samplelog.View, samples []samplelog.Sample) []byte {
	if e.texts == nil {
		e.texts = map[string]uint32{}
	}
	clear(e.texts)
	for s := range view.Symbols() {
		if n := e.numbers[s]; n.stamp == e.stamp {
			e.texts[view.Text(samplelog.Symbol(s))] = n.number
		}
	}
	add := func(s string) {
		if _, known := e.texts[s]; known {
			return
		}
		e.texts[s] = e.next
		e.next++
		b = appendString(b, 4, s)
	}
	for i := range samples {
		for _, x := range samples[i].Exemplars {
			x.Labels.Range(func(l labels.Label) {
				add(l.Name)
				add(l.Value)
			})
		}
	}
	return b
}

func (e *Encoder) appendSeriesV2(b []byte, view *samplelog.View, samples []samplelog.Sample) []byte {
	ref := samples[0].Ref
	b, series := open(b, 5, 1)
	b, at := open(b, 1, 1)
	e.labels = view.AppendLabels(e.labels[:0], ref)
	for _, s := range e.labels {
		n := e.numbers[s].number
		for n >= 0x80 { // appendUvarint, which is not inlined
			b = append(b, byte(n)|0x80)
			n >>= 7
		}
		b = append(b, byte(n))
	}
	b = closed(b, at, 1)
	for i := range samples {
		if s := &samples[i]; isHistogram(s) {
			b = appendHistogram(b, 3, s, s.ST)
		} else {
			b = appendSample(b, s, s.ST)
		}
	}
	for i := range samples {
		for _, x := range samples[i].Exemplars {
			b = e.appendExemplarV2(b, x, samples[i].T)
		}
	}
	b = e.appendMetadata(b, view.Metadata(ref))
	return closed(b, series, 1)
}

func (e *Encoder) appendMetadata(b []byte, m samplelog.Metadata) []byte {
	if m == (samplelog.Metadata{}) {
		return b
	}
	b, at := open(b, 5, 1)
	if m.Type <= maxMetricType {
		b = appendInt(b, 1, int64(m.Type))
	}
	b = appendInt(b, 3, int64(e.numbers[m.Help].number))
	b = appendInt(b, 4, int64(e.numbers[m.Unit].number))
	return closed(b, at, 1)
}

// maxMetricType is the highest of tsdb/record's types, whose numbers are those of the protocol.
const maxMetricType = 7

func (e *Encoder) appendExemplarV2(b []byte, x exemplar.Exemplar, t int64) []byte {
	b, start := open(b, 4, 1)
	if x.Labels.Len() > 0 {
		var at int
		b, at = open(b, 1, 1)
		x.Labels.Range(func(l labels.Label) {
			b = appendUvarint(b, uint64(e.texts[l.Name]))
			b = appendUvarint(b, uint64(e.texts[l.Value]))
		})
		b = closed(b, at, 1)
	}
	b = appendDouble(b, 2, x.Value)
	b = appendInt(b, 3, exemplarTime(x, t))
	return closed(b, start, 1)
}
