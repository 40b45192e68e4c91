// SPDX-License-Identifier: Apache-2.0

package remotewrite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

const scrapeTime = 1_790_000_000_123

// runner is a scrape of 40 pods of a runner with 250 series each, in the order of the scrape: pod by pod, family by family.
func runner(tb testing.TB) (*samplelog.View, []samplelog.Sample) {
	tb.Helper()
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // test data
	components := []string{"agent-manager", "tool-manager", "workflow-engine", "kubiya-operator"}
	var view *samplelog.View
	var samples []samplelog.Sample
	write(tb, func(b *samplelog.Batch) {
		for pod := range 40 {
			app := components[pod%len(components)]
			name := fmt.Sprintf("%s-%08x-%05x", app, rng.Uint32(), rng.Uint32N(1<<20))
			at := int64(scrapeTime + pod*137)
			target := []string{
				"app", app, "container", app, "instance", fmt.Sprintf("10.42.%d.%d:8080", pod%7, rng.IntN(250)), "job", "kubiya-apps",
				"kubiya_type", "customers-runners", "namespace", "kubiya", "organization", "acme-industries", "pod", name, "runner", "acme-production-eu",
			}
			n := len(samples)
			for _, family := range page(tb, app, rng) {
				for _, s := range family.samples {
					if len(samples)-n == 250 {
						break
					}
					ref := b.Series(intern(b, append(slices.Clone(target), append(s.labels, "__name__", s.name)...)),
						samplelog.Metadata{Type: family.kind, Help: b.Symbol(family.help)})
					samples = append(samples, samplelog.Sample{Ref: ref, T: at, V: s.value})
				}
			}
		}
		v := *b.View()
		view = &v
	})
	return view, samples
}

// intern returns labels in the order of their names.
func intern(b *samplelog.Batch, pairs []string) []samplelog.Symbol {
	var names []string
	values := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		names = append(names, pairs[i])
		values[pairs[i]] = pairs[i+1]
	}
	slices.Sort(names)
	var syms []samplelog.Symbol
	for _, name := range slices.Compact(names) {
		syms = append(syms, b.Symbol(name), b.Symbol(values[name]))
	}
	return syms
}

// write lets fill use a batch of a log in memory.
func write(tb testing.TB, fill func(*samplelog.Batch)) {
	tb.Helper()
	l, err := samplelog.Open(samplelog.Options{FS: samplelog.Disk{}, Dir: tb.TempDir(), Shards: 1, SegmentBytes: 1 << 30, OnFull: samplelog.Refuse})
	require.NoError(tb, err)
	require.NoError(tb, l.Append(context.Background(), func(b *samplelog.Batch) error { fill(b); return nil }))
	require.NoError(tb, l.Close())
}

type family struct {
	help    string
	kind    uint8
	samples []point
}

type point struct {
	name   string
	labels []string
	value  float64
}

// page is what a component exposes: the Go and process metrics of client_golang, and HTTP metrics.
func page(tb testing.TB, app string, rng *rand.Rand) []family {
	tb.Helper()
	prefix := strings.ReplaceAll(app, "-", "_")
	registry := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "_http_requests_total", Help: "Requests by handler and code."}, []string{"method", "handler", "code"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + "_http_request_duration_seconds", Help: "Request duration.", Buckets: prometheus.DefBuckets}, []string{"method", "handler"})
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), requests, duration)
	for i, handler := range []string{"/agents", "/agents/{id}/run", "/tools", "/healthz", "/api/v1/workflows", "/api/v1/workflows/{id}", "/metrics", "/login"} {
		for _, method := range []string{"GET", "POST"} {
			for _, code := range []string{"200", "404", "502"} {
				requests.WithLabelValues(method, handler, code).Add(float64(rng.IntN(20_000)))
			}
			for range rng.IntN(3000) / (i + 1) {
				duration.WithLabelValues(method, handler).Observe(rng.ExpFloat64() / 5)
			}
		}
	}
	gathered, err := registry.Gather()
	require.NoError(tb, err)
	families := make([]family, 0, len(gathered))
	for _, g := range gathered {
		families = append(families, flatten(g))
	}
	return families
}

func flatten(g *dto.MetricFamily) family {
	f := family{help: g.GetHelp()}
	name := g.GetName()
	for _, m := range g.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, l.GetName(), l.GetValue())
		}
		add := func(suffix string, v float64, more ...string) {
			f.samples = append(f.samples, point{name + suffix, append(slices.Clone(labels), more...), v})
		}
		switch g.GetType() {
		case dto.MetricType_COUNTER:
			f.kind = record.GetMetricType(model.MetricTypeCounter)
			add("", m.GetCounter().GetValue())
		case dto.MetricType_HISTOGRAM:
			f.kind = record.GetMetricType(model.MetricTypeHistogram)
			for _, b := range m.GetHistogram().GetBucket() {
				add("_bucket", float64(b.GetCumulativeCount()), "le", fmt.Sprint(b.GetUpperBound()))
			}
			add("_bucket", float64(m.GetHistogram().GetSampleCount()), "le", "+Inf")
			add("_sum", m.GetHistogram().GetSampleSum())
			add("_count", float64(m.GetHistogram().GetSampleCount()))
		case dto.MetricType_SUMMARY:
			f.kind = record.GetMetricType(model.MetricTypeSummary)
			for _, q := range m.GetSummary().GetQuantile() {
				add("", q.GetValue(), "quantile", fmt.Sprint(q.GetQuantile()))
			}
			add("_sum", m.GetSummary().GetSampleSum())
			add("_count", float64(m.GetSummary().GetSampleCount()))
		default:
			f.kind = record.GetMetricType(model.MetricTypeGauge)
			add("", m.GetGauge().GetValue())
		}
	}
	return f
}

// sorted returns the samples in the order of their series' labels.
func sorted(view *samplelog.View, samples []samplelog.Sample) []samplelog.Sample {
	out := slices.Clone(samples)
	slices.SortStableFunc(out, func(a, b samplelog.Sample) int {
		x, y := view.AppendLabels(nil, a.Ref), view.AppendLabels(nil, b.Ref)
		for i := range min(len(x), len(y)) {
			if x[i] != y[i] {
				return strings.Compare(view.Text(x[i]), view.Text(y[i]))
			}
		}
		return len(x) - len(y)
	})
	return out
}

func BenchmarkEncodeV1(b *testing.B) { benchmark(b, (*remotewrite.Encoder).V1) }
func BenchmarkEncodeV2(b *testing.B) { benchmark(b, (*remotewrite.Encoder).V2) }

func benchmark(b *testing.B, encode func(*remotewrite.Encoder, *samplelog.View, []samplelog.Sample) []byte) {
	view, scraped := runner(b)
	for _, order := range []struct {
		name    string
		samples []samplelog.Sample
	}{{"scraped", scraped}, {"sorted", sorted(view, scraped)}} {
		var e remotewrite.Encoder
		raw := slices.Clone(encode(&e, view, order.samples))
		n := float64(len(order.samples))
		b.Run(order.name+"/encode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				encode(&e, view, order.samples)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/sample")
			b.ReportMetric(float64(len(raw))/n, "B/sample")
		})
		b.Run(order.name+"/compress", func(b *testing.B) {
			b.ReportAllocs()
			var packed []byte
			for b.Loop() {
				packed = remotewrite.Compress(packed, raw)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/sample")
			b.ReportMetric(float64(len(packed))/n, "B/sample")
		})
	}
}
