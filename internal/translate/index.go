// SPDX-License-Identifier: Apache-2.0

package translate

import "math/bits"

// index finds numbers by a hash of what they stand for. Numbers with the same hash have to be compared by the caller. The zero
// value is an empty index.
type index struct {
	slots []slot // a power of two of them, at most seven eighths used: what comes again is found without looking here
	used  int
}

type slot struct{ hash, id uint32 } // id is one more than the number; 0 is a free slot

const minSlots = 64

// search goes through the numbers that have a hash.
type search struct {
	hash, at uint32
}

func (x *index) search(hash uint32) search { return search{hash: hash, at: hash} }

// next returns the next number, or false behind the last.
func (x *index) next(s *search) (uint32, bool) {
	if len(x.slots) == 0 {
		return 0, false
	}
	mask := uint32(len(x.slots) - 1) //nolint:gosec // at most as many as there are 32-bit numbers
	for {
		found := x.slots[s.at&mask]
		s.at++
		if found.id == 0 {
			return 0, false
		}
		if found.hash == s.hash {
			return found.id - 1, true
		}
	}
}

func (x *index) add(hash, id uint32) {
	if (x.used+1)*8 > len(x.slots)*7 {
		x.grow()
	}
	x.put(slot{hash, id + 1})
	x.used++
}

func (x *index) put(s slot) {
	mask := uint32(len(x.slots) - 1) //nolint:gosec // as above
	at := s.hash
	for x.slots[at&mask].id != 0 {
		at++
	}
	x.slots[at&mask] = s
}

func (x *index) grow() {
	old := x.slots
	x.slots = make([]slot, max(minSlots, 2*len(old)))
	for _, s := range old {
		if s.id != 0 {
			x.put(s)
		}
	}
}

// reset makes the index empty, and gives back memory that it did not need.
func (x *index) reset() {
	if len(x.slots) > minSlots && x.used*8 < len(x.slots) {
		x.slots = nil
	}
	clear(x.slots)
	x.used = 0
}

// emptied returns a slice without its elements, and without its memory where it needed little of it.
func emptied[T any](s []T) []T {
	if len(s)*4 < cap(s) {
		return nil
	}
	return s[:0]
}

// mix adds to a hash.
func mix(hash, more uint64) uint64 {
	hi, lo := bits.Mul64(hash^more, 0x9e3779b97f4a7c15)
	return hi ^ lo
}

// fold makes a hash as short as an index wants it.
func fold(hash uint64) uint32 { return uint32(hash>>32) ^ uint32(hash) } //nolint:gosec // the low half is meant
