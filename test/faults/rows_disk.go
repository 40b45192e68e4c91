// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"
)

const (
	diskBytes      = 1 << 20
	moreDiskBytes  = 64 << 20
	segmentBytes   = 64 << 10
	smallSegments  = "segment_bytes: 65536"
	roundsToFill   = 40
	seriesPerRound = 2000
)

// logBlocked is what the exporter says when clients wait for room, logUnblocked when there is some again.
const (
	logBlocked   = "the log takes no samples: whoever sends them waits until it can be written again"
	logUnblocked = "the log takes samples again"
)

// diskRows are disks, and logs, that are full.
func diskRows() []row {
	return []row{
		{
			name: "full disk, block", fault: "a tmpfs is full while the receiver is away, then it grows: clients wait, nothing accepted is hurt",
			inject: fullDisk("block", 0),
			want:   want{answers: map[string]int{"503": 1}, log: []string{"no space left on device", logBlocked, logUnblocked, logWorks}},
		},
		{
			name: "full disk, refuse", fault: "the same: clients get an error at once, and repeat", inject: fullDisk("refuse", 0),
			want: want{answers: map[string]int{"503": 1}, counted: map[string]int{"refused_samples_total{log_full}": some}, log: []string{"no space left on device", logWorks}},
		},
		{
			name: "full disk, drop_oldest", fault: "the same: the oldest segments make room, what they held is counted", inject: fullDisk("drop_oldest", 0),
			want: want{dropped: map[string]int{"log_full": some}, log: []string{"the log is full: its oldest segment is dropped", logWorks}},
		},
		{
			name: "max_bytes, block", fault: "the log reaches max_bytes while the receiver is away: clients wait until samples are delivered",
			inject: fullDisk("block", 512<<10),
			want:   want{answers: map[string]int{"503": 1}, log: []string{logBlocked, "log::max_bytes is reached", logUnblocked, logWorks}},
		},
		{
			name: "max_bytes, drop_oldest", fault: "the same: the oldest segments make room, what they held is counted", inject: fullDisk("drop_oldest", 512<<10),
			want: want{dropped: map[string]int{"log_full": some}, log: []string{"the log is full: its oldest segment is dropped", logWorks}},
		},
		{
			name: "full disk, poisoned sample", fault: "the disk is full of backlog when the receiver is back, and refuses a sample that there is no room to keep: the queue goes on",
			inject: fullPoisoned,
			want: want{
				quarantined: map[string]int{"other": 1}, notKept: true,
				log: []string{"the log takes no samples", "cannot be set aside", logUnblocked},
			},
		},
		{
			name: "full disk at the start", fault: "the disk is full when the collector starts: what the log holds is sent all the same", inject: startFull,
			want: want{log: []string{"the log cannot be written; what it holds is sent all the same"}},
		},
		{
			name: "read-only folder", fault: "the folder of the log is on a read-only file system: the start fails and says so", inject: readOnly, want: want{ended: true},
		},
	}
}

// fullDisk fills a disk, or the log up to its size, while the receiver is away.
func fullDisk(onFull string, maxBytes int) func(*rig) {
	return func(r *rig) {
		resize, unmount, err := mountTmpfs(r.logDir, diskBytes)
		require.NoError(r, err)
		r.cleanup(unmount)
		r.configure("log: {" + smallSegments + ", on_full: " + onFull + ", max_bytes: " + floatText(float64(maxBytes)) + "}, batch: {max_samples: 1000}")
		r.front.set(status(http.StatusServiceUnavailable))
		r.start()
		var pushing sync.WaitGroup
		attempts := 0
		pushing.Go(func() {
			defer func() { _ = recover() }() // the failure is noted
			for range roundsToFill {
				attempts += r.push(r.next(seriesPerRound))
			}
		})
		full := r.untilFull(onFull, maxBytes)
		if maxBytes == 0 && onFull != "drop_oldest" {
			require.NoError(r, resize(moreDiskBytes))
		}
		if !full {
			pushing.Wait()
		}
		r.front.set(nil)
		pushing.Wait()
		require.False(r, r.failedSoFar())
		if onFull == "refuse" {
			require.Greater(r, attempts, roundsToFill, "attempts of the client: none was refused")
		}
		r.settle()
	}
}

// fullPoisoned fills the disk to the last byte, and has a sample in it that the receiver does not take.
func fullPoisoned(r *rig) {
	_, unmount, err := mountTmpfs(r.logDir, diskBytes)
	require.NoError(r, err)
	r.cleanup(unmount)
	r.configure("log: {" + smallSegments + "}, batch: {max_samples: 1000}")
	r.front.set(status(http.StatusServiceUnavailable))
	r.start()
	bad := r.next(seriesPerRound)
	r.push(bad)
	var pushing sync.WaitGroup
	pushing.Go(func() {
		defer func() { _ = recover() }() // the failure is noted
		for range roundsToFill {
			r.push(r.next(seriesPerRound))
		}
	})
	r.awaitLog(logBlocked)
	fill(r, filepath.Join(r.logDir, "somebody-else"))
	r.front.set(func(c *call) {
		for _, s := range c.samples() {
			if s == bad.samples[7] {
				c.answer(http.StatusBadRequest, "the gremlin does not like a sample")
				return
			}
		}
		c.forward()
	})
	pushing.Wait()
	require.False(r, r.failedSoFar())
}

// untilFull waits until nothing more is accepted; false: until the oldest samples have made room.
func (r *rig) untilFull(onFull string, maxBytes int) bool {
	if onFull == "drop_oldest" {
		r.awaitLog("its oldest segment is dropped")
		return false
	}
	if maxBytes == 0 {
		r.awaitLog("no space left on device")
		return true
	}
	r.await("the log to be full", func() bool { return r.account()["backlog_bytes"] >= maxBytes })
	return true
}

func startFull(r *rig) {
	resize, unmount, err := mountTmpfs(r.logDir, diskBytes)
	require.NoError(r, err)
	r.cleanup(unmount)
	r.configure("log: {" + smallSegments + ", on_full: refuse}")
	r.front.set(status(http.StatusServiceUnavailable))
	r.start()
	r.rounds(fewRounds, fewSeries)
	r.calls(1)
	r.kill()
	fill(r, filepath.Join(r.logDir, "somebody-else"))
	r.start()
	r.awaitLog("the log cannot be written")
	r.front.set(nil)
	r.settle()
	require.NoError(r, resize(moreDiskBytes))
	r.rounds(fewRounds, fewSeries)
}

func readOnly(r *rig) {
	mkdir(r, r.logDir)
	unmount, err := mountReadOnly(r.logDir)
	require.NoError(r, err)
	r.cleanup(unmount)
	text := r.startFails()
	require.Contains(r, text, "read-only file system")
	require.Contains(r, text, "log::directory")
	r.outcome = "exits with: " + lastError(text)
}

// lastError is the line with which the collector ends.
func lastError(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "Error: ")
}
