// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"context"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// samples collects what Prometheus's converter appends, as texts like those of a pipeline.
type samples struct {
	storage.AppenderV2
	texts []string
}

func (s *samples) Append(_ storage.SeriesRef, ls labels.Labels, st, at int64, v float64, _ *histogram.Histogram, _ *histogram.FloatHistogram, opts storage.AppendV2Options) (storage.SeriesRef, error) {
	if ls.Get("__name__") == "target_info" {
		return 1, nil
	}
	b := labels.NewBuilder(ls)
	if name, found := map[string]string{"histogram_bucket": "le", "summary": "quantile"}[ls.Get("__name__")]; found {
		if bound, err := strconv.ParseFloat(ls.Get(name), 64); err == nil {
			b.Set(name, labels.FormatOpenMetricsFloat(bound))
		}
	}
	sample := samplelog.Sample{ST: st, T: at, V: v, Exemplars: opts.Exemplars}
	s.texts = append(s.texts, formatLabels(b.Labels(), sample))
	return 1, nil
}

var since = regexp.MustCompile(` since \d+`)

// TestOTLPAsPrometheus compares with the OTLP endpoint of Prometheus, which also gives starts to what is not cumulative.
func TestOTLPAsPrometheus(t *testing.T) {
	seed := rand.Uint64() //nolint:gosec // test data
	t.Logf("seed %d", seed)
	g := generator{rand.New(rand.NewPCG(seed, 3))} //nolint:gosec // test data
	promoted := []string{"organization", "app"}
	p := newPipeline(t, Settings{ResourceLabels: promoted})
	settings := prometheusremotewrite.Settings{
		AllowUTF8:                 true,
		PromoteResourceAttributes: prometheusremotewrite.NewPromoteResourceAttributes(config.OTLPConfig{PromoteResourceAttributes: promoted}),
	}
	for range 60 {
		md := g.plainOTLP()
		var want samples
		_, err := prometheusremotewrite.NewPrometheusConverter(&want).FromMetrics(context.Background(), md, settings)
		require.NoError(t, err)
		got, result := p.collect(func(b *samplelog.Batch) Result { return p.trans.Translate(b, md, true) })
		require.Equal(t, [NumReasons]int{}, result.Refused)
		for i := range got {
			got[i] = since.ReplaceAllString(got[i], "")
		}
		require.ElementsMatch(t, want.texts, got)
	}
}

// plainOTLP is what well-behaved senders send.
func (g generator) plainOTLP() pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	some := func(m pcommon.Map, names ...string) {
		for _, name := range names {
			switch g.IntN(4) {
			case 0:
				m.PutStr(name, g.pick([]string{"x", "y", ""}))
			case 1:
				m.PutInt(name, g.Int64N(3))
			default:
			}
		}
	}
	some(rm.Resource().Attributes(), "service.name", "service.namespace", "service.instance.id", "organization", "app", "other")
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName("lib")
	point := 0
	attributes := func(m pcommon.Map) {
		point++
		m.PutInt("point", int64(point)) // each series once
		some(m, "a", "b.c", "job", "instance", "app", "__name__", "le", "quantile", "é")
	}
	flags := func() pmetric.DataPointFlags {
		return pmetric.DefaultDataPointFlags.WithNoRecordedValue(g.IntN(5) == 0)
	}
	add := func(name string) pmetric.Metric {
		m := sm.Metrics().AppendEmpty()
		m.SetName(name)
		return m
	}
	numbers := func(points pmetric.NumberDataPointSlice) {
		for range g.IntN(4) + 1 {
			dp := number(points, g.Float64())
			dp.SetFlags(flags())
			attributes(dp.Attributes())
		}
	}
	numbers(add("gauge").SetEmptyGauge().DataPoints())
	numbers(cumulativeSum(add("sum.total"), true))
	h := add("histogram")
	for range g.IntN(4) + 1 {
		dp := classic(h, []float64{0, 1, 2.5}, []uint64{g.Uint64N(3), 1, 2, 3}, g.Float64())
		attributes(dp.Attributes())
		dp.Exemplars().AppendEmpty().SetDoubleValue(3)
	}
	s := add("summary").SetEmptySummary()
	for range g.IntN(4) + 1 {
		dp := s.DataPoints().AppendEmpty()
		dp.SetTimestamp(at)
		dp.SetFlags(flags())
		attributes(dp.Attributes())
		dp.QuantileValues().AppendEmpty().SetQuantile(0.5)
		dp.QuantileValues().AppendEmpty().SetQuantile(1)
	}
	return md
}
