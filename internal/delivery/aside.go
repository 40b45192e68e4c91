// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"log/slog"
	"sync"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// The folders, within that of the log, of what is not sent.
const (
	QuarantineFolder = "quarantine"
	ExpiredFolder    = "expired"
)

// asideSegmentBytes is the size of a segment of what is set aside.
const asideSegmentBytes = 4 << 20

// SetAside is a log of samples that are not sent, of the same format as the log itself. Its folder is made with the first sample.
// Above its size the oldest segments are deleted. It is safe for concurrent use.
type SetAside struct {
	opts samplelog.Options
	mu   sync.Mutex
	log  *samplelog.Log
	refs map[samplelog.Ref]samplelog.Ref // scratch
}

// NewSetAside returns a SetAside in a folder.
func NewSetAside(fs samplelog.FS, dir string, maxBytes int64, logger *slog.Logger) *SetAside {
	return &SetAside{opts: samplelog.Options{
		FS: fs, Dir: dir, Shards: 1, SegmentBytes: min(asideSegmentBytes, maxBytes/4), MaxBytes: maxBytes,
		OnFull: samplelog.DropOldest, Logger: logger,
	}}
}

// Put implements Aside.
func (a *SetAside) Put(view *samplelog.View, samples []samplelog.Sample, note string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.log == nil {
		log, err := samplelog.Open(a.opts)
		if err != nil {
			return err
		}
		a.log = log
	}
	return a.log.Append(context.Background(), func(b *samplelog.Batch) error {
		b.Note(note)
		clear(a.refs)
		if a.refs == nil {
			a.refs = map[samplelog.Ref]samplelog.Ref{}
		}
		for i := range samples {
			s := &samples[i]
			ref, found := a.refs[s.Ref]
			if !found {
				ref = copySeries(b, view, s.Ref)
				a.refs[s.Ref] = ref
			}
			b.Add(ref, s)
		}
		return nil
	})
}

// copySeries makes a series of another log known to the batch.
func copySeries(b *samplelog.Batch, view *samplelog.View, ref samplelog.Ref) samplelog.Ref {
	labels := view.AppendLabels(nil, ref)
	for i, sym := range labels {
		labels[i] = b.Symbol(view.Text(sym))
	}
	m := view.Metadata(ref)
	m.Unit, m.Help = b.Symbol(view.Text(m.Unit)), b.Symbol(view.Text(m.Help))
	return b.Series(labels, m)
}

// Close closes the log.
func (a *SetAside) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.log == nil {
		return nil
	}
	return a.log.Close()
}
