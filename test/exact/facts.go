// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"log/slog"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/model/textparse"
)

// exposed is one sample as a page has it.
type exposed struct {
	timestamp *int64
	value     float64
	native    *histogram.Histogram
	float     *histogram.FloatHistogram
	exemplars []exemplar.Exemplar
}

// pageFacts is what one page exposes, by series after metric relabelling but without target labels; the samples of a
// series are in the order of the page.
type pageFacts map[string][]exposed

// facts are what is known about the targets from their pages alone: the rules for known differences rest on them.
type facts struct {
	types map[string]map[string]model.MetricType // by page label and family
	pages map[string][]pageFacts                 // by page label
}

// readFacts parses the pages with Prometheus's own parsers, and relabels as the scrape configuration says. A page that does not parse has the facts before the error:
// its scrape fails on both sides.
func readFacts(targets []target, scrapeConfig string) (facts, error) {
	f := facts{types: map[string]map[string]model.MetricType{}, pages: map[string][]pageFacts{}}
	cfg, err := config.Load(scrapeConfig, slog.New(slog.DiscardHandler))
	if err != nil {
		return f, fmt.Errorf("scrape.yaml: %w", err)
	}
	relabelling := map[string][]*relabel.Config{}
	for _, job := range cfg.ScrapeConfigs {
		relabelling[job.JobName] = job.MetricRelabelConfigs
	}
	for _, t := range targets {
		types := map[string]model.MetricType{}
		for _, p := range t.pages {
			parser, err := textparse.New(p.body, p.contentType, nil, textparse.ParserOptions{KeepClassicOnClassicAndNativeHistograms: true})
			if err != nil {
				return f, fmt.Errorf("parsing a page of %s: %w", t.path(), err)
			}
			f.pages[t.path()] = append(f.pages[t.path()], parsePage(parser, types, relabelling[t.job]))
		}
		f.types[t.path()] = types
	}
	return f, nil
}

func parsePage(parser textparse.Parser, types map[string]model.MetricType, relabelling []*relabel.Config) pageFacts {
	p := pageFacts{}
	for {
		entry, err := parser.Next()
		if err != nil { // io.EOF, or a fault that is there on purpose
			return p
		}
		var e exposed
		switch entry {
		case textparse.EntryType:
			name, kind := parser.Type()
			types[string(name)] = kind
			continue
		case textparse.EntrySeries:
			_, e.timestamp, e.value = parser.Series()
		case textparse.EntryHistogram:
			_, e.timestamp, e.native, e.float = parser.Histogram()
		default:
			continue
		}
		if e.timestamp != nil {
			timestamp := *e.timestamp // the parser reuses it
			e.timestamp = &timestamp
		}
		var ls labels.Labels
		parser.Labels(&ls)
		for x := (exemplar.Exemplar{}); parser.Exemplar(&x); x = (exemplar.Exemplar{}) {
			e.exemplars = append(e.exemplars, x)
		}
		relabelled := labels.NewBuilder(ls)
		if !relabel.ProcessBuilder(relabelled, relabelling...) {
			continue
		}
		name := relabelled.Labels().String()
		p[name] = append(p[name], e)
	}
}

// exposedName is the series as its page has it: without the labels of the target and of the runner.
func exposedName(stored labels.Labels) string {
	b := labels.NewBuilder(stored).Del(pageLabel, "job", "instance")
	for name := range targetLabels {
		b.Del(name)
	}
	for _, l := range runnerLabels {
		b.Del(l.name)
	}
	return b.Labels().String()
}

// on returns what the page that was scraped at this instant exposes; nothing when there was no such scrape.
func (f facts) on(page string, at instant) pageFacts {
	if at.scrape < 1 || at.scrape > len(f.pages[page]) {
		return nil
	}
	return f.pages[page][at.scrape-1]
}
