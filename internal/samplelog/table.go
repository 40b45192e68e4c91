// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

// Symbol stands for a string of one segment. Symbol 0 is the empty string.
type Symbol uint32

// Ref stands for a series of one segment.
type Ref uint32

// Metadata is what a target says about a metric: its Prometheus type (as in tsdb/record), unit and help.
type Metadata struct {
	Type uint8
	Unit Symbol
	Help Symbol
}

// View is what a segment knows of its series: a snapshot that later series do not change. Everything in it is read-only. Most labels
// are those of many series: each pair of name and value is there once.
type View struct {
	symbols []string
	pairs   []pair
	labels  []uint32 // indexes of pairs, of all series, one after the other
	series  []entry
	holes   bool // definitions are missing that were damaged
}

// pair is a label. The zero pair stands for one whose definition was damaged: no label has an empty name.
type pair struct{ name, value Symbol }

type entry struct {
	end        uint32 // of the series' labels in View.labels; they begin where those of the series before end
	unit, help Symbol
	shard      uint16
	kind       uint8
}

// Text returns the string of a symbol.
func (v *View) Text(s Symbol) string { return v.symbols[s] }

// Symbols returns how many symbols there are.
func (v *View) Symbols() int { return len(v.symbols) }

// Len returns how many series there are.
func (v *View) Len() int { return len(v.series) }

// AppendLabels appends the labels of a series: name, value, name, value ..., in the order of the names.
func (v *View) AppendLabels(to []Symbol, r Ref) []Symbol {
	for _, i := range v.labelsOf(r) {
		to = append(to, v.pairs[i].name, v.pairs[i].value)
	}
	return to
}

func (v *View) labelsOf(r Ref) []uint32 {
	start := uint32(0)
	if r > 0 {
		start = v.series[r-1].end
	}
	return v.labels[start:v.series[r].end]
}

// Shard returns the shard of a series.
func (v *View) Shard(r Ref) int { return int(v.series[r].shard) }

// Metadata returns the metadata of a series; all zero where nothing is known.
func (v *View) Metadata(r Ref) Metadata {
	e := &v.series[r]
	return Metadata{Type: e.kind, Unit: e.unit, Help: e.help}
}

// PromLabels returns the labels of a series as Prometheus has them, for messages and tools.
func (v *View) PromLabels(r Ref) labels.Labels {
	syms := v.AppendLabels(nil, r)
	b := labels.NewScratchBuilder(len(syms) / 2)
	for i := 0; i+1 < len(syms); i += 2 {
		b.Add(v.symbols[syms[i]], v.symbols[syms[i+1]])
	}
	b.Sort()
	return b.Labels()
}

// table is a View that grows.
type table struct {
	View
	symbolIndex map[string]Symbol
	pairIndex   map[pair]uint32
}

func newTable() *table {
	return &table{View: newView(), symbolIndex: map[string]Symbol{"": 0}, pairIndex: map[pair]uint32{}}
}

func newView() View { return View{symbols: []string{""}} }

// symbol returns the symbol of a string, a new one where it is new. The string is copied: it may belong to a page.
func (t *table) symbol(s string) Symbol {
	if sym, found := t.symbolIndex[s]; found {
		return sym
	}
	own := strings.Clone(s)
	sym := Symbol(len(t.symbols)) //nolint:gosec // bounded by maxSeries
	t.symbols = append(t.symbols, own)
	t.symbolIndex[own] = sym
	return sym
}

func (t *table) pair(p pair) uint32 {
	if i, found := t.pairIndex[p]; found {
		return i
	}
	i := uint32(len(t.pairs)) //nolint:gosec // bounded by maxSeries
	t.pairs = append(t.pairs, p)
	t.pairIndex[p] = i
	return i
}

// add makes a series of labels: name, value, name, value ...
func (t *table) add(labels []Symbol, shard int, m Metadata) Ref {
	for i := 0; i+1 < len(labels); i += 2 {
		t.labels = append(t.labels, t.pair(pair{labels[i], labels[i+1]}))
	}
	t.series = append(t.series, entry{
		end:   uint32(len(t.labels)), //nolint:gosec // bounded by maxSeries
		shard: uint16(shard),         //nolint:gosec // bounded by maxShards
		kind:  m.Type, unit: m.Unit, help: m.Help,
	})
	return Ref(len(t.series) - 1) //nolint:gosec // bounded by maxSeries
}
