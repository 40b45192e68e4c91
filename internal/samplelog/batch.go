// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/s2"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/encoding"
	"github.com/prometheus/prometheus/tsdb/record"
)

// Batch collects what one call of Log.Append brings. It becomes one frame, so that a crash keeps all of it or nothing.
// It is valid within that call only. Symbols and references stay valid until Generation changes.
type Batch struct {
	generation uint64
	renew      bool
	spoilt     bool // the table has what could not be written: it is not to be used any more
	shards     int
	table      *table
	note       string

	// What the segment does not know yet: the symbols, labels and series from here on.
	firstSymbol, firstPair, firstSeries int

	parts []part // by shard
	total int    // samples

	buf, defs encoding.Encbuf // reused
}

// part is what a batch holds for one shard.
type part struct {
	floats    []record.RefSample
	hists     []record.RefHistogramSample
	fhists    []record.RefFloatHistogramSample
	exemplars []record.RefExemplar
}

func (p *part) len() int { return len(p.floats) + len(p.hists) + len(p.fhists) }

func (p *part) reset() {
	p.floats = p.floats[:0]
	clear(p.hists)
	clear(p.fhists)
	clear(p.exemplars)
	p.hists, p.fhists, p.exemplars = p.hists[:0], p.fhists[:0], p.exemplars[:0]
}

// Generation changes when the batch goes to another segment than the one before. All symbols and references of before are void then.
func (b *Batch) Generation() uint64 { return b.generation }

// Symbol returns the symbol of a string, which is copied.
func (b *Batch) Symbol(s string) Symbol { return b.table.symbol(s) }

// Text returns the string of a symbol.
func (b *Batch) Text(s Symbol) string { return b.table.symbols[s] }

// View returns the series of the segment as of now.
func (b *Batch) View() *View { return &b.table.View }

// Series makes a new series, also where there is one with the same labels: callers remember the references. Labels are name,
// value, name, value ..., in the order of the names, each value not empty; they are copied.
func (b *Batch) Series(labels []Symbol, m Metadata) Ref {
	return b.table.add(labels, b.shardOf(labels), m)
}

// shardOf spreads series over the shards by FNV-1a of their labels. It must stay as it is: a change would let two shards send
// the samples of one series at a time.
func (b *Batch) shardOf(labels []Symbol) int {
	if b.shards == 1 {
		return 0
	}
	h := uint64(14695981039346656037)
	for _, sym := range labels {
		s := b.table.symbols[sym]
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	return int(h % uint64(b.shards)) //nolint:gosec // less than shards
}

// Sample adds a float sample. Times are milliseconds since the epoch; st is 0 where the start is unknown.
func (b *Batch) Sample(ref Ref, st, t int64, v float64) {
	p := b.part(ref)
	p.floats = append(p.floats, record.RefSample{Ref: chunks.HeadSeriesRef(ref), ST: st, T: t, V: v})
}

// Histogram adds a native histogram with integer counts.
func (b *Batch) Histogram(ref Ref, st, t int64, h *histogram.Histogram) {
	p := b.part(ref)
	p.hists = append(p.hists, record.RefHistogramSample{Ref: chunks.HeadSeriesRef(ref), ST: st, T: t, H: h})
}

// FloatHistogram adds a native histogram with float counts.
func (b *Batch) FloatHistogram(ref Ref, st, t int64, h *histogram.FloatHistogram) {
	p := b.part(ref)
	p.fhists = append(p.fhists, record.RefFloatHistogramSample{Ref: chunks.HeadSeriesRef(ref), ST: st, T: t, FH: h})
}

// Add adds a sample of another log, with its exemplars, to a series of this one.
func (b *Batch) Add(ref Ref, s *Sample) {
	switch {
	case s.H != nil:
		b.Histogram(ref, s.ST, s.T, s.H)
	case s.FH != nil:
		b.FloatHistogram(ref, s.ST, s.T, s.FH)
	default:
		b.Sample(ref, s.ST, s.T, s.V)
	}
	for _, e := range s.Exemplars {
		b.Exemplar(ref, e)
	}
}

// Exemplar adds an exemplar to the sample of the series in this batch.
func (b *Batch) Exemplar(ref Ref, e exemplar.Exemplar) {
	p := &b.parts[b.table.series[ref].shard]
	p.exemplars = append(p.exemplars, record.RefExemplar{Ref: chunks.HeadSeriesRef(ref), T: e.Ts, V: e.Value, Labels: e.Labels})
}

// Note sets a text that is kept with the batch: why it was set aside.
func (b *Batch) Note(text string) { b.note = text }

// Renew asks for a new segment before the next batch, because a series that the segment holds has changed its metadata.
func (b *Batch) Renew() { b.renew = true }

func (b *Batch) part(ref Ref) *part {
	b.total++
	return &b.parts[b.table.series[ref].shard]
}

// reset makes the batch empty. What it told the table stays, and is written with the next one.
func (b *Batch) reset() {
	for i := range b.parts {
		b.parts[i].reset()
	}
	b.total, b.note = 0, ""
}

// open points the batch to a new segment.
func (b *Batch) open(t *table, shards int) {
	b.generation++ // not the segment's number: an empty segment may be made again under the same
	b.table, b.shards, b.renew, b.spoilt = t, shards, false, false
	b.firstSymbol, b.firstPair, b.firstSeries = len(t.symbols), 0, 0
	if len(b.parts) != shards {
		b.parts = make([]part, shards)
	}
}

// Types of payloads. The first frame of a segment is its header.
const (
	typeHeader = 'H'
	typeBatch  = 'B'
)

// maxKept is how large a buffer may be that is kept for reuse.
const maxKept = 4 << 20

// sampleEncoder writes start timestamps too (records of Prometheus's V2).
var sampleEncoder = record.Encoder{EnableSTStorage: true}

// encode returns the batch as a frame, valid until the next call. seq is, by shard, the number of the batch's first sample.
func (b *Batch) encode(seq []uint64) ([]byte, error) {
	b.buf.B = beginFrame(b.buf.B[:0])
	b.buf.PutByte(typeBatch)
	if err := b.encodeDefinitions(); err != nil {
		return nil, err
	}
	b.buf.PutUvarintStr(b.note)
	for shard := range b.parts {
		p := &b.parts[shard]
		if p.len() == 0 {
			continue
		}
		b.buf.PutUvarint(shard)
		b.buf.PutUvarint64(seq[shard])
		b.buf.PutUvarint(p.len())
		if err := b.encodeRecords(p); err != nil {
			return nil, err
		}
	}
	return b.buf.B, sealFrame(b.buf.B)
}

// encodeDefinitions writes the symbols, labels and series that are new to the segment, compressed: they are text, and many.
func (b *Batch) encodeDefinitions() error {
	b.defs.Reset()
	if b.firstSymbol < len(b.table.symbols) || b.firstSeries < len(b.table.series) {
		// Where they go on: behind a batch that is damaged, all later numbers would stand for something else.
		b.defs.PutUvarint(b.firstSymbol)
		b.defs.PutUvarint(b.firstPair)
		b.defs.PutUvarint(b.firstSeries)
		b.defs.PutUvarint(len(b.table.symbols) - b.firstSymbol)
		for _, s := range b.table.symbols[b.firstSymbol:] {
			b.defs.PutUvarintStr(s)
		}
		b.defs.PutUvarint(len(b.table.pairs) - b.firstPair)
		for _, p := range b.table.pairs[b.firstPair:] {
			b.defs.PutUvarint64(uint64(p.name))
			b.defs.PutUvarint64(uint64(p.value))
		}
		for i := b.firstSeries; i < len(b.table.series); i++ {
			ref := Ref(i) //nolint:gosec // bounded by maxSeries
			m := b.table.Metadata(ref)
			b.defs.PutUvarint(b.table.Shard(ref))
			b.defs.PutByte(m.Type)
			b.defs.PutUvarint64(uint64(m.Unit))
			b.defs.PutUvarint64(uint64(m.Help))
			labels := b.table.labelsOf(ref)
			b.defs.PutUvarint(len(labels))
			for _, pair := range labels {
				b.defs.PutUvarint64(uint64(pair))
			}
		}
	}
	switch n := b.defs.Len(); {
	case n == 0:
		b.buf.PutUvarint(0)
		return nil
	case n > maxDefinitions: // nobody could read it
		return fmt.Errorf("%d MiB of new series and their labels in one batch, at most %d MiB are possible: send smaller batches", n>>20, maxDefinitions>>20)
	}
	packed := s2.EncodeSnappy(nil, b.defs.B)
	b.buf.PutUvarint(len(packed))
	b.buf.PutBytes(packed)
	return nil
}

// encodeRecords writes Prometheus's records of one shard, each behind its length; an empty one has length 0.
func (b *Batch) encodeRecords(p *part) error {
	start := b.beginRecord()
	if len(p.floats) > 0 {
		b.buf.B = sampleEncoder.Samples(p.floats, b.buf.B)
	}
	b.endRecord(start)

	start = b.beginRecord()
	if len(p.hists) > 0 {
		var rest []record.RefHistogramSample
		if b.buf.B, rest = sampleEncoder.HistogramSamples(p.hists, b.buf.B); len(rest) > 0 {
			return fmt.Errorf("%d native histograms are not in the record", len(rest))
		}
	}
	b.endRecord(start)

	start = b.beginRecord()
	if len(p.fhists) > 0 {
		var rest []record.RefFloatHistogramSample
		if b.buf.B, rest = sampleEncoder.FloatHistogramSamples(p.fhists, b.buf.B); len(rest) > 0 {
			return fmt.Errorf("%d native histograms are not in the record", len(rest))
		}
	}
	b.endRecord(start)

	start = b.beginRecord()
	if len(p.exemplars) > 0 {
		b.buf.B = sampleEncoder.Exemplars(p.exemplars, b.buf.B)
	}
	b.endRecord(start)
	return nil
}

func (b *Batch) beginRecord() int {
	b.buf.PutBE32(0)
	return b.buf.Len()
}

func (b *Batch) endRecord(start int) {
	n := uint32(b.buf.Len() - start) //nolint:gosec // a frame is at most maxPayload
	binary.BigEndian.PutUint32(b.buf.B[start-4:], n)
}

// void says that the batch cannot be written: the next one goes to another segment.
func (b *Batch) void() {
	b.spoilt = true
	b.release()
}

// written says that the segment now holds what the batch told it.
func (b *Batch) written() {
	b.firstSymbol, b.firstPair, b.firstSeries = len(b.table.symbols), len(b.table.pairs), len(b.table.series)
	b.release()
}

// release gives back what one huge batch took.
func (b *Batch) release() {
	if cap(b.buf.B) > maxKept {
		b.buf.B = nil
	}
	if cap(b.defs.B) > maxKept {
		b.defs.B = nil
	}
}
