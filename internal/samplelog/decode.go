// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/klauspost/compress/s2"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/encoding"
	"github.com/prometheus/prometheus/tsdb/record"
)

// Bounds of what is accepted from a file.
const (
	maxDefinitions = 64 << 20 // bytes of symbols and series in one frame, unpacked
	maxShards      = 32
)

// decoder reads the payloads of batches. It is not safe for concurrent use.
type decoder struct {
	records   record.Decoder
	defs      []byte
	floats    []record.RefSample
	hists     []record.RefHistogramSample
	fhists    []record.RefFloatHistogramSample
	exemplars []record.RefExemplar
}

func newDecoder() *decoder {
	return &decoder{records: record.NewDecoder(labels.NewSymbolTable(), slog.New(slog.DiscardHandler))}
}

// batchFrame is a payload that has been taken apart as far as its parts.
type batchFrame struct {
	defs []byte // packed
	note string
	rest encoding.Decbuf
}

// partFrame is one shard's part of a batch.
type partFrame struct {
	shard    int
	firstSeq uint64
	samples  int
	records  [4][]byte // floats, histograms, float histograms, exemplars
}

func openBatch(payload []byte) (batchFrame, error) {
	d := encoding.Decbuf{B: payload}
	if d.Byte() != typeBatch {
		return batchFrame{}, errors.New("not a batch")
	}
	f := batchFrame{defs: uvarintBytes(&d), note: string(uvarintBytes(&d))}
	f.rest = d
	return f, d.Err()
}

// uvarintBytes is Decbuf.UvarintBytes, which panics on a length above 2^63.
func uvarintBytes(d *encoding.Decbuf) []byte {
	n := d.Uvarint64()
	if d.E == nil && n > uint64(len(d.B)) {
		d.E = encoding.ErrInvalidSize
	}
	if d.E != nil {
		return nil
	}
	b := d.B[:n]
	d.B = d.B[n:]
	return b
}

// next returns the next part; ok is false behind the last.
func (f *batchFrame) next() (p partFrame, ok bool, err error) {
	if f.rest.Len() == 0 {
		return p, false, nil
	}
	p.shard = f.rest.Uvarint()
	p.firstSeq = f.rest.Uvarint64()
	p.samples = f.rest.Uvarint()
	for i := range p.records {
		n := f.rest.Be32int()
		if f.rest.Err() != nil || n < 0 || n > f.rest.Len() {
			return p, false, errors.New("a record is longer than its frame")
		}
		p.records[i] = f.rest.B[:n]
		f.rest.B = f.rest.B[n:]
	}
	switch {
	case f.rest.Err() != nil:
		return p, false, f.rest.Err()
	case p.shard < 0 || p.shard >= maxShards:
		return p, false, fmt.Errorf("shard %d", p.shard)
	case p.samples < 0 || p.samples > maxPayload:
		return p, false, fmt.Errorf("%d samples", p.samples)
	}
	return p, true, nil
}

// define adds the symbols, labels and series of a batch to a table that grows with the frames of one segment.
func (d *decoder) define(packed []byte, t *View) error {
	if len(packed) == 0 {
		return nil
	}
	n, err := s2.DecodedLen(packed)
	if err != nil {
		return err
	}
	if n > maxDefinitions {
		return fmt.Errorf("definitions of %d MiB", n>>20)
	}
	if d.defs, err = s2.Decode(d.defs[:cap(d.defs)], packed); err != nil {
		return err
	}
	b := encoding.Decbuf{B: d.defs}
	if err := t.startAt(b.Uvarint64(), b.Uvarint64(), b.Uvarint64()); err != nil {
		return err
	}
	for range b.Uvarint() {
		s := uvarintBytes(&b)
		if b.Err() != nil {
			return b.Err()
		}
		t.symbols = append(t.symbols, string(s))
	}
	for range b.Uvarint() {
		p := pair{symbolIn(&b, t), symbolIn(&b, t)}
		if b.Err() != nil {
			return b.Err()
		}
		t.pairs = append(t.pairs, p)
	}
	for b.Len() > 0 && b.Err() == nil {
		if err := defineSeries(&b, t); err != nil {
			return err
		}
	}
	if cap(d.defs) > maxKept {
		d.defs = nil
	}
	return b.Err()
}

// lostSymbol stands for a symbol whose definition was damaged. No label has this value: it is not UTF-8.
const lostSymbol = "\xff"

// startAt leaves holes for what is missing before definitions: each has its number from its place, and a batch before may have been
// damaged.
func (v *View) startAt(symbol, pairs, series uint64) error {
	for _, n := range []struct{ at, have uint64 }{
		{symbol, uint64(len(v.symbols))}, {pairs, uint64(len(v.pairs))}, {series, uint64(len(v.series))},
	} {
		if n.at < n.have || n.at > maxDefinitions {
			return errors.New("definitions at a wrong place")
		}
		v.holes = v.holes || n.at > n.have
	}
	for uint64(len(v.symbols)) < symbol {
		v.symbols = append(v.symbols, lostSymbol)
	}
	if missing := pairs - uint64(len(v.pairs)); missing > 0 {
		v.pairs = append(v.pairs, make([]pair, missing)...)
	}
	for uint64(len(v.series)) < series {
		v.series = append(v.series, entry{end: uint32(len(v.labels))}) //nolint:gosec // bounded by maxDefinitions
	}
	return nil
}

// known says whether a series is defined as a whole.
func (v *View) known(r Ref) bool {
	if int64(r) >= int64(len(v.series)) {
		return false
	}
	if !v.holes {
		return true
	}
	labels := v.labelsOf(r)
	for _, i := range labels {
		if p := v.pairs[i]; p.name == 0 || v.symbols[p.name] == lostSymbol || v.symbols[p.value] == lostSymbol {
			return false
		}
	}
	return len(labels) > 0
}

// symbolIn reads a symbol that is known.
func symbolIn(b *encoding.Decbuf, v *View) Symbol {
	s := b.Uvarint64()
	if b.E == nil && s >= uint64(len(v.symbols)) {
		b.E = errors.New("unknown symbol")
	}
	if b.E != nil {
		return 0
	}
	return Symbol(s) //nolint:gosec // checked above
}

func defineSeries(b *encoding.Decbuf, v *View) error {
	shard := b.Uvarint()
	kind, unit, help := b.Byte(), symbolIn(b, v), symbolIn(b, v)
	n := b.Uvarint()
	switch {
	case b.Err() != nil:
		return b.Err()
	case n < 0 || n > b.Len():
		return fmt.Errorf("%d labels", n)
	case shard < 0 || shard >= maxShards:
		return fmt.Errorf("shard %d", shard)
	}
	start := len(v.labels)
	for range n {
		p := b.Uvarint64()
		if b.E == nil && p >= uint64(len(v.pairs)) {
			b.E = errors.New("unknown label")
		}
		if b.E != nil {
			v.labels = v.labels[:start]
			return b.E
		}
		v.labels = append(v.labels, uint32(p)) //nolint:gosec // checked above
	}
	v.series = append(v.series, entry{
		end:   uint32(len(v.labels)), //nolint:gosec // bounded by maxDefinitions
		shard: uint16(shard),
		kind:  kind, unit: unit, help: help,
	})
	return nil
}

// samples is decodeSamples, with a panic of Prometheus's decoders as an error: they trust lengths that have a right checksum.
func (d *decoder) samples(p *partFrame, v *View, to []Sample) (all []Sample, err error) {
	defer func() {
		if r := recover(); r != nil {
			all, err = to, fmt.Errorf("decoding samples: %v", r)
		}
	}()
	return d.decodeSamples(p, v, to)
}

// decodeSamples appends the samples of a part, floats first, each with its exemplars. It fails where they do not fit the part or the
// series that are known.
func (d *decoder) decodeSamples(p *partFrame, v *View, to []Sample) ([]Sample, error) {
	d.floats, d.hists, d.fhists, d.exemplars = d.floats[:0], d.hists[:0], d.fhists[:0], d.exemplars[:0]
	var errs [4]error
	if len(p.records[0]) > 0 {
		d.floats, errs[0] = d.records.Samples(p.records[0], d.floats)
	}
	if len(p.records[1]) > 0 {
		d.hists, errs[1] = d.records.HistogramSamples(p.records[1], d.hists)
	}
	if len(p.records[2]) > 0 {
		d.fhists, errs[2] = d.records.FloatHistogramSamples(p.records[2], d.fhists)
	}
	if len(p.records[3]) > 0 {
		d.exemplars, errs[3] = d.records.Exemplars(p.records[3], d.exemplars)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return to, err
	}
	if got := len(d.floats) + len(d.hists) + len(d.fhists); got != p.samples {
		return to, fmt.Errorf("%d samples instead of %d", got, p.samples)
	}
	start := len(to)
	for i := range d.floats {
		s := &d.floats[i]
		to = append(to, Sample{Ref: Ref(s.Ref), ST: s.ST, T: s.T, V: s.V}) //nolint:gosec // checked below
	}
	for _, s := range d.hists {
		to = append(to, Sample{Ref: Ref(s.Ref), ST: s.ST, T: s.T, H: s.H}) //nolint:gosec // checked below
	}
	for _, s := range d.fhists {
		to = append(to, Sample{Ref: Ref(s.Ref), ST: s.ST, T: s.T, FH: s.FH}) //nolint:gosec // checked below
	}
	for i := start; i < len(to); i++ {
		if !v.known(to[i].Ref) {
			return to[:start], fmt.Errorf("a sample of series %d, whose definition is damaged", to[i].Ref)
		}
	}
	attachExemplars(to[start:], d.exemplars)
	if cap(d.floats) > maxKept/32 {
		d.floats = nil
	}
	clear(d.hists)
	clear(d.fhists)
	clear(d.exemplars)
	return to, nil
}

// attachExemplars gives each exemplar to the last sample of its series. There are few of them.
func attachExemplars(samples []Sample, exemplars []record.RefExemplar) {
	if len(exemplars) == 0 {
		return
	}
	of := make(map[Ref]int, len(exemplars))
	for _, e := range exemplars {
		of[Ref(e.Ref)] = -1 //nolint:gosec // an unknown one is left out below
	}
	for i := range samples {
		if _, wanted := of[samples[i].Ref]; wanted {
			of[samples[i].Ref] = i
		}
	}
	for _, e := range exemplars {
		i := of[Ref(e.Ref)] //nolint:gosec // as above
		if i < 0 {
			continue
		}
		samples[i].Exemplars = append(samples[i].Exemplars, exemplar.Exemplar{Labels: e.Labels, Value: e.V, Ts: e.T, HasTs: true})
	}
	for i := range samples {
		slices.SortStableFunc(samples[i].Exemplars, exemplar.Compare)
	}
}
