// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"bufio"
	"context"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// Exported is what an export has written, and what it has left out.
type Exported struct {
	Samples uint64 `json:"samples"`
	Series  int    `json:"series"`
	// Repeated samples have the time of an earlier one of their series, of which the first is written.
	Repeated uint64 `json:"repeated"`
	// StaleMarkers and NativeHistograms have no form in OpenMetrics text, Exemplars none but with counters.
	StaleMarkers     uint64 `json:"stale_markers_left_out"`
	NativeHistograms uint64 `json:"native_histograms_left_out"`
	Exemplars        uint64 `json:"exemplars_left_out"`
	// Invalid samples are not taken by Prometheus's storage: bad labels or bad histograms, as in a quarantine. InvalidExample is why.
	Invalid        uint64 `json:"invalid_left_out"`
	InvalidExample string `json:"invalid_example,omitempty"`
	// Blocks are the folders of TSDB blocks.
	Blocks []string `json:"blocks,omitempty"`
	// DamagedBytes of the log could not be read.
	DamagedBytes int64 `json:"damaged_bytes"`
}

// Progress is told how much of a work is done.
type Progress func(done, all uint64)

// OpenMetrics writes the samples as OpenMetrics text 1.0: sorted by family, series and time, each series once, and with the end mark.
//
// Counters whose names end in _total, and gauges, have their type. All other series are families of their own, of unknown type: a
// histogram of which the log has a part is no histogram that the format allows.
func (r *Reader) OpenMetrics(ctx context.Context, w io.Writer, progress Progress) (Exported, error) {
	c, err := r.catalogue(ctx)
	if err != nil {
		return Exported{}, err
	}
	out := &openMetrics{w: bufio.NewWriterSize(w, 1<<20), c: c, families: c.families()}
	order, rank := c.ranks()
	done := uint64(0)
	for first := 0; first < len(order); {
		size, end := uint64(0), first
		for end < len(order) && (end == first || size+c.series[order[end]].samples <= maxInMemory) {
			size += c.series[order[end]].samples
			end++
		}
		samples, err := r.collect(ctx, size, func(series int, _ int64) bool {
			return series < len(rank) && rank[series] >= first && rank[series] < end
		})
		if err != nil {
			return out.done, err
		}
		sortSeries(samples, rank)
		samples, repeated := dropRepeats(samples)
		out.done.Repeated += repeated
		for i := range samples {
			if err := out.write(&samples[i]); err != nil {
				return out.done, err
			}
			if err := everyNow(ctx, uint64(i)); err != nil {
				return out.done, err
			}
		}
		first = end
		done += size
		progress(done, c.samples)
	}
	out.done.DamagedBytes = r.DamagedBytes
	if _, err := out.w.WriteString("# EOF\n"); err != nil {
		return out.done, err
	}
	return out.done, out.w.Flush()
}

// openMetrics writes sorted samples.
type openMetrics struct {
	w        *bufio.Writer
	c        *catalogue
	families map[string]family // by the name of the metric
	done     Exported
	metric   string // the last
	series   int    // the last and one more; 0: none
	begun    bool
	text     string // of the series
	buf      []byte
}

// family is what the lines before the samples of a metric say.
type family struct {
	name string
	kind model.MetricType
	help string
}

// families decides on the family of each metric.
func (c *catalogue) families() map[string]family {
	f := map[string]family{}
	for i := range c.series {
		s := &c.series[i]
		if known, found := f[s.name]; !found || known.help == "" {
			f[s.name] = family{name: s.name, kind: s.kind, help: s.help}
		}
	}
	for metric, x := range f {
		base, total := strings.CutSuffix(metric, "_total")
		_, taken := f[base]
		switch {
		case x.kind == model.MetricTypeCounter && total && !taken && base != "":
			x.name = base
		case x.kind != model.MetricTypeGauge:
			x.kind = model.MetricTypeUnknown
		}
		f[metric] = x
	}
	return f
}

func (o *openMetrics) write(s *collected) error {
	switch {
	case s.H != nil || s.FH != nil:
		o.done.NativeHistograms++
		return nil
	case IsStale(&s.Sample):
		o.done.StaleMarkers++
		return nil
	}
	x := &o.c.series[s.series]
	f := o.families[x.name]
	if o.series != s.series+1 {
		o.series = s.series + 1
		o.done.Series++
		o.text = SeriesText(x.labels)
	}
	if !o.begun || o.metric != x.name {
		o.begun, o.metric = true, x.name
		o.header(f)
	}
	o.buf = append(append(o.buf[:0], o.text...), ' ')
	o.buf = appendValue(o.buf, s.V)
	o.buf = append(o.buf, ' ')
	o.buf = appendTime(o.buf, s.T)
	o.done.Exemplars += uint64(len(s.Exemplars))
	if f.kind == model.MetricTypeCounter && len(s.Exemplars) > 0 {
		o.done.Exemplars-- // a sample has room for one
		e := s.Exemplars[len(s.Exemplars)-1]
		o.buf = append(append(o.buf, " # "...), SeriesText(e.Labels)...)
		o.buf = appendValue(append(o.buf, ' '), e.Value)
		o.buf = appendTime(append(o.buf, ' '), e.Ts)
	}
	o.done.Samples++
	_, err := o.w.Write(append(o.buf, '\n'))
	return err
}

func (o *openMetrics) header(f family) {
	name := f.name
	if !model.LegacyValidation.IsValidMetricName(name) {
		name = quoted(name)
	}
	o.buf = append(o.buf[:0], "# TYPE "+name+" "+string(f.kind)+"\n"...)
	if f.help != "" {
		o.buf = append(o.buf, "# HELP "+name+" "+escape(f.help)+"\n"...)
	}
	_, _ = o.w.Write(o.buf) // a bufio.Writer repeats its error
}

// SeriesText is a series as OpenMetrics and Prometheus's text format write it, with names that are not classic in quotes.
func SeriesText(ls labels.Labels) string {
	var b strings.Builder
	name := ls.Get(model.MetricNameLabel)
	inside := name != "" && !model.LegacyValidation.IsValidMetricName(name)
	if !inside {
		b.WriteString(name)
	}
	first := true
	part := func(text string) {
		if first {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		first = false
		b.WriteString(text)
	}
	if inside {
		part(quoted(name))
	}
	ls.Range(func(l labels.Label) {
		switch {
		case l.Name == model.MetricNameLabel:
		case model.LegacyValidation.IsValidLabelName(l.Name):
			part(l.Name + "=" + quoted(l.Value))
		default:
			part(quoted(l.Name) + "=" + quoted(l.Value))
		}
	})
	if !first {
		b.WriteByte('}')
	} else if name == "" {
		b.WriteString("{}")
	}
	return b.String()
}

func quoted(s string) string { return `"` + escape(s) + `"` }

var escaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func escape(s string) string { return escaper.Replace(s) }

func appendValue(b []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(b, "+Inf"...)
	case math.IsInf(v, -1):
		return append(b, "-Inf"...)
	default:
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	}
}

// appendTime writes milliseconds as seconds. Prometheus's parser multiplies by 1000 and cuts off what is behind the point
// (model/textparse/openmetricsparse.go), which may be one less: a tenth of a millisecond is added then.
func appendTime(b []byte, t int64) []byte {
	start := len(b)
	if t < 0 {
		b = append(b, '-')
	}
	magnitude := uint64(max(t, -t)) //nolint:gosec // not negative
	b = strconv.AppendUint(b, magnitude/1000, 10)
	b = append(b, '.', byte('0'+magnitude/100%10), byte('0'+magnitude/10%10), byte('0'+magnitude%10))
	if seconds, err := strconv.ParseFloat(string(b[start:]), 64); err != nil || int64(seconds*1000) != t {
		b = append(b, '1')
	}
	return b
}
