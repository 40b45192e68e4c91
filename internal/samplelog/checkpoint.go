// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
)

// Position is a place in the log: the batch at an offset of a segment, and how many of its samples of the shard lie before.
type Position struct {
	Segment uint64 `json:"segment"`
	Offset  int64  `json:"offset"`
	Skip    int    `json:"skip,omitempty"`
}

// Totals are samples by what became of them. Accepted samples are these and the backlog, nothing else.
type Totals struct {
	Acknowledged uint64            `json:"acknowledged"`
	Expired      uint64            `json:"expired"`
	Quarantined  map[string]uint64 `json:"quarantined,omitempty"`
	Dropped      map[string]uint64 `json:"dropped,omitempty"`
}

// Sum is the number of samples that are settled.
func (t *Totals) Sum() uint64 {
	n := t.Acknowledged + t.Expired
	for _, v := range t.Quarantined {
		n += v
	}
	for _, v := range t.Dropped {
		n += v
	}
	return n
}

// Clone returns a copy that shares nothing.
func (t Totals) Clone() Totals {
	t.Quarantined, t.Dropped = cloneCounts(t.Quarantined), cloneCounts(t.Dropped)
	return t
}

func cloneCounts(m map[string]uint64) map[string]uint64 {
	c := make(map[string]uint64, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

// Checkpoint is what has been delivered, and what is being delivered. It is durable before anything is sent that it tells of.
type Checkpoint struct {
	// Accepted and NextSegment are lower bounds, for a folder from which all segments are gone.
	Accepted    uint64 `json:"accepted"`
	NextSegment uint64 `json:"next_segment"`
	Totals      Totals `json:"totals"`
	// Run is the run of segments that is being sent. Those before it are settled, with all Before samples of theirs.
	Run    uint64       `json:"run"`
	Before uint64       `json:"before"`
	Shards []ShardState `json:"shards"`
	// Remembered is what the receiver has taught; Destination says which receiver, so that another one is asked anew.
	Remembered Remembered `json:"remembered"`
}

// Remembered is what a receiver has taught by its answers.
type Remembered struct {
	Destination string `json:"destination,omitempty"`
	Protocol    string `json:"protocol,omitempty"`
	MaxSamples  int    `json:"max_samples,omitempty"`
}

// ShardState is how far one shard of the run has come.
type ShardState struct {
	// Position is behind the last sample that is settled; Seq is its number in the run.
	Position Position `json:"position"`
	Seq      uint64   `json:"seq"`
	// Frozen is the batch that is being sent, if any.
	Frozen *Frozen `json:"frozen,omitempty"`
}

// sent is the number of the first sample that has not been sent for sure.
func (s *ShardState) sent() uint64 {
	if s.Frozen != nil {
		return s.Frozen.EndSeq
	}
	return s.Seq
}

// Frozen is a batch whose content is decided: the samples of the shard from its position to End, without those that were settled
// when it was frozen. The same samples and the same protocol make the same bytes, in every process.
type Frozen struct {
	End      Position `json:"end"`
	EndSeq   uint64   `json:"end_seq"`
	Protocol string   `json:"protocol"`
	// Downgraded says that it was frozen for 2.0 and is sent as 1.0, because the receiver did not take it.
	Downgraded bool `json:"downgraded,omitempty"`
	// ExpiredBefore and DroppedBefore are the times, in milliseconds, before which samples were left out.
	ExpiredBefore int64 `json:"expired_before,omitempty"`
	DroppedBefore int64 `json:"dropped_before,omitempty"`
	// Samples is how many samples the batch has that are to be sent.
	Samples int `json:"samples"`
	// Pending are the ranges [first, behind) of the batch's samples that are still to be sent, in this order.
	Pending [][2]int `json:"pending"`
	// Settled is how many of the batch's samples are in the totals already.
	Settled uint64 `json:"settled,omitempty"`
}

// Clone returns a copy that shares nothing, or nil of nil.
func (f *Frozen) Clone() *Frozen {
	if f == nil {
		return nil
	}
	own := *f
	own.Pending = append([][2]int(nil), f.Pending...)
	return &own
}

// Clone returns a copy that shares nothing.
func (c Checkpoint) Clone() Checkpoint {
	c.Totals = c.Totals.Clone()
	c.Shards = append([]ShardState(nil), c.Shards...)
	for i := range c.Shards {
		c.Shards[i].Frozen = c.Shards[i].Frozen.Clone()
	}
	return c
}

// The file CHECKPOINT has two slots, which are written in turn and in place: a torn write leaves the other one, and a full
// disk has room for it.
//
//	slot: checksum (4 bytes, of all that follows) | length of the JSON (4) | sequence number (8) | JSON | unused
const (
	checkpointName = "CHECKPOINT"
	slotBytes      = 64 << 10
	slotHeader     = 16
)

// Checkpointer reads and writes the checkpoint of a log. It is safe for concurrent use.
type Checkpointer struct {
	mu      sync.Mutex
	file    File
	seq     uint64
	current Checkpoint
	buf     []byte
}

func openCheckpoint(fsys FS, dir string, logger *slog.Logger) (*Checkpointer, error) {
	path := filepath.Join(dir, checkpointName)
	f, err := fsys.OpenReadWrite(path)
	if err != nil {
		return nil, fmt.Errorf("opening the checkpoint: %w", err)
	}
	c := &Checkpointer{file: f}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the checkpoint: %w", err), f.Close())
	}
	seq, state, found := readSlots(f)
	c.seq, c.current = seq, state
	if !found && size >= slotBytes {
		logger.Error("the checkpoint cannot be read: the whole log is sent again; what the receiver has already is refused or ignored by it", "file", path)
	}
	if !found || size < 2*slotBytes { // a new file, or one that was cut short
		if err := c.create(fsys, dir); err != nil {
			return nil, errors.Join(fmt.Errorf("creating the checkpoint: %w", err), f.Close())
		}
	}
	return c, nil
}

// create writes the file as a whole, so that there is room for both slots from now on.
func (c *Checkpointer) create(fsys FS, dir string) error {
	if _, err := c.file.WriteAt(make([]byte, 2*slotBytes), 0); err != nil {
		return err
	}
	if err := c.write(c.current); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// readSlots returns the newer of the slots that can be read.
func readSlots(f File) (seq uint64, state Checkpoint, found bool) {
	for slot := range int64(2) {
		buf := make([]byte, slotBytes)
		n, _ := f.ReadAt(buf, slot*slotBytes) // what could not be read does not match its checksum
		s, err := decodeSlot(buf[:n])
		if err != nil {
			continue
		}
		if number := binary.LittleEndian.Uint64(buf[8:]); number >= seq && number > 0 {
			seq, state, found = number, s, true
		}
	}
	return seq, state, found
}

// decodeSlot reads the checkpoint in a slot.
func decodeSlot(buf []byte) (Checkpoint, error) {
	var s Checkpoint
	if len(buf) < slotHeader || binary.LittleEndian.Uint32(buf) != crc32.Checksum(buf[4:slotEnd(buf)], castagnoli) {
		return s, errors.New("the checksum does not match")
	}
	return s, json.Unmarshal(buf[slotHeader:slotEnd(buf)], &s)
}

func slotEnd(buf []byte) int {
	return int(min(slotHeader+int64(binary.LittleEndian.Uint32(buf[4:])), int64(len(buf))))
}

// ReadCheckpoint reads the checkpoint of a log without changing it. found is false where there is none that can be read.
func ReadCheckpoint(fsys FS, dir string) (state Checkpoint, found bool, err error) {
	f, err := fsys.Open(filepath.Join(dir, checkpointName))
	if errors.Is(err, fs.ErrNotExist) {
		return Checkpoint{}, false, nil
	}
	if err != nil {
		return Checkpoint{}, false, err
	}
	defer func() { _ = f.Close() }() // opened for reading
	_, state, found = readSlots(f)
	return state, found, nil
}

// Load returns a copy of the checkpoint with all changes.
func (c *Checkpointer) Load() Checkpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current.Clone()
}

// Change changes the checkpoint in memory. It is what Load returns from now on, and what the next Store writes.
func (c *Checkpointer) Change(change func(*Checkpoint)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.current)
}

// Store returns when all changes are durable. After an error the checkpoint on disk is the one before.
func (c *Checkpointer) Store() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(c.current)
}

func (c *Checkpointer) write(state Checkpoint) error {
	text, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("writing the checkpoint: %w", err)
	}
	if slotHeader+len(text) > slotBytes {
		return fmt.Errorf("writing the checkpoint: %d bytes do not fit its %d", len(text), slotBytes-slotHeader)
	}
	seq := c.seq + 1
	c.buf = append(c.buf[:0], make([]byte, slotHeader)...)
	binary.LittleEndian.PutUint32(c.buf[4:], uint32(len(text))) //nolint:gosec // checked above
	binary.LittleEndian.PutUint64(c.buf[8:], seq)
	c.buf = append(c.buf, text...)
	binary.LittleEndian.PutUint32(c.buf, crc32.Checksum(c.buf[4:], castagnoli))
	if _, err := c.file.WriteAt(c.buf, int64(seq%2)*slotBytes); err != nil {
		return fmt.Errorf("writing the checkpoint: %w", err)
	}
	if err := c.file.Sync(); err != nil {
		return fmt.Errorf("writing the checkpoint: %w", err)
	}
	c.seq = seq
	return nil
}

func (c *Checkpointer) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.file.Close()
}
