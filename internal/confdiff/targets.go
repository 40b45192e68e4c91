// SPDX-License-Identifier: Apache-2.0

package confdiff

import (
	"cmp"
	"maps"
	"slices"

	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// TargetChanges are targets that are scraped on one side only, or another number of times.
type TargetChanges struct {
	Before int `json:"before"`
	After  int `json:"after"`
	// Added and Removed are by job and URL: a target that has gone to another job is both.
	Added   []Target `json:"added"`
	Removed []Target `json:"removed"`
	// Repeated are URLs that are scraped more than once in an interval, where that has changed.
	Repeated []Repeated `json:"repeated"`
}

// Target is what is scraped.
type Target struct {
	Job string `json:"job"`
	URL string `json:"url"`
}

// Repeated is a URL with the number of targets that have it.
type Repeated struct {
	URL    string `json:"url"`
	Before int    `json:"before"`
	After  int    `json:"after"`
}

func (t *TargetChanges) changed() bool { return len(t.Added)+len(t.Removed)+len(t.Repeated) > 0 }

func targets(before, after []scrapetest.Target) TargetChanges {
	var c TargetChanges
	var scraped [2]map[Target]int
	var urls [2]map[string]int
	for side, list := range [2][]scrapetest.Target{before, after} {
		scraped[side], urls[side] = map[Target]int{}, map[string]int{}
		for i := range list {
			if list[i].Kept() {
				scraped[side][Target{list[i].Job, list[i].URL}]++
				urls[side][list[i].URL]++
				*[]*int{&c.Before, &c.After}[side]++
			}
		}
	}
	c.Removed, c.Added = missing(scraped[0], scraped[1]), missing(scraped[1], scraped[0])
	all := maps.Clone(urls[0])
	maps.Copy(all, urls[1])
	for _, url := range slices.Sorted(maps.Keys(all)) {
		if was, is := urls[0][url], urls[1][url]; was != is && max(was, is) > 1 {
			c.Repeated = append(c.Repeated, Repeated{url, was, is})
		}
	}
	return c
}

// missing are those of one side that the other has not got.
func missing(of, in map[Target]int) []Target {
	var all []Target
	for t := range of {
		if in[t] == 0 {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b Target) int { return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.URL, b.URL)) })
	return all
}
