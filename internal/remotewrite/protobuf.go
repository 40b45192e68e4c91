// SPDX-License-Identifier: Apache-2.0

package remotewrite

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Wire types of protobuf. A field is its number << 3 | wire type.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
)

func appendUvarint(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// uvarintSize is the length of a varint in bytes.
func uvarintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) } //nolint:gosec // the encoding of sint64

func appendTag(b []byte, field, wire int) []byte {
	return appendUvarint(b, uint64(field<<3|wire)) //nolint:gosec // small and positive
}

// appendDouble appends a float64, and nothing where it is the default of proto3. Unlike the generated code, which compares,
// it looks at the bits: negative zero is a value.
func appendDouble(b []byte, field int, v float64) []byte {
	x := math.Float64bits(v)
	if x == 0 {
		return b
	}
	return binary.LittleEndian.AppendUint64(appendTag(b, field, wireFixed64), x)
}

// appendInt appends an int64, and nothing where it is 0.
func appendInt(b []byte, field int, v int64) []byte {
	if v == 0 {
		return b
	}
	return appendUvarint(appendTag(b, field, wireVarint), uint64(v)) //nolint:gosec // the encoding of int64
}

func appendString(b []byte, field int, s string) []byte {
	b = appendUvarint(appendTag(b, field, wireBytes), uint64(len(s)))
	return append(b, s...)
}

// open begins a nested message of unknown length and leaves room for one that takes reserved bytes. It returns where the room is.
func open(b []byte, field, reserved int) ([]byte, int) {
	b = appendTag(b, field, wireBytes)
	at := len(b)
	return append(b, "\x00\x00\x00\x00"[:reserved]...), at
}

// closed writes the length of the message that was opened at a position. The shortest form is written, as everywhere in
// protobuf, so that a message is moved where its length does not take what was reserved.
func closed(b []byte, at, reserved int) []byte {
	n := len(b) - at - reserved
	size := uvarintSize(uint64(n)) //nolint:gosec // a length
	switch {
	case size > reserved:
		b = append(b, "\x00\x00\x00\x00\x00"[:size-reserved]...)
		copy(b[at+size:], b[at+reserved:at+reserved+n])
	case size < reserved:
		copy(b[at+size:], b[at+reserved:])
		b = b[:at+size+n]
	}
	v := uint64(n) //nolint:gosec // a length
	for i := at; i < at+size-1; i++ {
		b[i] = byte(v) | 0x80
		v >>= 7
	}
	b[at+size-1] = byte(v)
	return b
}
