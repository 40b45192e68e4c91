// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/delivery"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// poisoned is the series that some receivers do not take.
const poisoned = gaugeName + "/s5000"

// sampleRows are answers that speak of samples: the others arrive, and the queue goes on.
func sampleRows() []row {
	return []row{
		{
			name: "400, one of 10,000 poisoned", fault: "each request with one series is refused as a whole, its text in nobody's list",
			inject: poison(refuseAll(http.StatusBadRequest, "the gremlin does not like a sample")),
			want:   want{quarantined: map[string]int{"other": 1}, log: []string{"the receiver refuses samples for good", "the gremlin does not like a sample"}},
		},
		{
			name: "400, poisoned, rest stored", fault: "as Prometheus with 2.0: the rest of the request is stored, and the counts say so",
			inject: poison(refuseOne(http.StatusBadRequest, "out of order sample")),
			want:   want{quarantined: map[string]int{"out_of_order": 1}, log: []string{"the receiver refuses samples for good"}},
		},
		{
			name: "413 for a single sample", fault: "one sample is too large on its own: it is set aside, and requests do not get smaller for it",
			inject: tooLargeAlone,
			want:   want{quarantined: map[string]int{"too_large": 1}, log: []string{"the receiver refuses samples for good"}},
		},
		{
			name: "409, rest stored", fault: "as Thanos: conflicts are 409, and the rest of the request is stored", inject: conflict,
			want: want{quarantined: map[string]int{"duplicate": 1}, log: []string{"HTTP 409 Conflict"}},
		},
		{
			name: "422 duplicate series", fault: "as Azure: a series that it takes for another is 422", inject: duplicateSeries,
			want: want{quarantined: map[string]int{"duplicate": 1}, log: []string{"HTTP 422 Unprocessable Entity"}},
		},
		{
			name: "duplicates, 2.0", fault: "the real Prometheus: another value for a time that it has", inject: offending("2.0", duplicates),
			want: want{quarantined: map[string]int{"duplicate": fewSeries}, log: []string{"the receiver refuses samples for good", "duplicate sample for timestamp"}},
		},
		{
			name: "duplicates, 1.0", fault: "the same, where a refused request is rolled back whole", inject: offending("1.0", duplicates),
			want: want{quarantined: map[string]int{"duplicate": fewSeries}, log: []string{"duplicate sample for timestamp"}},
		},
		{
			name: "out of order", fault: "the real Prometheus: samples of a second before the latest", inject: offending("1.0", outOfOrder),
			want: want{quarantined: map[string]int{"out_of_order": fewSeries}, log: []string{"out of order sample"}},
		},
		{
			name: "too old", fault: "the real Prometheus: samples of a day ago", inject: offending("1.0", tooOld),
			want: want{quarantined: map[string]int{"too_old": fewSeries}, log: []string{"out of bounds"}},
		},
		{
			name: "too far in the future", fault: "the real Prometheus: samples of tomorrow", inject: offending("2.0", tomorrow),
			want: want{quarantined: map[string]int{"too_far_in_future": fewSeries}, log: []string{"too far in the future"}},
		},
		{
			name: "400, strict", fault: "strict: true gives the specification's answer: the request is dropped, the next one is sent", inject: strict,
			want: want{dropped: map[string]int{"rejected": fewSeries}, log: []string{"strict: the receiver refused samples, which are dropped"}},
		},
	}
}

// refuseAll refuses every request with the poisoned series as a whole.
func refuseAll(status int, text string) func(*call) {
	return func(c *call) {
		if c.has(poisoned) {
			c.answer(status, text)
			return
		}
		c.forward()
	}
}

// refuseOne stores the rest of such a request.
func refuseOne(status int, text string) func(*call) {
	return func(c *call) {
		if !c.has(poisoned) {
			c.forward()
			return
		}
		_, rest, err := c.take(func(series string) bool { return series != poisoned })
		if err != nil {
			c.answer(http.StatusTeapot, err.Error())
			return
		}
		a := c.ask(rest)
		for name, values := range a.Header() {
			c.w.Header()[name] = values
		}
		c.answer(status, text)
	}
}

// poison pushes 10,000 series, one of which the receiver does not take, in one request.
func poison(fault func(*call)) func(*rig) {
	return func(r *rig) {
		r.front.set(fault)
		r.start()
		b := r.next(10_000)
		r.push(b)
		calls := r.calls(1)
		require.Len(r, calls[0].samples(), 10_000, "samples in the first request")
		r.settle()
		kept := r.setAside(delivery.QuarantineFolder)
		require.Len(r, kept, 1)
		require.Equal(r, b.samples[5000], kept[0].sample, "the quarantined sample")
		require.Contains(r, kept[0].note, "HTTP 400 Bad Request: ", "the note of the quarantined sample")
	}
}

func tooLargeAlone(r *rig) {
	bad := r.next(1000)
	r.front.set(func(c *call) {
		for _, s := range c.samples() {
			if s == bad.samples[777] {
				c.answer(http.StatusRequestEntityTooLarge, "")
				return
			}
		}
		c.forward()
	})
	r.start()
	r.push(bad)
	r.settle()
	before := len(r.front.all())
	r.rounds(2, 1000)
	r.settle()
	require.LessOrEqual(r, len(r.front.all())-before, 4, "requests for two rounds of 1,000 samples")
}

// asideSample is a sample that was set aside, and why.
type asideSample struct {
	sample sample
	note   string
}

// setAside reads what is set aside in a folder of the log.
func (r *rig) setAside(folder string) []asideSample {
	log, err := samplelog.OpenReadOnly(samplelog.Disk{}, filepath.Join(r.logDir, folder))
	require.NoError(r, err)
	var found []asideSample
	for _, segment := range log.Segments() {
		for b, err := range log.Batches(segment) {
			require.NoError(r, err)
			for _, p := range b.Parts {
				for i := range p.Samples {
					s := &p.Samples[i]
					found = append(found, asideSample{sample{seriesOf(b.View.PromLabels(s.Ref)), s.T, loggedText(s)}, b.Note})
				}
			}
		}
	}
	return found
}

func loggedText(s *samplelog.Sample) string {
	switch {
	case s.H != nil:
		return histogramText(float64(s.H.Count), s.H.Sum)
	case s.FH != nil:
		return histogramText(s.FH.Count, s.FH.Sum)
	default:
		return floatText(s.V)
	}
}

func conflict(r *rig) {
	refuseFirst(r, gaugeName+"/s7", http.StatusConflict, "store locally for endpoint: conflict: add 1 series: duplicate sample for timestamp")
}

func duplicateSeries(r *rig) {
	r.configure("receiver: azure")
	refuseFirst(r, gaugeName+"/s7", http.StatusUnprocessableEntity, "Duplicate time series")
}

// refuseFirst lets the receiver refuse one series in the first batch and store the others, and checks that all else arrives.
func refuseFirst(r *rig, series string, status int, text string) {
	r.configure(`batch: {max_samples: 20}, protocol: "1.0"`)
	bad := r.next(fewSeries)
	r.front.set(func(c *call) {
		refused := false
		for _, s := range c.samples() {
			refused = refused || s.series == series && s.t == bad.samples[0].t
		}
		if !refused {
			c.forward()
			return
		}
		_, rest, err := c.take(func(id string) bool { return id != series })
		if err != nil {
			c.answer(http.StatusTeapot, err.Error())
			return
		}
		c.ask(rest)
		c.answer(status, text)
	})
	r.start()
	r.push(bad)
	r.rounds(fewRounds, fewSeries)
}

// offending pushes samples that the receiver refuses between others that it takes.
func offending(protocol string, offence func(r *rig, latest *batch) *batch) func(*rig) {
	return func(r *rig) {
		r.configure(`protocol: "` + protocol + `"`)
		r.start()
		r.rounds(1, fewSeries)
		latest := r.next(fewSeries)
		r.push(latest)
		r.settle()
		r.offend(offence(r, latest))
		r.rounds(fewRounds, fewSeries)
	}
}

// shifted returns the batch again, at other times and with other values.
func shifted(r *rig, b *batch, by time.Duration) *batch {
	other := newBatch()
	for i, s := range b.samples {
		r.value++
		other.gauge(seriesName(i), s.t+by.Milliseconds(), r.value)
	}
	return other
}

func duplicates(r *rig, latest *batch) *batch { return shifted(r, latest, 0) }
func outOfOrder(r *rig, latest *batch) *batch { return shifted(r, latest, -500*time.Millisecond) }
func tooOld(r *rig, latest *batch) *batch     { return shifted(r, latest, -24*time.Hour) }
func tomorrow(r *rig, latest *batch) *batch   { return shifted(r, latest, 24*time.Hour) }

func strict(r *rig) {
	r.configure("strict: true, batch: {max_wait: 50ms}")
	r.front.set(first(1, always(http.StatusBadRequest, "no")))
	r.start()
	r.rounds(1, fewSeries)
	r.settle()
	r.rounds(fewRounds, fewSeries)
}
