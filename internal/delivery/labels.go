// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"unicode/utf8"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// labelLimits finds series that the receiver does not take because of their labels, and would drop without saying so. Each
// series is looked at once.
type labelLimits struct {
	profile remotewrite.Profile
	segment uint64
	verdict []byte // by series of the segment: 0 not looked at, 1 fits, 2 does not
}

// newLabelLimits returns nil for a receiver that says so itself, or whose limits can be set.
func newLabelLimits(p remotewrite.Profile) *labelLimits {
	if !p.DropsOverLimit {
		return nil
	}
	return &labelLimits{profile: p}
}

func (l *labelLimits) fits(segment uint64, view *samplelog.View, ref samplelog.Ref) bool {
	if l.segment != segment {
		l.segment, l.verdict = segment, l.verdict[:0]
	}
	if missing := int(ref) + 1 - len(l.verdict); missing > 0 {
		l.verdict = append(l.verdict, make([]byte, missing)...)
	}
	if l.verdict[ref] == 0 {
		l.verdict[ref] = 1
		if !l.look(view, ref) {
			l.verdict[ref] = 2
		}
	}
	return l.verdict[ref] == 1
}

func (l *labelLimits) look(view *samplelog.View, ref samplelog.Ref) bool {
	labels := view.AppendLabels(nil, ref)
	if len(labels)/2 > l.profile.MaxLabels {
		return false
	}
	for i := 0; i+1 < len(labels); i += 2 {
		name, value := view.Text(labels[i]), view.Text(labels[i+1])
		if utf8.RuneCountInString(name) > l.profile.MaxLabelName || utf8.RuneCountInString(value) > l.profile.MaxLabelValue {
			return false
		}
	}
	return true
}
