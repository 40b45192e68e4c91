// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kubiyabot/otelcol-runner/internal/delivery"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	rounds = 400
	start  = int64(1_790_000_000_000) // milliseconds
	every  = int64(30_000)
	// shards of the log.
	shards = 2
)

// want is a sample that was written, for comparisons.
type want struct {
	Series string
	T      int64
	Value  string // the bits of a float, or the text of a histogram
}

func wanted(series labels.Labels, s *samplelog.Sample) want {
	w := want{Series: series.String(), T: s.T}
	switch {
	case s.H != nil:
		w.Value = s.H.ToFloat(nil).String()
	case s.FH != nil:
		w.Value = s.FH.String()
	default:
		w.Value = fmt.Sprintf("%x", math.Float64bits(s.V))
	}
	return w
}

// metric is a series of the test's log.
type metric struct {
	labels labels.Labels
	kind   model.MetricType
	help   string
	value  func(round int) samplelog.Sample
}

func gauge(f float64) samplelog.Sample { return samplelog.Sample{V: f} }

func native(n int) *histogram.Histogram {
	return &histogram.Histogram{
		Schema: 1, Count: uint64(n + 3), Sum: float64(n), ZeroThreshold: 1e-9, ZeroCount: 1, //nolint:gosec // small
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1, int64(n)},
	}
}

func metrics() []metric {
	all := []metric{
		{labels.FromStrings("__name__", "requests_total", "job", "a"), model.MetricTypeCounter, "How many \"requests\".\nOr \\ more.", func(i int) samplelog.Sample {
			s := gauge(float64(i))
			if i%10 == 0 {
				s.Exemplars = []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", "1"), Value: 0.5, Ts: start + int64(i)*every, HasTs: true}}
			}
			return s
		}},
		{labels.FromStrings("__name__", "requests_total", "job", "b"), model.MetricTypeCounter, "", func(i int) samplelog.Sample { return gauge(float64(2 * i)) }},
		{labels.FromStrings("__name__", "temperature", "room", "a \"quoted\"\nname"), model.MetricTypeGauge, "", func(i int) samplelog.Sample {
			return gauge([]float64{math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1), 0.1, 1e-300}[i%6])
		}},
		{labels.FromStrings("__name__", "lookups", "job", "a"), model.MetricTypeCounter, "", func(i int) samplelog.Sample { return gauge(float64(i)) }},
		{labels.FromStrings("__name__", "size_bytes_bucket", "le", "1.0"), model.MetricTypeHistogram, "Sizes.", func(i int) samplelog.Sample { return gauge(float64(i)) }},
		{labels.FromStrings("__name__", "size_bytes_bucket", "le", "+Inf"), model.MetricTypeHistogram, "Sizes.", func(i int) samplelog.Sample { return gauge(float64(i)) }},
		{labels.FromStrings("__name__", "duration_seconds", "job", "a"), model.MetricTypeHistogram, "", func(i int) samplelog.Sample {
			return samplelog.Sample{H: native(i % 50)}
		}},
		{labels.FromStrings("__name__", "float_seconds"), model.MetricTypeHistogram, "", func(i int) samplelog.Sample {
			return samplelog.Sample{FH: native(i % 50).ToFloat(nil)}
		}},
		{labels.FromStrings("__name__", "http.requests", "http.route", "/x"), model.MetricTypeGauge, "UTF-8.", func(i int) samplelog.Sample { return gauge(float64(i)) }},
		{labels.FromStrings("__name__", "vanishing"), model.MetricTypeGauge, "", func(i int) samplelog.Sample {
			if i%7 == 6 {
				return gauge(math.Float64frombits(value.StaleNaN))
			}
			return gauge(1)
		}},
	}
	for i := range 20 {
		all = append(all, metric{
			labels.FromStrings("__name__", "many", "n", fmt.Sprintf("%02d", i)), model.MetricTypeGauge, "", func(round int) samplelog.Sample { return gauge(float64(round * i)) },
		})
	}
	return all
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func options(dir string) samplelog.Options {
	return samplelog.Options{FS: samplelog.Disk{}, Dir: dir, Shards: shards, SegmentBytes: 16 << 10, OnFull: samplelog.Block, Logger: quiet()}
}

// folder is a log on disk, and what is in it.
type folder struct {
	dir                          string
	all, backlog                 []want
	quarantine, expired          []want
	repeated                     int // of all, within the log
	acknowledged, dropped, aside uint64
}

// newFolder writes a log whose samples are known, of which about a third is settled and still there in part.
func newFolder(t *testing.T) *folder {
	t.Helper()
	f := &folder{dir: filepath.Join(t.TempDir(), "log")}
	l, err := samplelog.Open(options(f.dir))
	require.NoError(t, err)
	f.fill(t, l)
	f.settle(t, l)
	f.setAside(t)
	require.NoError(t, l.Close())
	return f
}

func (f *folder) fill(t *testing.T, l *samplelog.Log) {
	t.Helper()
	all := metrics()
	refs := make([]ref, len(all))
	for round := range rounds {
		require.NoError(t, l.Append(t.Context(), func(b *samplelog.Batch) error {
			for i := range all {
				if refs[i].generation != b.Generation() {
					refs[i] = ref{b.Generation(), define(b, &catalogued{labels: all[i].labels, kind: all[i].kind, help: all[i].help})}
				}
				s := all[i].value(round)
				s.T = start + int64(round)*every + int64(i)
				b.Add(refs[i].ref, &s)
				if round%100 == 99 && i == 1 { // one more time, with another value
					again := s
					again.V = -1
					b.Add(refs[i].ref, &again)
					f.repeated++
				}
			}
			return nil
		}))
	}
}

// settle reads a third of each shard as a sender would, and puts it into the checkpoint.
func (f *folder) settle(t *testing.T, l *samplelog.Log) {
	t.Helper()
	run := l.Runs(0)[0]
	states := make([]samplelog.ShardState, shards)
	for shard := range shards {
		r := l.Reader(run, shard, samplelog.Position{}, 0)
		for p, err := r.Next(); !errors.Is(err, samplelog.ErrNothingNew); p, err = r.Next() {
			require.NoError(t, err)
			for i := range p.Samples {
				w := wanted(p.View.PromLabels(p.Samples[i].Ref), &p.Samples[i])
				f.all = append(f.all, w)
				seq := p.Seq + uint64(i)
				if seq < 3000+uint64(shard) { // within a batch
					states[shard] = samplelog.ShardState{Position: samplelog.Position{Segment: p.At.Segment, Offset: p.At.Offset, Skip: i + 1}, Seq: seq + 1}
					continue
				}
				f.backlog = append(f.backlog, w)
			}
		}
		r.Close()
	}
	f.dropped, f.aside = 40, 7
	f.acknowledged = states[0].Seq + states[1].Seq - f.dropped - f.aside
	l.Checkpointer().Change(func(c *samplelog.Checkpoint) {
		c.Run, c.Shards, c.Accepted, c.NextSegment = run.ID, states, l.Stats().Accepted, l.Stats().Next
		c.Totals = samplelog.Totals{
			Acknowledged: f.acknowledged, Expired: 3, Quarantined: map[string]uint64{"duplicate": 4}, Dropped: map[string]uint64{"log_full": f.dropped},
		}
		c.Remembered = samplelog.Remembered{Destination: "0011223344556677", Protocol: "1.0", MaxSamples: 5000}
	})
	require.NoError(t, l.Checkpointer().Store())
	for shard, s := range states {
		l.Release(run.ID, shard, s.Position)
	}
}

// setAside puts a few samples into the quarantine and among the expired ones.
func (f *folder) setAside(t *testing.T) {
	t.Helper()
	put := func(name, note string, at int64, n int) (put []want) {
		aside := delivery.NewSetAside(samplelog.Disk{}, filepath.Join(f.dir, name), 1<<20, quiet())
		defer func() { assert.NoError(t, aside.Close()) }()
		source := t.TempDir()
		l, err := samplelog.Open(options(source))
		require.NoError(t, err)
		series := labels.FromStrings("__name__", "refused", "set", name)
		require.NoError(t, l.Append(t.Context(), func(b *samplelog.Batch) error {
			r := define(b, &catalogued{labels: series})
			var samples []samplelog.Sample
			for i := range n {
				samples = append(samples, samplelog.Sample{Ref: r, T: at + int64(i), V: float64(i)})
				put = append(put, wanted(series, &samples[i]))
			}
			return aside.Put(b.View(), samples, note)
		}))
		require.NoError(t, l.Close())
		return put
	}
	f.quarantine = put(delivery.QuarantineFolder, "duplicate: HTTP 400 Bad Request: duplicate sample for timestamp", start-5000, 4)
	f.expired = put(delivery.ExpiredFolder, "older than the receiver takes", start-9000, 3)
}

// snapshot is all that is in a folder.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			files[path] = "folder"
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // the test's own folder
		files[path] = string(content)
		return err
	}))
	return files
}

func opened(t *testing.T, dir string) *Logs {
	t.Helper()
	before := snapshot(t, dir)
	t.Cleanup(func() { assert.Equal(t, before, snapshot(t, dir), "the folder has been changed") })
	l, err := Open(dir)
	require.NoError(t, err)
	return l
}

func selected(t *testing.T, l *Logs, sel Selection) []want {
	t.Helper()
	r, err := l.Select(sel)
	require.NoError(t, err)
	var got []want
	require.NoError(t, r.Each(func(s *Sample) error {
		got = append(got, wanted(s.Labels, &s.Sample))
		return nil
	}))
	return got
}

// firsts leaves one sample of each series and time: the first.
func firsts(all []want) []want {
	type key struct {
		series string
		t      int64
	}
	seen := map[key]bool{}
	var left []want
	for _, w := range all {
		if k := (key{w.Series, w.T}); !seen[k] {
			seen[k] = true
			left = append(left, w)
		}
	}
	return left
}

func nothing(uint64, uint64) {}
