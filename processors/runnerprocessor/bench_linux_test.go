// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/metricstransformprocessor"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processorhelper"
	"go.opentelemetry.io/collector/processor/processortest"
	"golang.org/x/sys/unix"
)

// The size of the workload that the promise is about.
const (
	benchTargets = 40
	benchSeries  = 2500 // of each target
)

// benchScrape is one scrape of one target as the receiver hands it over: ten labels a series, 50 series a metric.
func benchScrape(target int, namespace string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	res := rm.Resource().Attributes()
	res.PutStr("service.name", "runner")
	res.PutStr("service.instance.id", fmt.Sprintf("10.244.0.%d:3001", target))
	res.PutStr("k8s.namespace.name", namespace)
	res.PutStr("k8s.pod.name", fmt.Sprintf("tool-manager-7d9c5b6f4d-%05d", target))
	list := rm.ScopeMetrics().AppendEmpty().Metrics()
	add := func(m pmetric.Metric, i int) {
		dp := m.Gauge().DataPoints().AppendEmpty()
		dp.SetDoubleValue(float64(i))
		a := dp.Attributes()
		a.PutStr("app", "tool-manager")
		a.PutStr("app_name", "tool-manager")
		if i >= 0 {
			a.PutStr("code", fmt.Sprintf("%d", 200+i%5))
		}
		a.PutStr("container", "tool-manager")
		a.PutStr("container_image", "ghcr.io/kubiyabot/tool-manager:0.5.8")
		if i >= 0 {
			a.PutStr("handler", fmt.Sprintf("/api/v1/tools/%d", i))
			a.PutStr("method", "GET")
		}
		a.PutStr("namespace", namespace)
		a.PutStr("node", "aks-nodepool1-12345678-vmss000001")
		a.PutStr("pod", fmt.Sprintf("tool-manager-7d9c5b6f4d-%05d", target))
	}
	up := list.AppendEmpty()
	up.SetName("up")
	up.SetEmptyGauge()
	add(up, -1)
	for i := 0; i < benchSeries; i++ {
		if i%50 == 0 {
			m := list.AppendEmpty()
			m.SetName(fmt.Sprintf("bench_%d_total", i/50))
			m.SetEmptyGauge()
		}
		add(list.At(list.Len()-1), i)
	}
	return md
}

// BenchmarkKept is the steady state: every series is live and in scope.
func BenchmarkKept(b *testing.B) {
	bench(b, `scope: {metrics: {include: ["bench_.*"]}}
limits: {series: 0, series_per_metric: 0, series_per_component: 0}`, "runner", benchTargets*(benchSeries+1))
}

// BenchmarkDroppedByMetric is what a metric that is not listed costs.
func BenchmarkDroppedByMetric(b *testing.B) {
	bench(b, `scope: {metrics: {include: ["other_.*"]}}`, "runner", benchTargets)
}

// BenchmarkDroppedByNamespace is what a neighbour costs.
func BenchmarkDroppedByNamespace(b *testing.B) {
	bench(b, `scope: {metrics: {include: ["bench_.*"]}}`, "other", 0)
}

// BenchmarkDroppedByLimit is what series above a limit cost, each time they come again.
func BenchmarkDroppedByLimit(b *testing.B) {
	bench(b, `scope: {metrics: {include: ["bench_.*"]}}
limits: {series: 0, series_per_metric: 2, series_per_component: 0}`, "runner", benchTargets+benchSeries/50*2)
}

// BenchmarkLegacy is what the predecessor's metrics_transform costs for the labels alone, without scope or limits.
func BenchmarkLegacy(b *testing.B) {
	factory := metricstransformprocessor.NewFactory()
	cfg := factory.CreateDefaultConfig()
	conf, err := confmap.NewRetrievedFromYAML([]byte(`
transforms:
- include: .*
  match_type: regexp
  action: update
  operations:
  - {action: add_label, new_label: kubiya_type, new_value: customers-runners}
  - {action: add_label, new_label: runner, new_value: r1}
  - {action: add_label, new_label: organization, new_value: acme}
`))
	require.NoError(b, err)
	parsed, err := conf.AsConf()
	require.NoError(b, err)
	require.NoError(b, parsed.Unmarshal(cfg))
	p, err := factory.CreateMetrics(b.Context(), processortest.NewNopSettings(factory.Type()), cfg, consumertest.NewNop())
	require.NoError(b, err)
	measure(b, "runner", func(md pmetric.Metrics) {
		require.NoError(b, p.ConsumeMetrics(b.Context(), md))
	})
}

// bench measures a processor, and checks what it keeps of the first scrape of every target.
func bench(b *testing.B, config, namespace string, wantKept int64) {
	p, err := newRunnerProcessor(processortest.NewNopSettings(processortest.NopType), load(b, config))
	require.NoError(b, err)
	scrapes := 0
	measure(b, namespace, func(md pmetric.Metrics) {
		_, err := p.processMetrics(b.Context(), md)
		if err != nil {
			require.ErrorIs(b, err, processorhelper.ErrSkipProcessingData)
		}
		if scrapes++; scrapes == benchTargets {
			require.Equal(b, wantKept, pointTotals(p).kept)
		}
	})
}

// measure sends one scrape of every target per iteration, and reports time and allocations a data point. A scrape is made,
// untimed, right before it is sent, as the receiver does it. The first round, in which every series is new, does not count. The
// time is that of the thread's CPU, so that other work of the machine does not count either.
func measure(b *testing.B, namespace string, send func(pmetric.Metrics)) {
	scrapes := make([]pmetric.Metrics, benchTargets)
	for i := range scrapes {
		scrapes[i] = benchScrape(i, namespace)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var spent time.Duration
	var allocs uint64
	round := func() {
		for _, scrape := range scrapes {
			md := pmetric.NewMetrics()
			scrape.CopyTo(md)
			before, start := mallocs(), threadTime(b)
			send(md)
			spent += threadTime(b) - start
			allocs += mallocs() - before
		}
	}
	round()
	spent, allocs = 0, 0
	b.ResetTimer()
	for range b.N {
		round()
	}
	points := float64(b.N) * benchTargets * (benchSeries + 1)
	b.ReportMetric(float64(spent.Nanoseconds())/points, "ns/point")
	b.ReportMetric(float64(allocs)/points, "allocs/point")
	b.ReportMetric(0, "ns/op")
}

// threadTime reads the CPU time of the calling thread.
func threadTime(b *testing.B) time.Duration {
	var ts unix.Timespec
	require.NoError(b, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts))
	return time.Duration(ts.Nano())
}

// mallocs reads the number of heap objects allocated so far.
func mallocs() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
