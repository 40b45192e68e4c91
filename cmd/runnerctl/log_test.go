// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/delivery"
	"github.com/kubiyabot/otelcol-runner/internal/logtool"
	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// someTime is when the samples of the test's log begin.
var someTime = time.Date(2026, 9, 21, 14, 0, 0, 0, time.UTC).UnixMilli()

// logFolder writes a log: ten rounds of three series, of which three rounds are delivered, and two samples in the quarantine.
func logFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	l, err := samplelog.Open(samplelog.Options{FS: samplelog.Disk{}, Dir: dir, Shards: 1, SegmentBytes: 1 << 20, OnFull: samplelog.Block})
	require.NoError(t, err)
	var refs [3]samplelog.Ref
	var view samplelog.View
	for round := range int64(10) {
		require.NoError(t, l.Append(t.Context(), func(b *samplelog.Batch) error {
			if round == 0 {
				name := b.Symbol("__name__")
				refs[0] = b.Series([]samplelog.Symbol{name, b.Symbol("requests_total"), b.Symbol("job"), b.Symbol("a")}, samplelog.Metadata{Type: 1})
				refs[1] = b.Series([]samplelog.Symbol{name, b.Symbol("vanished")}, samplelog.Metadata{Type: 2})
				refs[2] = b.Series([]samplelog.Symbol{name, b.Symbol("duration_seconds")}, samplelog.Metadata{Type: 3})
			}
			at := someTime + round*30_000
			b.Sample(refs[0], someTime, at, float64(round))
			b.Exemplar(refs[0], exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "1"), Value: 0.5, Ts: at, HasTs: true})
			b.Sample(refs[1], 0, at, math.Float64frombits(value.StaleNaN))
			b.Histogram(refs[2], 0, at, &histogram.Histogram{
				Count: 3, Sum: 4, PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []int64{3},
			})
			view = *b.View()
			return nil
		}))
	}
	l.Checkpointer().Change(func(c *samplelog.Checkpoint) {
		c.Run, c.Shards = 1, []samplelog.ShardState{{Position: samplelog.Position{Segment: 1, Offset: l.Stats().Bytes}, Seq: 9}}
		c.Totals.Acknowledged, c.Totals.Quarantined = 7, map[string]uint64{"duplicate": 2}
		c.Remembered = samplelog.Remembered{Protocol: "1.0", MaxSamples: 500}
	})
	require.NoError(t, l.Checkpointer().Store())
	require.NoError(t, l.Close())

	aside := delivery.NewSetAside(samplelog.Disk{}, filepath.Join(dir, "quarantine"), 1<<20, nil)
	samples := []samplelog.Sample{{Ref: refs[0], T: someTime, V: 1}, {Ref: refs[0], T: someTime + 1, V: 2}}
	require.NoError(t, aside.Put(&view, samples, "duplicate: HTTP 400 Bad Request: duplicate sample for timestamp"))
	require.NoError(t, aside.Close())
	return dir
}

// spaces makes the distances of columns one.
var spaces = regexp.MustCompile(`  +`)

func TestLogLs(t *testing.T) {
	dir := logFolder(t)
	code, stdout, stderr := command(t, "log", "ls", dir)
	require.Equal(t, exitFine, code, stderr)
	assert.Contains(t, spaces.ReplaceAllString(stdout, "  "), "30  21  3  ")
	assert.Contains(t, spaces.ReplaceAllString(stdout, "  "), "2026-09-21T14:00:00.000Z  2026-09-21T14:04:30.000Z  sending  segment-00000001.log\n")
	assert.Contains(t, spaces.ReplaceAllString(stdout, "  "), "2026-09-21T14:00:00.001Z  set aside  quarantine/segment-00000001.log\n")

	_, stdout, _ = command(t, "log", "ls", dir, "--output", "json")
	var rows []logtool.Segment
	require.NoError(t, json.Unmarshal([]byte(stdout), &rows))
	assert.Equal(t, uint64(21), rows[0].Backlog)
}

func TestLogStat(t *testing.T) {
	dir := logFolder(t)
	code, stdout, stderr := command(t, "log", "stat", dir, "--top", "2")
	require.Equal(t, exitFine, code, stderr)
	got := spaces.ReplaceAllString(stdout, "  ")
	for _, want := range []string{
		"accepted  30\n", "\n  acknowledged  7\n", "\n  quarantined  2\n  duplicate  2\n", "\n  backlog  21\n", "sum  ok: accepted is the sum of these\n",
		"oldest  2026-09-21T14:01:30.000Z, ", "receiver taught  remote write 1.0\n", "receiver taught  at most 500 samples in a request\n",
		"quarantine/  2 samples in 1 segments, ", "backlog by metric\n", "\n  and 1 more\n",
	} {
		assert.Contains(t, got, want)
	}
	_, stdout, _ = command(t, "log", "stat", dir, "--output", "json")
	var s logtool.Stat
	require.NoError(t, json.Unmarshal([]byte(stdout), &s))
	assert.Equal(t, s.Accepted, s.Sum()+s.Backlog)
}

func TestLogDump(t *testing.T) {
	dir := logFolder(t)
	code, stdout, stderr := command(t, "log", "dump", dir, "--limit", "3", "--since", "2026-09-21T14:02:00Z")
	require.Equal(t, exitFine, code, stderr)
	assert.Equal(t, `requests_total{job="a"} 4 2026-09-21T14:02:00.000Z
vanished stale 2026-09-21T14:02:00.000Z
duration_seconds {count:3, sum:4, (0.5,1]:3} 2026-09-21T14:02:00.000Z
`, stdout)

	_, stdout, _ = command(t, "log", "dump", dir, "--quarantine")
	assert.Equal(t, `requests_total{job="a"} 1 2026-09-21T14:00:00.000Z # duplicate: HTTP 400 Bad Request: duplicate sample for timestamp
requests_total{job="a"} 2 2026-09-21T14:00:00.001Z # duplicate: HTTP 400 Bad Request: duplicate sample for timestamp
`, stdout)

	_, stdout, _ = command(t, "log", "dump", dir, "--metric", "requests_.*", "--output", "json", "--limit", "1")
	assert.JSONEq(t, `{"kind": "log", "series": {"__name__": "requests_total", "job": "a"}, "value": "3", "timestamp_ms": 1789999290000,
		"start_timestamp_ms": 1789999200000, "exemplars": [{"labels": {"trace_id": "1"}, "value": "0.5", "timestamp_ms": 1789999290000}]}`, stdout)
	_, stdout, _ = command(t, "log", "dump", dir, "--all")
	assert.Equal(t, 32, strings.Count(stdout, "\n"))
}

func TestLogVerify(t *testing.T) {
	dir := logFolder(t)
	code, stdout, _ := command(t, "log", "verify", dir)
	assert.Equal(t, exitFine, code, stdout)
	assert.Regexp(t, `^ok: 2 segments, 11 batches, 32 samples, .* read\n$`, stdout)

	segment := filepath.Join(dir, "segment-00000001.log")
	content, err := os.ReadFile(segment) //nolint:gosec // the test's own folder
	require.NoError(t, err)
	content[len(content)-1] ^= 1
	require.NoError(t, os.WriteFile(segment, content, 0o600)) //nolint:gosec // the test's own folder
	code, stdout, _ = command(t, "log", "verify", dir)
	assert.Equal(t, exitBroken, code)
	assert.Regexp(t, `^FINDING  segment-00000001.log, offset \d+: \d+ bytes cannot be read: damaged frame\n1 findings: `, stdout)
	code, stdout, _ = command(t, "log", "verify", dir, "--output", "json")
	assert.Equal(t, exitBroken, code)
	var v logtool.Verification
	require.NoError(t, json.Unmarshal([]byte(stdout), &v))
	assert.Len(t, v.Findings, 1)

	code, stdout, stderr := command(t, "log", "dump", dir)
	assert.Equal(t, exitBroken, code)
	assert.NotEmpty(t, stdout)
	assert.Contains(t, stderr, "of the log cannot be read and are left out: see runnerctl log verify\n")
}

func TestLogExport(t *testing.T) {
	dir := logFolder(t)
	code, stdout, stderr := command(t, "log", "export", dir)
	require.Equal(t, exitFine, code, stderr)
	assert.True(t, strings.HasPrefix(stdout, "# TYPE requests counter\nrequests_total{job=\"a\"} 3 1789999290.000 # {trace_id=\"1\"} 0.5 1789999290.000\n"), stdout)
	assert.True(t, strings.HasSuffix(stdout, "\n# EOF\n"))
	assert.Equal(t, "7 samples of 1 series exported\n7 samples left out: stale markers, which OpenMetrics text has no form for\n"+
		"7 samples left out: native histograms, which OpenMetrics text has no form for\n", stderr)

	file, blocks := filepath.Join(t.TempDir(), "metrics.txt"), filepath.Join(t.TempDir(), "blocks")
	code, stdout, _ = command(t, "log", "export", dir, "--out", file)
	assert.Equal(t, exitFine, code)
	assert.Empty(t, stdout)
	text, err := os.ReadFile(file) //nolint:gosec // the test's own folder
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(string(text), "\n# EOF\n"))

	code, _, stderr = command(t, "log", "export", dir, "--format", "tsdb", "--out", blocks, "--output", "json")
	assert.Equal(t, exitFine, code)
	var done logtool.Exported
	require.NoError(t, json.Unmarshal([]byte(stderr), &done))
	assert.Equal(t, uint64(21), done.Samples)
	require.Len(t, done.Blocks, 1)
	assert.FileExists(t, filepath.Join(blocks, done.Blocks[0], "meta.json"))
}

func TestLogReplay(t *testing.T) {
	dir, temp := logFolder(t), t.TempDir()
	t.Setenv("TMPDIR", temp)
	b, err := prombackend.Open(t.TempDir(), prombackend.Options{})
	require.NoError(t, err)
	server := httptest.NewServer(b.Handler())
	defer func() {
		server.Close()
		assert.NoError(t, b.Close())
	}()
	code, stdout, stderr := command(t, "log", "replay", dir, "--endpoint", server.URL+"/api/v1/write")
	require.Equal(t, exitFine, code, stderr)
	assert.Regexp(t, `^21 of 21 samples delivered, .* in \d+ requests\n$`, stdout)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, left)

	t.Run("what is refused", func(t *testing.T) {
		code, stdout, _ := command(t, "log", "replay", dir, "--metric", "requests_total", "--endpoint", server.URL+"/api/v1/write")
		assert.Equal(t, exitBroken, code)
		assert.Contains(t, stdout, "1 of 7 samples delivered")
		assert.Contains(t, stdout, "6 samples refused by the receiver: out_of_order\n")
		why := regexp.MustCompile(`why: runnerctl (log dump --quarantine .*)\n`).FindStringSubmatch(stdout)
		require.Len(t, why, 2, stdout)
		_, stdout, _ = command(t, strings.Fields(why[1])...)
		assert.Equal(t, 6, strings.Count(stdout, "# out_of_order: HTTP 400 Bad Request: out of order sample"))
	})
}

// Ctrl-C ends a replay that gets nowhere, says what is left, and how to go on.
func TestAnInterruptedReplay(t *testing.T) {
	dir := logFolder(t)
	asked := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		asked <- struct{}{}
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	var out, errs bytes.Buffer
	state := filepath.Join(t.TempDir(), "state")
	code := execute(ctx, streams{out: &out, err: &errs}, []string{"log", "replay", dir, "--endpoint", server.URL, "--state", state})
	assert.Equal(t, exitFailed, code)
	assert.Equal(t, "runnerctl: interrupted: 21 samples are left, and are sent with the same options and --state "+state+"\n", errs.String()[strings.LastIndex(errs.String(), "runnerctl:"):])
	assert.Contains(t, out.String(), "0 of 21 samples delivered")
	assert.FileExists(t, filepath.Join(state, "REPLAY"))
}

func TestLogOptions(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args   []string
		stderr string
	}{
		"no folder":      {[]string{"ls"}, "runnerctl log ls needs one folder, the exporter's log::directory: runnerctl log ls DIR [flags]"},
		"no log":         {[]string{"stat", dir}, dir + ": no log: there is neither a segment nor a checkpoint in it; name the folder that the exporter has as log::directory"},
		"output":         {[]string{"ls", dir, "--output", "yaml"}, `--output "yaml" is not known: use text or json`},
		"top":            {[]string{"stat", dir, "--top", "-1"}, "--top -1 is negative: use a number of metrics, or 0 for none"},
		"limit":          {[]string{"dump", dir, "--limit", "-1"}, "--limit -1 is negative: use a number of samples, or 0 for all"},
		"since":          {[]string{"dump", dir, "--since", "noon"}, `--since "noon" is no time: use one such as 2026-11-24T12:00:00Z, or how long ago, such as 90m or 2d`},
		"until":          {[]string{"export", dir, "--since", "1h", "--until", "2h"}, "--since 1h is behind --until 2h"},
		"format":         {[]string{"export", dir, "--format", "csv"}, `--format "csv" is not known: use openmetrics or tsdb`},
		"no blocks":      {[]string{"export", dir, "--format", "tsdb"}, "--format tsdb writes a folder: name it with --out"},
		"no endpoint":    {[]string{"replay", dir}, "--endpoint is missing: name the receiver's full URL, for example https://prometheus.example/api/v1/write"},
		"negative rate":  {[]string{"replay", dir, "--endpoint", "http://a/", "--rate", "-1"}, "--rate -1 is negative: use samples a second, or 0 for no limit"},
		"no such metric": {[]string{"dump", logFolder(t), "--metric", "("}, "--metric: metric \"(\" is no regular expression: error parsing regexp: missing closing ): `^(?:()$`"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := command(t, append([]string{"log"}, c.args...)...)
			assert.Equal(t, exitFailed, code)
			assert.Equal(t, "runnerctl: "+c.stderr+"\n", stderr)
		})
	}
}

func TestLogHelp(t *testing.T) {
	_, stdout, _ := command(t, "log", "--help")
	for _, name := range []string{"ls", "stat", "dump", "verify", "export", "replay"} {
		assert.Contains(t, stdout, "\n  "+name+" ")
		_, help, _ := command(t, "log", name, "--help")
		assert.Contains(t, help, "\nExamples:\n", name)
		assert.Contains(t, help, "runnerctl log "+name+" /var/lib/otelcol-runner/log", name)
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(streams{err: &out, errTTY: true}, "samples")
	p.show("sending", 5, 10, "1 KiB")
	p.show("sending", 6, 10, "too soon")
	p.end()
	assert.Equal(t, "\r\x1b[Ksending [###############...............]  50% 1 KiB\r\x1b[K", out.String())

	out.Reset()
	p = newProgress(streams{err: &out}, "samples")
	p.show("sending", 4, 10, "too soon")
	p.last = time.Time{}
	p.show("sending", 5, 10, "")
	p.end()
	assert.Equal(t, "sending: 5 of 10 samples\n", out.String())
}
