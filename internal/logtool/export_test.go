// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

func reader(t *testing.T, dir string, sel Selection) *Reader {
	t.Helper()
	r, err := opened(t, dir).Select(sel)
	require.NoError(t, err)
	return r
}

// isText says whether OpenMetrics text has a form for a sample.
func isText(w want) bool {
	return !strings.HasPrefix(w.Value, "{") && w.Value != fmt.Sprintf("%x", 0x7ff0000000000002)
}

// sameNaN makes all NaN the one that a parser gives.
func sameNaN(all []want) []want {
	var same []want
	for _, w := range all {
		var bits uint64
		if _, err := fmt.Sscanf(w.Value, "%x", &bits); err == nil && math.IsNaN(math.Float64frombits(bits)) && isText(w) {
			w.Value = "NaN"
		}
		same = append(same, w)
	}
	return same
}

func TestOpenMetrics(t *testing.T) {
	f := newFolder(t)
	for name, c := range map[string]struct {
		sel  Selection
		want []want
	}{
		"backlog":    {Selection{}, f.backlog},
		"quarantine": {Selection{Quarantine: true}, f.quarantine},
		"expired":    {Selection{Expired: true}, f.expired},
	} {
		t.Run(name, func(t *testing.T) {
			var text bytes.Buffer
			done, err := reader(t, f.dir, c.sel).OpenMetrics(t.Context(), &text, nothing)
			require.NoError(t, err)
			var wants []want
			for _, w := range firsts(c.want) {
				if isText(w) {
					wants = append(wants, w)
				}
			}
			got := parsed(t, text.Bytes())
			assert.ElementsMatch(t, sameNaN(wants), sameNaN(got))
			assert.Equal(t, uint64(len(wants)), done.Samples)
			assert.Equal(t, uint64(len(c.want)), done.Samples+done.Repeated+done.StaleMarkers+done.NativeHistograms)
			assert.True(t, strings.HasSuffix(text.String(), "\n# EOF\n"))
		})
	}
}

// parsed reads the text with Prometheus's own parser, and checks that families and series are each in one place, and times rise.
func parsed(t *testing.T, text []byte) []want {
	t.Helper()
	p := textparse.NewOpenMetricsParser(text, labels.NewSymbolTable())
	var got []want
	families, seen, last := map[string]bool{}, map[string]bool{}, want{T: math.MinInt64}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		require.NoError(t, err)
		switch entry {
		case textparse.EntryType:
			name, _ := p.Type()
			require.False(t, families[string(name)], "family %s is there twice", name)
			families[string(name)] = true
		case textparse.EntrySeries:
			_, at, v := p.Series()
			require.NotNil(t, at)
			var ls labels.Labels
			p.Labels(&ls)
			w := wanted(ls, &samplelog.Sample{T: *at, V: v})
			if w.Series != last.Series {
				require.False(t, seen[w.Series], "series %s is there twice", w.Series)
				seen[w.Series] = true
			} else {
				require.Greater(t, w.T, last.T, "times of %s", w.Series)
			}
			last = w
			got = append(got, w)
		default:
		}
	}
}

func TestOpenMetricsText(t *testing.T) {
	f := newFolder(t)
	until := start + 320*every
	var text bytes.Buffer
	done, err := reader(t, f.dir, Selection{Until: until, Since: until - every/2}).OpenMetrics(t.Context(), &text, nothing)
	require.NoError(t, err)
	assert.Equal(t, 1, done.Series)
	assert.Equal(t, `# TYPE requests counter
# HELP requests How many \"requests\".\nOr \\ more.
requests_total{job="a"} 320 1790009600.000 # {trace_id="1"} 0.5 1790009600.000
# EOF
`, text.String())

	text.Reset()
	_, err = reader(t, f.dir, Selection{Since: until + 1, Until: until + every - 1}).OpenMetrics(t.Context(), &text, nothing)
	require.NoError(t, err)
	for _, line := range []string{
		"# TYPE \"http.requests\" gauge\n# HELP \"http.requests\" UTF-8.\n{\"http.requests\",\"http.route\"=\"/x\"} 320 1790009600.008\n",
		"# TYPE lookups unknown\nlookups{job=\"a\"} 320 1790009600.003\n",
		"# TYPE size_bytes_bucket unknown\n# HELP size_bytes_bucket Sizes.\nsize_bytes_bucket{le=\"+Inf\"} 320 1790009600.005\nsize_bytes_bucket{le=\"1.0\"} 320 1790009600.004\n",
		"# TYPE temperature gauge\ntemperature{room=\"a \\\"quoted\\\"\\nname\"} NaN 1790009600.002\n",
	} {
		assert.Contains(t, text.String(), line)
	}
}

func TestTimesSurviveTheParser(t *testing.T) {
	f := func(at int64) {
		t.Helper()
		text := append(appendTime([]byte("x 1 "), at), "\n# EOF\n"...)
		p := textparse.NewOpenMetricsParser(text, labels.NewSymbolTable())
		_, err := p.Next()
		require.NoError(t, err, string(text))
		_, got, _ := p.Series()
		require.Equal(t, at, *got, string(text))
	}
	for at := start; at < start+3000; at++ {
		f(at)
		f(-at)
	}
	f(0)
	f(-1)
}

func TestTSDB(t *testing.T) {
	f := newFolder(t)
	for name, c := range map[string]struct {
		sel  Selection
		want []want
	}{
		"backlog":             {Selection{}, f.backlog},
		"expired and refused": {Selection{Expired: true, Quarantine: true}, append(append([]want{}, f.expired...), f.quarantine...)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var last [2]uint64
			done, err := reader(t, f.dir, c.sel).TSDB(t.Context(), dir, func(done, all uint64) { last = [2]uint64{done, all} })
			require.NoError(t, err)
			wants := firsts(c.want)
			assert.ElementsMatch(t, sameNaN(wants), sameNaN(blocks(t, dir)))
			assert.Equal(t, uint64(len(wants)), done.Samples)
			assert.Equal(t, uint64(len(c.want)), done.Samples+done.Repeated)
			assert.Zero(t, done.Invalid)
			assert.NotEmpty(t, done.Blocks)
			assert.Equal(t, [2]uint64{uint64(len(c.want)), uint64(len(c.want))}, last)
		})
	}
}

// blocks reads all blocks of a folder with Prometheus's own storage.
func blocks(t *testing.T, dir string) []want {
	t.Helper()
	db, err := tsdb.OpenDBReadOnly(dir, t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	readers, err := db.Blocks()
	require.NoError(t, err)
	var got []want
	for _, b := range readers {
		require.LessOrEqual(t, b.Meta().MaxTime-b.Meta().MinTime, tsdb.DefaultBlockDuration)
		q, err := tsdb.NewBlockQuerier(b, math.MinInt64, math.MaxInt64)
		require.NoError(t, err)
		got = append(got, samplesOf(t, q)...)
		require.NoError(t, q.Close())
	}
	return got
}

func samplesOf(t *testing.T, q storage.Querier) (got []want) {
	t.Helper()
	set := q.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
	for set.Next() {
		it := set.At().Iterator(nil)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			var s samplelog.Sample
			switch kind {
			case chunkenc.ValFloat:
				s.T, s.V = it.At()
			case chunkenc.ValHistogram:
				s.T, s.H = it.AtHistogram(nil)
			default:
				s.T, s.FH = it.AtFloatHistogram(nil)
			}
			got = append(got, wanted(set.At().Labels(), &s))
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	return got
}

func TestAnExportThatIsInterrupted(t *testing.T) {
	f := newFolder(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := reader(t, f.dir, Selection{}).TSDB(ctx, t.TempDir(), nothing)
	require.ErrorIs(t, err, context.Canceled)
	_, err = reader(t, f.dir, Selection{}).OpenMetrics(ctx, io.Discard, nothing)
	require.ErrorIs(t, err, context.Canceled)
}
