// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	bench "github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

// processRows are starts, ends and neighbours of the process.
func processRows() []row {
	return []row{
		{
			name: "kill -9 with a frozen batch", fault: "the first request after the restart is the last one before it, byte for byte", inject: frozen,
			want: want{answers: map[string]int{"503": 1}},
		},
		{
			name: "kill -9 while bisecting", fault: "one of 1,000 samples is refused, and the process killed while it looks for it", inject: killedBisecting,
			want: want{quarantined: map[string]int{"other": 1}},
		},
		{
			name: "SIGTERM while failing", fault: "the process is asked to end while the receiver is away: it ends without another attempt, the next one goes on",
			inject: terminated, want: want{answers: map[string]int{"503": 1}},
		},
		{
			name: "half the shards", fault: "restarted with 2 shards instead of 4, with a backlog: the order of each series is kept", inject: reshard(4, 2),
			want: want{counted: map[string]int{"shards": 2}},
		},
		{
			name: "twice the shards", fault: "restarted with 8 shards instead of 4, with a backlog: the order of each series is kept", inject: reshard(4, 8),
			want: want{counted: map[string]int{"shards": 8}},
		},
		{
			name: "two processes", fault: "a second process on the same folder ends and says why; the first goes on", inject: twoProcesses,
		},
		{
			name: "log of a newer version", fault: "the start fails and says so; the log is left alone", inject: newerVersion,
		},
	}
}

func frozen(r *rig) {
	r.front.set(status(http.StatusServiceUnavailable))
	r.start()
	r.rounds(1, 10*fewSeries)
	r.calls(3)
	b := newBatch() // what comes later does not change it, although it would fit in
	for i := range fewSeries {
		b.gauge("late"+strconv.Itoa(i), r.clock, r.value)
	}
	r.push(b)
	r.rounds(fewRounds, 10*fewSeries)
	r.kill()
	before := r.front.all()
	r.start()
	after := r.calls(len(before) + 2)
	require.Len(r, before[len(before)-1].samples(), 10*fewSeries)
	require.True(r, bytes.Equal(before[len(before)-1].wire(), after[len(before)].wire()), "other bytes after the restart than before it")
	r.front.set(nil)
}

func terminated(r *rig) {
	r.configure("retry: {initial_interval: 5s, max_interval: 5s}")
	r.front.set(status(http.StatusServiceUnavailable))
	r.start()
	r.rounds(fewRounds, fewSeries)
	r.awaitLog(logFailed)
	began := time.Now()
	r.stop()
	require.Less(r, time.Since(began), 3*time.Second)
	require.Len(r, r.front.all(), 1, "requests while the pause after the first one lasts")
	r.start()
	r.calls(2)
	r.front.set(nil)
}

func killedBisecting(r *rig) {
	const bad = gaugeName + "/s777"
	refuse := func(c *call) {
		if c.has(bad) {
			c.answer(http.StatusBadRequest, "the gremlin does not like a sample")
			return
		}
		c.forward()
	}
	r.front.set(func(c *call) {
		if c.n >= 8 {
			c.hang()
			return
		}
		refuse(c)
	})
	r.start()
	r.rounds(1, 1000)
	r.calls(9)
	r.kill()
	r.front.set(refuse)
	r.start()
	r.rounds(fewRounds, fewSeries)
}

// reshard restarts with another number of shards.
func reshard(before, after int) func(*rig) {
	return func(r *rig) {
		r.configure(fmt.Sprintf("shards: %d", before))
		r.front.set(status(http.StatusServiceUnavailable))
		r.start()
		r.rounds(2*fewRounds, 10*fewSeries)
		r.calls(2 * before)
		r.stop()
		r.configure(fmt.Sprintf("shards: %d", after))
		r.start()
		r.rounds(fewRounds, 10*fewSeries)
		r.front.set(nil)
		r.rounds(fewRounds, 10*fewSeries)
		r.settle()
		// The shards before the restart are all sent before the new ones begin.
		r.await("the new shards", func() bool { return r.account()["shards"] == after })
		latest := map[string]int64{}
		for _, c := range r.front.all() {
			if c.answered()/100 != 2 {
				continue
			}
			for _, s := range c.samples() {
				require.Less(r, latest[s.series], s.t, "%s was sent after a later one", s)
				latest[s.series] = s.t
			}
		}
	}
}

func twoProcesses(r *rig) {
	r.start()
	r.rounds(1, fewSeries)
	text := r.startFails()
	require.Contains(r, text, "locked by another process: end that process, or use another folder")
	require.Contains(r, text, r.logDir)
	r.rounds(fewRounds, fewSeries)
}

func newerVersion(r *rig) {
	r.front.set(status(http.StatusServiceUnavailable))
	r.start()
	r.rounds(fewRounds, fewSeries)
	r.stop()
	path := r.segments()[0].Path
	content := readFile(r, path)
	writeFile(r, path, string(withVersion(r, content, 2)))
	newer := snapshot(r, r.logDir)
	text := r.startFails()
	require.Contains(r, text, "has format version 2, this program reads up to 1: run the version that wrote it, or use another folder")
	require.Equal(r, newer, snapshot(r, r.logDir), "the folder after the start that failed")
	writeFile(r, path, string(content)) // as the newer program would have read it
	r.front.set(nil)
	r.start()
}

// withVersion returns a segment with another version in its header.
func withVersion(r *rig, content []byte, version int) []byte {
	length := binary.LittleEndian.Uint32(content[4:])
	payload := content[frameHeaderBytes : frameHeaderBytes+length]
	changed := bytes.Replace(payload, []byte(`"version":1`), []byte(fmt.Sprintf(`"version":%d`, version)), 1)
	require.NotEqual(r, payload, changed)
	require.Len(r, changed, len(payload))
	table := crc32.MakeTable(crc32.Castagnoli)
	newer := bytes.Clone(content)
	copy(newer[frameHeaderBytes:], changed)
	binary.LittleEndian.PutUint32(newer[8:], crc32.Update(crc32.Checksum(newer[4:8], table), table, changed))
	return newer
}

// snapshot returns the content of all files below a folder.
func snapshot(r *rig, dir string) map[string]string {
	files := map[string]string{}
	require.NoError(r, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files[path] = string(readFile(r, path))
		}
		return err
	}))
	return files
}

// startFails starts a collector, with the configuration of the row, that is to end by itself, and returns what it says.
func (r *rig) startFails() string {
	args, _, _ := r.arguments()
	path := filepath.Join(r.dir, fmt.Sprintf("failing-%d.log", r.lives))
	p, err := bench.Start("collector", r.binary, args, nil, path)
	require.NoError(r, err)
	defer p.Discard()
	r.await("the collector to end", func() bool { return p.Running() != nil })
	require.NotContains(r, p.Running().Error(), "exit status 0")
	text := string(readFile(r, path))
	require.NotContains(r, strings.ToLower(text), "panic")
	return text
}
