// SPDX-License-Identifier: Apache-2.0

package remotewrite

import (
	"encoding/binary"

	"github.com/klauspost/compress/s2"
)

// Compress returns raw in the snappy block format. dst is used where it is large enough.
//
// A sample takes 28 bytes of 1.0 this way and 10 of 2.0, instead of 31 and 11 with github.com/golang/snappy, for 0.2 and
// 0.06 us of CPU instead of 0.09 and 0.03: bytes that leave a cluster cost more than that.
func Compress(dst, raw []byte) []byte {
	return s2.EncodeSnappyBetter(dst[:cap(dst)], raw)
}

// Compressor compresses a request that is never in memory as a whole: its parts are blocks of one snappy stream, which is
// their total length and the blocks one after the other (google/snappy, format_description.txt). The zero Compressor is ready for use.
type Compressor struct {
	out   []byte // room for the length, then blocks
	block []byte
	raw   int
}

// Reset begins a request.
func (c *Compressor) Reset() {
	c.out, c.raw = append(c.out[:0], make([]byte, binary.MaxVarintLen64)...), 0
}

// Add compresses the next part. Parts of some hundred KiB take no more bytes than the whole: matches reach back 64 KiB.
func (c *Compressor) Add(raw []byte) {
	c.block = Compress(c.block, raw)
	_, header := binary.Uvarint(c.block)
	c.out = append(c.out, c.block[header:]...)
	c.raw += len(raw)
}

// Raw returns how many bytes the parts had.
func (c *Compressor) Raw() int { return c.raw }

// Bytes returns the request, valid until the next Reset.
func (c *Compressor) Bytes() []byte {
	var length [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(length[:], uint64(c.raw)) //nolint:gosec // a length
	start := binary.MaxVarintLen64 - n
	copy(c.out[start:], length[:n])
	return c.out[start:]
}
