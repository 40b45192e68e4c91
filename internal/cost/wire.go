// SPDX-License-Identifier: Apache-2.0

package cost

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

const (
	// requestSamples is how many samples the exporter puts into a request by default.
	requestSamples = 10_000
	// batchSeries is how many series are written to the log at once, which waits for the disk each time.
	batchSeries = 2 * requestSamples
)

// wire is what one sample of each series takes.
type wire struct {
	v1, v2 float64   // compressed, all requests
	raw    []float64 // by series: its part of the uncompressed request of remote write 1.0
}

// measure encodes one sample of every series as the exporter does, in requests of its size. What a target says about its metrics
// (help and unit) is not part of it.
func measure(ctx context.Context, series []Series) (w wire, err error) {
	dir, err := os.MkdirTemp("", "runnerctl-")
	if err != nil {
		return wire{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log, err := samplelog.Open(samplelog.Options{FS: samplelog.Disk{}, Dir: dir, Shards: 1, SegmentBytes: 1 << 40, Now: time.Now})
	if err != nil {
		return wire{}, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	reader := log.Reader(log.Runs(0)[0], 0, samplelog.Position{}, 0)
	defer reader.Close()

	var encoder remotewrite.Encoder
	var compressed []byte
	for some := range slices.Chunk(series, batchSeries) {
		if err := log.Append(ctx, func(b *samplelog.Batch) error {
			for i := range some {
				appendSeries(b, &some[i])
			}
			return nil
		}); err != nil {
			return wire{}, err
		}
		for {
			piece, err := reader.Next()
			if errors.Is(err, samplelog.ErrNothingNew) {
				break
			}
			if err != nil {
				return wire{}, err
			}
			for request := range slices.Chunk(piece.Samples, requestSamples) {
				compressed = remotewrite.Compress(compressed[:0], encoder.V1(&piece.View, request))
				w.v1 += float64(len(compressed))
				compressed = remotewrite.Compress(compressed[:0], encoder.V2(&piece.View, request))
				w.v2 += float64(len(compressed))
			}
			for i := range piece.Samples {
				w.raw = append(w.raw, float64(len(encoder.V1(&piece.View, piece.Samples[i:i+1]))))
			}
		}
	}
	return w, nil
}

func appendSeries(b *samplelog.Batch, s *Series) {
	var symbols []samplelog.Symbol
	s.Labels.Range(func(l labels.Label) { symbols = append(symbols, b.Symbol(l.Name), b.Symbol(l.Value)) })
	ref := b.Series(symbols, samplelog.Metadata{})
	if s.last.H != nil {
		b.FloatHistogram(ref, 0, s.last.T, s.last.H)
		return
	}
	b.Sample(ref, 0, s.last.T, s.last.F)
}
