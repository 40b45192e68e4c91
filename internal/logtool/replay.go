// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/record"

	"github.com/kubiyabot/otelcol-runner/internal/delivery"
	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// ReplayOptions say where to send samples.
type ReplayOptions struct {
	Target Target
	// Receiver is the name of a profile, or auto. Protocol is auto, 1.0 or 2.0.
	Receiver, Protocol string
	// Rate is the number of samples a second, 0: no limit.
	Rate float64
	// State is the folder of the replay: a copy of the selected samples, with how far it has come. With the same one, a replay that
	// was interrupted goes on.
	State string
}

// Replayed is how far a replay has come.
type Replayed struct {
	// Selected samples are to be sent. Repeated ones are not among them: they have the time of an earlier one of their series.
	Selected uint64 `json:"selected"`
	Repeated uint64 `json:"repeated"`
	samplelog.Totals
	// Left are not settled: the replay can go on with them.
	Left     uint64 `json:"left"`
	Requests int64  `json:"requests"`
	Bytes    int64  `json:"bytes"`
	// Failing is why the last attempt failed; empty where it did not.
	Failing string `json:"failing,omitempty"`
	State   string `json:"state"`
	// Resumed says that an earlier process had begun.
	Resumed bool `json:"resumed"`
	// DamagedBytes of the log could not be read.
	DamagedBytes int64 `json:"damaged_bytes"`
}

// plan is what a replay was begun with, and is in the file planName of its folder.
type plan struct {
	Source       string    `json:"source"`
	Selection    Selection `json:"selection"`
	Destination  string    `json:"destination"`
	Ready        bool      `json:"ready"` // the copy is complete
	Selected     uint64    `json:"selected"`
	Repeated     uint64    `json:"repeated"`
	DamagedBytes int64     `json:"damaged_bytes"`
}

const (
	planName   = "REPLAY"
	copyFolder = "log"
	// replaySegment is the size of a segment of the copy.
	replaySegment = 32 << 20
	// copyBatch is how many samples are written at a time, and copySpan, in milliseconds, from how long a time: a batch of the log
	// has its histograms behind all its floats, and receivers do not take what is an hour behind.
	copyBatch = 20_000
	copySpan  = 5 * minute
	pollEvery = 100 * time.Millisecond
)

// Replay sends the selected samples, the oldest first, as the exporter sends them: in order, again until the receiver has them,
// those that it refuses set aside in the folder of the replay. preparing is told how much has been copied, sending how far it has
// come, several times a second. When the context ends, it stops at once; what has been sent is known, and the error is the context's.
func (r *Reader) Replay(ctx context.Context, o ReplayOptions, preparing Progress, sending func(Replayed)) (Replayed, error) {
	profile, err := o.profile()
	if err != nil {
		return Replayed{}, err
	}
	if err := o.Target.check(); err != nil {
		return Replayed{}, err
	}
	p, resumed, err := r.prepare(ctx, &o, preparing)
	if err != nil {
		return Replayed{State: o.State}, err
	}
	log, err := samplelog.Open(copyOptions(o.State))
	if err != nil {
		return Replayed{State: o.State}, err
	}
	t := &transport{target: o.Target, client: newClient()}
	defer t.client.CloseIdleConnections()
	aside := func(folder string) *delivery.SetAside {
		return delivery.NewSetAside(samplelog.Disk{}, filepath.Join(o.State, copyFolder, folder), 1<<40, slog.New(slog.DiscardHandler))
	}
	quarantine, expired := aside(delivery.QuarantineFolder), aside(delivery.ExpiredFolder)
	counts := &counter{}
	d := delivery.New(o.delivery(profile), log, t, quarantine, expired, counts)
	now := func() Replayed {
		s := d.Stats()
		return Replayed{
			Selected: p.Selected, Repeated: p.Repeated, DamagedBytes: p.DamagedBytes, Totals: s.Totals, Left: s.Backlog,
			Requests: counts.requests.Load(), Bytes: counts.bytes.Load(), Failing: s.Failing, State: o.State, Resumed: resumed,
		}
	}
	d.Start()
	err = wait(ctx, now, sending)
	// What is sent is settled, or the context has ended: in both cases there is nothing to wait for.
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	d.Shutdown(ended)
	result := now()
	return result, errors.Join(err, log.Close(), quarantine.Close(), expired.Close())
}

// wait returns when all is settled or the context ends.
func wait(ctx context.Context, now func() Replayed, sending func(Replayed)) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		s := now()
		sending(s)
		if s.Left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (o *ReplayOptions) profile() (remotewrite.Profile, error) {
	if !slices.Contains([]string{"auto", string(remotewrite.V1), string(remotewrite.V2)}, o.Protocol) {
		return remotewrite.Profile{}, fmt.Errorf("protocol %q is not known: use auto, 1.0 or 2.0", o.Protocol)
	}
	name := o.Receiver
	if name == remotewrite.Auto {
		name = remotewrite.Detect(o.Target.Endpoint)
	}
	profile, err := remotewrite.ProfileOf(name)
	if err != nil {
		return profile, fmt.Errorf("receiver %w", err)
	}
	return profile, nil
}

func (o *ReplayOptions) delivery(profile remotewrite.Profile) delivery.Config {
	c := delivery.Config{
		Profile: profile, Protocol: profile.Protocol, Fallback: o.Protocol == "auto", Destination: fingerprint(o.Target.Endpoint),
		MaxSamples: 10_000, MaxBytes: profile.MaxBytes, SamplesPerSecond: o.Rate, RequestsPerSecond: float64(profile.RequestsPerMinute) / 60,
		InitialInterval: time.Second, MaxInterval: 30 * time.Second, MaxSampleAge: profile.MaxAge,
		Logger: slog.New(slog.DiscardHandler), Jitter: rand.Float64, Now: time.Now, Status: func(error) {},
	}
	if o.Protocol != "auto" {
		c.Protocol = remotewrite.Protocol(o.Protocol)
	}
	return c
}

// fingerprint stands for an address that may hold a key.
func fingerprint(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// counter is a delivery.Observer.
type counter struct{ requests, bytes atomic.Int64 }

func (c *counter) Attempt(_ string, _ time.Duration, bytes, _ int) {
	c.requests.Add(1)
	c.bytes.Add(int64(bytes))
}
func (c *counter) Partial()      {}
func (c *counter) Deduplicated() {}

func copyOptions(state string) samplelog.Options {
	return samplelog.Options{
		FS: samplelog.Disk{}, Dir: filepath.Join(state, copyFolder), Shards: 1, SegmentBytes: replaySegment, OnFull: samplelog.Refuse,
	}
}

// prepare copies the selected samples to the folder of the replay, unless an earlier process has done so.
func (r *Reader) prepare(ctx context.Context, o *ReplayOptions, progress Progress) (plan, bool, error) {
	source, err := filepath.Abs(r.logs.Dir)
	if err != nil {
		return plan{}, false, err
	}
	p := plan{Source: source, Selection: r.sel, Destination: fingerprint(o.Target.Endpoint)}
	known, found, err := readPlan(o.State)
	switch {
	case err != nil:
		return plan{}, false, err
	case found && (known.Source != p.Source || known.Selection != p.Selection || known.Destination != p.Destination):
		return plan{}, false, fmt.Errorf("%s is the state of another replay (of %s, other samples or another endpoint): use its options, or another folder", o.State, known.Source)
	case found && known.Ready:
		return known, true, nil
	case found: // the copy was interrupted, and is made again
		if err := os.RemoveAll(filepath.Join(o.State, copyFolder)); err != nil {
			return plan{}, false, fmt.Errorf("the state of the replay: %w", err)
		}
	}
	if err := p.write(o.State); err != nil {
		return plan{}, false, err
	}
	if err := r.copy(ctx, o.State, &p, progress); err != nil {
		return plan{}, false, err
	}
	p.Ready = true
	return p, false, p.write(o.State)
}

// readPlan reads what the folder of a replay was begun with. A folder with something else in it is an error: it would be changed.
func readPlan(state string) (p plan, found bool, err error) {
	if err := os.MkdirAll(state, 0o750); err != nil {
		return p, false, fmt.Errorf("the state of the replay: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(state, planName)) //nolint:gosec // the folder that the user names
	if err == nil {
		if err := json.Unmarshal(text, &p); err != nil {
			return p, false, fmt.Errorf("%s cannot be read: %w: use another folder", filepath.Join(state, planName), err)
		}
		return p, true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return p, false, fmt.Errorf("the state of the replay: %w", err)
	}
	entries, err := os.ReadDir(state)
	if err != nil {
		return p, false, fmt.Errorf("the state of the replay: %w", err)
	}
	if len(entries) > 0 {
		return p, false, fmt.Errorf("%s is not empty, and not the state of a replay: use an empty or a new folder", state)
	}
	return p, false, nil
}

func (p *plan) write(state string) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	partial := filepath.Join(state, planName+".partial")
	if err := os.WriteFile(partial, text, 0o600); err != nil {
		return fmt.Errorf("the state of the replay: %w", err)
	}
	if err := os.Rename(partial, filepath.Join(state, planName)); err != nil {
		return fmt.Errorf("the state of the replay: %w", err)
	}
	return nil
}

// copy writes the samples in the order of time, which is one that a receiver takes, wherever they come from.
func (r *Reader) copy(ctx context.Context, state string, p *plan, progress Progress) (err error) {
	c, err := r.catalogue(ctx)
	if err != nil {
		return err
	}
	log, err := samplelog.Open(copyOptions(state))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	to := &copier{c: c, log: log, refs: make([]ref, len(c.series))}
	_, rank := c.ranks()
	minutes := slices.Sorted(maps.Keys(c.minutes))
	done := uint64(0)
	for len(minutes) > 0 {
		n, size := 0, uint64(0)
		for n < len(minutes) && (n == 0 || size+c.minutes[minutes[n]] <= maxInMemory) {
			size += c.minutes[minutes[n]]
			n++
		}
		first, last := minutes[0], minutes[n-1]
		samples, err := r.collect(ctx, size, func(series int, t int64) bool {
			m := minuteOf(t)
			return series < len(rank) && m >= first && m <= last
		})
		if err != nil {
			return err
		}
		sortSeries(samples, rank)
		samples, repeated := dropRepeats(samples)
		slices.SortStableFunc(samples, func(a, b collected) int { return cmp.Compare(a.T, b.T) })
		p.Repeated += repeated
		p.Selected += uint64(len(samples))
		for len(samples) > 0 {
			n := 1
			for n < min(len(samples), copyBatch) && samples[n].T-samples[0].T < copySpan {
				n++
			}
			if err := to.write(ctx, samples[:n]); err != nil {
				return err
			}
			samples = samples[n:]
		}
		done += size
		progress(done, c.samples)
		minutes = minutes[n:]
	}
	p.DamagedBytes = r.DamagedBytes
	return nil
}

// copier writes samples to a log.
type copier struct {
	c    *catalogue
	log  *samplelog.Log
	refs []ref // by series
}

// ref is what a series is called in a segment.
type ref struct {
	generation uint64
	ref        samplelog.Ref
}

func (c *copier) write(ctx context.Context, samples []collected) error {
	return c.log.Append(ctx, func(b *samplelog.Batch) error {
		for i := range samples {
			s := &samples[i]
			x := &c.refs[s.series]
			if x.generation != b.Generation() {
				*x = ref{b.Generation(), define(b, &c.c.series[s.series])}
			}
			b.Add(x.ref, &s.Sample)
		}
		return nil
	})
}

// define makes a series known to the batch.
func define(b *samplelog.Batch, s *catalogued) samplelog.Ref {
	var syms []samplelog.Symbol
	s.labels.Range(func(l labels.Label) { syms = append(syms, b.Symbol(l.Name), b.Symbol(l.Value)) })
	return b.Series(syms, samplelog.Metadata{Type: record.GetMetricType(s.kind), Unit: b.Symbol(s.unit), Help: b.Symbol(s.help)})
}
