// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"
)

// OnFull says what becomes of new samples while they cannot be written: the log has reached its size, the disk is full or fails.
type OnFull string

// The values of OnFull.
const (
	// Block lets the sender of the batch wait until there is room.
	Block OnFull = "block"
	// DropOldest deletes the oldest segment, and counts what had not been delivered. A disk that fails otherwise is an error:
	// deleting would not mend it.
	DropOldest OnFull = "drop_oldest"
	// Refuse answers with an error.
	Refuse OnFull = "refuse"
)

// maxSeries is how many series a segment may have: their table is in memory, at some 200 bytes each. It has to be above the number of
// live series, or every batch would begin a segment.
const maxSeries = 1 << 20

// renewAfter is how old a segment has to be before Batch.Renew ends it.
const renewAfter = time.Minute

// sayFullEvery is how often is logged that batches wait.
const sayFullEvery = time.Minute

// fullRetry is how often a blocked batch looks for room.
const fullRetry = 500 * time.Millisecond

// Options configure a log.
type Options struct {
	FS  FS
	Dir string
	// Shards is the number of shards, 1 to 32. Another number than before begins a new run of segments.
	Shards int
	// SegmentBytes is the size at which a segment is complete.
	SegmentBytes int64
	// MaxBytes is what all segments may take; OnFull applies above it. 0 is no limit.
	MaxBytes int64
	// SyncInterval is the least time between two fsyncs, which all batches of that time share. 0 syncs each batch on its own,
	// before Append returns and without a goroutine.
	SyncInterval time.Duration
	OnFull       OnFull
	Logger       *slog.Logger
	// Now is time.Now, unless a test says otherwise.
	Now func() time.Time
}

// ErrClosed says that the log has been closed.
var ErrClosed = errors.New("the log is closed")

// FullError says that a batch was not accepted because it could not be written.
type FullError struct{ Err error }

func (e *FullError) Error() string { return "the log cannot take the samples: " + e.Err.Error() }
func (e *FullError) Unwrap() error { return e.Err }

var errMaxBytes = errors.New("log::max_bytes is reached")

// Log is a log of samples in a folder. It is safe for concurrent use.
type Log struct {
	opts Options
	lock io.Closer
	cp   *Checkpointer

	mu       sync.Mutex
	changed  chan struct{} // closed, and made anew, when there is more to read or more room
	segments []*segment    // the oldest first; the last is written to
	file     File          // of the last segment; nil after an error, until a new segment could be made
	buffered []uint64      // by shard: the number of the next sample, committed or not
	written  int64         // behind the last batch, committed or not
	group    *group        // the batches that wait for the next fsync
	batch    Batch
	closed   bool
	consumed []uint64   // by shard of the run that is read: samples that a reader has taken
	settled  []Position // by shard of the run that is read
	reading  uint64     // the run that is read
	pending  []uint64   // by shard of that run: dropped to make room, not yet passed by the reader
	recovery Recovery
	first    header // of the segment that this process began with
	// salvaged is, by shard, the number behind the last sample that was found in segment salvagedID, the last that was set aside.
	salvaged   []uint64
	salvagedID uint64
	fullSaid   time.Time
	blocked    bool // it has been logged that batches wait, and not yet that they do not

	kick chan struct{}
	done chan struct{} // closed when the goroutine has ended
}

// group is a set of batches that are made durable together.
type group struct {
	done chan struct{}
	err  error
}

// Recovery is what Open found.
type Recovery struct {
	// TornBytes were behind the last whole batch of the last segment, and are left out. TornBatches is 1 for such a tail.
	TornBytes   int64
	TornBatches int
	// DamagedBytes were between whole batches.
	DamagedBytes int64
	// SetAside are segments without a readable header, now in the folder damaged/.
	SetAside []string
	// Batches is how many were read in the last segment.
	Batches int
}

// Recovery returns what Open found.
func (l *Log) Recovery() Recovery { return l.recovery }

// Checkpointer returns the checkpoint of the log.
func (l *Log) Checkpointer() *Checkpointer { return l.cp }

// Append lets fill put samples into a batch, and returns when they are durable. An error that fill returns comes back as it is,
// and nothing is written. fill is called again when the batch could not be written and OnFull is to wait or to make room.
// A *FullError says that there was no room, ErrClosed that the log has been closed.
func (l *Log) Append(ctx context.Context, fill func(*Batch) error) error {
	for {
		g, err := l.append(fill)
		if err == nil && g != nil {
			err = g.wait(ctx)
		}
		if err == nil {
			return nil
		}
		var full *FullError
		if !errors.As(err, &full) {
			return err
		}
		if err := l.makeRoom(ctx, full); err != nil {
			return err
		}
	}
}

func (g *group) wait(ctx context.Context) error {
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// append writes a batch without making it durable. The group is nil for an empty batch, and for one that is durable already.
func (l *Log) append(fill func(*Batch) error) (*group, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	full := l.opts.MaxBytes > 0 && l.bytes() >= l.opts.MaxBytes
	if l.wantsSegment() { // also where it is full: a segment that is written to is never deleted, however large one batch has made it
		if err := l.cut(); err != nil {
			return nil, err
		}
	}
	if full {
		return nil, &FullError{errMaxBytes}
	}
	l.batch.reset()
	if err := fill(&l.batch); err != nil {
		return nil, err
	}
	if l.batch.total == 0 {
		return nil, nil
	}
	frame, err := l.batch.encode(l.buffered)
	if err != nil {
		l.batch.void() // or its definitions would be part of every later batch
		return nil, err
	}
	if _, err := l.file.Write(frame); err != nil {
		l.fail(err)
		return nil, &FullError{err}
	}
	l.batch.written()
	l.written += int64(len(frame))
	l.active().size = l.written
	for shard := range l.batch.parts {
		l.buffered[shard] += uint64(l.batch.parts[shard].len()) //nolint:gosec // a length
	}
	if l.opts.SyncInterval == 0 {
		return nil, l.sync()
	}
	select {
	case l.kick <- struct{}{}:
	default:
	}
	return l.group, nil
}

func (l *Log) active() *segment { return l.segments[len(l.segments)-1] }

// wantsSegment says whether the next batch goes to a new segment.
func (l *Log) wantsSegment() bool {
	a := l.active()
	return l.file == nil || l.batch.spoilt || l.written > a.begin && l.written >= l.opts.SegmentBytes || len(l.batch.table.series) >= maxSeries ||
		l.batch.renew && l.opts.Now().UnixMilli()-a.Created >= renewAfter.Milliseconds()
}

// cut completes the segment that is written to, and makes the next. Its error is a *FullError.
func (l *Log) cut() error {
	if l.file != nil {
		if err := l.sync(); err != nil {
			return err
		}
		if err := l.file.Close(); err != nil {
			l.opts.Logger.Warn("closing a segment of the log failed", "file", l.active().path, "error", err)
		}
		l.file = nil
	}
	if err := l.begin(); err != nil {
		return &FullError{err}
	}
	return nil
}

// begin makes a new segment behind the last.
func (l *Log) begin() error {
	last := l.active()
	if last.Segment < l.first.Segment {
		return l.create(l.first)
	}
	h := header{
		Version: formatVersion, Segment: last.Segment + 1, Created: l.opts.Now().UnixMilli(),
		Shards: last.Shards, Run: last.Run, Before: last.Before, Base: append([]uint64(nil), last.next...), PreviousEnd: last.end,
	}
	return l.create(h)
}

// create makes a segment that is durable, with its header, before anything is written to it.
func (l *Log) create(h header) error {
	frame, err := encodeHeader(h)
	if err != nil {
		return err
	}
	path := filepath.Join(l.opts.Dir, segmentName(h.Segment))
	f, err := l.opts.FS.Create(path)
	if err != nil {
		return fmt.Errorf("creating a segment of the log: %w", err)
	}
	if err := writeHeader(l.opts.FS, l.opts.Dir, f, frame); err != nil {
		_ = f.Close()
		_ = l.opts.FS.Remove(path) // it holds nothing; where it stays, it is overwritten
		return fmt.Errorf("creating a segment of the log: %w", err)
	}
	if n := len(l.segments); n > 0 {
		l.segments[n-1].table = nil // readers that are in it have their own reference
	}
	size := int64(len(frame))
	s := &segment{header: h, path: path, begin: size, end: size, size: size, next: append([]uint64(nil), h.Base...), table: newTable()}
	l.segments = append(l.segments, s)
	l.file, l.written = f, size
	l.buffered = append(l.buffered[:0], h.Base...)
	l.batch.open(s.table, h.Shards)
	l.broadcast()
	return nil
}

func writeHeader(fs FS, dir string, f File, frame []byte) error {
	if _, err := f.Write(frame); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return fs.SyncDir(dir)
}

// sync makes all batches durable that were written, and tells those who wait. Nothing is written in the meantime: batches come
// once in a scrape interval and wait for an fsync anyway.
func (l *Log) sync() error {
	g := l.group
	l.group = newGroup()
	if err := l.file.Sync(); err != nil {
		l.fail(err)
		g.err = &FullError{err}
	} else {
		a := l.active()
		a.end = l.written
		copy(a.next, l.buffered)
		if l.blocked {
			l.blocked = false
			l.opts.Logger.Info("the log takes samples again")
		}
	}
	close(g.done)
	l.broadcast()
	return g.err
}

func newGroup() *group { return &group{done: make(chan struct{})} }

// fail gives the segment up at its last durable batch, after a write or an fsync failed: what the file holds behind cannot be
// known. The next segment says where this one ends. Batches that wait are refused.
func (l *Log) fail(err error) {
	l.opts.Logger.Error("writing the log failed: the segment is given up behind its last durable batch, accepted samples are not affected",
		"file", l.active().path, "error", err)
	if l.file != nil {
		_ = l.file.Close() // the error is known
		l.file = nil
	}
	g := l.group
	l.group = newGroup()
	g.err = &FullError{err}
	close(g.done)
	a := l.active()
	// An empty segment is made again under the same number, or a full disk would fill with empty segments.
	if a.end == a.begin && len(l.segments) > 1 {
		_ = l.opts.FS.Remove(a.path)
		l.segments = l.segments[:len(l.segments)-1]
	}
	l.broadcast()
}

// run is the goroutine that syncs.
func (l *Log) run() {
	defer close(l.done)
	last := time.Time{}
	for range l.kick {
		if d := l.opts.SyncInterval - time.Since(last); d > 0 {
			time.Sleep(d)
		}
		l.mu.Lock()
		if l.file != nil && l.written > l.active().end {
			_ = l.sync() // those who wait have the error
		}
		last = time.Now()
		l.mu.Unlock()
	}
}

// makeRoom waits for room or makes it, or returns the error.
func (l *Log) makeRoom(ctx context.Context, full *FullError) error {
	switch l.opts.OnFull {
	case Refuse:
		return full
	case DropOldest:
		if isFull(full.Err) && l.dropOldest() {
			return nil
		}
		return full
	default:
	}
	l.mu.Lock()
	changed, closed := l.changed, l.closed
	if !closed {
		l.sayFull(full)
	}
	l.mu.Unlock()
	if closed {
		return ErrClosed
	}
	t := time.NewTimer(fullRetry)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-ctx.Done():
		return errors.Join(full, ctx.Err())
	}
	return nil
}

// isFull says whether deleting something makes room for what could not be written.
func isFull(err error) bool { return errors.Is(err, errMaxBytes) || isDiskFull(err) }

// sayFull logs that batches wait, now and then.
func (l *Log) sayFull(full *FullError) {
	if now := l.opts.Now(); now.Sub(l.fullSaid) >= sayFullEvery {
		l.fullSaid, l.blocked = now, true
		l.opts.Logger.Error("the log takes no samples: whoever sends them waits until it can be written again; what it holds is delivered in the meantime",
			"bytes", l.bytes(), "error", full.Err)
	}
}

// broadcast wakes all that wait for a change.
func (l *Log) broadcast() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Changed returns a channel that is closed when there is more to read than now.
func (l *Log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// bytes is the size of all segments on disk.
func (l *Log) bytes() int64 {
	n := int64(0)
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// Close makes what was written durable and closes the log. Batches that wait for room return ErrClosed.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	var errs []error
	if l.file != nil {
		errs = append(errs, l.sync())
	}
	if l.file != nil {
		errs = append(errs, l.file.Close())
		l.file = nil
	}
	l.broadcast()
	l.mu.Unlock()
	if l.kick != nil {
		close(l.kick)
		<-l.done
	}
	return errors.Join(append(errs, l.cp.close(), l.lock.Close())...)
}
