// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// Finding is something that is wrong with a folder, or worth knowing.
type Finding struct {
	// File is below the folder of the log, Offset in it; -1 where it is about all of it.
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Text   string `json:"text"`
}

func (f Finding) String() string {
	if f.Offset < 0 {
		return f.File + ": " + f.Text
	}
	return fmt.Sprintf("%s, offset %d: %s", f.File, f.Offset, f.Text)
}

// Verification is what Verify has read and found.
type Verification struct {
	Segments int    `json:"segments"`
	Batches  int    `json:"batches"`
	Samples  uint64 `json:"samples"`
	Bytes    int64  `json:"bytes"`
	// Findings are what is wrong. Notes are what a crash or a process that is writing leaves, and what is known to be damaged.
	Findings []Finding `json:"findings"`
	Notes    []Finding `json:"notes"`
}

// verifier checks one part of a folder.
type verifier struct {
	l    *Logs
	kind Kind
	v    *Verification
	// what the numbers of samples have to go on with
	run      uint64
	next     []uint64
	accepted uint64 // before the run
	any      bool
	gone     bool // a segment was deleted meanwhile: nothing can be said about its end
	position map[int]bool
}

// Verify reads everything: the checksum of each batch and of the checkpoint, whether the numbers of samples have gaps, whether the
// position is at a batch, and whether the totals add up.
func (l *Logs) Verify() (Verification, error) {
	v := Verification{Findings: []Finding{}, Notes: []Finding{}}
	for _, kind := range kinds() {
		f := l.folders[kind]
		if f == nil {
			continue
		}
		c := &verifier{l: l, kind: kind, v: &v, position: map[int]bool{}}
		c.slots(f)
		for _, u := range f.Unreadable() {
			c.unreadable(u)
		}
		for _, s := range f.Segments() {
			if err := c.segment(f, s); err != nil {
				return v, err
			}
		}
		if kind == Main {
			c.positions()
			c.totals()
		}
	}
	return v, nil
}

// find reports something wrong. What is in damaged/ is known to be so.
func (c *verifier) find(path string, offset int64, format string, args ...any) {
	f := Finding{File: c.l.below(path), Offset: offset, Text: fmt.Sprintf(format, args...)}
	if c.kind == Damaged {
		c.v.Notes = append(c.v.Notes, f)
		return
	}
	c.v.Findings = append(c.v.Findings, f)
}

func (c *verifier) note(path string, offset int64, format string, args ...any) {
	c.v.Notes = append(c.v.Notes, Finding{File: c.l.below(path), Offset: offset, Text: fmt.Sprintf(format, args...)})
}

// checkpointFile is the name of the checkpoint, for messages.
const checkpointFile = "CHECKPOINT"

func (c *verifier) checkpointPath() string { return filepath.Join(c.l.folder(c.kind), checkpointFile) }

func (c *verifier) slots(f *samplelog.Folder) {
	for _, s := range f.Slots() {
		if s.Err != nil {
			c.find(c.checkpointPath(), s.Offset, "a slot of the checkpoint cannot be read: %v", s.Err)
		}
	}
}

func (c *verifier) unreadable(u samplelog.Unreadable) {
	if u.Bytes == 0 {
		c.note(u.Path, 0, "the segment is empty: it was just being made")
		return
	}
	c.find(u.Path, 0, "the segment has no readable header, nothing in its %d bytes can be used: %v", u.Bytes, u.Err)
}

func (c *verifier) segment(f *samplelog.Folder, s samplelog.SegmentInfo) error {
	c.v.Segments++
	c.v.Bytes += s.Bytes
	c.start(s)
	if s.Bytes > s.End {
		c.note(s.Path, s.End, "%d bytes behind the end of the segment were written before a failure, and never acknowledged", s.Bytes-s.End)
	}
	for b, err := range f.Batches(s) {
		var d *samplelog.Damage
		switch {
		case errors.As(err, &d) && d.Torn:
			c.note(d.Path, d.Offset, "the last batch (%d bytes) is not whole: it is being written, or a crash has torn it; it was not acknowledged", d.Bytes)
		case errors.As(err, &d):
			c.find(d.Path, d.Offset, "%d bytes cannot be read: %v", d.Bytes, d.Err)
		case errors.Is(err, fs.ErrNotExist):
			c.gone = true
			c.note(s.Path, -1, "it was deleted while this was running")
		case err != nil:
			return err
		default:
			c.batch(s, b)
		}
	}
	return nil
}

// start compares where a segment begins with where the one before it ended.
func (c *verifier) start(s samplelog.SegmentInfo) {
	if c.kind == Damaged {
		return // one of many, without its neighbours
	}
	switch {
	case !c.any && c.kind == Main:
		for shard, base := range s.Base {
			if settled := c.l.settled(s.Run, shard); base > settled {
				c.find(s.Path, -1, "%d samples of shard %d from before this segment are gone that are not settled: they were deleted, to make room or by somebody else", base-settled, shard)
			}
		}
	case c.any && c.run != s.Run:
		total := c.accepted
		for _, n := range c.next {
			total += n
		}
		if total != s.Before && !c.gone {
			c.find(s.Path, 0, "it begins behind %d samples of earlier runs, which have %d", s.Before, total)
		}
	case c.any && !c.gone:
		for shard, base := range s.Base {
			if base != c.next[shard] {
				c.find(s.Path, 0, "it begins with sample %d of shard %d, the segment before it ends with %d: %s", base, shard, c.next[shard], missing(base, c.next[shard]))
			}
		}
	}
	c.run, c.accepted, c.next, c.any, c.gone = s.Run, s.Before, append([]uint64(nil), s.Base...), true, false
}

func missing(got, want uint64) string {
	if got > want {
		return fmt.Sprintf("%d are missing", got-want)
	}
	return fmt.Sprintf("%d numbers are given twice", want-got)
}

func (c *verifier) batch(s samplelog.SegmentInfo, b *samplelog.LoggedBatch) {
	c.v.Batches++
	for i := range b.Parts {
		p := &b.Parts[i]
		c.v.Samples += uint64(len(p.Samples))
		if c.kind == Damaged {
			continue
		}
		if p.Shard >= len(c.next) {
			c.find(s.Path, b.Offset, "samples of shard %d, of %d", p.Shard, len(c.next))
			continue
		}
		if want := c.next[p.Shard]; p.Seq != want {
			c.find(s.Path, b.Offset, "sample %d of shard %d comes behind %d: %s", p.Seq, p.Shard, want, missing(p.Seq, want))
		}
		c.next[p.Shard] = p.Seq + uint64(len(p.Samples))
		c.passed(s, b.Offset, p)
	}
}

// passed checks the position of a shard against the batch that it names.
func (c *verifier) passed(s samplelog.SegmentInfo, offset int64, p *samplelog.LoggedPart) {
	if c.kind != Main || !c.l.Checkpointed || s.Run != c.l.Checkpoint.Run || p.Shard >= len(c.l.Checkpoint.Shards) {
		return
	}
	state := &c.l.Checkpoint.Shards[p.Shard]
	if state.Position.Segment != s.ID || state.Position.Offset != offset {
		return
	}
	c.position[p.Shard] = true
	if at := p.Seq + uint64(state.Position.Skip); at != state.Seq { //nolint:gosec // not negative
		c.find(s.Path, offset, "the checkpoint says that shard %d has come to sample %d, which is number %d there", p.Shard, state.Seq, at)
	}
}

// positions finds positions that are not at a batch. Where a batch has nothing for a shard, its position may still be there.
func (c *verifier) positions() {
	for shard, state := range c.l.Checkpoint.Shards {
		if c.position[shard] || state.Position.Skip == 0 {
			continue
		}
		for _, s := range c.l.segments(Main) {
			if s.ID == state.Position.Segment {
				c.find(s.Path, state.Position.Offset, "the checkpoint says that shard %d has come to sample %d of a batch that is not there", shard, state.Position.Skip)
			}
		}
	}
}

// totals compares what the checkpoint has counted with how far it has come.
func (c *verifier) totals() {
	if !c.l.Checkpointed {
		return
	}
	state := &c.l.Checkpoint
	all := c.l.segments(Main)
	if len(all) == 0 || len(state.Shards) == 0 {
		return
	}
	passed := c.l.settledOfFrozen()
	for _, s := range all {
		if s.Run >= state.Run {
			passed += s.Before
			if s.Run == state.Run {
				for _, shard := range state.Shards {
					passed += shard.Seq
				}
			}
			break
		}
	}
	if sum := state.Totals.Sum(); sum != passed {
		c.find(c.checkpointPath(), -1, "its totals are %d samples, its position is behind %d", sum, passed)
	}
}
