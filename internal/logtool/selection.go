// SPDX-License-Identifier: Apache-2.0

package logtool

import (
	"fmt"
	"regexp"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// Selection says which samples of a folder. Without Quarantine, Expired and All it is the backlog.
type Selection struct {
	// Quarantine: what the receiver refused. Expired: what was too old to be sent. All: everything that is on disk and can be read,
	// also what has been delivered and not yet been deleted.
	Quarantine bool `json:"quarantine,omitempty"`
	Expired    bool `json:"expired,omitempty"`
	All        bool `json:"all,omitempty"`
	// Metric is a regular expression for the whole name of the metric; empty: any.
	Metric string `json:"metric,omitempty"`
	// Since and Until are the times of the first and of the last sample, in milliseconds since the epoch; 0: any.
	Since int64 `json:"since,omitempty"`
	Until int64 `json:"until,omitempty"`
}

func (s *Selection) kinds() []Kind {
	switch {
	case s.All:
		// The oldest first: where two parts have the same sample, the first counts.
		return []Kind{Damaged, Expired, Quarantine, Main}
	case s.Quarantine && s.Expired:
		return []Kind{Expired, Quarantine}
	case s.Quarantine:
		return []Kind{Quarantine}
	case s.Expired:
		return []Kind{Expired}
	default:
		return []Kind{Main}
	}
}

// Sample is a sample of a folder.
type Sample struct {
	Kind   Kind
	Labels labels.Labels
	// Note says why it was set aside, Settled whether the receiver has it or it has been set aside or dropped.
	Note    string
	Settled bool
	samplelog.Sample

	meta   samplelog.Metadata
	view   *samplelog.View
	series int // number of the series within the scan
}

// Reader reads selected samples, as often as it is asked to.
type Reader struct {
	logs *Logs
	sel  Selection
	re   *regexp.Regexp

	// DamagedBytes could not be read the last time.
	DamagedBytes int64

	series map[string]int
	sample Sample // that is visited
}

// Select returns a reader of the selected samples.
func (l *Logs) Select(sel Selection) (*Reader, error) {
	r := &Reader{logs: l, sel: sel, series: map[string]int{}}
	if sel.Metric == "" {
		return r, nil
	}
	re, err := regexp.Compile("^(?:" + sel.Metric + ")$")
	if err != nil {
		return nil, fmt.Errorf("metric %q is no regular expression: %w", sel.Metric, err)
	}
	r.re = re
	return r, nil
}

// unwanted stands for a series that is not selected.
const unwanted = -1

// known is what is remembered of a series of one segment.
type known struct {
	number int // unwanted, or the number of the series within the scan and one more; 0: not looked at yet
	labels labels.Labels
}

// Each visits the samples in the order of the log. A sample is valid within the call.
func (r *Reader) Each(visit func(*Sample) error) error {
	r.DamagedBytes = 0
	damaged := func(d *samplelog.Damage) {
		if !d.Torn {
			r.DamagedBytes += d.Bytes
		}
	}
	settled := r.logs.settledSegments()
	for _, kind := range r.sel.kinds() {
		for _, s := range r.logs.segments(kind) {
			if kind == Main && !r.sel.All && settled[s.ID] {
				continue
			}
			var refs []known
			err := r.logs.walk(kind, []samplelog.SegmentInfo{s}, func(p *piece) error {
				if n := p.view.Len() - len(refs); n > 0 {
					refs = append(refs, make([]known, n)...)
				}
				return r.piece(p, refs, visit)
			}, damaged)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Reader) piece(p *piece, refs []known, visit func(*Sample) error) error {
	for i := range p.samples {
		x := &p.samples[i]
		settled := p.kind == Main && i < p.settled
		if settled && !r.sel.All || r.sel.Since != 0 && x.T < r.sel.Since || r.sel.Until != 0 && x.T > r.sel.Until {
			continue
		}
		k := &refs[x.Ref]
		if k.number == 0 {
			*k = r.look(p.view, x.Ref)
		}
		if k.number == unwanted {
			continue
		}
		r.sample = Sample{
			Kind: p.kind, Labels: k.labels, Note: p.note, Settled: settled, Sample: *x,
			meta: p.view.Metadata(x.Ref), view: p.view, series: k.number - 1,
		}
		if err := visit(&r.sample); err != nil {
			return err
		}
	}
	return nil
}

// look decides on a series.
func (r *Reader) look(v *samplelog.View, ref samplelog.Ref) known {
	if r.re != nil && !r.re.MatchString(metricName(v, ref)) {
		return known{number: unwanted}
	}
	k := known{labels: v.PromLabels(ref)}
	key := k.labels.String()
	number, found := r.series[key]
	if !found {
		number = len(r.series)
		r.series[key] = number
	}
	k.number = number + 1
	return k
}
