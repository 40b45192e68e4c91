// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kubiyabot/otelcol-runner/processors/runnerprocessor/internal/metadatatest"
)

// harness runs a real processor, built as its factory does it, on scrapes written as exposition-like lines.
type harness struct {
	t         *testing.T
	telemetry *componenttest.Telemetry
	sink      *consumertest.MetricsSink
	processor processor.Metrics
	inner     *runnerProcessor
	logs      *observer.ObservedLogs
	in        int // data points sent
}

const minimalConfig = `
metadata: {organization: acme, runner: r1, kubiya_type: customers-runners, namespace: runner}
scope:
  namespaces: [runner]
  components: [tool-manager, agent-manager, kube-state-metrics, otel-collector]
`

// newHarness starts a processor with the minimal configuration, and what the YAML documents in overrides change in it.
func newHarness(t *testing.T, overrides ...string) *harness {
	t.Helper()
	cfg := load(t, overrides...)
	require.NoError(t, confmap.Validate(cfg))
	core, logs := observer.New(zap.WarnLevel)
	h := &harness{t: t, telemetry: componenttest.NewTelemetry(), sink: &consumertest.MetricsSink{}, logs: logs}
	set := metadatatest.NewSettings(h.telemetry)
	set.Logger = zap.New(core)
	inner, err := newRunnerProcessor(set, cfg)
	require.NoError(t, err)
	p, err := inner.asProcessor(context.Background(), set, h.sink)
	require.NoError(t, err)
	h.inner = inner
	require.NoError(t, p.Start(context.Background(), componenttest.NewNopHost()))
	h.processor = p
	t.Cleanup(func() {
		require.NoError(t, p.Shutdown(context.Background()))
		require.NoError(t, h.telemetry.Shutdown(context.Background()))
	})
	return h
}

func load(t testing.TB, overrides ...string) *Config {
	t.Helper()
	conf := confmap.New()
	for _, doc := range append([]string{minimalConfig}, overrides...) {
		r, err := confmap.NewRetrievedFromYAML([]byte(doc))
		require.NoError(t, err)
		c, err := r.AsConf()
		require.NoError(t, err)
		require.NoError(t, conf.Merge(c))
	}
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, conf.Unmarshal(cfg))
	return cfg
}

// source is where a scrape comes from.
type source struct {
	resource map[string]string
	labels   map[string]string // target labels; nil: pushed, there is no `up`
}

func toolManager() source {
	return source{
		resource: map[string]string{"service.name": "runner", "service.instance.id": "10.0.0.1:3001", "k8s.namespace.name": "runner"},
		labels:   map[string]string{"app": "tool-manager", "namespace": "runner"},
	}
}

func (s source) with(name, value string) source {
	s.labels = maps(s.labels, name, value)
	return s
}

func (s source) without(name string) source {
	s.labels = maps(s.labels, name, "")
	return s
}

func (s source) from(name, value string) source {
	s.resource = maps(s.resource, name, value)
	return s
}

func maps(m map[string]string, name, value string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = v
	}
	out[name] = value
	if value == "" {
		delete(out, name)
	}
	return out
}

// scrape sends what Prometheus would make of a page: the lines with the target's labels, and `up`. A line is a series, with
// "histogram:" or "summary:" in front of a family's and " stale" behind for a stale marker. It returns what leaves, less `up`.
func (h *harness) scrape(s source, lines ...string) []string {
	h.t.Helper()
	md := h.build(s, lines...)
	h.in += md.DataPointCount()
	h.sink.Reset()
	ctx := context.Background()
	if s.labels == nil { // as configgrpc and confighttp do
		ctx = client.NewContext(ctx, client.Info{Addr: &net.TCPAddr{}})
	}
	require.NoError(h.t, h.processor.ConsumeMetrics(ctx, md))
	var out []string
	for _, md := range h.sink.AllMetrics() {
		out = append(out, render(md)...)
	}
	slices.Sort(out)
	return slices.DeleteFunc(out, func(l string) bool {
		return strings.HasPrefix(l, "up{") && len(lines) > 0 && !strings.Contains(l, "exposed")
	})
}

func (h *harness) build(s source, lines ...string) pmetric.Metrics {
	h.t.Helper()
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	for _, k := range sortedKeys(s.resource) {
		rm.Resource().Attributes().PutStr(k, s.resource[k])
	}
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	byName := map[string]pmetric.Metric{}
	if s.labels != nil {
		lines = append(slices.Clone(lines), "up")
	}
	for _, line := range lines {
		kind, text, found := strings.Cut(line, ":")
		if !found || strings.ContainsAny(kind, "{ ") {
			kind, text = "gauge", line
		}
		text, stale := strings.CutSuffix(text, " stale")
		ls, err := parser.NewParser(parser.Options{}).ParseMetric(text)
		require.NoError(h.t, err, line)
		name := ls.Get(model.MetricNameLabel)
		m, ok := byName[kind+name]
		if !ok {
			m = metrics.AppendEmpty()
			m.SetName(name)
			byName[kind+name] = m
		}
		attrs := addPoint(m, kind, stale)
		// honor_labels: false, as Prometheus does it
		b := labels.NewBuilder(ls).Del(model.MetricNameLabel)
		for _, k := range sortedKeys(s.labels) {
			if v := ls.Get(k); v != "" {
				b.Set("exported_"+k, v)
			}
			b.Set(k, s.labels[k])
		}
		b.Labels().Range(func(l labels.Label) { attrs.PutStr(l.Name, l.Value) })
	}
	return md
}

func addPoint(m pmetric.Metric, kind string, stale bool) pcommon.Map {
	flags := pmetric.DefaultDataPointFlags.WithNoRecordedValue(stale)
	switch kind {
	case "histogram":
		if m.Type() == pmetric.MetricTypeEmpty {
			m.SetEmptyHistogram()
		}
		dp := m.Histogram().DataPoints().AppendEmpty()
		dp.SetFlags(flags)
		dp.ExplicitBounds().FromRaw([]float64{1, 2})
		dp.BucketCounts().FromRaw([]uint64{1, 1, 1})
		if !stale { // as the receiver
			dp.SetSum(3)
		}
		return dp.Attributes()
	case "summary":
		if m.Type() == pmetric.MetricTypeEmpty {
			m.SetEmptySummary()
		}
		dp := m.Summary().DataPoints().AppendEmpty()
		dp.SetFlags(flags)
		dp.QuantileValues().AppendEmpty().SetQuantile(0.5)
		return dp.Attributes()
	}
	if m.Type() == pmetric.MetricTypeEmpty {
		m.SetEmptyGauge()
	}
	dp := m.Gauge().DataPoints().AppendEmpty()
	dp.SetFlags(flags)
	dp.SetIntValue(1)
	return dp.Attributes()
}

// render writes every data point as a series with its resource's promoted labels, as the exporter would store it.
func render(md pmetric.Metrics) []string {
	var out []string
	for i := range md.ResourceMetrics().Len() {
		rm := md.ResourceMetrics().At(i)
		for j := range rm.ScopeMetrics().Len() {
			metrics := rm.ScopeMetrics().At(j).Metrics()
			for k := range metrics.Len() {
				m := metrics.At(k)
				eachPoint(m, func(pt point) {
					out = append(out, renderPoint(m.Name(), pt))
				})
			}
		}
	}
	return out
}

func renderPoint(name string, pt point) string {
	b := labels.NewBuilder(labels.EmptyLabels())
	for n, v := range pt.attrs.All() {
		b.Set(n, asString(v))
	}
	line := name + strings.ReplaceAll(b.Labels().String(), "{}", "")
	if pt.stale {
		line += " stale"
	}
	return line
}

// resource returns the attributes of the last batch's resource.
func (h *harness) resource() map[string]any {
	h.t.Helper()
	all := h.sink.AllMetrics()
	require.NotEmpty(h.t, all)
	return all[len(all)-1].ResourceMetrics().At(0).Resource().Attributes().AsRaw()
}

// metric returns the data points of one of the processor's own metrics, by the values of its attributes.
func (h *harness) metric(name string) map[string]int64 {
	h.t.Helper()
	out := map[string]int64{}
	m, err := h.telemetry.GetMetric("otelcol_processor_runner_" + name)
	if err != nil {
		return out
	}
	var points []metricdata.DataPoint[int64]
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		points = data.DataPoints
	case metricdata.Gauge[int64]:
		points = data.DataPoints
	}
	for _, dp := range points {
		var values []string
		for _, kv := range dp.Attributes.ToSlice() {
			values = append(values, kv.Value.AsString())
		}
		out[strings.Join(values, "/")] = dp.Value
	}
	return out
}

// decisions returns the points by decision and reason, of all components, and checks that they add up.
func (h *harness) decisions() map[string]int64 {
	h.t.Helper()
	out, sum := map[string]int64{}, int64(0)
	for key, n := range h.metric("points") {
		_, decision, _ := strings.Cut(key, "/")
		out[decision] += n
		sum += n
	}
	require.Equal(h.t, int64(h.in), sum, "kept + dropped = incoming: %v", out)
	return out
}

func (h *harness) live() int64 {
	h.t.Helper()
	total := int64(0)
	for _, n := range h.metric("series") {
		total += n
	}
	return total
}

func seriesLines(name string, from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf(`%s{i="%d"}`, name, i))
	}
	return out
}
