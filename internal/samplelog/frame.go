// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A frame is what a segment consists of: a mark, the length and the checksum of the payload, the payload. The mark lets a
// reader find the next whole frame behind damage.
const (
	frameMark   = 0x676f4cf7
	frameHeader = 12
	// maxPayload is far above what one call of the exporter brings: a length above it is damage.
	maxPayload = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged says that there is no whole frame at an offset.
var errDamaged = errors.New("damaged frame")

// beginFrame reserves room for the header at the end of buf; sealFrame fills it in.
func beginFrame(buf []byte) []byte { return append(buf, make([]byte, frameHeader)...) }

// sealFrame writes the header of the frame that is buf.
func sealFrame(buf []byte) error {
	payload := buf[frameHeader:]
	if len(payload) > maxPayload {
		return fmt.Errorf("%d MiB in one batch, at most %d MiB are possible: send smaller batches", len(payload)>>20, maxPayload>>20)
	}
	binary.LittleEndian.PutUint32(buf, frameMark)
	binary.LittleEndian.PutUint32(buf[4:], uint32(len(payload))) //nolint:gosec // checked above
	binary.LittleEndian.PutUint32(buf[8:], checksum(payload))
	return nil
}

// checksum covers the length too, or a payload that ends in zeros could be cut short.
func checksum(payload []byte) uint32 {
	var length [4]byte
	binary.LittleEndian.PutUint32(length[:], uint32(len(payload))) //nolint:gosec // at most maxPayload
	return crc32.Update(crc32.Checksum(length[:], castagnoli), castagnoli, payload)
}

// frameReader reads the frames of one file up to an end. Its buffer holds a stretch of the file.
type frameReader struct {
	file  io.ReaderAt
	buf   []byte
	start int64 // offset of buf in the file
}

// readAhead is how much is read at once; a frame that is larger is read as a whole.
const readAhead = 256 << 10

// fill returns n bytes at an offset, or errDamaged where they would lie behind end.
func (r *frameReader) fill(offset int64, n int, end int64) ([]byte, error) {
	if offset+int64(n) > end {
		return nil, errDamaged
	}
	if at := offset - r.start; at >= 0 && at+int64(n) <= int64(len(r.buf)) {
		return r.buf[at : at+int64(n)], nil
	}
	want := int(min(int64(max(n, readAhead)), end-offset))
	if cap(r.buf) < want || cap(r.buf) > 8*readAhead { // one huge frame must not keep its memory
		r.buf = make([]byte, min(want+want/2, max(want, readAhead)))
	}
	r.buf = r.buf[:want]
	r.start = offset
	read, err := r.file.ReadAt(r.buf, offset)
	r.buf = r.buf[:read]
	if read >= n {
		return r.buf[:n], nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return nil, errDamaged // the file is shorter than it should be
	}
	return nil, err
}

// frame returns the payload at an offset and the offset of the frame behind it. The payload is valid until the next call.
// errDamaged: there is no whole frame before end; any other error is the file system's.
func (r *frameReader) frame(offset, end int64) (payload []byte, next int64, err error) {
	header, err := r.fill(offset, frameHeader, end)
	if err != nil {
		return nil, 0, err
	}
	length := binary.LittleEndian.Uint32(header[4:])
	sum := binary.LittleEndian.Uint32(header[8:])
	if binary.LittleEndian.Uint32(header) != frameMark || length > maxPayload {
		return nil, 0, errDamaged
	}
	whole, err := r.fill(offset, frameHeader+int(length), end)
	if err != nil {
		return nil, 0, err
	}
	payload = whole[frameHeader:]
	if checksum(payload) != sum {
		return nil, 0, errDamaged
	}
	return payload, offset + frameHeader + int64(length), nil
}

// resync returns the offset of the first whole frame at or behind an offset, or end where there is none.
func (r *frameReader) resync(offset, end int64) (int64, error) {
	for ; offset+frameHeader <= end; offset++ {
		mark, err := r.fill(offset, 4, end)
		if err != nil {
			return 0, err
		}
		if binary.LittleEndian.Uint32(mark) != frameMark {
			continue
		}
		switch _, _, err := r.frame(offset, end); {
		case err == nil:
			return offset, nil
		case !errors.Is(err, errDamaged):
			return 0, err
		}
	}
	return end, nil
}
