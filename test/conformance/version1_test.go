// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	promvalue "github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// olderPage has what the older suite scrapes, one case after the other.
const olderPage = `# TYPE counter counter
counter 42
# TYPE gauge gauge
gauge 42
# TYPE histogram histogram
histogram_bucket{le="0.1"} 1
histogram_bucket{le="+Inf"} 2
histogram_sum 3
histogram_count 2
# TYPE summary summary
summary{quantile="0.5"} 1
summary_sum 3
summary_count 2
# TYPE sorted gauge
sorted{b="2",a="1"} 1.0
# TYPE empty gauge
empty{a=""} 1.0
# TYPE honor gauge
honor{job="original",instance="foo"} 1.0
`

func version1() map[string]any { return map[string]any{"protocol": "1.0"} }

func suiteOfVersion1() []scenario {
	const older = "older suite"
	broken := func(name, body string, rows ...row) scenario {
		return scenario{name: name, page: always(textPage(body)), exporter: version1(), until: count(2), rows: rows}
	}
	down := func(t *testing.T, r run) { assert.Zero(t, value(t, r, "up", "job", "conformance")) }
	none := func(name string) func(*testing.T, run) {
		return func(t *testing.T, r run) {
			each(r, func(_ *request, s *series) { assert.NotEqual(t, name, s.name()) })
			sortedLabels(t, r)
			down(t, r)
		}
	}
	return []scenario{
		{name: "every type over 1.0", page: always(openMetrics(everyType)), exporter: version1(), until: count(2), rows: compatibilityRows()},
		{
			name: "native histograms over 1.0", page: always(nativePage()), exporter: version1(), until: count(2), job: map[string]any{"scrape_native_histograms": true},
			rows: []row{{group: "RW1", name: "native histograms", level: suite, wants: "(no case of the suites) 1.0 has a field for them that is no part of the specification", does: "sent, as Prometheus does; those with custom buckets are quarantined as `unsendable`",
				check: func(t *testing.T, r run) {
					s, _ := find(t, r, "positive")
					require.Len(t, s.histograms, 1)
					assert.InDelta(t, 250.5, s.histograms[0].sum, 0)
				}}},
		},
		{name: "older suite", page: always(textPage(olderPage)), exporter: version1(), until: count(3), rows: olderRows(older)},
		broken("Invalid", "\n# this is not valid prometheus\n1234notvali}{ 444\n", row{group: older, name: "Invalid", level: suite, wants: "`up` is 0 for a page that cannot be read", check: down}),
		broken("RepeatedLabels", "test{a=\"1\",a=\"1\"} 1.0\n", row{group: older, name: "RepeatedLabels", level: suite, wants: "a label twice: the scrape fails", check: none("test")}),
		broken("NameLabel", "{label=\"value\"} 1.0\n", row{group: older, name: "NameLabel", level: suite, wants: "no name: the scrape fails", check: func(t *testing.T, r run) {
			each(r, func(_ *request, s *series) { assert.NotEmpty(t, s.name()) })
			down(t, r)
		}}),
		{
			name: "Staleness", exporter: version1(), until: count(3),
			page: func(n int) page {
				if n == 0 {
					return textPage("stale 1\nhere 1\n")
				}
				return textPage("here 1\n")
			},
			rows: []row{{group: older, name: "Staleness", level: must, wants: "a stale marker when a series is gone", does: "bit by bit, 0x7ff0000000000002", check: func(t *testing.T, r run) {
				markers := 0
				each(r, func(_ *request, s *series) {
					if s.name() == "stale" && promvalue.IsStaleNaN(s.floats[0].v) {
						markers++
					}
				})
				assert.Equal(t, 1, markers)
			}}},
		},
		{
			name: "Ordering", exporter: version1(), page: always(textPage(manySeries(1000))), until: count(6),
			answer: func(int, *request) answer { return answer{delay: rand.N(time.Second)} }, //nolint:gosec // a delay
			rows: []row{{group: older, name: "Ordering", level: must, wants: "1,000 series in order, while the receiver is slow at random", check: func(t *testing.T, r run) {
				assertOrder(t, r)
				assertNotRepeated(t, r)
				assert.Len(t, r.requests[0].named("metric"), 1000)
			}}},
		},
		{
			name: "Retries500", exporter: version1(), page: always(textPage("now 1\n")), until: count(3), answer: sequence(500, 204),
			rows: []row{{group: older, name: "Retries500", level: must, wants: "after 500 the same sample again", check: func(t *testing.T, r run) {
				assertRepeated(t, r)
				assertDelivered(t, r, "now")
			}}},
		},
		{
			name: "Retries400", exporter: version1(), page: always(textPage("now 1\n")), until: count(4), answer: sequence(400, 204),
			rows: []row{{group: older, name: "Retries400", level: must, wants: "after 400 the sample is not sent again", does: "once more in a smaller request, to find out whether it is the bad one", strict: "dropped, counted",
				why: "one bad sample shall not take the others with it", check: func(t *testing.T, r run) {
					assert.Less(t, r.requests[1].samples(), r.requests[0].samples())
					assertDelivered(t, r, "now")
				}, checkStrict: assertNotRepeated}},
		},
	}
}

func compatibilityRows() []row {
	nothingElse := func(t *testing.T, r run) {
		for _, req := range r.requests {
			require.NotNil(t, req.v1)
			again, err := req.v1.Marshal()
			require.NoError(t, err)
			assert.Len(t, req.raw, len(again), "there is more in the message than 1.0 has")
		}
	}
	return []row{
		{group: "RW1", name: "rw1_version_header", level: should, wants: "X-Prometheus-Remote-Write-Version 0.1.0", check: func(t *testing.T, r run) { assert.Equal(t, "0.1.0", r.requests[0].version()) }},
		{group: "RW1", name: "rw1_content_type", level: should, wants: "Content-Type application/x-protobuf, without proto", check: func(t *testing.T, r run) {
			assert.Equal(t, "application/x-protobuf", r.requests[0].header.Get("Content-Type"))
		}},
		{group: "RW1", name: "rw1_samples_encoding", level: must, wants: "samples as a prometheus.WriteRequest", check: func(t *testing.T, r run) {
			assert.InDelta(t, 1000.25, value(t, r, "http_requests_total", "method", "GET"), 0)
		}},
		{group: "RW1", name: "rw1_labels_encoding", level: must, wants: "labels in the series, sorted, with one name", check: func(t *testing.T, r run) {
			sortedLabels(t, r)
			each(r, func(_ *request, s *series) { assert.NotEmpty(t, s.name()) })
		}},
		{group: "RW1", name: "rw1_no_native_histograms", level: must, wants: "classic histograms as classic series", check: func(t *testing.T, r run) {
			find(t, r, "request_duration_seconds_bucket", "le", "0.1")
			each(r, func(_ *request, s *series) { assert.Empty(t, s.histograms) })
		}},
		{group: "RW1", name: "rw1_no_start_timestamp", level: must, wants: "no start timestamps, for which 1.0 has no field", check: nothingElse},
		{group: "RW1", name: "rw1_metadata_handling", level: may, wants: "metadata in requests of its own", does: "none: 1.0 has no place for it in a request of samples", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				assert.Empty(t, req.v1.Metadata)
			}
		}},
		{group: "RW1", name: "rw1_symbol_table_not_used", level: must, wants: "no symbol table", check: nothingElse},
		{group: "RW1", name: "rw1_configuration", level: should, wants: "1.0 can be configured", does: "`protocol: \"1.0\"`", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				assert.NotNil(t, req.v1)
			}
		}},
		{group: "RW1", name: "exemplar_per_series", level: recommended, wants: "exemplars over 1.0, with value, labels and timestamp", check: func(t *testing.T, r run) {
			s, _ := find(t, r, "request_duration_seconds_bucket", "le", "0.1")
			assert.Equal(t, []exemplar{{labels: map[string]string{"trace_id": "abc123xyz", "user": "me"}, t: exemplarTime, v: 0.05}}, s.exemplars)
			s, _ = find(t, r, "http_requests_total", "method", "GET")
			require.Len(t, s.exemplars, 1)
			assert.Equal(t, s.floats[0].t, s.exemplars[0].t)
		}},
	}
}

func olderRows(group string) []row {
	has := func(want float64, name string, pairs ...string) func(*testing.T, run) {
		return func(t *testing.T, r run) { assert.InDelta(t, want, value(t, r, name, pairs...), 0) }
	}
	return []row{
		{group: group, name: "Counter", level: suite, wants: "a counter", check: has(42, "counter")},
		{group: group, name: "Gauge", level: suite, wants: "a gauge", check: has(42, "gauge")},
		{group: group, name: "Histogram", level: suite, wants: "a histogram: buckets, sum, count", check: func(t *testing.T, r run) {
			has(1, "histogram_bucket", "le", "0.1")(t, r)
			has(2, "histogram_bucket", "le", "+Inf")(t, r)
			has(3, "histogram_sum")(t, r)
			has(2, "histogram_count")(t, r)
		}},
		{group: group, name: "Summary", level: suite, wants: "a summary: quantiles, sum, count", check: func(t *testing.T, r run) {
			has(1, "summary", "quantile", "0.5")(t, r)
			has(3, "summary_sum")(t, r)
			has(2, "summary_count")(t, r)
		}},
		{group: group, name: "Up", level: suite, wants: "`up` is 1", check: has(1, "up", "job", "conformance")},
		{group: group, name: "JobLabel", level: suite, wants: "`job` as it is configured", check: func(t *testing.T, r run) {
			each(r, func(_ *request, s *series) { assert.Equal(t, r.job, s.label("job"), s.id()) })
		}},
		{group: group, name: "InstanceLabel", level: suite, wants: "`instance` is the target's address", check: func(t *testing.T, r run) {
			each(r, func(_ *request, s *series) { assert.Equal(t, r.instance, s.label("instance"), s.id()) })
			assert.Regexp(t, regexp.MustCompile(`^127\.0\.0\.1:\d+$`), r.instance)
		}},
		{group: group, name: "SortedLabels", level: must, wants: "labels sorted by name", check: func(t *testing.T, r run) {
			sortedLabels(t, r)
			has(1, "sorted", "a", "1", "b", "2")(t, r)
		}},
		{group: group, name: "EmptyLabels", level: must, wants: "no empty label", check: func(t *testing.T, r run) {
			noEmptyLabels(t, r)
			has(1, "empty")(t, r)
		}},
		{group: group, name: "HonorLabels", level: suite, wants: "`job` and `instance` of the page become `exported_job` and `exported_instance`",
			check: has(1, "honor", "exported_job", "original", "exported_instance", "foo")},
		{group: group, name: "Timestamp", level: suite, wants: "fresh timestamps that never go back, over all series", check: func(t *testing.T, r run) {
			freshTimestamps(t, r)
			var times []int64
			each(r, func(_ *request, s *series) { times = append(times, s.floats[0].t) })
			assert.True(t, slices.IsSorted(times))
		}},
		{group: group, name: "Headers", level: must, wants: "Content-Encoding, Content-Type and version of 1.0", check: func(t *testing.T, r run) {
			for _, req := range r.requests {
				assert.Equal(t, "snappy", req.header.Get("Content-Encoding"))
				assert.Equal(t, "application/x-protobuf", req.header.Get("Content-Type"))
				assert.Equal(t, "0.1.0", req.version())
			}
		}},
	}
}
