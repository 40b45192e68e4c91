// SPDX-License-Identifier: Apache-2.0

// Package logtool looks at the folder of the durable_remote_write exporter's log: what is in it, whether it is whole, and how to get
// it out. It never changes the folder, and can be used while the collector is writing it.
package logtool

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/kubiyabot/otelcol-runner/internal/delivery"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// Kind is a part of the folder.
type Kind string

// The parts of a folder: the log itself, what the receiver refused, what had become too old to be sent, and segments with damage.
const (
	Main       Kind = "log"
	Quarantine Kind = delivery.QuarantineFolder
	Expired    Kind = delivery.ExpiredFolder
	Damaged    Kind = "damaged"
)

// kinds are all parts, in the order in which they are shown.
func kinds() []Kind { return []Kind{Main, Quarantine, Expired, Damaged} }

// Logs is the folder of a log with what is set aside in it, as it was when it was opened.
type Logs struct {
	Dir string
	// Checkpoint is what has become of the log's samples; Checkpointed is false where there is none yet, or none that can be read.
	Checkpoint   samplelog.Checkpoint
	Checkpointed bool

	folders map[Kind]*samplelog.Folder
}

// Open looks at a folder. It changes nothing in it, and locks nothing.
func Open(dir string) (*Logs, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is a file: name the folder that the exporter has as log::directory", dir)
	}
	l := &Logs{Dir: dir, folders: map[Kind]*samplelog.Folder{}}
	for _, kind := range kinds() {
		f, err := samplelog.OpenReadOnly(samplelog.Disk{}, l.folder(kind))
		switch {
		case err == nil:
			l.folders[kind] = f
		case kind == Main && (errors.Is(err, samplelog.ErrNoLog) || errors.Is(err, fs.ErrNotExist)):
			return nil, fmt.Errorf("%w; name the folder that the exporter has as log::directory", err)
		case errors.Is(err, samplelog.ErrNoLog), errors.Is(err, fs.ErrNotExist): // nothing was set aside
		default:
			return nil, err
		}
	}
	l.Checkpoint, l.Checkpointed = l.folders[Main].Checkpoint()
	return l, nil
}

// folder is where a part is.
func (l *Logs) folder(kind Kind) string {
	if kind == Main {
		return l.Dir
	}
	return filepath.Join(l.Dir, string(kind))
}

// segments are those of one part.
func (l *Logs) segments(kind Kind) []samplelog.SegmentInfo {
	if f := l.folders[kind]; f != nil {
		return f.Segments()
	}
	return nil
}

// settled returns the number of the first sample of a shard that is not settled, according to the checkpoint.
func (l *Logs) settled(run uint64, shard int) uint64 {
	c := &l.Checkpoint
	switch {
	case !l.Checkpointed || run > c.Run:
		return 0
	case run < c.Run:
		return math.MaxUint64
	case shard < len(c.Shards):
		return c.Shards[shard].Seq
	default:
		return 0
	}
}

// settledSegments says of each segment of the log whether all of it is settled. A successor in the same run tells where it ends.
func (l *Logs) settledSegments() map[uint64]bool {
	all := l.segments(Main)
	settled := map[uint64]bool{}
	for i, s := range all {
		if l.Checkpointed && s.Run < l.Checkpoint.Run {
			settled[s.ID] = true
			continue
		}
		if i+1 == len(all) || all[i+1].Run != s.Run {
			continue
		}
		done := true
		for shard, next := range all[i+1].Base {
			done = done && next <= l.settled(s.Run, shard)
		}
		settled[s.ID] = done
	}
	return settled
}

// piece is what one batch has for one shard.
type piece struct {
	kind    Kind
	segment samplelog.SegmentInfo
	offset  int64
	note    string
	view    *samplelog.View
	shard   int
	seq     uint64
	samples []samplelog.Sample
	// settled is how many of the first samples of the log are settled.
	settled int
}

// walk reads segments of one part. Damage goes to damaged, which may be nil; segments that have been deleted meanwhile are passed over.
func (l *Logs) walk(kind Kind, segments []samplelog.SegmentInfo, visit func(*piece) error, damaged func(*samplelog.Damage)) error {
	f := l.folders[kind]
	for _, s := range segments {
		for b, err := range f.Batches(s) {
			var d *samplelog.Damage
			switch {
			case errors.As(err, &d):
				if damaged != nil {
					damaged(d)
				}
				continue
			case errors.Is(err, fs.ErrNotExist):
				continue
			case err != nil:
				return err
			}
			for i := range b.Parts {
				p := &b.Parts[i]
				found := piece{kind: kind, segment: s, offset: b.Offset, note: b.Note, view: b.View, shard: p.Shard, seq: p.Seq, samples: p.Samples}
				if kind == Main {
					if settled := l.settled(s.Run, p.Shard); settled > p.Seq {
						found.settled = int(min(settled-p.Seq, uint64(len(p.Samples)))) //nolint:gosec // a length
					}
				}
				if err := visit(&found); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
