// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/util/compression"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	writePath = "/api/v1/write"
	statsPath = "/stats"
	typeV2    = "io.prometheus.write.v2.Request"
	// maxBody is Prometheus's own bound of a decoded request.
	maxBody = 32 << 20
	// verifyEvery says which requests are also decoded with Prometheus's own types, and the counts compared.
	verifyEvery = 20
)

// counts is what a sink received since its last reset.
type counts struct {
	Requests   int64 `json:"requests"`
	RequestsV2 int64 `json:"requests_v2"`
	// Bytes are those of the bodies, as they are on the wire.
	Bytes int64 `json:"bytes"`
	// Samples are floats and histograms.
	Samples    int64 `json:"samples"`
	Histograms int64 `json:"histograms"`
	Exemplars  int64 `json:"exemplars"`
	// TimeSeries counts a series once in each request that it is in, and Labels its labels as often.
	TimeSeries int64 `json:"time_series"`
	Labels     int64 `json:"labels"`
	// Verified is the number of requests that Prometheus's own decoder counted alike.
	Verified int64 `json:"verified"`
	// Invalid says what was wrong with the first request that was not what it should be. Empty: nothing.
	Invalid string `json:"invalid"`
	// Series is the number of different label sets, and Fingerprint depends on which they are.
	Series      int    `json:"series"`
	Fingerprint uint64 `json:"fingerprint"`
	// LabelNames are the names of all labels.
	LabelNames []string `json:"label_names"`
}

// add counts one request.
func (c *counts) add(r requestCounts) {
	c.Requests++
	c.Samples += r.samples
	c.Histograms += r.histograms
	c.Exemplars += r.exemplars
	c.TimeSeries += r.series
	c.Labels += r.labels
}

// since returns what came between the two.
func (c *counts) since(before *counts) counts {
	d := *c
	d.Requests -= before.Requests
	d.RequestsV2 -= before.RequestsV2
	d.Bytes -= before.Bytes
	d.Samples -= before.Samples
	d.Histograms -= before.Histograms
	d.Exemplars -= before.Exemplars
	d.TimeSeries -= before.TimeSeries
	d.Labels -= before.Labels
	return d
}

// sink is a remote-write receiver, 1.0 and 2.0, that stores nothing and counts.
type sink struct {
	seed    maphash.Seed
	buffers sync.Pool // of *buffers

	mu     sync.Mutex // guards what follows
	counts counts
	series map[uint64]struct{}
	names  map[string]struct{}
}

// buffers are what one request needs.
type buffers struct {
	body    bytes.Buffer
	inflate compression.DecodeBuffer
	decoded []byte // held by inflate
	symbols [][]byte
	key     []byte
	hashes  []uint64
	names   map[string]struct{}
}

func newSink() *sink {
	s := &sink{seed: maphash.MakeSeed()}
	s.buffers.New = func() any {
		return &buffers{inflate: compression.NewSyncDecodeBuffer(), names: map[string]struct{}{}}
	}
	s.reset()
	return s
}

func (s *sink) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+writePath, s.write)
	mux.HandleFunc("POST "+resetPath, func(http.ResponseWriter, *http.Request) { s.reset() })
	mux.HandleFunc("GET "+statsPath, func(w http.ResponseWriter, _ *http.Request) {
		stats := s.stats()
		_ = json.NewEncoder(w).Encode(stats) // the reader notices half an answer
	})
	return mux
}

func (s *sink) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts, s.series, s.names = counts{}, map[uint64]struct{}{}, map[string]struct{}{}
}

func (s *sink) stats() counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Series = len(s.series)
	for hash := range s.series {
		c.Fingerprint ^= hash
	}
	for name := range s.names {
		c.LabelNames = append(c.LabelNames, name)
	}
	slices.Sort(c.LabelNames)
	return c
}

// write answers as a receiver does that stored everything.
func (s *sink) write(w http.ResponseWriter, r *http.Request) {
	b := s.buffers.Get().(*buffers)
	defer s.buffers.Put(b)
	v2 := isV2(r.Header.Get("Content-Type"))
	n, size, err := s.receive(b, r.Body, v2)
	if err != nil {
		s.invalid(err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.counts.add(n)
	s.counts.Bytes += size
	if v2 {
		s.counts.RequestsV2++
	}
	for _, hash := range b.hashes {
		s.series[hash] = struct{}{}
	}
	for name := range b.names {
		s.names[name] = struct{}{}
	}
	verify := s.counts.Requests%verifyEvery == 1
	s.mu.Unlock()
	if verify {
		s.verify(b.decoded, v2, n)
	}
	if v2 {
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.FormatInt(n.samples-n.histograms, 10))
		w.Header().Set("X-Prometheus-Remote-Write-Histograms-Written", strconv.FormatInt(n.histograms, 10))
		w.Header().Set("X-Prometheus-Remote-Write-Exemplars-Written", strconv.FormatInt(n.exemplars, 10))
	}
	w.WriteHeader(http.StatusNoContent)
}

func isV2(contentType string) bool {
	_, params, err := mime.ParseMediaType(contentType)
	return err == nil && params["proto"] == typeV2
}

// receive reads and counts one request. size is that of the body on the wire.
func (s *sink) receive(b *buffers, body io.Reader, v2 bool) (n requestCounts, size int64, err error) {
	b.body.Reset()
	b.hashes = b.hashes[:0]
	clear(b.names)
	size, err = io.Copy(&b.body, io.LimitReader(body, maxBody))
	if err != nil {
		return n, size, fmt.Errorf("reading a request: %w", err)
	}
	b.decoded, err = compression.Decode(compression.Snappy, b.body.Bytes(), b.inflate)
	if err != nil {
		return n, size, fmt.Errorf("decompressing a request: %w", err)
	}
	n, err = s.count(b, v2)
	return n, size, err
}

func (s *sink) invalid(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts.Invalid == "" {
		s.counts.Invalid = err.Error()
	}
}

// requestCounts is what one request held.
type requestCounts struct{ series, labels, samples, histograms, exemplars int64 }

// fields are the field numbers of the two protocols' TimeSeries and of the list of them.
type fields struct{ timeSeries, labels, samples, exemplars, histograms protowire.Number }

var (
	fieldsV1 = fields{timeSeries: 1, labels: 1, samples: 2, exemplars: 3, histograms: 4}
	fieldsV2 = fields{timeSeries: 5, labels: 1, samples: 2, exemplars: 4, histograms: 3}
)

const symbolsField = 4 // of remote write 2.0

// count counts without decoding a value, and hashes each series' labels, alike in both protocols.
func (s *sink) count(b *buffers, v2 bool) (requestCounts, error) {
	var n requestCounts
	f := fieldsV1
	if v2 {
		f = fieldsV2
		b.symbols = b.symbols[:0]
		if err := eachField(b.decoded, func(number protowire.Number, symbol []byte) error {
			if number == symbolsField {
				b.symbols = append(b.symbols, symbol)
			}
			return nil
		}); err != nil {
			return n, err
		}
	}
	err := eachField(b.decoded, func(number protowire.Number, series []byte) error {
		if number != f.timeSeries {
			return nil
		}
		n.series++
		b.key = b.key[:0]
		if err := eachField(series, func(number protowire.Number, value []byte) error {
			switch number {
			case f.labels:
				labels, err := b.label(value, v2)
				n.labels += labels
				return err
			case f.samples:
				n.samples++
			case f.histograms:
				n.samples++
				n.histograms++
			case f.exemplars:
				n.exemplars++
			}
			return nil
		}); err != nil {
			return err
		}
		b.hashes = append(b.hashes, maphash.Bytes(s.seed, b.key))
		return nil
	})
	return n, err
}

// eachField calls f with every field that has a length. Others are passed over.
func eachField(message []byte, f func(protowire.Number, []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("a request is not protobuf: %w", protowire.ParseError(n))
		}
		message = message[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
				return fmt.Errorf("a request is not protobuf: %w", protowire.ParseError(n))
			}
			message = message[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(message)
		if n < 0 {
			return fmt.Errorf("a request is not protobuf: %w", protowire.ParseError(n))
		}
		message = message[n:]
		if err := f(number, value); err != nil {
			return err
		}
	}
	return nil
}

// label adds to the key of the series: one label in 1.0, the references of all in 2.0.
func (b *buffers) label(value []byte, v2 bool) (int64, error) {
	if !v2 {
		var text [2][]byte
		if err := eachField(value, func(number protowire.Number, v []byte) error {
			if number == 1 || number == 2 {
				text[number-1] = v
			}
			return nil
		}); err != nil {
			return 0, err
		}
		b.addLabel(text[0], text[1])
		return 1, nil
	}
	var labels int64
	for len(value) > 0 {
		var pair [2][]byte
		for i := range pair {
			ref, n := protowire.ConsumeVarint(value)
			if n < 0 || ref >= uint64(len(b.symbols)) {
				return labels, errors.New("a series refers to a symbol that its request does not have")
			}
			pair[i], value = b.symbols[ref], value[n:]
		}
		b.addLabel(pair[0], pair[1])
		labels++
	}
	return labels, nil
}

func (b *buffers) addLabel(name, value []byte) {
	if _, seen := b.names[string(name)]; !seen {
		b.names[string(name)] = struct{}{}
	}
	b.key = append(b.key, name...)
	b.key = append(b.key, 0xff)
	b.key = append(b.key, value...)
	b.key = append(b.key, 0xff)
}

// verify decodes the request with Prometheus's own types and compares.
func (s *sink) verify(decoded []byte, v2 bool, got requestCounts) {
	want, err := decodeWhole(decoded, v2)
	switch {
	case err != nil:
		s.invalid(err)
	case want != got:
		s.invalid(fmt.Errorf("a request was counted as %+v, it holds %+v", got, want))
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.counts.Verified++
	}
}

func decodeWhole(decoded []byte, v2 bool) (requestCounts, error) {
	var n requestCounts
	if !v2 {
		var r prompb.WriteRequest
		if err := r.Unmarshal(decoded); err != nil {
			return n, fmt.Errorf("decoding a request of remote write 1.0: %w", err)
		}
		for i := range r.Timeseries {
			t := &r.Timeseries[i]
			if !slices.IsSortedFunc(t.Labels, func(a, b prompb.Label) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) }) {
				return n, fmt.Errorf("labels are not sorted: %v", t.Labels)
			}
			n.addSeries(len(t.Labels), len(t.Samples), len(t.Histograms), len(t.Exemplars))
		}
		return n, nil
	}
	var r writev2.Request
	if err := r.Unmarshal(decoded); err != nil {
		return n, fmt.Errorf("decoding a request of remote write 2.0: %w", err)
	}
	for i := range r.Timeseries {
		t := &r.Timeseries[i]
		n.addSeries(len(t.LabelsRefs)/2, len(t.Samples), len(t.Histograms), len(t.Exemplars))
	}
	return n, nil
}

func (n *requestCounts) addSeries(labels, samples, histograms, exemplars int) {
	n.series++
	n.labels += int64(labels)
	n.samples += int64(samples + histograms)
	n.histograms += int64(histograms)
	n.exemplars += int64(exemplars)
}

// serveSink serves a sink until the standard input is closed.
func serveSink() error { return serveUntilEOF(newSink().handler()) }
