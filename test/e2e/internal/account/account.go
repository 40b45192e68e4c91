// SPDX-License-Identifier: Apache-2.0

// Package account keeps the books of a run: which pages the targets answered, which of these the collector took
// responsibility for, and which of them the backend has.
//
// The truth comes from the targets, as in the other tests of delivery. A collector makes one scrape of a target after the
// other, and begins the next only when the log has taken the one before: so a scrape is owed once it was answered whole,
// but for the last one of each target before a collector ended, which may have been in flight. Nothing is owed because the
// collector says that it has it.
package account

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Target is what is scraped: one port of one life of one pod, whose scrapes are numbered from 1.
type Target struct {
	Namespace, Pod string
	// Life tells the processes of a pod apart that was restarted.
	Life string
}

func (t Target) String() string { return t.Namespace + "/" + t.Pod }

// Scrape is one page that a target answered.
type Scrape struct {
	// Number is the value of every numbered series on this page.
	Number int
	// At is when the request came.
	At time.Time
	// From is the address that asked.
	From string
	// Complete says that the whole page went out.
	Complete bool
}

// Report is what the collector stored as `up` of a target: whether it took the page.
type Report struct {
	At time.Time
	Up bool
}

// Stored are the numbers that the backend has of one target, by series: each with all timestamps that it is stored with.
type Stored map[string]map[int][]time.Time

// Book is the record of a run. The zero Book is empty and ready for use, from several goroutines.
type Book struct {
	mu      sync.Mutex // guards what follows
	scrapes map[Target]map[int]Scrape
	ends    map[string][]time.Time
}

// Add notes scrapes of a target. What was noted before may be noted again.
func (b *Book) Add(target Target, scrapes ...Scrape) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.scrapes == nil {
		b.scrapes = map[Target]map[int]Scrape{}
	}
	if b.scrapes[target] == nil {
		b.scrapes[target] = map[int]Scrape{}
	}
	for _, s := range scrapes {
		b.scrapes[target][s.Number] = s
	}
}

// End notes that the collector with this address ended at that time, by whatever means.
func (b *Book) End(address string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ends == nil {
		b.ends = map[string][]time.Time{}
	}
	b.ends[address] = append(b.ends[address], at)
	slices.SortFunc(b.ends[address], time.Time.Compare)
}

// Targets are those that were scraped.
func (b *Book) Targets() []Target {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.SortedFunc(maps.Keys(b.scrapes), func(x, y Target) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Pod, y.Pod), cmp.Compare(x.Life, y.Life))
	})
}

// Scrapes are those of a target since a time, in the order of their numbers.
func (b *Book) Scrapes(target Target, since time.Time) []Scrape {
	b.mu.Lock()
	defer b.mu.Unlock()
	var scrapes []Scrape
	for _, number := range slices.Sorted(maps.Keys(b.scrapes[target])) {
		if s := b.scrapes[target][number]; !s.At.Before(since) {
			scrapes = append(scrapes, s)
		}
	}
	return scrapes
}

// Fate is what became of a scrape, as far as that is known without looking at what is stored.
type Fate int

// The fates of a scrape.
const (
	// Owed is a scrape that has to be stored: the collector went on after it, or still can.
	Owed Fate = iota
	// InFlight is the last one before a collector ended, or one after the end of the accounting.
	InFlight
	// Failed is one that the collector did not get whole, or says that it failed.
	Failed
	// Shared is one of a time in which two collectors asked the target, as it happens for seconds when they are scaled. Their
	// samples are of the same series, and a receiver that takes nothing out of order refuses those that come second.
	Shared
)

// A report has the time at which its scrape was due: the request came after it, by up to late where the machine is busy. slack
// is for what clocks and rounding do.
const (
	late  = 2500 * time.Millisecond
	slack = 100 * time.Millisecond
)

// Settle decides the fate of the scrapes of a target, in the order of their numbers. The reports are those of the target;
// what was scraped later than until is not owed yet.
func (b *Book) Settle(target Target, reports []Report, until time.Time) (scrapes []Scrape, fates []Fate) {
	scrapes = b.Scrapes(target, time.Time{})
	b.mu.Lock()
	defer b.mu.Unlock()
	fates = make([]Fate, len(scrapes))
	for i, s := range scrapes {
		switch {
		case b.ended(s, scrapes[i+1:]) || s.At.After(until):
			fates[i] = InFlight
		case !s.Complete || down(s, reports):
			fates[i] = Failed
		case shared(scrapes, i):
			fates[i] = Shared
		}
	}
	return scrapes, fates
}

// shared says whether another collector asks the target as well: it did before this one came back to it, or will before the scrape
// after it. A collector that takes over from another one asks from then on alone.
func shared(scrapes []Scrape, i int) bool {
	between := func(from, to int) bool {
		for j := from + 1; j < to; j++ {
			if scrapes[j].From != scrapes[i].From {
				return true
			}
		}
		return false
	}
	for j := i - 1; j >= 0; j-- {
		if scrapes[j].From == scrapes[i].From {
			if between(j, i) {
				return true
			}
			break
		}
	}
	for j := i + 1; j < len(scrapes); j++ {
		if scrapes[j].From == scrapes[i].From {
			return between(i, j)
		}
	}
	return false
}

// ended says whether the collector that made the scrape ended before it made the next one.
func (b *Book) ended(s Scrape, later []Scrape) bool {
	for _, end := range b.ends[s.From] {
		if end.Before(s.At) {
			continue
		}
		for _, next := range later {
			if next.From == s.From {
				return next.At.After(end)
			}
		}
		return true
	}
	return false
}

// down says whether the last report that can be of this scrape says that it failed.
func down(s Scrape, reports []Report) bool {
	failed := false
	for _, r := range reports {
		if r.At.After(s.At.Add(-late)) && r.At.Before(s.At.Add(slack)) {
			failed = !r.Up
		}
	}
	return failed
}

// Verdict is what a comparison found, in samples. The lists are whole.
type Verdict struct {
	// Exposed are the samples of scrapes that did not fail, Stored those of them that the backend has.
	Exposed, Stored int
	// Lost are owed samples that the backend does not have.
	Lost []string
	// Twice are samples that the backend has at two times or more.
	Twice []string
	// Unknown are stored samples that no target exposed. What is above the last scrape that is in the book is not judged: a
	// target may have answered once more after it was last asked for its scrapes.
	Unknown []string
	// InFlight are samples of scrapes that were in flight and that the backend does not have.
	InFlight int
	// Shared are samples of Shared scrapes that the backend does not have.
	Shared int
	// FailedScrapes are scrapes that the collector did not get whole, or says that they failed.
	FailedScrapes int
}

// Compare adds what is found about one target to the verdict. Every page has all of the series, which are named here and
// not taken from what is stored: one that is missing altogether is lost.
func (v *Verdict) Compare(target Target, scrapes []Scrape, fates []Fate, series []string, stored Stored) {
	for _, name := range series {
		numbers := stored[name]
		known, last := map[int]bool{}, 0
		for i, s := range scrapes {
			known[s.Number], last = true, max(last, s.Number)
			times := numbers[s.Number]
			if fates[i] == Failed && len(times) == 0 {
				continue
			}
			v.Exposed++
			switch {
			case len(times) > 0:
				v.Stored++
			case fates[i] == Owed:
				v.Lost = append(v.Lost, fmt.Sprintf("%s %s: scrape %d of %s by %s", target, name, s.Number, clock(s.At), s.From))
			case fates[i] == Shared:
				v.Shared++
			default:
				v.InFlight++
			}
			if len(times) > 1 {
				v.Twice = append(v.Twice, fmt.Sprintf("%s %s: scrape %d of %s is stored %d times", target, name, s.Number, clock(s.At), len(times)))
			}
		}
		for _, number := range slices.Sorted(maps.Keys(numbers)) {
			if !known[number] && number < last {
				v.Unknown = append(v.Unknown, fmt.Sprintf("%s %s: %d at %s", target, name, number, clock(numbers[number][0])))
			}
		}
	}
	for _, fate := range fates {
		if fate == Failed {
			v.FailedScrapes++
		}
	}
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }
