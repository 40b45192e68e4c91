// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"
)

// The operations that can fail.
const (
	opOpen   = "open"
	opCreate = "create"
	opRead   = "read"
	opWrite  = "write"
	opSync   = "sync"
)

// failures says which operations of a file system fail, with EIO. It is safe for concurrent use.
type failures struct {
	mu     sync.Mutex // guards what follows
	op     string
	prefix string
	failed int
}

// set lets an operation fail on the files whose name has a prefix; an empty one ends it.
func (f *failures) set(op, prefix string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.op, f.prefix = op, prefix
}

func (f *failures) fails(op, name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if op != f.op || !strings.HasPrefix(name, f.prefix) {
		return false
	}
	f.failed++
	return true
}

func (f *failures) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// failingRows are disks that answer EIO: a FUSE file system before the real one.
func failingRows() []row {
	const segment, checkpoint = "segment-", "CHECKPOINT"
	const given = "the segment is given up behind its last durable batch"
	logs := func(text ...string) want { return want{log: append(text, "input/output error")} }
	return []row{
		{
			name: "EIO on write", fault: "writing a segment fails for a while: clients wait, a new segment is begun",
			inject: failingWhilePushing(opWrite, segment, fewSeries, "block"), want: logs(given, logBlocked, logUnblocked),
		},
		{
			name: "EIO on fsync", fault: "fsync of a segment fails for a while: what it held is not acknowledged",
			inject: failingWhilePushing(opSync, segment, fewSeries, "block"), want: logs(given, logBlocked, logUnblocked),
		},
		{
			name: "EIO on create", fault: "no segment can be created for a while, where one is full",
			inject: failingWhilePushing(opCreate, segment, seriesPerRound, "block"), want: logs(logBlocked, logUnblocked, "creating a segment of the log"),
		},
		{
			name: "EIO on write, refuse", fault: "the same: clients get an error at once, and repeat",
			inject: failingWhilePushing(opWrite, segment, fewSeries, "refuse"),
			want:   want{counted: map[string]int{"refused_samples_total{log_full}": some}, log: []string{given, "input/output error"}},
		},
		{
			name: "EIO on write, drop_oldest", fault: "the same: the backlog of several segments is not dropped, since that mends no disk",
			inject: failingBacklog, want: want{counted: map[string]int{"refused_samples_total{log_full}": some}, log: []string{"input/output error", logWorks}},
		},
		{
			name: "EIO on read", fault: "reading the log fails for a while: sending waits, and goes on", inject: failingReads(segment),
			want: want{log: []string{"reading the log", "input/output error", logWorks}},
		},
		{
			name: "EIO on the checkpoint", fault: "the checkpoint cannot be written for a while: samples are sent all the same", inject: failingCheckpoint(checkpoint),
			want: logs("the checkpoint cannot be written"),
		},
	}
}

func mountEIO(r *rig) *failures {
	f := &failures{}
	unmount, err := mountFailing(r.logDir, filepath.Join(r.dir, "disk"), f)
	require.NoError(r, err)
	r.cleanup(unmount)
	return f
}

// failingWhilePushing pushes on while an operation fails, and makes it work again.
func failingWhilePushing(op, prefix string, series int, onFull string) func(*rig) {
	return func(r *rig) {
		f := mountEIO(r)
		r.configure("log: {" + smallSegments + ", on_full: " + onFull + "}")
		r.start()
		r.rounds(fewRounds, series)
		r.failFor(f, op, prefix, series)
	}
}

// failFor lets an operation fail while samples are pushed.
func (r *rig) failFor(f *failures, op, prefix string, series int) {
	f.set(op, prefix)
	var pushing sync.WaitGroup
	pushing.Go(func() {
		defer func() { _ = recover() }() // the failure is noted
		r.rounds(2*fewRounds, series)
	})
	r.await("operations to fail", func() bool { return f.count() >= 2 })
	f.set("", "")
	pushing.Wait()
	require.False(r, r.failedSoFar())
}

// failingBacklog has a log of several segments when writing fails.
func failingBacklog(r *rig) {
	f := mountEIO(r)
	r.configure("log: {" + smallSegments + ", on_full: drop_oldest}")
	r.front.set(status(http.StatusServiceUnavailable))
	r.start()
	r.rounds(2*fewRounds, seriesPerRound)
	r.awaitLog(logFailed)
	r.failFor(f, opWrite, "segment-", fewSeries)
	r.front.set(nil)
}

func failingReads(prefix string) func(*rig) {
	return func(r *rig) {
		f := mountEIO(r)
		r.front.set(status(http.StatusServiceUnavailable))
		r.start()
		r.rounds(fewRounds, fewSeries)
		r.calls(1)
		r.stop()
		r.start()
		f.set(opRead, prefix)
		r.front.set(nil)
		r.rounds(fewRounds, fewSeries)
		r.awaitLog("reading the log")
		f.set("", "")
	}
}

func failingCheckpoint(prefix string) func(*rig) {
	return func(r *rig) {
		f := mountEIO(r)
		r.start()
		r.rounds(1, fewSeries)
		r.settle()
		f.set(opWrite, prefix)
		r.rounds(fewRounds, fewSeries)
		r.settle()
		require.Positive(r, f.count())
		f.set("", "")
		r.rounds(1, fewSeries)
	}
}
