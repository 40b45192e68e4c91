// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"errors"
	"fmt"
	"io"
	"time"

	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/kubiyabot/otelcol-runner/internal/scene"
)

const (
	// maxAhead is how far ahead of its scrape a sample may be: Prometheus drops what is further (scrape.maxAheadTime).
	maxAhead = 10 * time.Minute
	// maxPageNotes bounds the notes about pages.
	maxPageNotes = 5
)

// Untimely says why a sample to which its page gives a time of its own is not found at the time of its scrape, as the end of a sentence
// about it. It is empty where the sample is found. Dropped says that Prometheus drops it at the scrape.
func Untimely(own, scraped time.Time) (why string, dropped bool) {
	remedy := ": honor_timestamps: false gives it the time of the scrape"
	at := stamp(own)
	switch {
	case own.After(scraped.Add(maxAhead)):
		return "Prometheus drops it, because the page gives it the time " + at + ", more than 10 minutes after that of the scrape, " +
			stamp(scraped) + ": give the scene a `start` near to its own, or the job honor_timestamps: false", true
	case own.After(scraped):
		return "it is delivered with the time that the page gives it, " + at + ", which is still to come and at which no query of now looks" + remedy, false
	case !own.After(scraped.Add(-lookback)):
		return "it is delivered with the time that the page gives it, " + at + ", at which no query of now looks and which receivers may refuse" + remedy, false
	}
	return "", false
}

// Untimely says for the series at an index of what was scraped without rules why its sample is not found at the time of the scrape. It is
// empty where it is, and where the scrape gives it its time. Dropped says that the scrape drops it.
func (s *Scraped) Untimely(index int) (why string, dropped bool, err error) {
	if !s.honorTimestamps {
		return "", false, nil
	}
	exposed, err := s.Exposed()
	if err != nil || exposed[index].Time.IsZero() {
		return "", false, err
	}
	why, dropped = Untimely(exposed[index].Time, time.UnixMilli(s.Series[index].Sample.T))
	return why, dropped, nil
}

// timeNotes say which pages give their samples times that do not fit the scene. A page is judged by the first scrape of it: that it becomes
// old is the scene's intention.
func (r *run) timeNotes() []string {
	var notes []string
	more := 0
	seen := map[*byte]bool{}
	jobs := map[jobKey]*promconfig.ScrapeConfig{}
	for i := range r.jobs {
		jobs[jobKey{r.jobs[i].Receiver, r.jobs[i].Name}] = r.jobs[i].Scrape
	}
	for i := range r.targets {
		for k := range r.targets[i].targets {
			t := &r.targets[i].targets[k]
			job := jobs[jobKey{t.Receiver, t.Job}]
			if !t.Kept() || !job.HonorTimestamps || r.targets[i].at > r.times[len(r.times)-1] {
				continue
			}
			page, found := pageOf(&r.scene.States[i], t.URL)
			if !found || len(page.Body) == 0 || seen[&page.Body[0]] {
				continue
			}
			seen[&page.Body[0]] = true
			note := r.timeNote(t.Job, &page, job, r.targets[i].at)
			switch {
			case note == "":
			case len(notes) == maxPageNotes:
				more++
			default:
				notes = append(notes, note)
			}
		}
	}
	if more > 0 {
		notes = append(notes, fmt.Sprintf("%d more pages have times of their own that do not fit the scene", more))
	}
	return notes
}

// timeNote says that samples of a page which is scraped first at a time after the start are not to be found.
func (r *run) timeNote(job string, page *scene.Page, config *promconfig.ScrapeConfig, at time.Duration) string {
	first, last := timesOf(page, config)
	scraped := r.scene.Start.Add(at)
	end := r.scene.Start.Add(r.times[len(r.times)-1])
	if limit := scraped.Add(maxAhead); limit.Before(end) {
		end = limit
	}
	if first.IsZero() || first.After(scraped.Add(-lookback)) && !last.After(end) {
		return ""
	}
	note := fmt.Sprintf("the page %s gives samples times of its own, from %s to %s, and is scraped first at %s: Prometheus drops what is more than 10 minutes ahead, "+
		"and no query finds what is more than 5 minutes old or still to come; give ", page.Key, stamp(first), stamp(last), stamp(scraped))
	start := last.Add(time.Second - 1).Truncate(time.Second).Add(-at)
	fits := !last.After(end) && last.After(scraped.Add(-lookback)) // another start would not help the older ones
	if !fits && start.Year() > 2000 && start.Year() < 10000 {
		note += "the scene `start: " + stamp(start) + "`, or "
	}
	return note + "the job " + job + " `honor_timestamps: false`"
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// timesOf are the first and the last of the times that a page gives its samples; zero where it gives none, and for a page that is not read
// to its end: its scrape fails.
func timesOf(page *scene.Page, config *promconfig.ScrapeConfig) (first, last time.Time) {
	parser, err := newParser(page, config)
	if err != nil {
		return time.Time{}, time.Time{}
	}
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return first, last
		}
		if err != nil {
			return time.Time{}, time.Time{}
		}
		own := timeOf(parser, entry)
		if own.IsZero() {
			continue
		}
		if first.IsZero() || own.Before(first) {
			first = own
		}
		if own.After(last) {
			last = own
		}
	}
}

// timeOf is the time that a page gives the entry a parser is at; zero for none.
func timeOf(parser textparse.Parser, entry textparse.Entry) time.Time {
	var ms *int64
	switch entry {
	case textparse.EntrySeries:
		_, ms, _ = parser.Series()
	case textparse.EntryHistogram:
		_, ms, _, _ = parser.Histogram()
	default:
	}
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms)
}
