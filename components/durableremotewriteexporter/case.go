// SPDX-License-Identifier: Apache-2.0

package durableremotewriteexporter

import (
	"hash/maphash"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// caseWatch names series that differ only in upper and lower case. Azure Monitor takes them for one series, and drops the samples of
// one of them at random. It is used under the log's lock.
type caseWatch struct {
	logger     *zap.Logger
	seed       maphash.Seed
	generation uint64
	looked     int                        // series of the segment that have been looked at
	folded     map[uint64][]samplelog.Ref // by the hash of the labels in lower case
	warned     time.Time
	unnamed    int
}

// caseWarnEvery is how often two such series are named.
const caseWarnEvery = time.Minute

func newCaseWatch(logger *zap.Logger) *caseWatch {
	return &caseWatch{logger: logger, seed: maphash.MakeSeed()}
}

// look looks at the series that are new since the last call.
func (w *caseWatch) look(b *samplelog.Batch) {
	if w.generation != b.Generation() {
		w.generation, w.looked, w.folded = b.Generation(), 0, map[uint64][]samplelog.Ref{}
	}
	view := b.View()
	for ; w.looked < view.Len(); w.looked++ {
		ref := samplelog.Ref(w.looked) //nolint:gosec // an index
		key := w.key(view, ref)
		for _, other := range w.folded[key] {
			if differOnlyInCase(view, ref, other) {
				w.warn(view, ref, other)
				break
			}
		}
		w.folded[key] = append(w.folded[key], ref)
	}
}

func (w *caseWatch) key(view *samplelog.View, ref samplelog.Ref) uint64 {
	var h maphash.Hash
	h.SetSeed(w.seed)
	for _, sym := range view.AppendLabels(nil, ref) {
		_, _ = h.WriteString(strings.ToLower(view.Text(sym))) // it never fails
		_ = h.WriteByte(0xff)                                 // it never fails
	}
	return h.Sum64()
}

// differOnlyInCase says whether two series are one to a receiver that does not look at case, and are not the same.
func differOnlyInCase(view *samplelog.View, a, b samplelog.Ref) bool {
	x, y := view.AppendLabels(nil, a), view.AppendLabels(nil, b)
	if len(x) != len(y) {
		return false
	}
	same := true
	for i := range x {
		if !strings.EqualFold(view.Text(x[i]), view.Text(y[i])) {
			return false
		}
		same = same && x[i] == y[i]
	}
	return !same
}

func (w *caseWatch) warn(view *samplelog.View, a, b samplelog.Ref) {
	now := time.Now()
	if now.Sub(w.warned) < caseWarnEvery {
		w.unnamed++
		return
	}
	w.logger.Warn("two series differ only in upper and lower case: the receiver takes them for one and drops samples of it; rename one of them",
		zap.String("series", view.PromLabels(a).String()), zap.String("other", view.PromLabels(b).String()), zap.Int("not_named_since_last", w.unnamed))
	w.warned, w.unnamed = now, 0
}
