// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"path/filepath"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// State says what has become of a segment.
type State string

// The states of segments.
const (
	// Delivered: all of it is settled; it is deleted when the process goes on.
	Delivered State = "delivered"
	// Sending: a part of it is settled.
	Sending State = "sending"
	// Backlog: none of it is settled.
	Backlog State = "backlog"
	// Empty: there is nothing in it yet.
	Empty State = "empty"
	// SetAside: it is kept, and not sent.
	SetAside State = "set aside"
	// IsDamaged: a part of it cannot be read.
	IsDamaged State = "damaged"
)

// Segment is a line of List.
type Segment struct {
	Kind  Kind   `json:"kind"`
	File  string `json:"file"` // below the folder of the log
	State State  `json:"state"`
	// Samples can be read; Backlog of them are not settled, which only the log has.
	Samples uint64 `json:"samples"`
	Backlog uint64 `json:"backlog"`
	Series  int    `json:"series"`
	Bytes   int64  `json:"bytes"`
	// DamagedBytes cannot be read.
	DamagedBytes int64 `json:"damaged_bytes"`
	// Oldest and Newest are the times of samples, in milliseconds since the epoch; 0 where there are none.
	Oldest int64 `json:"oldest"`
	Newest int64 `json:"newest"`
}

// List reads all segments, each part's oldest first.
func (l *Logs) List() ([]Segment, error) {
	var all []Segment
	for _, kind := range kinds() {
		for _, s := range l.segments(kind) {
			row, err := l.list(kind, s)
			if err != nil {
				return nil, err
			}
			all = append(all, row)
		}
		if f := l.folders[kind]; f != nil {
			for _, u := range f.Unreadable() {
				all = append(all, Segment{Kind: kind, File: l.below(u.Path), State: IsDamaged, Bytes: u.Bytes, DamagedBytes: u.Bytes})
			}
		}
	}
	return all, nil
}

func (l *Logs) list(kind Kind, s samplelog.SegmentInfo) (Segment, error) {
	row := Segment{Kind: kind, File: l.below(s.Path), Bytes: s.Bytes}
	err := l.walk(kind, []samplelog.SegmentInfo{s}, func(p *piece) error {
		row.Series = p.view.Len()
		row.Samples += uint64(len(p.samples))
		if kind == Main {
			row.Backlog += uint64(len(p.samples) - p.settled) //nolint:gosec // not negative
		}
		for i := range p.samples {
			row.Oldest, row.Newest = span(row.Oldest, row.Newest, p.samples[i].T)
		}
		return nil
	}, func(d *samplelog.Damage) {
		if !d.Torn {
			row.DamagedBytes += d.Bytes
		}
	})
	switch {
	case row.DamagedBytes > 0 || kind == Damaged:
		row.State = IsDamaged
	case kind != Main:
		row.State = SetAside
	case row.Samples == 0:
		row.State = Empty
	case row.Backlog == 0:
		row.State = Delivered
	case row.Backlog < row.Samples:
		row.State = Sending
	default:
		row.State = Backlog
	}
	return row, err
}

// span widens a range of times, of which 0, 0 is none.
func span(oldest, newest, t int64) (int64, int64) {
	if oldest == 0 && newest == 0 {
		return t, t
	}
	return min(oldest, t), max(newest, t)
}

func (l *Logs) below(path string) string {
	if rel, err := filepath.Rel(l.Dir, path); err == nil {
		return rel
	}
	return path
}
