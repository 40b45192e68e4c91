// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// pipeline is a translator on a real log, and a reader of what it wrote.
type pipeline struct {
	t      testing.TB
	log    *samplelog.Log
	reader *samplelog.Reader
	trans  *Translator
	now    time.Time
}

func newPipeline(t testing.TB, s Settings) *pipeline {
	t.Helper()
	p := &pipeline{t: t, trans: New(s), now: time.Now()}
	l, err := samplelog.Open(samplelog.Options{
		FS: samplelog.Disk{}, Dir: t.TempDir(), Shards: 1, SegmentBytes: 1 << 30, Now: func() time.Time { return p.now },
	})
	require.NoError(t, err)
	r := l.Reader(l.Runs(0)[0], 0, samplelog.Position{}, 0)
	t.Cleanup(func() {
		r.Close()
		require.NoError(t, l.Close())
	})
	p.log, p.reader = l, r
	return p
}

// translate returns what a batch became, one text a sample, and checks what must hold for all of it.
func (p *pipeline) translate(md pmetric.Metrics) ([]string, Result) {
	p.t.Helper()
	return p.collect(func(b *samplelog.Batch) Result { return p.trans.Translate(b, md, false) })
}

// collect returns what fill puts into the log.
func (p *pipeline) collect(fill func(*samplelog.Batch) Result) ([]string, Result) {
	p.t.Helper()
	var result Result
	require.NoError(p.t, p.log.Append(context.Background(), func(b *samplelog.Batch) error {
		result = fill(b)
		return nil
	}))
	all := []string{}
	exemplars := 0
	for {
		piece, err := p.reader.Next()
		if errors.Is(err, samplelog.ErrNothingNew) {
			break
		}
		require.NoError(p.t, err)
		checkLabels(p.t, &piece.View)
		for _, s := range piece.Samples {
			all = append(all, format(&piece.View, s))
			exemplars += len(s.Exemplars)
		}
	}
	require.Len(p.t, all, result.Samples)
	require.Equal(p.t, result.Exemplars, exemplars)
	return all, result
}

// checkLabels checks all series of a segment: names in order, none empty, none twice, no two series with the same labels.
func checkLabels(t testing.TB, v *samplelog.View) {
	t.Helper()
	seen := map[string]bool{}
	for i := range v.Len() {
		symbols := v.AppendLabels(nil, samplelog.Ref(i))
		last, named := "", false
		for j := 0; j < len(symbols); j += 2 {
			name := v.Text(symbols[j])
			require.Less(t, last, name, "names of labels are in order")
			require.NotEmpty(t, v.Text(symbols[j+1]), "label %s", name)
			last = name
			named = named || name == "__name__"
		}
		require.True(t, named)
		key := fmt.Sprint(symbols)
		require.False(t, seen[key], "series twice: %s", v.PromLabels(samplelog.Ref(i)))
		seen[key] = true
	}
}

func format(v *samplelog.View, s samplelog.Sample) string {
	return formatLabels(v.PromLabels(s.Ref), s)
}

func formatLabels(ls labels.Labels, s samplelog.Sample) string {
	text := ls.String() + " "
	switch {
	case s.H != nil && value.IsStaleNaN(s.H.Sum):
		text += "stale histogram"
	case s.H != nil:
		text += fmt.Sprintf("%s zero=%g schema=%d", s.H, s.H.ZeroThreshold, s.H.Schema)
	case value.IsStaleNaN(s.V):
		text += "stale"
	default:
		text += fmt.Sprint(s.V)
	}
	text += fmt.Sprintf(" @%d", s.T)
	if s.ST != 0 {
		text += fmt.Sprintf(" since %d", s.ST)
	}
	for _, e := range s.Exemplars {
		text += fmt.Sprintf(" # %s %v @%d", e.Labels, e.Value, e.Ts)
	}
	return text
}

// metadataOf returns type, unit and help of a series.
func (p *pipeline) metadataOf(ls labels.Labels) string {
	p.t.Helper()
	text := ""
	require.NoError(p.t, p.log.Append(context.Background(), func(b *samplelog.Batch) error {
		for i := range b.View().Len() {
			ref := samplelog.Ref(i)
			if labels.Equal(b.View().PromLabels(ref), ls) {
				m := b.View().Metadata(ref)
				text = fmt.Sprintf("%s %q %q", record.ToMetricType(m.Type), b.Text(m.Unit), b.Text(m.Help))
			}
		}
		return nil
	}))
	return text
}

// at is the time of the samples in tests.
const at = pcommon.Timestamp(1_700_000_000_000 * 1e6)

// page is one scrape as the receiver translates it.
func page() (pmetric.Metrics, pmetric.MetricSlice) {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "j")
	rm.Resource().Attributes().PutStr("service.instance.id", "i")
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(receiverScope)
	sm.Scope().SetVersion("0.1")
	return md, sm.Metrics()
}

// scraped adds a metric of a Prometheus type.
func scraped(ms pmetric.MetricSlice, name, promType string) pmetric.Metric {
	m := ms.AppendEmpty()
	m.SetName(name)
	m.Metadata().PutStr(metadataType, promType)
	return m
}

func number(points pmetric.NumberDataPointSlice, v float64, attrs ...string) pmetric.NumberDataPoint {
	dp := points.AppendEmpty()
	dp.SetTimestamp(at)
	dp.SetDoubleValue(v)
	put(dp.Attributes(), attrs...)
	return dp
}

func put(m pcommon.Map, attrs ...string) {
	for i := 0; i+1 < len(attrs); i += 2 {
		m.PutStr(attrs[i], attrs[i+1])
	}
}

func cumulativeSum(m pmetric.Metric, monotonic bool) pmetric.NumberDataPointSlice {
	s := m.SetEmptySum()
	s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	s.SetIsMonotonic(monotonic)
	return s.DataPoints()
}

func classic(m pmetric.Metric, bounds []float64, counts []uint64, sum float64) pmetric.HistogramDataPoint {
	if m.Type() != pmetric.MetricTypeHistogram {
		m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	}
	dp := m.Histogram().DataPoints().AppendEmpty()
	dp.SetTimestamp(at)
	dp.ExplicitBounds().FromRaw(bounds)
	dp.BucketCounts().FromRaw(counts)
	total := uint64(0)
	for _, c := range counts {
		total += c
	}
	dp.SetCount(total)
	dp.SetSum(sum)
	return dp
}

func native(m pmetric.Metric) pmetric.ExponentialHistogramDataPoint {
	if m.Type() != pmetric.MetricTypeExponentialHistogram {
		m.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	}
	dp := m.ExponentialHistogram().DataPoints().AppendEmpty()
	dp.SetTimestamp(at)
	return dp
}
