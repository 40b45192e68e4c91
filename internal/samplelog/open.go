// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"time"
)

// Names in the folder of a log.
const (
	lockName    = "LOCK"
	damagedName = "damaged"
)

// Open opens the log in a folder, and makes the folder where there is none. Whatever the last process left there, it opens: a torn
// tail is left out, a segment without a readable header is set aside. Only a folder that another process has (ErrLocked), a log
// of a newer version (*VersionError) and a folder that cannot be used at all are errors.
func Open(opts Options) (*Log, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if err := opts.FS.MkdirAll(filepath.Join(opts.Dir, damagedName)); err != nil {
		return nil, fmt.Errorf("creating the folder of the log: %w: use a folder that this process may write to", err)
	}
	lock, err := opts.FS.Lock(filepath.Join(opts.Dir, lockName))
	if errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("the log in %s: %w: end that process, or use another folder", opts.Dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("the log in %s: %w: use a folder that this process may write to", opts.Dir, err)
	}
	l := &Log{opts: opts, lock: lock, changed: make(chan struct{}), group: newGroup()}
	if err := l.open(); err != nil {
		_ = lock.Close()
		if l.cp != nil {
			_ = l.cp.close()
		}
		return nil, err
	}
	if opts.SyncInterval > 0 {
		l.kick, l.done = make(chan struct{}, 1), make(chan struct{})
		go l.run()
	}
	return l, nil
}

func (l *Log) open() error {
	var err error
	if l.cp, err = openCheckpoint(l.opts.FS, l.opts.Dir, l.opts.Logger); err != nil {
		return err
	}
	found, err := listSegments(l.opts.FS, l.opts.Dir, l.setAside)
	if err != nil {
		return err
	}
	l.recover(found)
	l.segments = found
	l.first = l.firstHeader()
	err = l.create(l.first)
	if err != nil && len(found) > 0 {
		// A full disk must not keep the process from sending what it has: the first batch tries again.
		l.opts.Logger.Error("the log cannot be written; what it holds is sent all the same", "error", err)
		return nil
	}
	return err
}

// listSegments opens all segments of a folder, the oldest first, with what they hold according to their successors. Those
// without a readable header go to aside.
func listSegments(fs FS, dir string, aside func(name string, cause error) error) ([]*segment, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the folder of the log: %w", err)
	}
	slices.Sort(names) // as many digits in each
	var found []*segment
	for _, name := range names {
		if _, ok := segmentID(name); !ok {
			continue
		}
		s, err := openSegment(fs, dir, name)
		var newer *VersionError
		switch {
		case err == nil:
			found = append(found, s)
		case errors.As(err, &newer):
			return nil, fmt.Errorf("opening the log: %w", err)
		default: // damaged, or the disk does not give it back
			if err := aside(name, err); err != nil {
				return nil, err
			}
		}
	}
	for i, s := range found[:max(0, len(found)-1)] {
		successor := found[i+1]
		if successor.Segment == s.Segment+1 {
			s.end = min(s.size, max(s.begin, successor.PreviousEnd))
			if successor.Run == s.Run {
				s.next = append(s.next[:0], successor.Base...)
				continue
			}
		}
		// The end of a run, or the segment before one that is missing: only its batches say how many samples it has.
		s.scan(fs)
	}
	return found, nil
}

// setAside moves a segment without a readable header out of the way. One that is only a few bytes long was never begun.
func (l *Log) setAside(name string, cause error) error {
	to := filepath.Join(l.opts.Dir, damagedName, name)
	l.opts.Logger.Error("a segment of the log has no readable header and is set aside; what it held is counted as dropped",
		"file", name, "moved_to", to, "error", cause)
	if err := l.opts.FS.Rename(filepath.Join(l.opts.Dir, name), to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("setting a damaged segment aside: %w", err)
	}
	l.recovery.SetAside = append(l.recovery.SetAside, name)
	if id, _ := segmentID(name); id > l.salvagedID { // they come in order
		l.salvagedID, l.salvaged = id, salvage(l.opts.FS, to)
	}
	return nil
}

// recover looks at the last segment, which a crash may have torn, and makes what it holds durable: a process that was killed
// may have left it in the page cache.
func (l *Log) recover(found []*segment) {
	if len(found) == 0 {
		return
	}
	last := found[len(found)-1]
	t := last.scan(l.opts.FS)
	l.recovery.Batches, l.recovery.DamagedBytes, l.recovery.TornBytes = t.batches, t.damaged, t.cut
	switch {
	case t.failed != nil:
		l.opts.Logger.Error("the disk does not give back the end of the log: what is missing is counted as dropped",
			"file", last.path, "bytes", t.cut, "records_kept", t.batches, "error", t.failed)
	case t.cut > 0:
		l.recovery.TornBatches = 1
		l.opts.Logger.Warn("the log ends in a batch that was not written to its end and not acknowledged: it is left out",
			"file", last.path, "records", 1, "bytes", t.cut, "records_kept", t.batches)
	}
	if t.damaged > 0 {
		l.opts.Logger.Error("the log is damaged between whole batches: what is missing is counted as dropped when it is read",
			"file", last.path, "bytes", t.damaged)
	}
	f, err := l.opts.FS.OpenReadWrite(last.path)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		l.opts.Logger.Error("the end of the log cannot be made durable: it may not outlive a power failure", "file", last.path, "error", err)
	}
}

// firstHeader is the header of the segment that this process begins with: another run where the number of shards is another.
func (l *Log) firstHeader() header {
	state := l.cp.Load()
	h := header{
		Version: formatVersion, Segment: max(1, state.NextSegment, l.salvagedID+1), Created: l.opts.Now().UnixMilli(),
		Shards: l.opts.Shards, Before: state.Accepted, Base: make([]uint64, l.opts.Shards),
	}
	if n := len(l.segments); n > 0 {
		last := l.segments[n-1]
		h.Segment = max(last.Segment+1, h.Segment)
		h.Before, h.PreviousEnd = last.total(), last.end
		if last.Shards == l.opts.Shards {
			h.Run, h.Before, h.Base = last.Run, last.Before, append([]uint64(nil), last.next...)
			if state.Run == h.Run && len(state.Shards) == h.Shards {
				// Where the end of the log is damaged, more may have been sent than is left: numbers are not given twice.
				for shard, s := range state.Shards {
					h.Base[shard] = max(h.Base[shard], s.sent())
				}
			}
			if l.salvagedID > last.Segment {
				for shard := range h.Base {
					h.Base[shard] = max(h.Base[shard], l.salvaged[shard])
				}
			}
			if total := h.total(); total < state.Accepted { // which shards had them is not known any more
				h.Base[0] += state.Accepted - total
			}
			return h
		}
		h.Before = max(h.Before, state.Accepted)
	} else if l.salvagedID > 0 {
		total := state.Before
		for _, next := range l.salvaged {
			total += next
		}
		h.Before = max(h.Before, total)
	}
	h.Run = h.Segment
	return h
}
