// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// series is a live series: one that was kept, and has had neither a stale marker nor a ttl without a sample since. There are tens of
// thousands of them: what few need, or many share, is elsewhere.
type series struct {
	next      *series      // of another key in the same place
	after     *series      // the one that came after it in its metric last time, a guess
	key       seriesKey    // of what came in
	metric    *metricStats // of which it is one
	other     *otherKeys   // nil where it goes out as it came in
	lastSeen  int64
	timestamp pcommon.Timestamp // of its last sample
	batch     uint32            // in which it was seen last
	samples   int32             // how many Prometheus series it is
	why       reason
	rewritten bool // labels are dropped, renamed or redacted
	redacted  bool // a value looks like a secret
	freed     bool // no longer live
}

// otherKeys are the identities of a series besides that of what came in.
type otherKeys struct {
	out    seriesKey // of what goes out
	legacy seriesKey // of what goes out without its instance; only with instance: organization
}

// out is the identity under which the series goes out.
func (s *series) out() seriesKey {
	if s.other == nil {
		return s.key
	}
	return s.other.out
}

// metricStats is a metric of one component, with its live series: what one component has of a metric takes no place of another's.
type metricStats struct {
	metricOf
	live int
}

// tracker accounts for live series, exactly, and says whether there is room for another.
type tracker struct {
	limits LimitsConfig
	legacy bool // account for collisions without instance

	live      map[uint64]*series    // by half of key, which a map finds faster; the other half is in the series
	rewritten map[seriesKey]*series // by out, only those whose out differs
	total     int
	byMetric  map[metricOf]*metricStats
	byLegacy  map[seriesKey]int
	colliding int
	admitted  int // since the start
	lastSweep int64
}

// metricOf names a metric of one component.
type metricOf struct {
	component *componentStats
	metric    string
}

func newTracker(limits LimitsConfig, legacy bool) *tracker {
	return &tracker{
		limits: limits, legacy: legacy,
		live: map[uint64]*series{}, rewritten: map[seriesKey]*series{}, byMetric: map[metricOf]*metricStats{}, byLegacy: map[seriesKey]int{},
	}
}

// findAfter is find with a guess: a target exposes the series of a metric in the same order each time, and a guess that is right
// saves the look-up.
func (t *tracker) findAfter(last *series, key seriesKey) *series {
	if last != nil && last.after != nil && last.after.key == key && !last.after.freed {
		return last.after
	}
	s := t.find(key)
	if last != nil {
		last.after = s
	}
	return s
}

// find returns the live series of a key, or nil.
func (t *tracker) find(key seriesKey) *series {
	s := t.live[key[0]]
	for s != nil && s.key[1] != key[1] {
		s = s.next
	}
	return s
}

// room returns the limit that n more series would exceed, or keptScope if there is room.
func (t *tracker) room(metric string, c *componentStats, n int) reason {
	switch {
	case over(t.limits.Series, t.total+n):
		return droppedSeriesLimit
	case over(t.limits.SeriesPerComponent, int(c.live.Load())+n):
		return droppedComponentSeriesLimit
	case over(t.limits.SeriesPerMetric, t.liveOf(metricOf{c, metric})+n):
		return droppedMetricSeriesLimit
	}
	return keptScope
}

func (t *tracker) liveOf(m metricOf) int {
	if of := t.byMetric[m]; of != nil {
		return of.live
	}
	return 0
}

// metric returns what a series of a metric refers to.
func (t *tracker) metric(m metricOf) *metricStats {
	of := t.byMetric[m]
	if of == nil {
		of = &metricStats{metricOf: m}
		t.byMetric[m] = of
	}
	return of
}

func over(limit, n int) bool { return limit > 0 && n > limit }

// taken reports whether another live series goes out under the same identity.
func (t *tracker) taken(key, out seriesKey) bool {
	if _, ok := t.rewritten[out]; ok {
		return true
	}
	other := t.find(out)
	return other != nil && out != key && !other.rewritten
}

func (t *tracker) admit(s *series) {
	t.admitted++
	s.next = t.live[s.key[0]]
	t.live[s.key[0]] = s
	if out := s.out(); out != s.key {
		t.rewritten[out] = s
	}
	t.count(s, int(s.samples))
	if !t.legacy {
		return
	}
	t.byLegacy[s.other.legacy]++
	switch n := t.byLegacy[s.other.legacy]; {
	case n == 2:
		t.colliding += 2
	case n > 2:
		t.colliding++
	}
}

// repeats reports whether a point gives the series a second sample with the same timestamp in one batch, as a series does that
// comes in two scopes: a backend would refuse the request.
func (s *series) repeats(batch uint64, pt point) bool {
	return s.batch == uint32(batch) && s.timestamp == pt.timestamp //nolint:gosec // it comes again after 4 billion batches
}

// touch notes a sample of a live series. Its number of buckets may have changed.
func (t *tracker) touch(s *series, now int64, batch uint64, pt point) {
	s.lastSeen, s.batch, s.timestamp = now, uint32(batch), pt.timestamp //nolint:gosec // see repeats
	if n := int32(pt.samples); n != s.samples {                         //nolint:gosec // a point has no 2^31 buckets
		t.count(s, int(n-s.samples))
		s.samples = n
	}
}

func (t *tracker) free(s *series) {
	t.remove(s)
	s.freed, s.after = true, nil
	if out := s.out(); out != s.key {
		delete(t.rewritten, out)
	}
	t.count(s, -int(s.samples))
	if !t.legacy {
		return
	}
	t.byLegacy[s.other.legacy]--
	switch t.byLegacy[s.other.legacy] {
	case 0:
		delete(t.byLegacy, s.other.legacy)
	case 1:
		t.colliding -= 2
	default:
		t.colliding--
	}
}

func (t *tracker) remove(s *series) {
	first := t.live[s.key[0]]
	if first == s {
		if s.next == nil {
			delete(t.live, s.key[0])
		} else {
			t.live[s.key[0]] = s.next
		}
		return
	}
	for ; first != nil; first = first.next {
		if first.next == s {
			first.next = s.next
			return
		}
	}
}

func (t *tracker) count(s *series, n int) {
	t.total += n
	s.metric.component.live.Add(int64(n))
	s.metric.live += n
	if s.metric.live == 0 {
		delete(t.byMetric, s.metric.metricOf)
	}
}

// sweep frees the series that have had no sample for ttl. It looks at most four times a ttl, and reports whether it looked.
func (t *tracker) sweep(now time.Time) bool {
	n := now.UnixNano()
	if n-t.lastSweep < int64(t.limits.TTL/4) {
		return false
	}
	t.lastSweep = n
	for _, first := range t.live {
		for s := first; s != nil; {
			next := s.next
			if n-s.lastSeen > int64(t.limits.TTL) {
				t.free(s)
			}
			s = next
		}
	}
	return true
}
