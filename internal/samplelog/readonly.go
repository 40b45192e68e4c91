// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
)

// Folder is a log that is read without changing it: nothing is locked, repaired or moved, so that it can be read while a process
// writes it, and after that process has died. It is what was there when it was opened.
type Folder struct {
	fs         FS
	segments   []*segment
	unreadable []Unreadable
	checkpoint Checkpoint
	slots      [2]Slot
}

// Unreadable is a segment without a readable header.
type Unreadable struct {
	Path  string
	Bytes int64 // 0: it was just being made
	Err   error
}

// Slot is one of the two places of the checkpoint.
type Slot struct {
	// Number says which one is newer; 0 where the slot has never been written.
	Number uint64
	// Offset is where it begins in the file.
	Offset int64
	// Err says why it cannot be read.
	Err error
}

// SegmentInfo is what the header of a segment and its size say.
type SegmentInfo struct {
	Path string
	// ID is its number, Created when it was begun, in milliseconds since the epoch.
	ID      uint64
	Created int64
	// Shards is the number of shards of its run, Run the number of the run's first segment.
	Shards int
	Run    uint64
	// Before is how many samples all runs before have accepted; Base, by shard, how many this run had when the segment was begun.
	Before uint64
	Base   []uint64
	// Begin and End are where its batches begin and end, Bytes its size. What lies behind End was never acknowledged.
	Begin, End, Bytes int64
	// Last says that no later segment tells where this one ends: it may end in a batch that is being written, or was torn by a crash.
	Last bool
}

// LoggedBatch is what one call of Log.Append has brought.
type LoggedBatch struct {
	// Offset is where it is in the file, End where it ends.
	Offset, End int64
	Note        string
	View        *View
	Parts       []LoggedPart
}

// LoggedPart is what a batch has for one shard. The samples have the numbers Seq, Seq+1 ... in the run.
type LoggedPart struct {
	Shard   int
	Seq     uint64
	Samples []Sample
}

// Damage is a stretch of a segment that cannot be read.
type Damage struct {
	Path          string
	Offset, Bytes int64
	// Torn says that it is the end of the last segment, and was not written to its end: no batch in it was acknowledged.
	Torn bool
	Err  error
}

func (d *Damage) Error() string {
	return fmt.Sprintf("%s, offset %d: %d bytes cannot be read: %v", d.Path, d.Offset, d.Bytes, d.Err)
}
func (d *Damage) Unwrap() error { return d.Err }

// ErrNoLog says that a folder holds no log.
var ErrNoLog = errors.New("no log: there is neither a segment nor a checkpoint in it")

// OpenReadOnly looks at the log in a folder. A folder without one is ErrNoLog, a log of a newer version a *VersionError.
func OpenReadOnly(fsys FS, dir string) (*Folder, error) {
	names, err := fsys.List(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the folder of the log: %w", err)
	}
	slices.Sort(names) // as many digits in each
	f := &Folder{fs: fsys}
	for _, name := range names {
		if _, ok := segmentID(name); !ok {
			continue
		}
		s, err := openSegment(fsys, dir, name)
		switch {
		case err == nil:
			f.segments = append(f.segments, s)
		case errors.Is(err, fs.ErrNotExist): // delivered and deleted meanwhile
		case errors.Is(err, errDamaged):
			f.unreadable = append(f.unreadable, Unreadable{Path: filepath.Join(dir, name), Bytes: fileSize(fsys, filepath.Join(dir, name)), Err: err})
		default:
			return nil, fmt.Errorf("opening the log: %w", err)
		}
	}
	for i, s := range f.segments[:max(0, len(f.segments)-1)] {
		if successor := f.segments[i+1]; successor.Segment == s.Segment+1 {
			s.end = min(s.size, max(s.begin, successor.PreviousEnd))
		}
	}
	// Read after the segments: what a checkpoint does not need any more may be gone, what it needs is there.
	found, err := f.readCheckpoint(dir)
	if err != nil {
		return nil, err
	}
	if !found && len(f.segments)+len(f.unreadable) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoLog)
	}
	return f, nil
}

func fileSize(fsys FS, path string) int64 {
	f, err := fsys.Open(path)
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }() // opened for reading
	size, err := f.Size()
	if err != nil {
		return 0
	}
	return size
}

// checkpointReads is how often the checkpoint is read again that a process may be writing.
const checkpointReads = 3

func (f *Folder) readCheckpoint(dir string) (found bool, err error) {
	file, err := f.fs.Open(filepath.Join(dir, checkpointName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the checkpoint: %w", err)
	}
	defer func() { _ = file.Close() }() // opened for reading
	for range checkpointReads {
		f.slots = [2]Slot{readSlot(file, 0), readSlot(file, 1)}
		if f.slots[0].Err == nil && f.slots[1].Err == nil {
			break
		}
	}
	_, f.checkpoint, _ = readSlots(file)
	return true, nil
}

// readSlot says what is in a slot.
func readSlot(file File, slot int64) Slot {
	s := Slot{Offset: slot * slotBytes}
	buf := make([]byte, slotBytes)
	n, _ := file.ReadAt(buf, s.Offset) // what could not be read does not match its checksum
	buf = buf[:n]
	if !slices.ContainsFunc(buf, func(b byte) bool { return b != 0 }) {
		return s
	}
	if _, err := decodeSlot(buf); err != nil {
		s.Err = err
		return s
	}
	s.Number = binary.LittleEndian.Uint64(buf[8:])
	return s
}

// Checkpoint returns the checkpoint; found is false where there is none that can be read.
func (f *Folder) Checkpoint() (c Checkpoint, found bool) {
	return f.checkpoint, f.slots[0].Number > 0 || f.slots[1].Number > 0
}

// Slots returns what is in the file of the checkpoint.
func (f *Folder) Slots() []Slot { return f.slots[:] }

// Unreadable returns the segments without a readable header.
func (f *Folder) Unreadable() []Unreadable { return f.unreadable }

// Segments returns the segments, the oldest first.
func (f *Folder) Segments() []SegmentInfo {
	infos := make([]SegmentInfo, len(f.segments))
	for i, s := range f.segments {
		infos[i] = SegmentInfo{
			Path: s.path, ID: s.Segment, Created: s.Created, Shards: s.Shards, Run: s.Run, Before: s.Before, Base: s.Base,
			Begin: s.begin, End: s.end, Bytes: s.size, Last: i == len(f.segments)-1,
		}
	}
	return infos
}

// Batches reads the batches of a segment. A *Damage is a stretch that cannot be read, behind which it goes on; any other error
// ends it: one that is fs.ErrNotExist says that the segment has been deleted meanwhile, as segments are that have been delivered.
// A batch is valid until the next one.
func (f *Folder) Batches(s SegmentInfo) iter.Seq2[*LoggedBatch, error] {
	return func(yield func(*LoggedBatch, error) bool) {
		file, err := f.fs.Open(s.Path)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = file.Close() }() // opened for reading
		r := frameReader{file: file}
		b := batchReader{dec: newDecoder(), view: newView()}
		for offset := s.Begin; offset < s.End; {
			payload, next, err := r.frame(offset, s.End)
			if err == nil {
				if err = b.read(payload); err != nil {
					err = fmt.Errorf("%w: %w", errDamaged, err)
				}
			}
			if err == nil {
				b.batch.Offset, b.batch.End = offset, next
				if !yield(&b.batch, nil) {
					return
				}
				offset = next
				continue
			}
			damage := &Damage{Path: s.Path, Offset: offset, Err: err}
			if errors.Is(err, errDamaged) {
				if next, err = r.resync(offset+1, s.End); errors.Is(err, errDamaged) {
					next, err = s.End, nil // the file has become shorter
				}
				damage.Torn = s.Last && next == s.End && r.unfinished(offset, s.End)
			}
			if err != nil {
				yield(nil, fmt.Errorf("reading %s: %w", s.Path, err))
				return
			}
			damage.Bytes = next - offset
			if !yield(nil, damage) {
				return
			}
			offset = next
		}
	}
}

// unfinished says whether what is at an offset was never written to its end: its header is not whole, or says more than there
// is, or was only reserved.
func (r *frameReader) unfinished(offset, end int64) bool {
	h, err := r.fill(offset, frameHeader, end)
	if err != nil {
		return true
	}
	if binary.LittleEndian.Uint32(h) == frameMark {
		return offset+frameHeader+int64(binary.LittleEndian.Uint32(h[4:])) > end
	}
	return !slices.ContainsFunc(h, func(b byte) bool { return b != 0 })
}

// batchReader reads the batches of one segment, in their order.
type batchReader struct {
	dec     *decoder
	view    View
	batch   LoggedBatch
	samples []Sample
}

// read takes a payload apart into batch.
func (b *batchReader) read(payload []byte) error {
	f, err := openBatch(payload)
	if err != nil {
		return err
	}
	if err := b.dec.define(f.defs, &b.view); err != nil {
		return err
	}
	b.batch = LoggedBatch{Note: f.note, View: &b.view, Parts: b.batch.Parts[:0]}
	b.samples = b.samples[:0]
	starts := []int{}
	for {
		p, ok, err := f.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		starts = append(starts, len(b.samples))
		if b.samples, err = b.dec.samples(&p, &b.view, b.samples); err != nil {
			return err
		}
		b.batch.Parts = append(b.batch.Parts, LoggedPart{Shard: p.shard, Seq: p.firstSeq})
	}
	starts = append(starts, len(b.samples)) // the buffer may have moved while it grew
	for i := range b.batch.Parts {
		b.batch.Parts[i].Samples = b.samples[starts[i]:starts[i+1]]
	}
	return nil
}
