// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// formatVersion is the version of the format that this code writes, and the highest that it reads.
const formatVersion = 1

const (
	segmentPrefix = "segment-"
	segmentSuffix = ".log"
)

func segmentName(id uint64) string { return fmt.Sprintf("%s%08d%s", segmentPrefix, id, segmentSuffix) }

// segmentID returns the number in the name of a segment; ok is false for other files.
func segmentID(name string) (id uint64, ok bool) {
	digits, found := strings.CutPrefix(strings.TrimSuffix(name, segmentSuffix), segmentPrefix)
	if !found || !strings.HasSuffix(name, segmentSuffix) {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	return id, err == nil && segmentName(id) == name
}

// header is the first frame of a segment, as JSON behind typeHeader.
type header struct {
	Version int    `json:"version"`
	Segment uint64 `json:"segment"`
	// Created is in milliseconds since the epoch.
	Created int64 `json:"created"`
	// Shards is the number of shards of the run of segments that begins with segment Run. It is the same in the whole run.
	Shards int    `json:"shards"`
	Run    uint64 `json:"run"`
	// Before is how many samples all earlier runs have accepted, Base how many this run has before this segment, by shard.
	Before uint64   `json:"before"`
	Base   []uint64 `json:"base"`
	// PreviousEnd is where the segment before this one ends. What it holds behind was never acknowledged.
	PreviousEnd int64 `json:"previous_end"`
}

// VersionError says that a log was written by a newer version.
type VersionError struct {
	Path    string
	Version int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has format version %d, this program reads up to %d: run the version that wrote it, or use another folder", e.Path, e.Version, formatVersion)
}

// encodeHeader returns a header as a frame.
func encodeHeader(h header) ([]byte, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	frame := append(append(beginFrame(nil), typeHeader), text...)
	return frame, sealFrame(frame)
}

// decodeHeader reads a header's payload. A newer version is a *VersionError without path, everything else is damage.
func decodeHeader(payload []byte) (header, error) {
	var h header
	if len(payload) == 0 || payload[0] != typeHeader {
		return h, fmt.Errorf("%w: not a header", errDamaged)
	}
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(payload[1:], &version); err != nil {
		return h, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if version.Version > formatVersion {
		return h, &VersionError{Version: version.Version}
	}
	if err := json.Unmarshal(payload[1:], &h); err != nil {
		return h, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if h.Shards < 1 || h.Shards > maxShards || len(h.Base) != h.Shards {
		return h, fmt.Errorf("%w: %d shards, base of %d", errDamaged, h.Shards, len(h.Base))
	}
	return h, nil
}

// segment is a file of the log.
type segment struct {
	header
	path    string
	begin   int64    // of the first batch
	end     int64    // behind the last batch that may be read: the committed part
	size    int64    // bytes on disk
	next    []uint64 // by shard: the number of the first sample behind the segment
	damaged bool     // it is set aside instead of deleted

	table *table // of the one that is written to
}

// total is how many samples were accepted up to the end of the segment.
func (s *segment) total() uint64 { return sum(s.Before, s.next) }

// total is how many samples had been accepted when the segment was begun.
func (h *header) total() uint64 { return sum(h.Before, h.Base) }

func sum(n uint64, more []uint64) uint64 {
	for _, m := range more {
		n += m
	}
	return n
}

// openSegment reads the header of a file. An error that is errDamaged means that nothing in it can be used.
func openSegment(fs FS, dir, name string) (*segment, error) {
	path := filepath.Join(dir, name)
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // opened for reading
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	r := frameReader{file: f}
	payload, begin, err := r.frame(0, size)
	if err != nil {
		return nil, err
	}
	h, err := decodeHeader(payload)
	var newer *VersionError
	if errors.As(err, &newer) {
		newer.Path = path
	}
	if err != nil {
		return nil, err
	}
	if segmentName(h.Segment) != name {
		return nil, fmt.Errorf("%w: the header says segment %d", errDamaged, h.Segment)
	}
	return &segment{header: h, path: path, begin: begin, end: size, size: size, next: append([]uint64(nil), h.Base...)}, nil
}

// tail is what a scan of a segment found.
type tail struct {
	batches int
	cut     int64 // bytes behind the last whole batch
	damaged int64 // bytes between whole batches
	failed  error // why it was not read to its end
}

// scan reads all batches of a segment that a crash may have torn, and sets its end and counts by what it finds.
func (s *segment) scan(fs FS) tail {
	var found tail
	limit, end := s.end, s.begin // end is behind the last whole batch
	f, err := fs.Open(s.path)
	if err != nil {
		found.failed, limit = err, s.begin
	} else {
		defer func() { _ = f.Close() }() // opened for reading
	}
	r := frameReader{file: f}
	for offset := s.begin; offset < limit; {
		payload, next, err := r.frame(offset, limit)
		if err == nil {
			err = s.count(payload)
		}
		if errors.Is(err, errDamaged) {
			if offset, err = r.resync(offset+1, limit); err == nil {
				continue
			}
		}
		if err != nil {
			found.failed = err
			break
		}
		found.batches++
		found.damaged += offset - end
		offset, end = next, next
	}
	found.cut = s.end - end
	s.end = end
	s.damaged = s.damaged || found.damaged > 0 || found.failed != nil
	return found
}

// salvage returns, by shard, the number behind the last sample of a file without a readable header, as far as its batches can be found.
func salvage(fs FS, path string) []uint64 {
	s := segment{header: header{Shards: maxShards}, next: make([]uint64, maxShards)}
	f, err := fs.Open(path)
	if err != nil {
		return s.next
	}
	defer func() { _ = f.Close() }() // opened for reading
	size, err := f.Size()
	if err != nil {
		return s.next
	}
	r := frameReader{file: f}
	for offset := int64(0); offset < size; {
		payload, next, err := r.frame(offset, size)
		switch {
		case err == nil:
			_ = s.count(payload) // what is no batch has no samples
			offset = next
		case errors.Is(err, errDamaged):
			if offset, err = r.resync(offset+1, size); err != nil {
				return s.next
			}
		default:
			return s.next
		}
	}
	return s.next
}

// count takes the numbers of a batch's samples into next.
func (s *segment) count(payload []byte) error {
	f, err := openBatch(payload)
	if err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	for {
		p, ok, err := f.next()
		if err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		if !ok {
			return nil
		}
		if p.shard < s.Shards {
			s.next[p.shard] = max(s.next[p.shard], p.firstSeq+uint64(p.samples)) //nolint:gosec // not negative, see next
		}
	}
}
