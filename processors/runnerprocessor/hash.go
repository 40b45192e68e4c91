// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// seriesKey stands for a series. With 128 bits under seeds that nobody outside the process knows, two series share a key about
// as often as memory flips a bit unnoticed, and nobody can make them.
type seriesKey [2]uint64

// hasher turns label sets into keys. It is not safe for concurrent use.
type hasher struct {
	seeds  [2]maphash.Seed
	buf    []byte
	prefix int     // length of the part of buf that stands for resource and metric
	sorted []label // scratch, for attributes that come out of order
}

type label struct{ name, value string }

func newHasher() *hasher {
	return &hasher{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, buf: make([]byte, 0, 4096)}
}

// resource returns the key of a resource.
func (h *hasher) resource(attrs pcommon.Map) seriesKey {
	h.buf = h.buf[:0]
	h.appendMap(attrs)
	return h.sum()
}

// begin makes the following keys those of series of one metric of one resource.
func (h *hasher) begin(resource seriesKey, metric string, k kind) {
	h.buf = binary.LittleEndian.AppendUint64(h.buf[:0], resource[0])
	h.buf = binary.LittleEndian.AppendUint64(h.buf, resource[1])
	h.buf = append(appendString(h.buf, metric), byte(k))
	h.prefix = len(h.buf)
}

// series returns the key of a series with these attributes. Those of a scrape are in the order of their names; others are put
// in that order.
func (h *hasher) series(attrs pcommon.Map, ordered bool) seriesKey {
	h.buf = h.buf[:h.prefix]
	if !ordered {
		h.appendMap(attrs)
		return h.sum()
	}
	buf := h.buf
	for name, v := range attrs.All() {
		buf = appendString(appendString(buf, name), asString(v))
	}
	h.buf = buf
	return h.sum()
}

// text returns the key of one string.
func (h *hasher) text(s string) seriesKey {
	return seriesKey{maphash.String(h.seeds[0], s), maphash.String(h.seeds[1], s)}
}

// labels returns the key of a series with these labels; they get sorted.
func (h *hasher) labels(labels []label) seriesKey {
	h.buf = h.buf[:h.prefix]
	h.appendLabels(labels)
	return h.sum()
}

func (h *hasher) sum() seriesKey {
	return seriesKey{maphash.Bytes(h.seeds[0], h.buf), maphash.Bytes(h.seeds[1], h.buf)}
}

func (h *hasher) appendMap(attrs pcommon.Map) {
	h.sorted = h.sorted[:0]
	for name, v := range attrs.All() {
		h.sorted = append(h.sorted, label{name, asString(v)})
	}
	h.appendLabels(h.sorted)
	clear(h.sorted)
}

func (h *hasher) appendLabels(labels []label) {
	slices.SortStableFunc(labels, func(a, b label) int { return strings.Compare(a.name, b.name) })
	for _, l := range labels {
		h.buf = appendString(appendString(h.buf, l.name), l.value)
	}
}

// appendString writes the length first: no value can pass for the end of another.
func appendString(buf []byte, s string) []byte {
	if len(s) < 0xff {
		return append(append(buf, byte(len(s))), s...) //nolint:gosec // it fits, see above
	}
	return append(binary.LittleEndian.AppendUint64(append(buf, 0xff), uint64(len(s))), s...)
}
