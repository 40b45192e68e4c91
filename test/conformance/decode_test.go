// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// request is a request as it came.
type request struct {
	at     time.Time
	method string
	header http.Header
	body   []byte // compressed
	raw    []byte // what was compressed
	err    error  // why it cannot be read
	v1     *prompb.WriteRequest
	v2     *writev2.Request
	series []series
	status int // of the answer
}

// series is a TimeSeries of either version.
type series struct {
	pairs      [][2]string // labels in the order in which they were sent
	floats     []float
	histograms []nativeHistogram
	exemplars  []exemplar
	kind       string // metadata type, of 2.0
	help, unit string
}

type float struct {
	t, st int64
	v     float64
}

type nativeHistogram struct {
	t, st                       int64
	schema                      int32
	count, sum, zero            float64
	positiveSpans, negativeSpan int
	custom                      []float64
}

type exemplar struct {
	labels map[string]string
	t      int64
	v      float64
}

// label returns the value of a label, empty where there is none.
func (s *series) label(name string) string {
	for _, p := range s.pairs {
		if p[0] == name {
			return p[1]
		}
	}
	return ""
}

func (s *series) name() string { return s.label("__name__") }

// id is the series with its labels, for comparison.
func (s *series) id() string { return fmt.Sprint(s.pairs) }

// named returns the series of a name, and with it label values as given in pairs.
func (r *request) named(name string, want ...string) []series {
	var found []series
	for _, s := range r.series {
		fits := s.name() == name
		for i := 0; i+1 < len(want); i += 2 {
			fits = fits && s.label(want[i]) == want[i+1]
		}
		if fits {
			found = append(found, s)
		}
	}
	return found
}

// samples counts what is in it, histograms among them.
func (r *request) samples() int {
	n := 0
	for i := range r.series {
		n += len(r.series[i].floats) + len(r.series[i].histograms)
	}
	return n
}

// version is the value of the header.
func (r *request) version() string { return r.header.Get("X-Prometheus-Remote-Write-Version") }

// decode reads a request the way a receiver does: by its Content-Type.
func decode(hr *http.Request) *request {
	r := &request{at: time.Now(), method: hr.Method, header: hr.Header.Clone()}
	if r.body, r.err = io.ReadAll(hr.Body); r.err != nil {
		return r
	}
	raw, err := snappy.Decode(nil, r.body) // the block format
	if err != nil {
		r.err = err
		return r
	}
	r.raw = raw
	if strings.Contains(r.header.Get("Content-Type"), "io.prometheus.write.v2.Request") {
		r.v2 = &writev2.Request{}
		if r.err = r.v2.Unmarshal(raw); r.err == nil {
			r.err = r.readV2()
		}
		return r
	}
	r.v1 = &prompb.WriteRequest{}
	if r.err = r.v1.Unmarshal(raw); r.err == nil {
		r.readV1()
	}
	return r
}

func (r *request) readV1() {
	for _, ts := range r.v1.Timeseries {
		var s series
		for _, l := range ts.Labels {
			s.pairs = append(s.pairs, [2]string{l.Name, l.Value})
		}
		for _, x := range ts.Samples {
			s.floats = append(s.floats, float{t: x.Timestamp, v: x.Value})
		}
		for _, h := range ts.Histograms {
			s.histograms = append(s.histograms, nativeHistogram{
				t: h.Timestamp, schema: h.Schema, count: float64(h.GetCountInt()) + h.GetCountFloat(), sum: h.Sum, zero: float64(h.GetZeroCountInt()),
				positiveSpans: len(h.PositiveSpans), negativeSpan: len(h.NegativeSpans), custom: h.CustomValues,
			})
		}
		for _, x := range ts.Exemplars {
			e := exemplar{labels: map[string]string{}, t: x.Timestamp, v: x.Value}
			for _, l := range x.Labels {
				e.labels[l.Name] = l.Value
			}
			s.exemplars = append(s.exemplars, e)
		}
		r.series = append(r.series, s)
	}
}

func (r *request) readV2() error {
	symbols := r.v2.Symbols
	if len(symbols) == 0 {
		return errors.New("no symbols")
	}
	text := func(ref uint32) string {
		if int(ref) >= len(symbols) {
			r.err = fmt.Errorf("reference %d of %d symbols", ref, len(symbols))
			return ""
		}
		return symbols[ref]
	}
	pairs := func(refs []uint32) (pairs [][2]string) {
		if len(refs)%2 != 0 {
			r.err = fmt.Errorf("%d references: not pairs", len(refs))
			return nil
		}
		for i := 0; i < len(refs); i += 2 {
			pairs = append(pairs, [2]string{text(refs[i]), text(refs[i+1])})
		}
		return pairs
	}
	for _, ts := range r.v2.Timeseries {
		s := series{pairs: pairs(ts.LabelsRefs), kind: ts.Metadata.Type.String(), help: text(ts.Metadata.HelpRef), unit: text(ts.Metadata.UnitRef)}
		for _, x := range ts.Samples {
			s.floats = append(s.floats, float{t: x.Timestamp, st: x.StartTimestamp, v: x.Value})
		}
		for _, h := range ts.Histograms {
			s.histograms = append(s.histograms, nativeHistogram{
				t: h.Timestamp, st: h.StartTimestamp, schema: h.Schema, count: float64(h.GetCountInt()) + h.GetCountFloat(), sum: h.Sum,
				zero: float64(h.GetZeroCountInt()), positiveSpans: len(h.PositiveSpans), negativeSpan: len(h.NegativeSpans), custom: h.CustomValues,
			})
		}
		for _, x := range ts.Exemplars {
			e := exemplar{labels: map[string]string{}, t: x.Timestamp, v: x.Value}
			for _, p := range pairs(x.LabelsRefs) {
				e.labels[p[0]] = p[1]
			}
			s.exemplars = append(s.exemplars, e)
		}
		r.series = append(r.series, s)
	}
	return r.err
}
