// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// Stat is a folder in figures.
type Stat struct {
	Segments int   `json:"segments"`
	Bytes    int64 `json:"bytes"`
	// Accepted samples are the settled ones and the backlog.
	Accepted uint64 `json:"accepted"`
	samplelog.Totals
	// Backlog is how many accepted samples are not settled. Balanced says that accepted is the sum of all others.
	Backlog  uint64 `json:"backlog"`
	Balanced bool   `json:"balanced"`
	// Missing samples of the backlog are not in the log any more, or cannot be read: they will be counted as dropped.
	Missing uint64 `json:"missing"`
	// Oldest and Newest are the times of samples of the backlog, in milliseconds since the epoch; 0 where there are none.
	Oldest int64 `json:"oldest"`
	Newest int64 `json:"newest"`
	// Metrics are those with the most samples in the backlog, MoreMetrics how many others there are. Samples of a frozen batch of
	// which a part has been settled are all counted here.
	Metrics     []MetricCount `json:"metrics"`
	MoreMetrics int           `json:"more_metrics"`
	// Run is the run of segments that is sent, Shards how far each shard has come.
	Run        uint64                 `json:"run"`
	Shards     []samplelog.ShardState `json:"shards"`
	Remembered samplelog.Remembered   `json:"remembered"`
	// Kept is what is set aside and on disk, by part. The quarantine also says why.
	Kept map[Kind]Kept `json:"kept"`
}

// MetricCount is how many samples of a metric there are.
type MetricCount struct {
	Metric  string `json:"metric"`
	Samples uint64 `json:"samples"`
}

// Kept is what one of the parts holds.
type Kept struct {
	Segments int    `json:"segments"`
	Samples  uint64 `json:"samples"`
	Bytes    int64  `json:"bytes"`
	// Reasons are the samples by reason.
	Reasons map[string]uint64 `json:"reasons,omitempty"`
}

// Stat reads the backlog and what is set aside. top bounds the number of metrics.
func (l *Logs) Stat(top int) (Stat, error) {
	s := Stat{
		Totals: l.Checkpoint.Totals.Clone(), Run: l.Checkpoint.Run, Shards: l.Checkpoint.Shards, Remembered: l.Checkpoint.Remembered,
		Kept: map[Kind]Kept{},
	}
	settled := l.settledSegments()
	ledger := newLedger(l)
	readable, byMetric := uint64(0), map[string]uint64{}
	for _, segment := range l.segments(Main) {
		s.Segments++
		s.Bytes += segment.Bytes
		ledger.begin(segment)
		if settled[segment.ID] {
			continue
		}
		name := nameOf()
		err := l.walk(Main, []samplelog.SegmentInfo{segment}, func(p *piece) error {
			ledger.add(p)
			for i := range p.samples[p.settled:] {
				x := &p.samples[p.settled+i]
				readable++
				byMetric[name(p.view, x.Ref)]++
				s.Oldest, s.Newest = span(s.Oldest, s.Newest, x.T)
			}
			return nil
		}, nil)
		if err != nil {
			return Stat{}, err
		}
	}
	s.Accepted, s.Backlog = ledger.accepted(), ledger.backlog()
	s.Balanced = s.Accepted == s.Sum()+s.Backlog
	if inFrozen := s.Backlog + l.settledOfFrozen(); inFrozen > readable {
		s.Missing = inFrozen - readable
	}
	s.Metrics, s.MoreMetrics = topOf(byMetric, top)
	for _, kind := range []Kind{Quarantine, Expired, Damaged} {
		kept, err := l.kept(kind)
		if err != nil {
			return Stat{}, err
		}
		if kept.Segments > 0 {
			s.Kept[kind] = kept
		}
	}
	return s, nil
}

func (l *Logs) kept(kind Kind) (Kept, error) {
	k := Kept{}
	for _, s := range l.segments(kind) {
		k.Segments++
		k.Bytes += s.Bytes
	}
	if kind == Quarantine {
		k.Reasons = map[string]uint64{}
	}
	return k, l.walk(kind, l.segments(kind), func(p *piece) error {
		k.Samples += uint64(len(p.samples))
		if kind == Quarantine {
			k.Reasons[reason(p.note)] += uint64(len(p.samples))
		}
		return nil
	}, nil)
}

// reason is what the note of a quarantined batch begins with; the answer of the receiver comes behind.
func reason(note string) string {
	name, _, _ := strings.Cut(note, ":")
	return name
}

// settledOfFrozen is how many samples of batches that are being sent are settled already.
func (l *Logs) settledOfFrozen() uint64 {
	n := uint64(0)
	for _, s := range l.Checkpoint.Shards {
		if s.Frozen != nil {
			n += s.Frozen.Settled
		}
	}
	return n
}

// ledger adds up the numbers of samples, which segments and batches are given in the order of the log.
type ledger struct {
	logs   *Logs
	before uint64   // accepted before the run
	run    uint64   // the last
	next   []uint64 // by shard of the last run
	open   uint64   // not settled of all runs before the last
	any    bool
}

func newLedger(l *Logs) *ledger { return &ledger{logs: l} }

func (g *ledger) begin(s samplelog.SegmentInfo) {
	if !g.any || g.run != s.Run {
		g.open += g.unsettled()
		g.before, g.run, g.next, g.any = s.Before, s.Run, append([]uint64(nil), s.Base...), true
		return
	}
	for shard, base := range s.Base {
		g.next[shard] = max(g.next[shard], base)
	}
}

func (g *ledger) add(p *piece) {
	if p.shard < len(g.next) {
		g.next[p.shard] = max(g.next[p.shard], p.seq+uint64(len(p.samples)))
	}
}

// unsettled is how many samples of the last run are not settled.
func (g *ledger) unsettled() uint64 {
	n := uint64(0)
	for shard, next := range g.next {
		n += next - min(next, g.logs.settled(g.run, shard))
	}
	return n
}

func (g *ledger) accepted() uint64 {
	if !g.any {
		return g.logs.Checkpoint.Accepted
	}
	n := g.before
	for _, next := range g.next {
		n += next
	}
	return n
}

func (g *ledger) backlog() uint64 {
	n := g.open + g.unsettled()
	return n - min(n, g.logs.settledOfFrozen())
}

// nameOf returns a function that tells the metric of a series of one segment, and remembers it.
func nameOf() func(v *samplelog.View, r samplelog.Ref) string {
	var names []string
	return func(v *samplelog.View, r samplelog.Ref) string {
		for len(names) <= int(r) {
			names = append(names, "")
		}
		if names[r] == "" {
			names[r] = metricName(v, r)
		}
		return names[r]
	}
}

// noName stands for the name of a series without one.
const noName = "(no name)"

func metricName(v *samplelog.View, r samplelog.Ref) string {
	syms := v.AppendLabels(nil, r)
	for i := 0; i+1 < len(syms); i += 2 {
		if v.Text(syms[i]) == model.MetricNameLabel {
			return v.Text(syms[i+1])
		}
	}
	return noName
}

func topOf(counts map[string]uint64, top int) ([]MetricCount, int) {
	all := make([]MetricCount, 0, len(counts))
	for metric, n := range counts {
		all = append(all, MetricCount{metric, n})
	}
	slices.SortFunc(all, func(a, b MetricCount) int {
		return cmp.Or(cmp.Compare(b.Samples, a.Samples), cmp.Compare(a.Metric, b.Metric))
	})
	n := min(top, len(all))
	return all[:n], len(all) - n
}
