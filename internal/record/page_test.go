// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// token is an obviously fake secret, put together here so that none stands in the source.
const token = "Bearer " + "abc123def456ghi789jkl"

func newCleaner(anonymise bool, pseudonyms ...string) *pageCleaner {
	c := &pageCleaner{redactor: newRedactor(), pseudonyms: newPseudonyms(pseudonyms), leftOut: tally{}}
	if anonymise {
		c.anonymiser = newAnonymiser()
	}
	return c
}

// TestCleanKeeps: what holds nothing stays, to the byte, also where it is no page.
func TestCleanKeeps(t *testing.T) {
	for name, page := range map[string]string{
		"text": "# HELP a_total Some \\n help.\n# TYPE a_total counter\n\n  a_total{ x = \"y\\\"\" , } 1.50e3 1700000000000\na_total\t2\n# a comment\n" +
			"{\"utf.8\",x=\"y\"} NaN\nb{le=\"1\",quantile=\"0.50\"} +Inf\n",
		"no page": "<html>\n<body>a & b = 1</body>\na_total{ 1\n}{\n\xff\xfe\n",
		"empty":   "",
	} {
		assert.Equal(t, page, string(newCleaner(false).clean("p", []byte(page), false)), name)
	}
	page := "# TYPE a counter\n# UNIT a seconds\n# HELP a help\na_total{x=\"y\"} 1 1700000000.000 # {trace_id=\"abc # def\"} 0.5 1700000000.1\na_created 1.7e9\n# EOF\n"
	assert.Equal(t, page, string(newCleaner(false).clean("p", []byte(page), true)))
}

func TestCleanRedacts(t *testing.T) {
	c := newCleaner(false)
	other := strings.Replace(token, "abc", "xyz", 1)
	page := fmt.Sprintf(`# HELP a_total Sent with %[1]s
# %[1]s
a_total{auth="%[1]s",x="y\"\\"} 1 1700000000000
a_total{auth="%[2]s",x="y\"\\"} 2
a_total{auth="%[1]s",x="a\nb"} 3
{"utf.8","label.ü"="%[1]s"} 4
not a sample: %[1]s
`, token, other)
	assert.Equal(t, `# HELP a_total redacted-bearer_token-1
# redacted-bearer_token-2
a_total{auth="redacted-bearer_token-3",x="y\"\\"} 1 1700000000000
a_total{auth="redacted-bearer_token-4",x="y\"\\"} 2
a_total{auth="redacted-bearer_token-3",x="a\nb"} 3
{"utf.8","label.ü"="redacted-bearer_token-3"} 4
`, string(c.clean("p", []byte(page), false)))
	assert.Equal(t, map[string]int{
		"bearer_token in help of a_total": 1, "bearer_token in comment": 1, "bearer_token in label auth": 2, "bearer_token in label label.ü": 1, "bearer_token in line": 1,
	}, c.redactor.found.counts())
	assert.Equal(t, map[string]int{"pages with lines that no parser takes": 1}, c.leftOut.counts())

	page = "a_total{x=\"y\"} 1 # {auth=\"" + token + "\"} 1\n# EOF\n"
	assert.Equal(t, "a_total{x=\"y\"} 1\n# EOF\n", string(c.clean("p", []byte(page), true)))
	assert.Equal(t, 1, c.leftOut.counts()["pages with exemplars that hold secrets"])
}

func TestPseudonyms(t *testing.T) {
	c := newCleaner(false, "customer")
	page := "a{customer=\"Big Corp\",x=\"y\"} 1\na{customer=\"Other\",x=\"y\"} 2\na{customer=\"\",x=\"y\"} 3\nb{customer=\"Big Corp\"} 4\nbroken{customer=\"Big Corp\"\n"
	assert.Equal(t, "a{customer=\"customer-1\",x=\"y\"} 1\na{customer=\"customer-2\",x=\"y\"} 2\na{customer=\"\",x=\"y\"} 3\nb{customer=\"customer-1\"} 4\n",
		string(c.clean("p", []byte(page), false)))
	assert.Equal(t, "c{customer=\"customer-1\"} 1\n", string(c.clean("another page", []byte("c{customer=\"Big Corp\"} 1\n"), false)), "the same everywhere")
}

// samples reads a page with Prometheus's parser.
func samples(t *testing.T, page []byte, contentType string) map[string]float64 {
	t.Helper()
	parser, err := textparse.New(page, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	require.NoError(t, err)
	values := map[string]float64{}
	for {
		kind, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return values
		}
		require.NoError(t, err)
		if kind == textparse.EntrySeries {
			var ls labels.Labels
			_, _, value := parser.Series()
			parser.Labels(&ls)
			values[ls.String()] = value
		}
	}
}

// TestAnonymise: other values, which behave alike from sample to sample.
func TestAnonymise(t *testing.T) {
	c := newCleaner(true)
	clean := func(requests, zero, memory, b1, b5, sum, count float64) map[string]float64 {
		page := fmt.Sprintf(`# TYPE requests_total counter
requests_total %g
# TYPE zero_total counter
zero_total %g
# TYPE memory_bytes gauge
memory_bytes %g
# TYPE up gauge
up 1
# TYPE not gauge
not NaN
# TYPE lat histogram
lat_bucket{le="1"} %g
lat_bucket{le="5"} %g
lat_bucket{le="10"} %[5]g
lat_bucket{le="+Inf"} %[7]g
lat_sum %[6]g
lat_count %[7]g
# TYPE s summary
s{quantile="0.9"} 77
s{quantile="0.5"} 11
s_sum %[6]g
s_count %[7]g
`, requests, zero, memory, b1, b5, sum, count)
		cleaned := c.clean("p", []byte(page), false)
		for _, value := range []float64{requests, memory, sum} {
			if value > 1 {
				assert.NotContains(t, string(cleaned), fmt.Sprintf(" %g\n", value), "the real value")
			}
		}
		got := samples(t, cleaned, "text/plain")
		assert.LessOrEqual(t, got[`{__name__="lat_bucket", le="1.0"}`], got[`{__name__="lat_bucket", le="5.0"}`])
		assert.InDelta(t, got[`{__name__="lat_bucket", le="5.0"}`], got[`{__name__="lat_bucket", le="10.0"}`], 0, "an empty bucket stays empty")
		assert.InDelta(t, got[`{__name__="lat_count"}`], got[`{__name__="lat_bucket", le="+Inf"}`], 0)
		assert.Less(t, got[`{__name__="s", quantile="0.5"}`], got[`{__name__="s", quantile="0.9"}`])
		assert.InDelta(t, 1, got[`{__name__="up"}`], 0)
		return got
	}
	first := clean(123456, 0, 987654, 100, 200, 3333, 345)
	second := clean(123999, 5, 987654, 110, 220, 4444, 371)
	same := clean(123999, 5, 987654, 110, 220, 4444, 371)
	reset := clean(12345, 0, 999999, 10, 20, 222, 34)

	assert.Greater(t, second[`{__name__="requests_total"}`], first[`{__name__="requests_total"}`])
	assert.Equal(t, fmt.Sprint(second), fmt.Sprint(same), "no change")
	assert.Less(t, reset[`{__name__="requests_total"}`], second[`{__name__="requests_total"}`])
	assert.Zero(t, first[`{__name__="zero_total"}`])
	assert.Positive(t, second[`{__name__="zero_total"}`])
	assert.Zero(t, reset[`{__name__="zero_total"}`])
	assert.InDelta(t, first[`{__name__="memory_bytes"}`], second[`{__name__="memory_bytes"}`], 0)
	assert.NotEqual(t, second[`{__name__="memory_bytes"}`], reset[`{__name__="memory_bytes"}`]) //nolint:testifylint // any other value
	for _, series := range []string{`lat_bucket", le="1.0"`, `lat_bucket", le="+Inf"`, `lat_count"`, `lat_sum"`, `s_count"`, `s_sum"`} {
		name := `{__name__="` + series + `}`
		assert.Positive(t, first[name], name)
		assert.Greater(t, second[name], first[name], name)
		assert.Less(t, reset[name], second[name], name)
	}
	assert.InDelta(t, second[`{__name__="s_count"}`]-first[`{__name__="s_count"}`], first[`{__name__="s_count"}`], 1e-9)
}

func TestAnonymiseOpenMetrics(t *testing.T) {
	c := newCleaner(true)
	page := "# TYPE a counter\na_total 77 1700000000.000 # {trace_id=\"abc\"} 0.5\na_created 1.7e+09\n# TYPE g gaugehistogram\n" +
		"g_bucket{le=\"1\"} 22\ng_bucket{le=\"+Inf\"} 33\ng_gsum 44\ng_gcount 33\n# TYPE i info\ni_info{v=\"1\"} 1\n# EOF\n"
	got := string(c.clean("p", []byte(page), true))
	assert.NotContains(t, got, "trace_id")
	assert.Contains(t, got, "\na_created 1.7e+09\n")
	values := samples(t, []byte(got), "application/openmetrics-text")
	assert.InDelta(t, values[`{__name__="g_gcount"}`], values[`{__name__="g_bucket", le="+Inf"}`], 0)
	for _, real := range []string{" 77 ", " 22\n", " 33\n", " 44\n"} {
		assert.NotContains(t, got, real)
	}
}

// BenchmarkClean: a page of 100,000 samples, 10 MiB.
func BenchmarkClean(b *testing.B) {
	var page strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&page, "http_request_duration_seconds_bucket{handler=\"/api/v1/query\",method=\"GET\",code=\"200\",instance_id=\"%d\",le=\"0.5\"} %d\n", i, i)
	}
	b.SetBytes(int64(page.Len()))
	for b.Loop() {
		newCleaner(true).clean("p", []byte(page.String()), false)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a_total{x=\"y\"} 1 1700000000000\n# HELP a b\n", false, false)
	f.Add("a_total{x=\""+token+"\"} 1 # {t=\"x\"} 1\n# EOF\n", true, true)
	f.Add("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n", false, true)
	f.Fuzz(func(t *testing.T, page string, openMetrics, anonymise bool) {
		c := newCleaner(anonymise)
		cleaned := string(c.clean("p", []byte(page), openMetrics))
		if !anonymise && len(c.redactor.found) == 0 {
			assert.Equal(t, strings.TrimSuffix(page, "\n"), strings.TrimSuffix(cleaned, "\n"))
		}
		again := newCleaner(false)
		again.clean("p", []byte(cleaned), openMetrics)
		assert.Empty(t, again.redactor.found, "a secret is left in %q", cleaned)
	})
}
