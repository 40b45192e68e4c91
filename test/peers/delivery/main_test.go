// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const contentTypeV2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"

func send(t *testing.T, url, contentType string, request interface{ Marshal() ([]byte, error) }) (answer, int) {
	t.Helper()
	decoded, err := request.Marshal()
	require.NoError(t, err)
	body := snappy.Encode(nil, decoded)
	return sendBody(t, url, contentType, body), len(body)
}

func sendBody(t *testing.T, url, contentType string, body []byte) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+writePath, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return answer{resp.StatusCode, resp.Header}
}

type answer struct {
	status int
	header http.Header
}

func requestV1(series ...string) *prompb.WriteRequest {
	r := &prompb.WriteRequest{}
	for i, name := range series {
		r.Timeseries = append(r.Timeseries, prompb.TimeSeries{
			Labels:  []prompb.Label{{Name: "__name__", Value: name}, {Name: "app", Value: "tool-manager"}},
			Samples: []prompb.Sample{{Value: float64(i), Timestamp: 1}, {Value: math.NaN(), Timestamp: 2}},
		})
	}
	return r
}

func requestV2(series ...string) *writev2.Request {
	symbols := writev2.NewSymbolTable()
	r := &writev2.Request{}
	for i, name := range series {
		r.Timeseries = append(r.Timeseries, writev2.TimeSeries{
			LabelsRefs: symbols.SymbolizeLabels(labels.FromStrings("__name__", name, "app", "tool-manager"), nil),
			Samples:    []writev2.Sample{{Value: float64(i), Timestamp: 1}, {Timestamp: 2}},
			Exemplars:  []writev2.Exemplar{{Value: 1, Timestamp: 1}},
		})
	}
	r.Timeseries = append(r.Timeseries, writev2.TimeSeries{
		LabelsRefs: symbols.SymbolizeLabels(labels.FromStrings("__name__", "native"), nil),
		Histograms: []writev2.Histogram{writev2.FromIntHistogram(0, 1, &histogram.Histogram{Count: 1, Sum: 1})},
	})
	r.Symbols = symbols.Symbols()
	return r
}

func stats(t *testing.T, url string) counts {
	t.Helper()
	body, err := get(t.Context(), url+statsPath, time.Minute)
	require.NoError(t, err)
	var c counts
	require.NoError(t, json.Unmarshal(body, &c))
	return c
}

func TestSinkCounts(t *testing.T) {
	server := httptest.NewServer(newSink().handler())
	defer server.Close()

	resp, size := send(t, server.URL, "application/x-protobuf", requestV1("a", "b", "c"))
	assert.Equal(t, http.StatusNoContent, resp.status)
	assert.Empty(t, resp.header.Get("X-Prometheus-Remote-Write-Samples-Written"), "remote write 1.0 has no such header")
	want := counts{
		Requests: 1, Bytes: int64(size), Samples: 6, TimeSeries: 3, Labels: 6, Verified: 1, Series: 3, LabelNames: []string{"__name__", "app"},
	}
	got := stats(t, server.URL)
	want.Fingerprint = got.Fingerprint
	assert.Equal(t, want, got)
	assert.NotZero(t, got.Fingerprint)

	resp, sizeV2 := send(t, server.URL, contentTypeV2, requestV2("a", "b"))
	assert.Equal(t, http.StatusNoContent, resp.status)
	assert.Equal(t, "4", resp.header.Get("X-Prometheus-Remote-Write-Samples-Written"))
	assert.Equal(t, "1", resp.header.Get("X-Prometheus-Remote-Write-Histograms-Written"))
	assert.Equal(t, "2", resp.header.Get("X-Prometheus-Remote-Write-Exemplars-Written"))
	got = stats(t, server.URL)
	want.Requests, want.RequestsV2, want.Bytes = 2, 1, int64(size+sizeV2)
	want.Samples, want.Histograms, want.Exemplars, want.TimeSeries, want.Labels = 11, 1, 2, 6, 11
	want.Series, want.Fingerprint = 4, got.Fingerprint // a and b are the same series in both protocols
	assert.Equal(t, want, got)
}

func TestSinkTellsSeriesApart(t *testing.T) {
	server := httptest.NewServer(newSink().handler())
	defer server.Close()
	fingerprint := func(contentType string, request interface{ Marshal() ([]byte, error) }) uint64 {
		resp, err := http.Post(server.URL+resetPath, "", nil)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		send(t, server.URL, contentType, request)
		return stats(t, server.URL).Fingerprint
	}
	withNative := requestV1("a", "b")
	withNative.Timeseries = append(withNative.Timeseries, prompb.TimeSeries{
		Labels:     []prompb.Label{{Name: "__name__", Value: "native"}},
		Histograms: []prompb.Histogram{prompb.FromIntHistogram(1, &histogram.Histogram{Count: 1, Sum: 1})},
	})
	assert.Equal(t, fingerprint("application/x-protobuf", withNative), fingerprint(contentTypeV2, requestV2("b", "a")))
	assert.NotEqual(t, fingerprint("application/x-protobuf", requestV1("a", "b")), fingerprint("application/x-protobuf", requestV1("a", "c")))
}

func TestSinkRefuses(t *testing.T) {
	unsorted := requestV1("a")
	slicesReverse(unsorted.Timeseries[0].Labels)
	decoded, err := unsorted.Marshal()
	require.NoError(t, err)
	badRef, err := (&writev2.Request{Symbols: []string{""}, Timeseries: []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2}}}}).Marshal()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		contentType string
		body        []byte
		status      int
		invalid     string
	}{
		"not snappy":        {"application/x-protobuf", []byte{0xff, 0xff}, http.StatusBadRequest, "decompressing a request: "},
		"not protobuf":      {"application/x-protobuf", snappy.Encode(nil, []byte{0xff}), http.StatusBadRequest, "a request is not protobuf: "},
		"unknown symbol":    {contentTypeV2, snappy.Encode(nil, badRef), http.StatusBadRequest, "a series refers to a symbol that its request does not have"},
		"labels not sorted": {"application/x-protobuf", snappy.Encode(nil, decoded), http.StatusNoContent, "labels are not sorted: "},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(newSink().handler())
			defer server.Close()
			assert.Equal(t, c.status, sendBody(t, server.URL, c.contentType, c.body).status)
			assert.Contains(t, stats(t, server.URL).Invalid, c.invalid)
		})
	}
}

func slicesReverse(l []prompb.Label) { l[0], l[1] = l[1], l[0] }

// parse returns series and values of a page, as Prometheus reads it.
func parse(t *testing.T, text []byte) (series map[string]float64, families int) {
	t.Helper()
	p, err := textparse.New(text, textFormat, labels.NewSymbolTable(), textparse.ParserOptions{})
	require.NoError(t, err)
	series = map[string]float64{}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return series, families
		}
		require.NoError(t, err)
		switch entry {
		case textparse.EntryType:
			families++
		case textparse.EntrySeries:
			var l labels.Labels
			p.Labels(&l)
			_, _, v := p.Series()
			series[l.String()] = v
		}
	}
}

func TestPage(t *testing.T) {
	p := newPage(3, 2500)
	first, families := parse(t, p.append(nil, 1))
	second, _ := parse(t, p.append(nil, 2))
	assert.Len(t, first, 2500, "series, no two alike")
	assert.Equal(t, 260, families)
	var same int
	for name, v := range second {
		if first[name] == v {
			same++
		}
		if strings.Contains(name, "_total") || strings.Contains(name, "_bucket") || strings.Contains(name, "_count") {
			assert.GreaterOrEqual(t, v, first[name], "%s is a counter", name)
		}
	}
	assert.InDelta(t, 2500*0.4, same, 2500*0.07, "series that do not change")

	again := newPage(3, 2500)
	assert.Equal(t, p.append(nil, 7), again.append(nil, 7), "the same on every run")
	for _, n := range []int{100, 501, 10_000} {
		series, _ := parse(t, newPage(0, n).append(nil, 0))
		assert.Len(t, series, n)
	}
}

func TestReadUsage(t *testing.T) {
	before, err := readUsage(os.Getpid())
	require.NoError(t, err)
	spent := readProcess()
	for readProcess().cpu < spent.cpu+100*time.Millisecond {
	}
	after, err := readUsage(os.Getpid())
	require.NoError(t, err)
	assert.InDelta(t, 0.1, (after.cpu - before.cpu).Seconds(), 0.05)
	assert.Greater(t, after.rss, 5.0)
	assert.Less(t, after.rss, 1000.0)
	assert.GreaterOrEqual(t, after.peak, after.rss-1)

	_, err = readUsage(math.MaxInt32)
	assert.ErrorContains(t, err, "the process has ended")
}

// sample is a run of all sides in which ours is at the given share of the others.
func sample(share float64) results {
	other := measurement{cpu: 10, rss: 100, peak: 110, bytes: 20, rate: 20_040, fingerprint: 1}
	ours := measurement{cpu: 10 * share, rss: 100 * share, peak: 110, bytes: 20 * share, rate: 20_000, fingerprint: 1}
	of := func(m measurement) []measurement {
		low, high := m, m
		low.cpu, high.cpu = m.cpu-1, m.cpu+2
		return []measurement{high, m, low}
	}
	return results{oursV1: of(ours), oursV2: of(ours), legacy: of(other), leanest: of(other), agent: of(other)}
}

func TestFigures(t *testing.T) {
	f := sample(0.4).figures(&share{Microseconds: 1.25, Allocations: 0.049})
	line, err := json.Marshal(f)
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(line, &got))
	assert.InDelta(t, 20_000, got["samples_per_s"], 0)
	assert.Equal(t, map[string]any{"ours": 4.0, "ours_v2": 4.0, "legacy": 10.0, "leanest": 10.0, "agent": 10.0}, got["cpu_us"])
	assert.Equal(t, map[string]any{"ours": 40.0, "ours_v2": 40.0, "legacy": 100.0, "leanest": 100.0, "agent": 100.0}, got["rss_mib"])
	assert.Equal(t, map[string]any{"ours_v1": 8.0, "ours_v2": 8.0, "legacy": 20.0, "leanest": 20.0, "agent": 20.0}, got["bytes"])
	assert.InDelta(t, 1.25, got["exporter_us"], 0)
	assert.InDelta(t, 0, got["allocs_per_sample"], 0)
	assert.Equal(t, map[string]any{
		"cpu_legacy": 0.4, "cpu_leanest": 0.4, "cpu_agent": 0.4, "rss_leanest": 0.4, "rss_agent": 0.4, "bytes_v1_agent": 0.4, "bytes_v2_agent": 0.4,
	}, got["ratios"])
	assert.Equal(t, [2]float64{3, 6}, f.Ranges["ours"])
	require.NoError(t, f.check())

	table := sample(0.4).table(options{rounds: 3, targets: 40, series: 2500, interval: 5 * time.Second}, f, nil)
	assert.Contains(t, table, "20040 samples a second")
	assert.Regexp(t, `ours, remote write 1.0 +4.00 +3.00, 6.00 +40 `, table)
	assert.NotContains(t, table, "BROKEN")
}

func TestPromises(t *testing.T) {
	err := sample(1.2).figures(&share{Microseconds: 1.5, Allocations: 0.1}).check()
	require.Error(t, err)
	for _, broken := range []string{
		"cpu_legacy: CPU a sample, of the legacy shape's is 1.2, promised is at most 0.45",
		"cpu_leanest: ", "rss_leanest: ", "bytes_v1_agent: ", "bytes_v2_agent: ",
		"exporter_us: CPU a sample in the exporter alone, microseconds is 1.5, promised is less than 1.5",
		"allocs_per_sample: allocations a sample in the exporter is 0.1, promised is none",
	} {
		assert.ErrorContains(t, err, broken)
	}
	assert.NotContains(t, err.Error(), "cpu_agent")

	r := sample(0.4)
	delete(r, leanest)
	delete(r, legacy)
	require.NoError(t, r.figures(nil).check(), "what was not measured is not broken")
}

func TestComparable(t *testing.T) {
	r := sample(0.4)
	r[legacy][0].fingerprint = 2
	require.NoError(t, r.comparable(), "the legacy shape has labels of its own")
	r[agent][0].fingerprint = 3
	assert.EqualError(t, r.comparable(), "the sides did not deliver the same series, their bytes cannot be compared: ours_v1, ours_v2, leanest / agent")
}
