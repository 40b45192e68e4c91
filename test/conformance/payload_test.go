// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// created is when the counters of the pages began, exemplarTime a time that an exemplar has of its own.
const (
	created      = int64(1_700_000_000_500)
	exemplarTime = int64(1_700_000_000_123)
)

// everyType has each type of OpenMetrics, with help, units, exemplars and creation times.
const everyType = `# HELP http_requests Total HTTP requests
# TYPE http_requests counter
http_requests_total{method="GET",status="200",handler="/api/v1"} 1000.25 # {trace_id="abc123",span_id="def456"} 999
http_requests_created{method="GET",status="200",handler="/api/v1"} 1700000000.5
http_requests_total{method="POST",status="200",handler="/api/v1"} 500
# HELP memory_usage_bytes Memory in use 🚀 测试 a/b
# TYPE memory_usage_bytes gauge
# UNIT memory_usage_bytes bytes
memory_usage_bytes{emoji="🚀",chinese="测试",empty=""} 1048576
# TYPE request_duration_seconds histogram
# UNIT request_duration_seconds seconds
request_duration_seconds_bucket{le="0.1"} 50 # {trace_id="abc123xyz",user="me"} 0.05 1700000000.123
request_duration_seconds_bucket{le="0.5"} 70
request_duration_seconds_bucket{le="+Inf"} 1000000000
request_duration_seconds_sum 250.5
request_duration_seconds_count 1000000000
request_duration_seconds_created 1700000000.5
# TYPE unused histogram
unused_bucket{le="+Inf"} 0
unused_sum 0.0
unused_count 0
# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.5"} 0.05
rpc_duration_seconds_sum 100.0
rpc_duration_seconds_count 1000
# TYPE build info
build_info{version="1.2.3"} 1
`

// untyped is a page of the older text format, without types, and with what is unusual about values and names.
var untyped = `http:request:duration:seconds 0.5
requests 7
special{type="nan"} NaN
special{type="inf"} +Inf
special{type="ninf"} -Inf
special{type="zero"} 0
special{type="negative"} -123.45
special{type="precise"} 0.1234567890123456
large{value="` + strings.Repeat("x", 10_000) + `"} 42
` + longName + ` 42
`

var longName = "metric_" + strings.Repeat("very_long_name_", 50)

// find returns the one series of that name, and label values, in the first request that has it.
func find(t *testing.T, r run, name string, pairs ...string) (series, *request) {
	t.Helper()
	for _, req := range r.requests {
		found := req.named(name, pairs...)
		if len(found) == 0 {
			continue
		}
		require.Len(t, found, 1, "%s %v", name, pairs)
		return found[0], req
	}
	require.FailNow(t, "not sent", "%s %v", name, pairs)
	return series{}, nil
}

// value returns the first value of a series.
func value(t *testing.T, r run, name string, pairs ...string) float64 {
	t.Helper()
	s, _ := find(t, r, name, pairs...)
	require.NotEmpty(t, s.floats)
	return s.floats[0].v
}

// each calls f for every series that was sent.
func each(r run, f func(*request, *series)) {
	for _, req := range r.requests {
		for i := range req.series {
			f(req, &req.series[i])
		}
	}
}

func payload() []scenario {
	explicit := time.Now().Add(-time.Minute).Truncate(time.Millisecond).UnixMilli()
	soon := time.Now().Add(5 * time.Minute).UnixMilli()
	return []scenario{
		{
			name: "every type over 2.0", page: always(openMetrics(everyType)), until: count(2),
			rows: slices.Concat(protocolRows(), symbolRows(), labelRows(), sampleRows(), exemplarRows(), classicHistogramRows(), metadataRows(), combinedRows()),
		},
		{name: "unusual values and names", page: always(textPage(untyped)), until: count(2), rows: edgeRows()},
		{
			name: "explicit timestamps", until: count(2),
			page: func(n int) page {
				if n > 0 {
					return textPage("here 1\n")
				}
				return textPage(fmt.Sprintf("here 1\nexplicit 42 %d\nzero 42 0\nsoon 42 %d\nfar 42 %d\n", explicit, soon, soon+24*time.Hour.Milliseconds()))
			},
			rows: []row{
				{group: "Sample", name: "explicit_timestamp", level: recommended, wants: "a timestamp that the target gives is the sample's", check: func(t *testing.T, r run) {
					s, _ := find(t, r, "explicit")
					assert.Equal(t, explicit, s.floats[0].t)
				}},
				{group: "Edge", name: "zero_timestamp", level: should, wants: "a timestamp of 0 is handled", does: "refused, and counted as `timestamp`",
					why: "in OTLP, 0 says that there is none", check: func(t *testing.T, r run) {
						each(r, func(_ *request, s *series) { assert.NotEqual(t, "zero", s.name()) })
					}},
				{group: "Edge", name: "future_timestamp", level: should, wants: "a timestamp in the future is handled",
					does: "sent as it is; what is more than 10 minutes ahead is dropped at the scrape, as Prometheus does", check: func(t *testing.T, r run) {
						s, _ := find(t, r, "soon")
						assert.Equal(t, soon, s.floats[0].t)
						each(r, func(_ *request, s *series) { assert.NotEqual(t, "far", s.name()) })
					}},
			},
		},
		{
			name: "a target without series", page: always(textPage("# nothing\n")), until: count(2),
			rows: []row{{group: "Edge", name: "empty_scrape", level: should, wants: "a scrape without metrics is handled",
				does: "`up` and `scrape_*` are sent", check: func(t *testing.T, r run) {
					each(r, func(_ *request, s *series) {
						assert.True(t, s.name() == "up" || strings.HasPrefix(s.name(), "scrape_"), s.name())
					})
					assert.InDelta(t, 1, value(t, r, "up"), 0)
				}}},
		},
		{name: "12,000 series", page: always(textPage(manySeries(12_000))), until: count(4), rows: batchingRows()},
		{name: "native histograms", page: always(nativePage()), until: count(2), job: map[string]any{"scrape_native_histograms": true}, rows: nativeRows()},
		{
			name: "custom buckets", page: always(openMetrics(everyType)), until: count(2), job: map[string]any{"convert_classic_histograms_to_nhcb": true},
			rows: []row{{group: "Histogram", name: "custom_buckets", level: may, wants: "a classic histogram that is scraped as one composite sample stays one (schema -53)",
				does: "classic series again", why: "the collector's Prometheus receiver hands such histograms on in OTLP's form of a classic one; the exporter itself sends custom buckets over 2.0",
				check: func(t *testing.T, r run) {
					find(t, r, "request_duration_seconds_bucket", "le", "0.1")
					assert.InDelta(t, 1e9, value(t, r, "request_duration_seconds_count"), 0)
				}}},
		},
	}
}

func manySeries(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "metric{label=\"%d\"} 1\n", i)
	}
	return b.String()
}

func protocolRows() []row {
	header := func(name, want string) func(*testing.T, run) {
		return func(t *testing.T, r run) {
			for _, req := range r.requests {
				assert.Equal(t, []string{want}, req.header[name])
			}
		}
	}
	return []row{
		{group: "HTTPMethod", name: "http_post_method", level: must, wants: "POST", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				assert.Equal(t, "POST", req.method)
			}
		}},
		{group: "Protocol", name: "content_type_protobuf", level: must, wants: "Content-Type application/x-protobuf", check: func(t *testing.T, r run) {
			assert.Regexp(t, "^application/x-protobuf", r.requests[0].header.Get("Content-Type"))
		}},
		{group: "Protocol", name: "content_type_with_proto_param", level: should, wants: "with proto=io.prometheus.write.v2.Request",
			check: header("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")},
		{group: "Protocol", name: "content_encoding_snappy", level: must, wants: "Content-Encoding snappy", check: header("Content-Encoding", "snappy")},
		{group: "Protocol", name: "snappy_block_format", level: must, wants: "the block format of snappy, not the framed one", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				assert.NoError(t, req.err) // it was read as a block
				assert.False(t, bytes.HasPrefix(req.body, []byte("\xff\x06\x00\x00sNaPpY")))
			}
		}},
		{group: "Protocol", name: "protobuf_parseable", level: must, wants: "a message io.prometheus.write.v2.Request", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				assert.NoError(t, req.err)
				assert.NotNil(t, req.v2)
			}
		}},
		{group: "Protocol", name: "version_header", level: must, wants: "X-Prometheus-Remote-Write-Version 2.0.0", check: header("X-Prometheus-Remote-Write-Version", "2.0.0")},
		{group: "Protocol", name: "user_agent", level: must, wants: "a User-Agent as RFC 9110 has it", check: func(t *testing.T, r run) {
			assert.Regexp(t, `^otelcol-runner/\S+$`, r.requests[0].header.Get("User-Agent"))
		}},
	}
}

func symbolRows() []row {
	return []row{
		{group: "Symbol", name: "empty_string_at_index_zero", level: must, wants: "the first symbol is the empty string", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				assert.Empty(t, req.v2.Symbols[0])
			}
		}},
		{group: "Symbol", name: "string_deduplication", level: recommended, wants: "no string twice", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				sorted := slices.Sorted(slices.Values(req.v2.Symbols))
				assert.Len(t, slices.Compact(sorted), len(req.v2.Symbols))
			}
		}},
		{group: "Symbol", name: "labels_refs_valid_indices", level: must, wants: "every reference has its symbol", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				assert.NoError(t, req.err)
			}
		}},
		{group: "Symbol", name: "labels_refs_even_length", level: must, wants: "references come in pairs", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				for _, ts := range req.v2.Timeseries {
					assert.Zero(t, len(ts.LabelsRefs)%2)
				}
			}
		}},
		{group: "Symbol", name: "symbol_table_efficiency", level: recommended, wants: "no symbol that nothing refers to", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				used := map[uint32]bool{0: true}
				for _, ts := range req.v2.Timeseries {
					for _, ref := range ts.LabelsRefs {
						used[ref] = true
					}
					used[ts.Metadata.HelpRef], used[ts.Metadata.UnitRef] = true, true
					for _, x := range ts.Exemplars {
						for _, ref := range x.LabelsRefs {
							used[ref] = true
						}
					}
				}
				assert.Len(t, used, len(req.v2.Symbols))
			}
		}},
	}
}

// sortedLabels asserts what both versions want of labels.
func sortedLabels(t *testing.T, r run) {
	each(r, func(_ *request, s *series) {
		for i := 1; i < len(s.pairs); i++ {
			assert.Less(t, s.pairs[i-1][0], s.pairs[i][0], s.id())
		}
	})
}

func noEmptyLabels(t *testing.T, r run) {
	each(r, func(_ *request, s *series) {
		for _, p := range s.pairs {
			assert.NotEmpty(t, p[0], s.id())
			assert.NotEmpty(t, p[1], s.id())
		}
	})
}

func labelRows() []row {
	classic := func(t *testing.T, r run) {
		each(r, func(_ *request, s *series) {
			assert.Regexp(t, `^[a-zA-Z_:][a-zA-Z0-9_:]*$`, s.name())
			for _, p := range s.pairs {
				assert.Regexp(t, `^[a-zA-Z_][a-zA-Z0-9_]*$`, p[0])
			}
		})
	}
	return []row{
		{group: "Label", name: "label_lexicographic_ordering", level: must, wants: "labels sorted by name", check: sortedLabels},
		{group: "Label", name: "no_duplicate_labels", level: must, wants: "no label name twice in a series", check: sortedLabels},
		{group: "Label", name: "metric_name_label_present", level: must, wants: "every series has `__name__`", check: func(t *testing.T, r run) {
			each(r, func(_ *request, s *series) { assert.NotEmpty(t, s.name(), s.id()) })
		}},
		{group: "Label", name: "label_completeness", level: must, wants: "all labels of the series, `job` and `instance` among them", check: func(t *testing.T, r run) {
			s, _ := find(t, r, "http_requests_total", "method", "GET")
			assert.Equal(t, [][2]string{
				{"__name__", "http_requests_total"}, {"handler", "/api/v1"}, {"instance", r.instance}, {"job", r.job}, {"method", "GET"}, {"status", "200"},
			}, s.pairs)
		}},
		{group: "Label", name: "metric_name_format", level: should, wants: "metric names of the classic form", does: "as the target has them: `names: escaped` for receivers that want the classic form only", check: classic},
		{group: "Label", name: "label_name_format", level: should, wants: "label names of the classic form", does: "as the target has them, see above", check: classic},
		{group: "Label", name: "empty_label_value", level: must, wants: "no empty label values", check: func(t *testing.T, r run) {
			noEmptyLabels(t, r)
			s, _ := find(t, r, "memory_usage_bytes")
			assert.NotContains(t, s.id(), "[empty ")
		}},
		{group: "Label", name: "special_characters_in_values", level: should, wants: "values as they are", check: func(t *testing.T, r run) {
			find(t, r, "http_requests_total", "method", "GET", "handler", "/api/v1")
		}},
		{group: "Edge", name: "unicode_in_labels", level: must, wants: "Unicode in label values as it is", check: func(t *testing.T, r run) {
			find(t, r, "memory_usage_bytes", "emoji", "🚀", "chinese", "测试")
		}},
	}
}

func sampleRows() []row {
	return []row{
		{group: "Sample", name: "float_sample_encoding", level: must, wants: "the value as it was scraped", check: func(t *testing.T, r run) {
			assert.InDelta(t, 1000.25, value(t, r, "http_requests_total", "method", "GET"), 0)
		}},
		{group: "Sample", name: "timestamp", level: must, wants: "every sample has a fresh timestamp", check: freshTimestamps},
		{group: "Sample", name: "one_sample_per_series", level: suite, wants: "the first request has one sample of each series",
			why: "of several samples of a series, an earlier one could not be repeated after a lost answer", check: func(t *testing.T, r run) {
				for _, req := range r.requests {
					for _, s := range req.series {
						assert.Len(t, s.floats, 1)
					}
				}
			}},
		{group: "Sample", name: "start_timestamp_for_counters", level: should, wants: "counters with the time at which they were created", check: func(t *testing.T, r run) {
			s, _ := find(t, r, "http_requests_total", "method", "GET")
			assert.Equal(t, created, s.floats[0].st)
		}},
		{group: "Sample", name: "start_timestamp_for_histograms", level: should, wants: "histograms too", check: func(t *testing.T, r run) {
			for _, suffix := range []string{"_count", "_sum"} {
				s, _ := find(t, r, "request_duration_seconds"+suffix)
				assert.Equal(t, created, s.floats[0].st)
			}
		}},
		{group: "Timestamp", name: "timestamp_int64_milliseconds", level: must, wants: "milliseconds since the epoch", check: freshTimestamps},
		{group: "Timestamp", name: "timestamp_precision", level: should, wants: "the milliseconds of the scrape", check: freshTimestamps},
		{group: "Timestamp", name: "timestamp_future_values", level: should, wants: "nothing ahead of the clock", check: freshTimestamps},
		{group: "Timestamp", name: "timestamp_ordering_within_series", level: must, wants: "samples of a series in the order of time, over all requests", check: assertOrder},
		{group: "Timestamp", name: "created_timestamp_zero_handling", level: should, wants: "0 where it is not known", check: func(t *testing.T, r run) {
			s, _ := find(t, r, "http_requests_total", "method", "POST")
			assert.Zero(t, s.floats[0].st)
		}},
		{group: "Timestamp", name: "start_timestamp_before_sample_timestamp", level: should, wants: "a start before the sample", check: func(t *testing.T, r run) {
			each(r, func(_ *request, s *series) {
				for _, x := range s.floats {
					assert.Less(t, x.st, x.t, s.id())
				}
			})
		}},
		{group: "Combined", name: "every request has scraped series", level: suite, wants: "no request of `up` and `scrape_*` alone", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				assert.NotEmpty(t, req.named("memory_usage_bytes"))
			}
		}},
	}
}

// freshTimestamps asserts that samples were taken while the collector ran.
func freshTimestamps(t *testing.T, r run) {
	each(r, func(_ *request, s *series) {
		for _, x := range s.floats {
			assert.GreaterOrEqual(t, x.t, r.started.UnixMilli()-1000, s.id())
			assert.LessOrEqual(t, x.t, r.ended.UnixMilli(), s.id())
		}
	})
}

func exemplarRows() []row {
	of := func(t *testing.T, r run, name string, pairs ...string) (exemplar, series) {
		t.Helper()
		s, _ := find(t, r, name, pairs...)
		require.Len(t, s.exemplars, 1)
		return s.exemplars[0], s
	}
	return []row{
		{group: "Exemplar", name: "exemplar_per_sample", level: may, wants: "exemplars with the samples of counters and buckets", check: func(t *testing.T, r run) {
			of(t, r, "http_requests_total", "method", "GET")
			of(t, r, "request_duration_seconds_bucket", "le", "0.1")
		}},
		{group: "Exemplar", name: "value", level: must, wants: "the exemplar's value", check: func(t *testing.T, r run) {
			x, _ := of(t, r, "http_requests_total", "method", "GET")
			assert.InDelta(t, 999, x.v, 0)
			x, _ = of(t, r, "request_duration_seconds_bucket", "le", "0.1")
			assert.InDelta(t, 0.05, x.v, 0)
		}},
		{group: "Exemplar", name: "trace_id_label, span_id_label", level: should, wants: "trace and span", check: func(t *testing.T, r run) {
			x, _ := of(t, r, "http_requests_total", "method", "GET")
			assert.Equal(t, map[string]string{"trace_id": "abc123", "span_id": "def456"}, x.labels)
		}},
		{group: "Exemplar", name: "custom_labels", level: may, wants: "any other label", check: func(t *testing.T, r run) {
			x, _ := of(t, r, "request_duration_seconds_bucket", "le", "0.1")
			assert.Equal(t, map[string]string{"trace_id": "abc123xyz", "user": "me"}, x.labels)
		}},
		{group: "Exemplar", name: "exemplar_timestamp", level: must, wants: "a timestamp, the exemplar's own where it has one", does: "else that of the sample", check: func(t *testing.T, r run) {
			x, _ := of(t, r, "request_duration_seconds_bucket", "le", "0.1")
			assert.Equal(t, exemplarTime, x.t)
			x, s := of(t, r, "http_requests_total", "method", "GET")
			assert.Equal(t, s.floats[0].t, x.t)
		}},
		{group: "Exemplar", name: "label_reference_validity", level: must, wants: "references that have their symbol", check: func(t *testing.T, r run) {
			assert.NoError(t, r.requests[0].err)
		}},
	}
}

func classicHistogramRows() []row {
	return []row{
		{group: "Histogram", name: "classic_histogram_encoding", level: should, wants: "bucket, sum and count series", check: func(t *testing.T, r run) {
			for _, le := range []string{"0.1", "0.5", "+Inf"} {
				find(t, r, "request_duration_seconds_bucket", "le", le)
			}
		}},
		{group: "Histogram", name: "histogram_count_present", level: must, wants: "the count", check: func(t *testing.T, r run) {
			assert.InDelta(t, 1e9, value(t, r, "request_duration_seconds_count"), 0)
		}},
		{group: "Histogram", name: "histogram_sum_present", level: must, wants: "the sum", check: func(t *testing.T, r run) {
			assert.InDelta(t, 250.5, value(t, r, "request_duration_seconds_sum"), 0)
		}},
		{group: "Histogram", name: "histogram_buckets_ordered", level: should, wants: "buckets in the order of their bounds", check: func(t *testing.T, r run) {
			var bounds []string
			for _, s := range r.requests[0].named("request_duration_seconds_bucket") {
				bounds = append(bounds, s.label("le"))
			}
			assert.Equal(t, []string{"0.1", "0.5", "+Inf"}, bounds)
		}},
		{group: "Histogram", name: "histogram_empty_buckets", level: should, wants: "a histogram without observations", check: func(t *testing.T, r run) {
			assert.Zero(t, value(t, r, "unused_count"))
		}},
		{group: "Histogram", name: "histogram_large_counts", level: must, wants: "a count of 1e9", check: func(t *testing.T, r run) {
			assert.InDelta(t, 1e9, value(t, r, "request_duration_seconds_bucket", "le", "+Inf"), 0)
		}},
	}
}

func metadataRows() []row {
	type facts struct{ kind, help, unit string }
	of := func(name string, want facts, pairs ...string) func(*testing.T, run) {
		return func(t *testing.T, r run) {
			s, _ := find(t, r, name, pairs...)
			assert.Equal(t, want, facts{strings.TrimPrefix(s.kind, "METRIC_TYPE_"), s.help, s.unit})
		}
	}
	memory := "Memory in use 🚀 测试 a/b"
	return []row{
		{group: "Metadata", name: "counter_type", level: should, wants: "type counter", check: of("http_requests_total", facts{"COUNTER", "Total HTTP requests", ""}, "method", "GET")},
		{group: "Metadata", name: "gauge_type", level: should, wants: "type gauge", check: of("memory_usage_bytes", facts{"GAUGE", memory, "bytes"})},
		{group: "Metadata", name: "histogram_type", level: should, wants: "type histogram, on each of its series", check: of("request_duration_seconds_sum", facts{"HISTOGRAM", "", "seconds"})},
		{group: "Metadata", name: "summary_type", level: should, wants: "type summary", check: of("rpc_duration_seconds", facts{"SUMMARY", "", ""}, "quantile", "0.5")},
		{group: "Metadata", name: "info_type", level: suite, wants: "type info", check: of("build_info", facts{"INFO", "", ""})},
		{group: "Metadata", name: "help_metadata", level: should, wants: "the help text, empty where there is none", check: of("http_requests_total", facts{"COUNTER", "Total HTTP requests", ""}, "method", "POST")},
		{group: "Metadata", name: "help_with_special_chars", level: recommended, wants: "the help text as it is", check: of("memory_usage_bytes", facts{"GAUGE", memory, "bytes"})},
		{group: "Metadata", name: "unit_metadata", level: may, wants: "the unit", check: of("memory_usage_bytes", facts{"GAUGE", memory, "bytes"})},
		{group: "Metadata", name: "metadata with every sample", level: suite, wants: "every request has the type, not only the first", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				assert.Equal(t, "METRIC_TYPE_GAUGE", req.named("memory_usage_bytes")[0].kind)
			}
		}},
	}
}

func combinedRows() []row {
	types := func(t *testing.T, r run) {
		for _, name := range []string{"http_requests_total", "memory_usage_bytes", "request_duration_seconds_count", "rpc_duration_seconds", "up"} {
			assert.NotEmpty(t, r.requests[0].named(name), name)
		}
	}
	return []row{
		{group: "Combined", name: "samples_with_metadata", level: should, wants: "a series has samples and metadata", check: func(t *testing.T, r run) {
			each(r, func(_ *request, s *series) { assert.Len(t, s.floats, 1) })
			s, _ := find(t, r, "http_requests_total", "method", "GET")
			assert.Equal(t, "METRIC_TYPE_COUNTER", s.kind)
		}},
		{group: "Combined", name: "samples_with_exemplars", level: may, wants: "a series has samples and exemplars", check: func(t *testing.T, r run) {
			s, _ := find(t, r, "http_requests_total", "method", "GET")
			assert.Len(t, s.exemplars, 1)
		}},
		{group: "Combined", name: "histogram_with_metadata_and_exemplars", level: may, wants: "a bucket has both", check: func(t *testing.T, r run) {
			s, _ := find(t, r, "request_duration_seconds_bucket", "le", "0.1")
			assert.Equal(t, "METRIC_TYPE_HISTOGRAM", s.kind)
			assert.Len(t, s.exemplars, 1)
		}},
		{group: "Combined", name: "multiple_metric_types", level: must, wants: "all types in one request", check: types},
		{group: "Combined", name: "complete_metric_family", level: must, wants: "all series of a family in one request", check: func(t *testing.T, r run) {
			req := r.requests[0]
			assert.Len(t, req.named("request_duration_seconds_bucket"), 3)
			assert.Len(t, req.named("request_duration_seconds_sum"), 1)
			assert.Len(t, req.named("request_duration_seconds_count"), 1)
		}},
		{group: "Combined", name: "mixed_labels_and_metadata", level: should, wants: "many labels and metadata", check: func(t *testing.T, r run) {
			s, _ := find(t, r, "http_requests_total", "method", "GET", "status", "200", "handler", "/api/v1")
			assert.Equal(t, "Total HTTP requests", s.help)
		}},
		{group: "Combined", name: "real_world_scenario", level: must, wants: "a page of all that, with a name for each series and nothing mixed", check: func(t *testing.T, r run) {
			types(t, r)
			each(r, func(_ *request, s *series) {
				assert.NotEmpty(t, s.name())
				assert.False(t, len(s.floats) > 0 && len(s.histograms) > 0, s.id())
			})
		}},
		{group: "Combined", name: "no suffixing", level: suite, wants: "no suffix is added to a name", check: func(t *testing.T, r run) {
			find(t, r, "build_info")
			find(t, r, "memory_usage_bytes")
			each(r, func(_ *request, s *series) {
				assert.NotRegexp(t, `_bytes_bytes|_ratio|_total_total|_info_info`, s.name())
			})
		}},
	}
}

func edgeRows() []row {
	special := func(kind string, ok func(float64) bool) func(*testing.T, run) {
		return func(t *testing.T, r run) {
			v := value(t, r, "special", "type", kind)
			assert.True(t, ok(v), "%v", v)
		}
	}
	is := func(want float64) func(float64) bool { return func(v float64) bool { return v == want } }
	return []row{
		{group: "Sample", name: "nan_value", level: must, wants: "NaN, which is no stale marker", check: special("nan", func(v float64) bool { return math.Float64bits(v) == 0x7ff8000000000001 })},
		{group: "Sample", name: "positive_infinity", level: must, wants: "+Inf", check: special("inf", is(math.Inf(1)))},
		{group: "Sample", name: "negative_infinity", level: must, wants: "-Inf", check: special("ninf", is(math.Inf(-1)))},
		{group: "Sample", name: "zero_value", level: must, wants: "0", check: special("zero", is(0))},
		{group: "Sample", name: "negative_value", level: must, wants: "a negative value", check: special("negative", is(-123.45))},
		{group: "Sample", name: "high_precision_float", level: should, wants: "all digits", check: special("precise", is(0.1234567890123456))},
		{group: "Edge", name: "special_float_combinations", level: must, wants: "all of these in one request", check: func(t *testing.T, r run) {
			assert.Len(t, r.requests[0].named("special"), 6)
		}},
		{group: "Edge", name: "huge_label_values", level: should, wants: "a label value of 10,000 bytes", check: func(t *testing.T, r run) {
			find(t, r, "large", "value", strings.Repeat("x", 10_000))
		}},
		{group: "Edge", name: "very_long_metric_name", level: should, wants: "a name of 757 bytes", check: func(t *testing.T, r run) { find(t, r, longName) }},
		{group: "Edge", name: "metric_name_with_colons", level: must, wants: "colons in a name", check: func(t *testing.T, r run) {
			assert.InDelta(t, 0.5, value(t, r, "http:request:duration:seconds"), 0)
		}},
		{group: "Edge", name: "mixed_sample_and_histogram_families", level: must, wants: "series without types", check: func(t *testing.T, r run) {
			s, _ := find(t, r, "requests")
			assert.Equal(t, "METRIC_TYPE_UNSPECIFIED", s.kind)
		}},
	}
}

func batchingRows() []row {
	return []row{
		{group: "Batching", name: "multiple_series_per_request", level: recommended, wants: "many series in a request", check: func(t *testing.T, r run) {
			assert.Greater(t, len(r.requests[0].series), 1000)
		}},
		{group: "Batching", name: "batch_size_reasonable", level: recommended, wants: "at most 10,000 series in a request, and no less where there are more", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				assert.LessOrEqual(t, len(req.series), 10_000)
			}
			assert.Len(t, r.requests[0].series, 10_000)
		}},
		{group: "Batching", name: "handles_varying_cardinality", level: recommended, wants: "one symbol for what all series share", check: func(t *testing.T, r run) {
			assert.Less(t, len(r.requests[0].v2.Symbols), 10_050)
		}},
		{group: "Batching", name: "efficient_symbol_reuse", level: recommended, wants: "a table for the request, not for the series", check: func(t *testing.T, r run) {
			seen := 0
			for _, s := range r.requests[0].v2.Symbols {
				if s == "metric" || s == r.job {
					seen++
				}
			}
			assert.Equal(t, 2, seen)
		}},
		{group: "Batching", name: "metadata_batching", level: recommended, wants: "metadata in the request of the samples", check: func(t *testing.T, r run) {
			s, _ := find(t, r, "up")
			assert.Equal(t, "METRIC_TYPE_GAUGE", s.kind)
		}},
		{group: "Batching", name: "complete", level: suite, wants: "nothing is left out between two requests", check: func(t *testing.T, r run) {
			scrapes := map[int64]map[string]bool{}
			each(r, func(_ *request, s *series) {
				for _, x := range s.floats {
					if scrapes[x.t] == nil {
						scrapes[x.t] = map[string]bool{}
					}
					scrapes[x.t][s.id()] = true
				}
			})
			first := int64(math.MaxInt64)
			for at := range scrapes {
				first = min(first, at)
			}
			assert.Len(t, scrapes[first], 12_000+5)
		}},
		{group: "Concurrent", name: "concurrent_requests", level: may, wants: "requests in parallel", does: "one at a time for each of `shards`, of which there is one by default",
			why: "order within a series", check: func(t *testing.T, r run) { assert.Equal(t, 1, r.inFlight) }},
		{group: "Edge", name: "many_timeseries", level: recommended, wants: "many series", check: func(t *testing.T, r run) {
			assert.Greater(t, len(r.requests[0].series), 100)
		}},
		{group: "Edge", name: "high_cardinality", level: recommended, wants: "many values of a label", check: func(t *testing.T, r run) {
			assert.Greater(t, len(r.requests[0].named("metric")), 9000)
		}},
		{group: "Robustness", name: "stable under load", level: should, wants: "it keeps running", check: func(t *testing.T, r run) {
			assert.False(t, r.endedEarly)
			assert.GreaterOrEqual(t, r.scrapes, 2)
		}},
	}
}

// nativePage has native histograms, which only the protobuf format has.
func nativePage() page {
	var body bytes.Buffer
	span := func(offset int32, length uint32) []*dto.BucketSpan {
		return []*dto.BucketSpan{{Offset: proto.Int32(offset), Length: proto.Uint32(length)}}
	}
	for _, h := range []struct {
		name      string
		histogram *dto.Histogram
	}{
		{"positive", &dto.Histogram{SampleCount: proto.Uint64(4), SampleSum: proto.Float64(250.5), PositiveSpan: span(8, 2), PositiveDelta: []int64{1, 2}}},
		{"negative", &dto.Histogram{SampleCount: proto.Uint64(5), SampleSum: proto.Float64(-25), NegativeSpan: span(5, 1), NegativeDelta: []int64{5}}},
		{"zero", &dto.Histogram{SampleCount: proto.Uint64(5), SampleSum: proto.Float64(0), ZeroCount: proto.Uint64(5), ZeroThreshold: proto.Float64(0.001)}},
	} {
		h.histogram.Schema = proto.Int32(3)
		if h.histogram.ZeroThreshold == nil {
			h.histogram.ZeroThreshold = proto.Float64(math.Ldexp(1, -128))
		}
		family, err := proto.Marshal(&dto.MetricFamily{
			Name: proto.String(h.name), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: h.histogram}},
		})
		if err != nil {
			panic(err) // a constant
		}
		body.Write(binary.AppendUvarint(nil, uint64(len(family))))
		body.Write(family)
	}
	return page{string(expfmt.NewFormat(expfmt.TypeProtoDelim)), body.String()}
}

func nativeRows() []row {
	of := func(t *testing.T, r run, name string) nativeHistogram {
		t.Helper()
		s, _ := find(t, r, name)
		require.Len(t, s.histograms, 1)
		return s.histograms[0]
	}
	return []row{
		{group: "Histogram", name: "native_histogram_structure", level: must, wants: "native histograms as they are", check: func(t *testing.T, r run) {
			h := of(t, r, "positive")
			assert.InDelta(t, 4, h.count, 0)
			assert.InDelta(t, 250.5, h.sum, 0)
		}},
		{group: "Histogram", name: "histogram_positive_buckets", level: may, wants: "positive buckets", check: func(t *testing.T, r run) {
			assert.Equal(t, 1, of(t, r, "positive").positiveSpans)
		}},
		{group: "Histogram", name: "histogram_negative_buckets", level: may, wants: "negative buckets", check: func(t *testing.T, r run) {
			assert.Equal(t, 1, of(t, r, "negative").negativeSpan)
		}},
		{group: "Histogram", name: "histogram_zero_bucket", level: may, wants: "the zero bucket", check: func(t *testing.T, r run) {
			assert.InDelta(t, 5, of(t, r, "zero").zero, 0)
		}},
		{group: "Histogram", name: "histogram_schema", level: must, wants: "the schema", check: func(t *testing.T, r run) {
			assert.Equal(t, int32(3), of(t, r, "positive").schema)
		}},
		{group: "Histogram", name: "histogram_timestamp", level: must, wants: "the time of the scrape", check: func(t *testing.T, r run) {
			assert.GreaterOrEqual(t, of(t, r, "positive").t, r.started.UnixMilli()-1000)
		}},
		{group: "Histogram", name: "histogram_no_mixed_with_samples", level: must, wants: "no series with samples and histograms", check: func(t *testing.T, r run) {
			each(r, func(_ *request, s *series) { assert.False(t, len(s.floats) > 0 && len(s.histograms) > 0, s.id()) })
		}},
	}
}
