// SPDX-License-Identifier: Apache-2.0

package samplelog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog/crashfs"
)

// script is what the commands of a file in testdata/scripts work on.
type script struct {
	t   *testing.T
	fs  *crashfs.FS
	log *samplelog.Log
	out bytes.Buffer // what the log says
	err error        // injected into writes
}

// What a log does over time, as files of commands and their output. After a change: go test ./internal/samplelog -run TestScripts -rewrite,
// and read the difference.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, file string) {
		s := &script{t: t, fs: crashfs.New()}
		datadriven.RunTest(t, file, s.run)
		if s.log != nil {
			_ = s.log.Close()
		}
	})
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	s.out.Reset()
	var result string
	switch d.Cmd {
	case "open":
		result = s.open(d)
	case "append":
		result = s.append(d)
	case "read":
		result = s.read()
	case "settle":
		result = s.settle()
	case "close":
		require.NoError(t, s.log.Close())
		s.log = nil
	case "crash": // the process is killed; with power, what was not synced is gone
		s.fs.Crash(rand.New(rand.NewPCG(1, 1)), !d.HasArg("power")) //nolint:gosec // a test
		s.fs, s.log = s.fs.After(), nil
	case "tear", "flip":
		result = s.damage(d)
	case "fail": // the disk is full, or fails in another way, from now on
		s.err = syscall.ENOSPC
		if d.HasArg("eio") {
			s.err = syscall.EIO
		}
		s.fs.Fail(func(op, _ string) error {
			if op == "write" || op == "create" || op == "sync" {
				return s.err
			}
			return nil
		})
	case "mend":
		s.fs.Fail(nil)
	case "ls":
		result = s.ls()
	case "stat":
		st := s.log.Stats()
		result = fmt.Sprintf("accepted %d, dropped to make room %d, segments %d\n", st.Accepted, st.DroppedPending, st.Segments)
	default:
		t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
	}
	return result + s.out.String()
}

func (s *script) open(d *datadriven.TestData) string {
	opts := samplelog.Options{
		FS: s.fs, Dir: "log", Shards: 1, SegmentBytes: 400, OnFull: samplelog.Refuse,
		Now: func() time.Time { return time.Unix(0, 0) },
		Logger: slog.New(slog.NewTextHandler(&s.out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})),
	}
	if d.HasArg("shards") {
		d.ScanArgs(s.t, "shards", &opts.Shards)
	}
	if d.HasArg("max-bytes") {
		d.ScanArgs(s.t, "max-bytes", &opts.MaxBytes)
	}
	if d.HasArg("drop-oldest") {
		opts.OnFull = samplelog.DropOldest
	}
	log, err := samplelog.Open(opts)
	if err != nil {
		return err.Error() + "\n"
	}
	s.log = log
	return fmt.Sprintf("ok, %d batches in the last segment\n", log.Recovery().Batches)
}

// append adds one sample to each series of the argument `series`, at the time `at`.
func (s *script) append(d *datadriven.TestData) string {
	var series string
	var at int64
	d.ScanArgs(s.t, "series", &series)
	d.ScanArgs(s.t, "at", &at)
	err := s.log.Append(context.Background(), func(b *samplelog.Batch) error {
		for _, name := range strings.Split(series, "+") {
			labels := []samplelog.Symbol{b.Symbol("__name__"), b.Symbol("m"), b.Symbol("series"), b.Symbol(name)}
			b.Sample(b.Series(labels, samplelog.Metadata{}), 0, at, 1)
		}
		return nil
	})
	if err != nil {
		return err.Error() + "\n"
	}
	return "ok\n"
}

// read prints what a process finds that starts now.
func (s *script) read() string {
	var b strings.Builder
	state := s.log.Checkpointer().Load()
	for _, run := range s.log.Runs(state.Run) {
		for shard := range run.Shards {
			var from samplelog.ShardState
			if state.Run == run.ID && shard < len(state.Shards) {
				from = state.Shards[shard]
			}
			r := s.log.Reader(run, shard, from.Position, from.Seq)
			for {
				p, err := r.Next()
				if err != nil {
					fmt.Fprintf(&b, "run %d, shard %d: %v\n", run.ID, shard, err)
					break
				}
				for reason, n := range p.Lost {
					fmt.Fprintf(&b, "run %d, shard %d: lost %d, %s\n", run.ID, shard, n, reason)
				}
				for _, x := range p.Samples {
					fmt.Fprintf(&b, "run %d, shard %d, segment %d: %s at %d\n", run.ID, shard, p.Next.Segment, p.View.PromLabels(x.Ref).Get("series"), x.T)
				}
			}
			r.Close()
		}
	}
	return b.String()
}

// settle reads shard 0 to its end, as it is now, and moves the checkpoint there.
func (s *script) settle() string {
	cp := s.log.Checkpointer()
	state := cp.Load()
	run := s.log.Runs(state.Run)[0]
	var from samplelog.ShardState
	if len(state.Shards) > 0 {
		from = state.Shards[0]
	}
	r := s.log.Reader(run, 0, from.Position, from.Seq)
	defer r.Close()
	for {
		if _, err := r.Next(); errors.Is(err, samplelog.ErrNothingNew) {
			break
		} else if err != nil {
			s.t.Fatal(err)
		}
	}
	at, seq := r.Position()
	cp.Change(func(c *samplelog.Checkpoint) {
		c.Run, c.NextSegment, c.Accepted = run.ID, s.log.Stats().Next, s.log.Stats().Accepted
		c.Totals.Acknowledged += seq - from.Seq
		c.Shards = []samplelog.ShardState{{Position: at, Seq: seq}}
	})
	require.NoError(s.t, cp.Store())
	s.log.Release(run.ID, 0, at)
	return fmt.Sprintf("settled up to segment %d, sample %d\n", at.Segment, seq)
}

// damage cuts a file short (tear, with `keep` bytes) or flips a bit of it (flip, at `offset`).
func (s *script) damage(d *datadriven.TestData) string {
	var name string
	d.ScanArgs(s.t, "file", &name)
	file := path.Join("log", name)
	f, err := s.fs.Open(file)
	require.NoError(s.t, err)
	size, err := f.Size()
	require.NoError(s.t, err)
	data := make([]byte, size)
	_, err = f.ReadAt(data, 0)
	require.True(s.t, err == nil || errors.Is(err, io.EOF))
	if d.Cmd == "tear" {
		var drop int
		d.ScanArgs(s.t, "drop", &drop)
		data = data[:len(data)-drop]
	} else {
		var offset int
		d.ScanArgs(s.t, "offset", &offset)
		data[offset] ^= 1
	}
	w, err := s.fs.Create(file)
	require.NoError(s.t, err)
	_, err = w.Write(data)
	require.NoError(s.t, err)
	require.NoError(s.t, w.Sync())
	return ""
}

func (s *script) ls() string {
	var all []string
	for _, dir := range []string{"", "damaged"} {
		names, err := s.fs.List(path.Join("log", dir))
		require.NoError(s.t, err)
		for _, n := range names {
			if n != "damaged" {
				all = append(all, path.Join(dir, n))
			}
		}
	}
	sort.Strings(all)
	return strings.Join(all, "\n") + "\n"
}
