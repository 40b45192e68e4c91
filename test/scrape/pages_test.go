// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

var update = flag.Bool("update", false, "write the pages in configs/tests that no person writes")

// overLimit is a little more than one metric of a component may have series.
const overLimit = 10_005

// The pages that no person writes are what is made here: one in protobuf, and two with too many series.
func TestPages(t *testing.T) {
	dir := testbed.Root(t) + "/configs/tests/pages/"
	check := func(name string, want []byte, unpack func([]byte) []byte) {
		t.Helper()
		if *update {
			require.NoError(t, os.WriteFile(dir+name, want, 0o644)) //nolint:gosec // a page for everybody
		}
		have, err := os.ReadFile(dir + name) //nolint:gosec // a file of the test
		require.NoError(t, err)
		assert.True(t, bytes.Equal(unpack(want), unpack(have)), "%s is not what is made here: run `go test ./test/scrape -run TestPages -update`", name)
	}
	check("native.pb", nativePage(t), func(page []byte) []byte { return page })
	unzip := func(page []byte) []byte {
		reader, err := gzip.NewReader(bytes.NewReader(page))
		require.NoError(t, err)
		text, err := io.ReadAll(reader)
		require.NoError(t, err)
		return text
	}
	check("many.prom.gz", manySeries(t, "http_requests_total"), unzip)
	check("more.prom.gz", manySeries(t, "response_status"), unzip)
}

// nativePage has a histogram that is exposed both ways.
func nativePage(t *testing.T) []byte {
	t.Helper()
	var page bytes.Buffer
	require.NoError(t, expfmt.NewEncoder(&page, expfmt.NewFormat(expfmt.TypeProtoDelim)).Encode(&dto.MetricFamily{
		Name: proto.String("agent_manager_http_request_duration_seconds"), Type: dto.MetricType_HISTOGRAM.Enum(),
		Metric: []*dto.Metric{{Histogram: &dto.Histogram{
			SampleCount: proto.Uint64(4), SampleSum: proto.Float64(4.5),
			Bucket: []*dto.Bucket{
				{CumulativeCount: proto.Uint64(1), UpperBound: proto.Float64(0.1)},
				{CumulativeCount: proto.Uint64(3), UpperBound: proto.Float64(1)},
			},
			Schema: proto.Int32(0), ZeroThreshold: proto.Float64(0.001), ZeroCount: proto.Uint64(1),
			PositiveSpan: []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(2)}}, PositiveDelta: []int64{2, -1},
		}}},
	}))
	return page.Bytes()
}

func manySeries(t *testing.T, family string) []byte {
	t.Helper()
	var page bytes.Buffer
	w, err := gzip.NewWriterLevel(&page, gzip.BestCompression)
	require.NoError(t, err)
	_, err = fmt.Fprintf(w, "# TYPE memory_usage gauge\nmemory_usage 1\n# TYPE %s counter\n", family)
	require.NoError(t, err)
	for i := range overLimit {
		_, err = fmt.Fprintf(w, "%s{request_id=\"r%05d\"} 1\n", family, i+1)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return page.Bytes()
}
