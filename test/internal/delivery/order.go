// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// Traffic is what the backend was asked and what it answered, over all its lives.
type Traffic struct {
	// Requests is the number of answers by status; zero stands for a request that a kill left without one.
	Requests map[int]int
	// Offered are the samples in all requests, and Repeated those of them that had been confirmed before.
	Offered, Repeated int
	// Conflicts are samples that came with another value than before.
	Conflicts []string
	// OutOfOrder are samples that came for the first time, or again without having been confirmed, after a later sample
	// of their series had been confirmed. They are not counted twice.
	OutOfOrder []string
	// Refusals are the texts of the answers 4xx, with how often each came.
	Refusals map[string]int
}

// ReadTraffic reads the journals of a backend's lives in their order.
func ReadTraffic(journals []string) (Traffic, error) {
	o := &order{series: map[string]*history{}, traffic: Traffic{Requests: map[int]int{}, Refusals: map[string]int{}}}
	for _, path := range journals {
		o.names, o.open = nil, map[int]entry{}
		if err := readJournal(path, o.read); err != nil {
			return Traffic{}, err
		}
		o.traffic.Requests[0] += len(o.open)
	}
	return o.traffic, nil
}

// Print writes the summary, and the first findings of each kind.
func (t Traffic) Print(w io.Writer, limit int) {
	var answers []string
	for _, status := range slices.Sorted(maps.Keys(t.Requests)) {
		what := fmt.Sprint(status)
		if status == 0 {
			what = "without an answer"
		}
		if n := t.Requests[status]; n > 0 {
			answers = append(answers, fmt.Sprintf("%d x %s", n, what))
		}
	}
	_, _ = fmt.Fprintf(w, "backend: requests %s; %d samples offered, %d of them again after they had been confirmed\n", // progress only
		strings.Join(answers, ", "), t.Offered, t.Repeated)
	shown := 0
	for _, text := range slices.Sorted(maps.Keys(t.Refusals)) {
		if shown++; shown > limit {
			_, _ = fmt.Fprintf(w, "refused: ... and %d other texts\n", len(t.Refusals)-limit)
			break
		}
		_, _ = fmt.Fprintf(w, "refused: %d x %s\n", t.Refusals[text], text)
	}
	printFindings(w, "sent with two values", t.Conflicts, limit)
	printFindings(w, "sent out of order", t.OutOfOrder, limit)
}

// order follows the requests.
type order struct {
	traffic Traffic
	series  map[string]*history
	names   []*history    // by number in the journal that is being read
	open    map[int]entry // requests of this journal that have no answer yet
}

// history is one series as it was offered.
type history struct {
	name      string
	confirmed map[int64]float64
	offered   map[int64]float64 // not confirmed yet
	late      map[int64]bool    // in Traffic.OutOfOrder
	high      int64             // latest confirmed timestamp
	inRequest int64             // latest timestamp within the request that is being read
}

func (o *order) read(e entry) {
	for _, name := range e.Names {
		h := o.series[name]
		if h == nil {
			h = &history{name: name, confirmed: map[int64]float64{}, offered: map[int64]float64{}, late: map[int64]bool{}, high: math.MinInt64}
			o.series[name] = h
		}
		o.names = append(o.names, h)
	}
	if e.Status == 0 {
		o.open[e.Request] = e
		o.arrive(e)
		return
	}
	o.traffic.Requests[e.Status]++
	if e.Status/100 == 4 {
		o.traffic.Refusals[fmt.Sprintf("%d %s", e.Status, strings.TrimSpace(e.Body))]++
	}
	if e.Status/100 == 2 {
		o.confirm(o.open[e.Request])
	}
	delete(o.open, e.Request)
}

func (o *order) arrive(e entry) {
	for _, number := range e.Series {
		o.names[number].inRequest = math.MinInt64
	}
	for i, number := range e.Series {
		h, t, v := o.names[number], e.T[i], e.V[i]
		o.traffic.Offered++
		before, confirmed := h.confirmed[t]
		offered := confirmed
		if confirmed {
			o.traffic.Repeated++
		} else {
			before, offered = h.offered[t]
		}
		if offered && math.Float64bits(before) != math.Float64bits(v) {
			o.traffic.Conflicts = append(o.traffic.Conflicts, fmt.Sprintf("%s at %s: %v and %v", h.name, clock(t), before, v))
		}
		if !confirmed {
			h.offered[t] = v
			if (t < h.high || t < h.inRequest) && !h.late[t] {
				h.late[t] = true
				o.traffic.OutOfOrder = append(o.traffic.OutOfOrder,
					fmt.Sprintf("%s %v at %s, after the sample at %s", h.name, v, clock(t), clock(max(h.high, h.inRequest))))
			}
		}
		h.inRequest = max(h.inRequest, t)
	}
}

func (o *order) confirm(e entry) {
	for i, number := range e.Series {
		h, t := o.names[number], e.T[i]
		h.confirmed[t] = e.V[i]
		h.high = max(h.high, t)
		delete(h.offered, t)
	}
}
