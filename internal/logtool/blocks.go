// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/tsdb"
)

// TSDB writes the samples as Prometheus TSDB blocks of two hours into a folder, which is made if it is missing. Prometheus, Thanos and
// promtool read them; a Prometheus server takes them over when they are moved into its data folder. Stale markers and native
// histograms are in them, exemplars and metadata have no place there.
func (r *Reader) TSDB(ctx context.Context, dir string, progress Progress) (Exported, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return Exported{}, fmt.Errorf("the folder for the blocks: %w", err)
	}
	c, err := r.catalogue(ctx)
	if err != nil {
		return Exported{}, err
	}
	var done Exported
	written := make([]bool, len(c.series))
	passed := uint64(0)
	windows := c.windows(tsdb.DefaultBlockDuration / minute)
	for _, start := range slices.Sorted(maps.Keys(windows)) {
		w := &blockWindow{
			r: r, c: c, from: start * tsdb.DefaultBlockDuration, to: (start + 1) * tsdb.DefaultBlockDuration, samples: windows[start],
			done: &done, written: written,
		}
		if err := w.write(ctx, dir); err != nil {
			return done, err
		}
		passed += windows[start]
		progress(passed, c.samples)
	}
	for _, yes := range written {
		if yes {
			done.Series++
		}
	}
	done.DamagedBytes = r.DamagedBytes
	return done, nil
}

// windows are the numbers of samples by windows of so many minutes, aligned to the epoch.
func (c *catalogue) windows(minutes int64) map[int64]uint64 {
	w := map[int64]uint64{}
	for m, n := range c.minutes {
		start := m / minutes
		if m < 0 {
			start = (m+1)/minutes - 1
		}
		w[start] += n
	}
	return w
}

// blockWindow is one block.
type blockWindow struct {
	r        *Reader
	c        *catalogue
	from, to int64
	samples  uint64
	done     *Exported
	written  []bool // by series
}

// maxCommit is how many samples are given to the block writer at a time.
const maxCommit = 5000

func (w *blockWindow) write(ctx context.Context, dir string) (err error) {
	// A block writer takes samples that are at most half of its range older than the newest one, while here one series comes after
	// the other. Twice the range is what promtool gives it too (cmd/promtool/backfill.go); the block has the samples' own range.
	blocks, err := tsdb.NewBlockWriter(slog.New(slog.DiscardHandler), dir, 2*tsdb.DefaultBlockDuration)
	if err != nil {
		return fmt.Errorf("creating a block: %w", err)
	}
	defer func() { err = errors.Join(err, blocks.Close()) }()

	// More samples than memory is good for: one part of the series after the other.
	parts := int(w.samples/maxInMemory) + 1 //nolint:gosec // far below
	_, rank := w.c.ranks()
	for part := range parts {
		samples, err := w.r.collect(ctx, w.samples/uint64(parts), func(series int, t int64) bool {
			return series < len(rank) && rank[series]%parts == part && t >= w.from && t < w.to
		})
		if err != nil {
			return err
		}
		sortSeries(samples, rank)
		samples, repeated := dropRepeats(samples)
		w.done.Repeated += repeated
		for len(samples) > 0 {
			n := min(maxCommit, len(samples))
			if err := w.append(ctx, blocks, samples[:n]); err != nil {
				return err
			}
			samples = samples[n:]
		}
	}
	id, err := blocks.Flush(ctx)
	if err != nil && !errors.Is(err, tsdb.ErrNoSeriesAppended) {
		return fmt.Errorf("writing a block: %w", err)
	}
	if id != (ulid.ULID{}) {
		w.done.Blocks = append(w.done.Blocks, id.String())
	}
	return nil
}

func (w *blockWindow) append(ctx context.Context, blocks *tsdb.BlockWriter, samples []collected) error {
	app := blocks.Appender(ctx)
	for i := range samples {
		s := &samples[i]
		var err error
		if s.H != nil || s.FH != nil {
			_, err = app.AppendHistogram(0, w.c.series[s.series].labels, s.T, s.H, s.FH)
		} else {
			_, err = app.Append(0, w.c.series[s.series].labels, s.T, s.V)
		}
		if err != nil {
			w.invalid(s, err)
			continue
		}
		w.done.Samples++
		w.done.Exemplars += uint64(len(s.Exemplars))
		w.written[s.series] = true
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("writing a block: %w", err)
	}
	return nil
}

// invalid counts a sample that the storage does not take.
func (w *blockWindow) invalid(s *collected, err error) {
	w.done.Invalid++
	if w.done.InvalidExample == "" {
		w.done.InvalidExample = fmt.Sprintf("%s: %v", w.c.series[s.series].labels, err)
	}
}
