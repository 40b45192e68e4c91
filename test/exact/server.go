// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pageServer serves the targets' pages. Each scraper has its own counter per target, so that the k-th scrape of either
// side gets the k-th page although their clocks differ.
type pageServer struct {
	targets map[string]target // by path

	mu       sync.Mutex         // guards what follows
	arrivals map[string][]int64 // by scraper and path, milliseconds
	hurried  []string
}

func newPageServer(targets []target) *pageServer {
	s := &pageServer{targets: map[string]target{}, arrivals: map[string][]int64{}}
	for _, t := range targets {
		s.targets[t.path()] = t
	}
	return s
}

// The two scrapers.
const (
	referenceSide = "reference"
	collectorSide = "collector"
)

// scraperOf tells the two sides apart by the only thing in which their requests differ.
func scraperOf(r *http.Request) string {
	if strings.HasPrefix(r.UserAgent(), "Prometheus/") {
		return referenceSide
	}
	return collectorSide
}

func (s *pageServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t, found := s.targets[r.URL.Path]
	if !found {
		http.NotFound(w, r)
		return
	}
	scrape := s.nextScrape(scraperOf(r) + " " + t.path())
	p := t.pages[min(scrape, len(t.pages)-1)]

	w.Header().Set("Content-Type", p.contentType)
	switch p.fault {
	case neverAnswers:
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush() // the scraper may be gone already
		<-r.Context().Done()
		return
	case cutsConnection:
		w.Header().Set("Content-Length", strconv.Itoa(len(p.body)+1000))
		_, _ = w.Write(p.body)
		panic(http.ErrAbortHandler) // net/http's way to break the connection
	case serverError:
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = w.Write(p.body) // a scraper that has gone is noticed below
	if r.Context().Err() != nil && scrape < len(t.pages) {
		s.noteHurried(scraperOf(r) + " " + t.path() + ", page " + strconv.Itoa(scrape+1))
	}
}

// nextScrape returns how many scrapes came before this one.
func (s *pageServer) nextScrape(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrivals[key] = append(s.arrivals[key], time.Now().UnixMilli())
	return len(s.arrivals[key]) - 1
}

// scrapesOf returns when the side's scrapes of the target arrived, in milliseconds.
func (s *pageServer) scrapesOf(side, path string) []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.arrivals[side+" "+path])
}

func (s *pageServer) noteHurried(scrape string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hurried = append(s.hurried, scrape)
}

// timedOut returns the scrapes that their scraper gave up although the page was to be served well: the machine was too
// slow, and the run says nothing.
func (s *pageServer) timedOut() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hurried
}
