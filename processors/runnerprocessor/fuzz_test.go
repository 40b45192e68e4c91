// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/otlptranslator"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

// vocabulary is what the generator draws from: mostly what a rule looks at, so that random data gets near the rules.
var vocabulary = struct{ names, values, metrics []string }{
	names: []string{
		"runner", "organization", "kubiya_type", "kubiya.type", "kubiya__type", "namespace", "exported_namespace", "exported_runner", "app", "exporter", "job", "instance",
		"__name__", "le", "pod_ip", "pod", "", "_", "é", "1a", "token", "\xff\xfe",
	},
	values: []string{
		"runner", "r1", "r2", "acme", "other", "tool-manager", "agent-manager", "kube-state-metrics", "otel-collector", "", "x", "jane@example.com", "\xff", "customers-runners",
	},
	metrics: []string{
		"up", "scrape_duration_seconds", "cpu_usage", "memory_usage", "http_requests_total", "kube_pod_info", "kube.pod_info", "kube_node_info", "kube_state_metrics_x",
		"http_request_duration_highr_seconds", "go_gc_duration_seconds", "unlisted", "", "http.requests.total", "\xff",
	},
}

type generator struct{ *rand.Rand }

func (g generator) pick(from []string) string { return from[g.IntN(len(from))] }

func (g generator) attributes(m pcommon.Map) {
	for range g.IntN(7) {
		name := g.pick(vocabulary.names)
		switch g.IntN(12) {
		case 0:
			m.PutInt(name, g.Int64N(3))
		case 1:
			m.PutEmptySlice(name).AppendEmpty().SetStr(g.pick(vocabulary.values))
		default:
			m.PutStr(name, g.pick(vocabulary.values))
		}
	}
}

func (g generator) metrics() pmetric.Metrics {
	md := pmetric.NewMetrics()
	for range g.IntN(3) + 1 {
		rm := md.ResourceMetrics().AppendEmpty()
		g.attributes(rm.Resource().Attributes())
		if g.IntN(2) == 0 {
			rm.Resource().Attributes().PutStr("k8s.namespace.name", g.pick(vocabulary.values))
		}
		for range g.IntN(3) {
			sm := rm.ScopeMetrics().AppendEmpty()
			for range g.IntN(6) {
				m := sm.Metrics().AppendEmpty()
				m.SetName(g.pick(vocabulary.metrics))
				kind := []string{"gauge", "histogram", "summary", "sum", "native", "empty"}[g.IntN(6)]
				for range g.IntN(4) {
					g.point(m, kind)
				}
			}
		}
	}
	return md
}

func (g generator) point(m pmetric.Metric, kind string) {
	stale := g.IntN(5) == 0
	switch kind {
	case "empty":
		return
	case "sum":
		if m.Type() == pmetric.MetricTypeEmpty {
			m.SetEmptySum()
		}
		g.attributes(m.Sum().DataPoints().AppendEmpty().Attributes())
	case "native":
		if m.Type() == pmetric.MetricTypeEmpty {
			m.SetEmptyExponentialHistogram()
		}
		dp := m.ExponentialHistogram().DataPoints().AppendEmpty()
		g.attributes(dp.Attributes())
		g.attributes(dp.Exemplars().AppendEmpty().FilteredAttributes())
	default:
		g.attributes(addPoint(m, kind, stale))
	}
}

// strictConfig has everything on, and limits that are soon reached.
const strictConfig = `
scope: {secrets: drop, labels: {drop: [pod_ip]}, metrics: {exclude: [memory_usage]}}
limits: {series: 40, series_per_metric: 12, series_per_component: 30, label_count: 12, label_value_length: 30}
`

// checkInvariants sends a batch and checks what must hold for whatever comes in.
func checkInvariants(t *testing.T, p *runnerProcessor, md pmetric.Metrics, pushed bool) {
	t.Helper()
	incoming := md.DataPointCount()
	collector := false // the collector's own metrics pass unlisted
	for i := range md.ResourceMetrics().Len() {
		labels, scraped := targetLabels(md.ResourceMetrics().At(i))
		collector = collector || scraped && get(labels, labelExporter) == exporterCollector
	}
	before := pointTotals(p)
	ctx := t.Context()
	if pushed {
		ctx = client.NewContext(ctx, client.Info{Addr: &net.TCPAddr{}})
		collector = false // nothing that is pushed can pass for the collector
	}
	out, err := p.processMetrics(ctx, md)
	if err == nil {
		require.NotZero(t, out.ResourceMetrics().Len())
	}
	after := pointTotals(p)
	require.Equal(t, int64(incoming), after.kept+after.dropped-before.kept-before.dropped, "kept + dropped = incoming")
	require.Equal(t, int64(out.DataPointCount()), after.kept-before.kept, "what is counted as kept goes out")
	for i := range out.ResourceMetrics().Len() {
		checkResource(t, out.ResourceMetrics().At(i), collector)
	}
	checkTracker(t, p.tracker)
}

func checkResource(t *testing.T, rm pmetric.ResourceMetrics, collector bool) {
	t.Helper()
	namers := []otlptranslator.LabelNamer{{UTF8Allowed: true}, {}, {PreserveMultipleUnderscores: true}, {UnderscoreLabelSanitization: true}}
	identity := map[string]string{"organization": "acme", "runner": "r1", "kubiya_type": "customers-runners", "namespace": "runner"}
	for name, want := range identity {
		require.Equal(t, want, get(rm.Resource().Attributes(), name))
	}
	noSpoof := func(attrs pcommon.Map) {
		for name, v := range attrs.All() {
			for _, n := range namers {
				label, err := n.Build(name)
				if err != nil {
					continue
				}
				if want, ok := identity[label]; ok {
					require.Equal(t, want, v.AsString(), "%q passes for %s", name, label)
					require.Equal(t, label, name)
				}
			}
		}
	}
	noSpoof(rm.Resource().Attributes())
	for j := range rm.ScopeMetrics().Len() {
		metrics := rm.ScopeMetrics().At(j).Metrics()
		for k := range metrics.Len() {
			m := metrics.At(k)
			require.NotZero(t, countPoints(m), "no empty metric goes out")
			eachPoint(m, func(pt point) {
				noSpoof(pt.attrs)
				if !collector && m.Name() != metricUp && !scope.IsHealthMetric(m.Name()) {
					app := get(pt.attrs, labelApp)
					require.NotEqual(t, "other", app, "a component out of scope went out")
					ns, ok := rm.Resource().Attributes().Get(attrNamespace)
					require.True(t, !ok || ns.AsString() == "runner" || ns.AsString() == "", "a namespace out of scope went out")
				}
				_, dropped := pt.attrs.Get("pod_ip")
				require.False(t, dropped)
				for _, v := range pt.attrs.All() {
					require.Empty(t, secrets.Find(v.AsString()))
				}
				for name, v := range pt.attrs.All() {
					if strings.HasPrefix(m.Name(), "kube") && strings.HasSuffix(name, labelNamespace) && !collector {
						require.NotEqual(t, "other", v.AsString(), "an object of a namespace out of scope went out: %s", m.Name())
					}
				}
				if m.Name() == "unlisted" || m.Name() == "memory_usage" {
					require.True(t, collector, "an unlisted metric went out")
				}
			})
		}
	}
}

// checkTracker recounts what the tracker keeps count of.
func checkTracker(t *testing.T, tr *tracker) {
	t.Helper()
	total, rewritten := 0, 0
	byMetric := map[metricOf]int{}
	byComponent := map[*componentStats]int{}
	for key, s := range tr.live {
		require.Nil(t, s.next)
		require.Equal(t, key, s.key[0])
		total += int(s.samples)
		byMetric[s.metric.metricOf] += int(s.samples)
		byComponent[s.metric.component] += int(s.samples)
		require.Same(t, s.metric, tr.byMetric[s.metric.metricOf])
		if out := s.out(); out != s.key {
			rewritten++
			require.Same(t, s, tr.rewritten[out])
		}
	}
	require.Equal(t, total, tr.total)
	require.Len(t, tr.byMetric, len(byMetric))
	for of, n := range byMetric {
		require.Equal(t, n, tr.byMetric[of].live)
	}
	require.Len(t, tr.rewritten, rewritten)
	for c, n := range byComponent {
		require.Equal(t, int64(n), c.live.Load())
	}
}

type totals struct{ kept, dropped int64 }

func pointTotals(p *runnerProcessor) totals {
	var sum totals
	for _, c := range p.stats.all() {
		for r := range numReasons {
			if r.kept() {
				sum.kept += c.points[r].Load()
			} else {
				sum.dropped += c.points[r].Load()
			}
		}
	}
	return sum
}

func strictProcessor(t *testing.T) *runnerProcessor {
	t.Helper()
	p, err := newRunnerProcessor(processortest.NewNopSettings(processortest.NopType), load(t, strictConfig))
	require.NoError(t, err)
	return p
}

func TestInvariantsHoldForRandomBatches(t *testing.T) {
	seed := rand.Uint64() //nolint:gosec // test data
	t.Logf("seed %d", seed)
	g := generator{rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // test data
	for range 200 {
		p := strictProcessor(t)
		for range 20 {
			checkInvariants(t, p, g.metrics(), g.IntN(2) == 0)
		}
	}
}

// FuzzProcessor takes arbitrary OTLP, and arbitrary seeds of the generator.
func FuzzProcessor(f *testing.F) {
	marshaler := pmetric.ProtoMarshaler{}
	for seed := range uint64(20) {
		g := generator{rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // test data
		data, err := marshaler.MarshalMetrics(g.metrics())
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := strictProcessor(t)
		unmarshaler := pmetric.ProtoUnmarshaler{}
		if md, err := unmarshaler.UnmarshalMetrics(data); err == nil {
			checkInvariants(t, p, md, true)
		}
		if len(data) >= 8 {
			g := generator{rand.New(rand.NewPCG(binary.LittleEndian.Uint64(data), 2))} //nolint:gosec // test data
			checkInvariants(t, p, g.metrics(), g.IntN(2) == 0)
		}
	})
}
