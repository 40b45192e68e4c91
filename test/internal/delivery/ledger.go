// SPDX-License-Identifier: Apache-2.0

// Package delivery holds what the tests of delivery share: a ledger of the samples that the collector was given, a
// comparison of it with what the backend stored, and the processes in between: the collector's own binary, and a
// Prometheus backend that can be killed.
//
// The truth comes from outside of the collector. A sample is owed once the collector has taken responsibility for it: its
// OTLP request was acknowledged, or the collector went on to the next scrape of the target. Nothing is owed because the
// collector says that it has it.
package delivery

import (
	"fmt"
	"hash/maphash"
	"math"
	"sort"
	"sync"
)

// IDLabel is the label that names a series in the ledger: whatever other labels a series is stored with, this one is
// given to it by its source and is unique.
const IDLabel = "id"

// Exposure is one sample that the collector was given.
type Exposure struct {
	// T is the first timestamp, in milliseconds, that it may be stored with, and Width how many milliseconds later it
	// still may be: zero for a pushed sample, which has its own timestamp.
	T     int64
	Width int32
	// Owed says that it has to be stored. Others may be stored or not: they were in flight when the collector was killed.
	Owed bool
	// V is the value. The values of a series increase strictly, so that a stored sample is known by its value.
	V float64
}

// Ledger is what the collector was given, by series. The zero Ledger is empty and ready for use, from several goroutines.
type Ledger struct {
	mu     sync.Mutex // guards series
	series map[string][]Exposure
}

// Add notes exposures of the series with this id: their values must be above those that were added before.
func (l *Ledger) Add(id string, exposures ...Exposure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.series == nil {
		l.series = map[string][]Exposure{}
	}
	l.series[id] = append(l.series[id], exposures...)
}

// Owed is the number of samples that have to be stored.
func (l *Ledger) Owed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, exposures := range l.series {
		for _, e := range exposures {
			if e.Owed {
				n++
			}
		}
	}
	return n
}

// find returns the index of the exposure with this value, bit by bit, or -1.
func find(exposures []Exposure, v float64) int {
	i := sort.Search(len(exposures), func(i int) bool { return exposures[i].V >= v })
	if i < len(exposures) && math.Float64bits(exposures[i].V) == math.Float64bits(v) {
		return i
	}
	return -1
}

// Values makes values that increase strictly with their number, as a counter's do, and whose fractions are noise: they
// compress as badly as real ones.
type Values struct{ seed maphash.Seed }

// NewValues returns a source of values.
func NewValues() Values { return Values{seed: maphash.MakeSeed()} }

// Value is the n-th value of the series.
func (v Values) Value(id string, n int) float64 {
	var h maphash.Hash
	h.SetSeed(v.seed)
	_, _ = fmt.Fprintf(&h, "%s %d", id, n) // a hash takes everything
	return float64(n) + float64(h.Sum64()>>44)/(1<<20)
}
