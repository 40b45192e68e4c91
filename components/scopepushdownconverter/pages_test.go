// SPDX-License-Identifier: Apache-2.0

package scopepushdownconverter_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
)

var (
	// bases are few, so that the names of a page and those of a scope meet.
	bases = []string{"a", "b", "a_b", "kube_pod", "go_x", "up", "target", "scrape_samples_scraped", "c.d", "a__b", "1a", "é"}
	// suffixes are all that mean something to somebody, and two that mean nothing.
	suffixes = []string{"", "", "", "_bucket", "_sum", "_count", "_total", "_info", "_created", "_max", "_seconds"}
	types    = []string{"counter", "gauge", "histogram", "summary", "untyped"}
	omTypes  = []string{"counter", "gauge", "histogram", "summary", "unknown", "info", "stateset", "gaugehistogram"}
)

// random draws names, pages and scopes.
type random struct{ *rand.Rand }

func pick[T any](r random, from ...T) T { return from[r.IntN(len(from))] }

func (r random) oneIn(n int) bool { return r.IntN(n) == 0 }

func (r random) name() string {
	name := pick(r, bases...) + pick(r, suffixes...)
	if r.oneIn(6) {
		name += pick(r, suffixes...)
	}
	return name
}

// page is what a target exposes, as the lines of a text format or as protobuf.
type page struct {
	openMetrics bool
	lines       []string
	protobuf    []byte
}

func (r random) page() page {
	if r.oneIn(4) {
		return page{protobuf: r.protobufPage()}
	}
	p := page{openMetrics: r.oneIn(2)}
	seen := map[string]bool{}
	for range 1 + r.IntN(6) {
		family := r.name()
		if r.IntN(5) > 0 && !seen[family] {
			seen[family] = true
			kinds := types
			if p.openMetrics {
				kinds = omTypes
			}
			p.lines = append(p.lines, "# TYPE "+quoted(family)+" "+pick(r, kinds...), "# HELP "+quoted(family)+" About "+family+".")
		}
		for range 1 + r.IntN(3) {
			p.series(r, family, seen)
		}
	}
	if r.oneIn(3) {
		p.whole(r, pick(r, "a", "b", "a_b", "go_x"))
	}
	return p
}

// whole adds a histogram or a summary that has all of its parts.
func (p *page) whole(r random, family string) {
	n := r.IntN(20)
	if r.oneIn(2) {
		p.lines = append(p.lines, "# TYPE "+family+" histogram", fmt.Sprintf(`%s_bucket{le="1.0"} %d`, family, n), fmt.Sprintf(`%s_bucket{le="+Inf"} %d`, family, n+2))
	} else {
		p.lines = append(p.lines, "# TYPE "+family+" summary", fmt.Sprintf(`%s{quantile="0.5"} %d`, family, n))
	}
	p.lines = append(p.lines, fmt.Sprintf("%s_sum %d", family, 2*n), fmt.Sprintf("%s_count %d", family, n+2))
	if p.openMetrics && r.oneIn(2) {
		p.lines = append(p.lines, family+"_created 1700000000")
	}
}

// series adds a series of a family, with a suffix that suits it or not.
func (p *page) series(r random, family string, seen map[string]bool) {
	name := family
	if r.oneIn(2) {
		name += pick(r, suffixes...)
	}
	labels := map[string]string{}
	for range r.IntN(3) {
		labels[pick(r, "x", "x", "le", "quantile", "app", "exporter", "namespace", "otel_scope_name", "otel_scope_x")] = pick(r, "1.0", "0.5", "+Inf", "y", "tool-manager", "otel-collector")
	}
	var all []string
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, label+"="+strconv.Quote(labels[label]))
	}
	if name == "target_info" && r.oneIn(2) { // the receiver gives the labels of this one to the resource
		all = append(all, `"k8s.namespace.name"="foreign"`)
	}
	series := name + "{" + strings.Join(all, ",") + "}"
	if quoted(name) != name {
		series = "{" + strings.Join(append([]string{quoted(name)}, all...), ",") + "}"
	}
	if seen[series] {
		return
	}
	seen[series] = true
	line := series + " " + strconv.Itoa(r.IntN(20))
	if p.openMetrics && r.oneIn(6) {
		line += ` # {trace_id="abc"} 1.5`
	}
	p.lines = append(p.lines, line)
}

func quoted(name string) string {
	for i, c := range name {
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return strconv.Quote(name)
		}
	}
	return name
}

// text is the page as it is sent.
func (p *page) text() string {
	if p.protobuf != nil {
		return string(p.protobuf)
	}
	end := ""
	if p.openMetrics {
		end = "# EOF\n"
	}
	return strings.Join(p.lines, "\n") + "\n" + end
}

func (p *page) contentType() string {
	switch {
	case p.protobuf != nil:
		return "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
	case p.openMetrics:
		return "application/openmetrics-text; version=1.0.0; charset=utf-8"
	default:
		return "text/plain; version=0.0.4; charset=utf-8"
	}
}

// protobufPage has native histograms, alone or with classic buckets.
func (r random) protobufPage() []byte {
	var b bytes.Buffer
	seen := map[string]bool{}
	for range 1 + r.IntN(5) {
		f := &dto.MetricFamily{Name: proto.String(r.name()), Help: proto.String("Help."), Type: pick(r,
			dto.MetricType_COUNTER, dto.MetricType_GAUGE, dto.MetricType_SUMMARY, dto.MetricType_UNTYPED, dto.MetricType_HISTOGRAM, dto.MetricType_HISTOGRAM).Enum()}
		if seen[f.GetName()] {
			continue
		}
		seen[f.GetName()] = true
		for i := range 1 + r.IntN(2) {
			m := &dto.Metric{Label: []*dto.LabelPair{{Name: proto.String("x"), Value: proto.String(strconv.Itoa(i))}}}
			n := float64(r.IntN(20))
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				m.Counter = &dto.Counter{Value: proto.Float64(n)}
			case dto.MetricType_GAUGE:
				m.Gauge = &dto.Gauge{Value: proto.Float64(n)}
			case dto.MetricType_SUMMARY:
				m.Summary = &dto.Summary{SampleCount: proto.Uint64(3), SampleSum: proto.Float64(n), Quantile: []*dto.Quantile{{Quantile: proto.Float64(0.5), Value: proto.Float64(n)}}}
			case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
				m.Histogram = r.histogram()
			case dto.MetricType_UNTYPED:
				m.Untyped = &dto.Untyped{Value: proto.Float64(n)}
			}
			f.Metric = append(f.Metric, m)
		}
		if _, err := protodelim.MarshalTo(&b, f); err != nil {
			panic(err) // to memory
		}
	}
	return b.Bytes()
}

func (r random) histogram() *dto.Histogram {
	n := uint64(r.IntN(20)) //nolint:gosec // small
	h := &dto.Histogram{SampleCount: proto.Uint64(n + 2), SampleSum: proto.Float64(float64(n))}
	native := r.oneIn(2)
	if native {
		h.Schema, h.ZeroThreshold, h.ZeroCount = proto.Int32(0), proto.Float64(0.001), proto.Uint64(n)
		h.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(1)}}
		h.PositiveDelta = []int64{2}
	}
	if !native || r.oneIn(2) {
		h.Bucket = []*dto.Bucket{{UpperBound: proto.Float64(1), CumulativeCount: proto.Uint64(n)}, {UpperBound: proto.Float64(2), CumulativeCount: proto.Uint64(n + 1)}}
	}
	return h
}
