// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// realisticPage is a scrape of about n series: of ten samples six are counters and gauges of families with ten series each, four
// are of histograms with twelve buckets, and a few metrics have one series. Each point has eight labels of its target and two of its own.
func realisticPage(n int) pmetric.Metrics {
	md, ms := page()
	attrs := func(m pcommon.Map, own string) {
		put(m, "app", "agent-manager", "container", "agent-manager", "kubernetes_namespace", "kubiya-runner-acme", "method", "GET",
			"namespace", "kubiya-runner-acme", "node", "aks-nodepool1-12345678-vmss000001", "path", "/api/v1/tools/"+own, "pod", "agent-manager-5d9c7b9f8d-x2x4q",
			"pod_template_hash", "5d9c7b9f8d", "version", "v1.2.3")
	}
	for samples, family := 0, 0; samples < n; family++ {
		name := fmt.Sprintf("agent_manager_subsystem_metric_%d", family)
		switch family % 4 {
		case 0:
			m := scraped(ms, name+"_total", "counter")
			m.SetDescription("Total number of things that happened in this part of the program.")
			points := cumulativeSum(m, true)
			for i := range 10 {
				attrs(number(points, float64(i)).Attributes(), fmt.Sprint(i))
			}
			samples += 10
		case 1:
			points := scraped(ms, name, "gauge").SetEmptyGauge().DataPoints()
			for i := range 10 {
				attrs(number(points, float64(i)).Attributes(), fmt.Sprint(i))
			}
			samples += 10
		case 2:
			attrs(number(scraped(ms, name, "gauge").SetEmptyGauge().DataPoints(), 1).Attributes(), "x")
			samples++
		default:
			dp := classic(scraped(ms, name+"_seconds", "histogram"), []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}, make([]uint64, 12), 1)
			attrs(dp.Attributes(), "x")
			samples += 14
		}
	}
	return md
}

var errDiscard = errors.New("discarded")

// discard translates a page n times, and writes nothing.
func (p *pipeline) discard(md pmetric.Metrics, n int) (samples int) {
	err := p.log.Append(context.Background(), func(b *samplelog.Batch) error {
		for range n {
			samples += p.trans.Translate(b, md, false).Samples
		}
		return errDiscard
	})
	if !errors.Is(err, errDiscard) {
		p.t.Fatal(err)
	}
	return samples
}

func BenchmarkTranslate(b *testing.B) {
	p := newPipeline(b, Settings{ResourceLabels: []string{"organization", "runner", "kubiya_type", "namespace", "app"}})
	md := realisticPage(2500)
	samples := p.discard(md, 1)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		p.discard(md, 1)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(samples), "ns/sample")
}

// BenchmarkTranslateGauges is the worst case: each sample has labels of its own to compare.
func BenchmarkTranslateGauges(b *testing.B) {
	p := newPipeline(b, Settings{})
	md, ms := page()
	points := scraped(ms, "g", "gauge").SetEmptyGauge().DataPoints()
	for i := range 2500 {
		number(points, 1, "app", "agent-manager", "container", "agent-manager", "kubernetes_namespace", "kubiya-runner-acme", "method", "GET",
			"namespace", "kubiya-runner-acme", "node", "aks-nodepool1-12345678-vmss000001", "path", fmt.Sprint(i), "pod", "agent-manager-5d9c7b9f8d-x2x4q",
			"pod_template_hash", "5d9c7b9f8d", "version", "v1.2.3")
	}
	p.discard(md, 1)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		p.discard(md, 1)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2500, "ns/sample")
}

// BenchmarkTranslateNew is the first scrape of a segment.
func BenchmarkTranslateNew(b *testing.B) {
	md := realisticPage(2500)
	p := newPipeline(b, Settings{})
	p.discard(md, 1)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		p.trans = New(Settings{})
		p.discard(md, 1)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2500, "ns/sample")
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	p := newPipeline(t, Settings{ResourceLabels: []string{"organization", "app"}})
	md := realisticPage(2500)
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0).Attributes().PutInt("code", 12345)
	p.discard(md, 20) // the batch keeps its capacity
	err := p.log.Append(context.Background(), func(b *samplelog.Batch) error {
		require.Zero(t, testing.AllocsPerRun(10, func() { p.trans.Translate(b, md, false) }))
		return errDiscard
	})
	require.ErrorIs(t, err, errDiscard)
}

func TestMemoryOfTheCache(t *testing.T) {
	md, ms := page()
	points := scraped(ms, "g", "gauge").SetEmptyGauge().DataPoints()
	const series = 100_000
	for i := range series {
		number(points, 1, "app", "agent-manager", "container", "agent-manager", "kubernetes_namespace", "kubiya-runner-acme", "method", "GET",
			"namespace", "kubiya-runner-acme", "node", "aks-nodepool1-12345678-vmss000001", "path", fmt.Sprint(i), "pod", "agent-manager-5d9c7b9f8d-x2x4q",
			"pod_template_hash", "5d9c7b9f8d", "version", "v1.2.3")
	}
	p := newPipeline(t, Settings{})
	p.discard(md, 1)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	with := heap()
	p.trans.cache = cache{}
	size := float64(with-heap()) / series
	t.Logf("%.0f bytes a series", size)
	require.Less(t, size, 150.0)
	runtime.KeepAlive(p)
}
