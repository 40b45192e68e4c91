// SPDX-License-Identifier: Apache-2.0

package samplelog

import "github.com/prometheus/prometheus/model/labels"

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

// Series is a series of one segment.
type Series struct {
	// Labels are name, value, name, value ..., in the order of the names, __name__ among them, none of them empty.
	Labels []Symbol
	Shard  int
	Metadata
}

// View is what a segment knows of its series: a snapshot that later series do not change. Everything in it is read-only.
type View struct {
	symbols []string
	labels  []Symbol // of all series, one after the other
	series  []entry
	holes   bool // definitions are missing that were damaged
}

type entry struct {
	end   uint32 // of the series' labels in View.labels; they begin where those of the series before end
	shard uint16
	Metadata
}

// Text returns the string of a symbol.
func (v *View) Text(s Symbol) string { return v.symbols[s] }

// Symbols returns how many symbols there are.
func (v *View) Symbols() int { return len(v.symbols) }

// Len returns how many series there are.
func (v *View) Len() int { return len(v.series) }

// Labels returns the labels of a series: name, value, name, value ..., in the order of the names.
func (v *View) Labels(r Ref) []Symbol {
	start := uint32(0)
	if r > 0 {
		start = v.series[r-1].end
	}
	return v.labels[start:v.series[r].end]
}

// Shard returns the shard of a series.
func (v *View) Shard(r Ref) int { return int(v.series[r].shard) }

// Metadata returns the metadata of a series; all zero where nothing is known.
func (v *View) Metadata(r Ref) Metadata { return v.series[r].Metadata }

// PromLabels returns the labels of a series as Prometheus has them, for messages and tools.
func (v *View) PromLabels(r Ref) labels.Labels {
	syms := v.Labels(r)
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
	index map[string]Symbol
}

func newTable() *table {
	return &table{View: View{symbols: []string{""}}, index: map[string]Symbol{"": 0}}
}

// symbol returns the symbol of a string, a new one where it is new. The string is copied: it may belong to a page.
func (t *table) symbol(s string) Symbol {
	if sym, found := t.index[s]; found {
		return sym
	}
	own := string(append([]byte(nil), s...))
	sym := Symbol(len(t.symbols)) //nolint:gosec // bounded by maxSymbols
	t.symbols = append(t.symbols, own)
	t.index[own] = sym
	return sym
}

func (t *table) add(s Series) Ref {
	t.labels = append(t.labels, s.Labels...)
	t.series = append(t.series, entry{
		end:      uint32(len(t.labels)), //nolint:gosec // bounded by maxSymbols
		shard:    uint16(s.Shard),       //nolint:gosec // bounded by the configuration
		Metadata: s.Metadata,
	})
	return Ref(len(t.series) - 1) //nolint:gosec // bounded by maxSymbols
}
