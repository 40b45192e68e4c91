// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

const (
	// scrapeInterval is that of config/collector.yaml, and its timeout.
	scrapeInterval = time.Second
	// clockSlack is by how much the timestamp of a scrape may be off its start: the scraper moves it onto its grid.
	clockSlack = 50 * time.Millisecond
)

// scrape is one page that was served.
type scrape struct {
	target int
	number int // of the scrape of this target, from 1
	life   string
	at     time.Time
	// written says that the whole answer went to the connection.
	written bool
}

func (s scrape) String() string {
	return fmt.Sprintf("scrape %d of %s", s.number, targetName(s.target))
}

// targets serves the pages of all targets, and remembers every scrape.
type targets struct {
	count, series int
	values        delivery.Values

	mu      sync.Mutex // guards what follows
	scrapes []scrape
	numbers map[int]int
	closed  bool
}

func newTargets(count, series int, values delivery.Values) *targets {
	return &targets{count: count, series: series, values: values, numbers: map[int]int{}}
}

func targetName(target int) string { return fmt.Sprintf("target-%02d", target) }

func seriesID(target, series int) string { return fmt.Sprintf("%s/%03d", targetName(target), series) }

// ServeHTTP serves the page of one target. Every scrape has other values.
func (t *targets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/target-"))
	if err != nil || target >= t.count {
		http.NotFound(w, r)
		return
	}
	index, s, open := t.begin(target, r.URL.Query().Get("life"))
	if !open {
		http.Error(w, "the test is over", http.StatusServiceUnavailable)
		return
	}
	var page bytes.Buffer
	for _, name := range []string{"scraped_gauge", "scraped_total"} {
		kind := "gauge"
		if name == "scraped_total" {
			kind = "counter"
		}
		_, _ = fmt.Fprintf(&page, "# TYPE %s %s\n", name, kind) // a buffer takes everything
		for series := range t.series {
			if (series%2 == 1) != (kind == "counter") {
				continue
			}
			id := seriesID(target, series)
			_, _ = fmt.Fprintf(&page, "%s{%s=%q} %s\n", name, delivery.IDLabel, id, strconv.FormatFloat(t.values.Value(id, s.number), 'g', -1, 64))
		}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(page.Len()))
	_, err = w.Write(page.Bytes())
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
	if err == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.scrapes[index].written = true
	}
}

func (t *targets) begin(target int, life string) (index int, s scrape, open bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0, s, false
	}
	t.numbers[target]++
	s = scrape{target: target, number: t.numbers[target], life: life, at: time.Now()}
	t.scrapes = append(t.scrapes, s)
	return len(t.scrapes) - 1, s, true
}

// close ends the exposition: from now on every scrape fails.
func (t *targets) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

// all returns every scrape so far.
func (t *targets) all() []scrape {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.scrapes)
}

// writeDiscovery writes the file that the collector finds the targets in.
func (t *targets) writeDiscovery(path, address string) error {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	groups := make([]group, 0, t.count)
	for target := range t.count {
		name := targetName(target)
		groups = append(groups, group{[]string{address}, map[string]string{"__metrics_path__": "/" + name, "instance": name}})
	}
	text, err := json.Marshal(groups)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("writing the discovery file: %w", err)
	}
	return nil
}

// report is a sample of `up` that the collector stored for a target.
type report struct {
	t  int64
	up bool
}

// fate is what became of a scrape, as far as that is known without looking at what is stored.
type fate int

const (
	// owed is a scrape after which the collector went on, or still could.
	owed fate = iota
	// inFlight is a scrape that the collector may have been working on when it was killed.
	inFlight
	// failed is a scrape that exposed nothing to the collector: it did not get the whole page, or says so.
	failed
)

// settle decides the fate of each scrape. The lives in killed ended with a kill; reports are the stored samples of `up`, by
// target and in the order of their timestamps.
//
// A collector makes one scrape of a target after the other, and begins the next only when the pipeline has taken the one
// before. So of each target at most one scrape can be in flight when the collector is killed: the last of that life.
func settle(scrapes []scrape, killed map[string]kill, reports map[string][]report) []fate {
	type source struct {
		life   string
		target int
	}
	last := map[source]int{}
	for _, s := range scrapes {
		last[source{s.life, s.target}] = max(last[source{s.life, s.target}], s.number)
	}
	fates := make([]fate, len(scrapes))
	for i, s := range scrapes {
		_, ended := killed[s.life]
		switch {
		case ended && last[source{s.life, s.target}] == s.number:
			fates[i] = inFlight
		case !s.written || reportedDown(s, reports[targetName(s.target)]):
			fates[i] = failed
		}
	}
	return fates
}

// window is the time, in milliseconds, that the samples of a scrape may have.
func (s scrape) window() (first int64, width int32) {
	first = s.at.Add(-scrapeInterval - clockSlack).UnixMilli()
	return first, int32(s.at.Add(clockSlack).UnixMilli() - first) //nolint:gosec // a second
}

// reportedDown says that the collector reported this scrape as failed: the last `up` that can be of this scrape is 0.
func reportedDown(s scrape, reports []report) bool {
	first, width := s.window()
	down := false
	for _, r := range reports {
		if r.t >= first && r.t <= first+int64(width) {
			down = !r.up
		}
	}
	return down
}
