// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

const (
	// vanishingJob is the job whose targets leave discovery after their last page.
	vanishingJob = "vanishing"
	// runTimeout ends a run in which a side does not get through its pages.
	runTimeout = 75 * time.Second
	pollEvery  = 100 * time.Millisecond
)

// side is one of the two ways that the pages take, and the store at its end.
type side struct {
	store    *prombackend.Backend
	arrivals func(page string) []int64
}

// errTooSlow is a run in which a scraper gave up a page that was served well: it compares nothing.
var errTooSlow = errors.New("this machine was too slow for the scrape timeout")

func (s side) read(ctx context.Context, pages map[string]int) (dataset, error) {
	return readDataset(ctx, s.store, pages, s.arrivals)
}

// targetLabels are on every target: the processor reads the component and the namespace from them.
var targetLabels = map[string]string{"app": "agent-manager", "kubernetes_namespace": "exact"}

// runnerLabels are what the collector adds to every series.
var runnerLabels = []runnerLabel{
	{"organization", "exact-org"}, {"runner", "exact-runner"},
	{"kubiya_type", "customers-runners"}, {"namespace", "exact"},
}

// oracle is one run: the same pages through both sides.
type oracle struct {
	binary         string
	exporterConfig string
	dir            string
	logger         *slog.Logger
	progress       func(format string, args ...any)
}

// outcome is what each side stored, and what the pages were.
type outcome struct {
	facts     facts
	want, got dataset
}

// run serves the pages to both sides until each has scraped all of them and stored what it scraped.
func (o *oracle) run(ctx context.Context) (result outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()

	targets, err := loadTargets(time.Now())
	if err != nil {
		return result, err
	}
	server := newPageServer(targets)
	pagesAddress, stopPages, err := serve(server)
	if err != nil {
		return result, err
	}
	defer stopPages()
	discoveryDir := filepath.Join(o.dir, "discovery")
	if err := writeDiscovery(discoveryDir, pagesAddress, targets); err != nil {
		return result, err
	}
	scrapeConfig, err := configFiles.ReadFile("config/scrape.yaml")
	if err != nil {
		return result, err
	}
	scraping := strings.ReplaceAll(string(scrapeConfig), "DISCOVERY", discoveryDir)

	referenceStore, err := prombackend.Open(filepath.Join(o.dir, "reference"), prombackend.Options{Logger: o.logger})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, referenceStore.Close()) }()
	collectorStore, err := prombackend.Open(filepath.Join(o.dir, "backend"), prombackend.Options{Logger: o.logger})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, collectorStore.Close()) }()
	backendAddress, stopBackend, err := serve(collectorStore.Handler())
	if err != nil {
		return result, err
	}
	defer stopBackend()

	ref, err := startReference(scraping, referenceStore, o.logger)
	if err != nil {
		return result, err
	}
	stopReference := sync.OnceValue(ref.stop)
	defer func() { err = errors.Join(err, stopReference()) }()
	col, err := startCollector(o.binary, o.dir, o.exporterConfig, scraping, "http://"+backendAddress+"/api/v1/write")
	if err != nil {
		return result, err
	}
	stopCollector := sync.OnceValue(col.stop)
	defer func() { err = errors.Join(err, stopCollector()) }()

	sides := []side{
		{referenceStore, func(page string) []int64 { return server.scrapesOf(referenceSide, page) }},
		{collectorStore, func(page string) []int64 { return server.scrapesOf(collectorSide, page) }},
	}
	if err := o.await(ctx, targets, server, col, discoveryDir, pagesAddress, sides); err != nil {
		return result, err
	}
	// A scrape that is stored while the stores are read would be there in part.
	if err := errors.Join(stopCollector(), stopReference()); err != nil {
		return result, err
	}
	stats, err := collectorStore.Stats()
	if err != nil {
		return result, err
	}
	o.progress("remote write: %v requests by status, %d samples refused\n", stats.Requests, stats.RejectedSamples)

	pages := map[string]int{}
	for _, t := range targets {
		pages[t.path()] = len(t.pages)
	}
	if result.want, err = sides[0].read(ctx, pages); err != nil {
		return result, err
	}
	if result.got, err = sides[1].read(ctx, pages); err != nil {
		return result, err
	}
	result.facts, err = readFacts(targets, scraping)
	return result, err
}

// await returns when both stores have every page of every target, and the stale markers of the targets that left.
func (o *oracle) await(ctx context.Context, targets []target, server *pageServer, col *collector, discoveryDir, pagesAddress string, sides []side) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	left := false
	reported := ""
	for {
		if slow := server.timedOut(); len(slow) > 0 {
			return fmt.Errorf("%w: %s", errTooSlow, strings.Join(slow, ", "))
		}
		if err := col.running(); err != nil {
			return err
		}
		waiting, err := unfinished(ctx, targets, left, sides)
		if err != nil {
			return err
		}
		if len(waiting) == 0 {
			return nil
		}
		if !left && !anyOf(waiting, vanishingJob) {
			left = true
			remaining := make([]target, 0, len(targets))
			for _, t := range targets {
				if t.job != vanishingJob {
					remaining = append(remaining, t)
				}
			}
			if err := writeDiscovery(discoveryDir, pagesAddress, remaining); err != nil {
				return err
			}
		}
		if now := fmt.Sprintf("waiting for %d of %d targets", len(waiting), len(targets)); now != reported {
			reported = now
			o.progress("%s\n", now)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("these targets did not get through all their pages on both sides within %s: %s; the end of the collector's log:\n%s",
				runTimeout, strings.Join(waiting, ", "), col.logTail())
		case <-ticker.C:
		}
	}
}

// unfinished returns the targets that some side does not have all of yet.
func unfinished(ctx context.Context, targets []target, left bool, sides []side) ([]string, error) {
	waiting := map[string]bool{}
	for _, s := range sides {
		clocks, err := readClocks(ctx, s.store, s.arrivals)
		if err != nil {
			return nil, err
		}
		for _, t := range targets {
			c := clocks[t.path()]
			if c.last < len(t.pages) || left && t.job == vanishingJob && c.gone == 0 {
				waiting[t.path()] = true
			}
		}
	}
	return sortedKeys(waiting), nil
}

func anyOf(paths []string, job string) bool {
	for _, p := range paths {
		if strings.HasPrefix(p, "/"+job+"/") {
			return true
		}
	}
	return false
}

// writeDiscovery writes one file_sd file per job.
func writeDiscovery(dir, address string, targets []target) error {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("writing discovery files: %w", err)
	}
	jobs := map[string][]group{vanishingJob: {}}
	for _, t := range targets {
		ls := map[string]string{"__metrics_path__": t.path(), "instance": t.name + ":9090", pageLabel: t.path()}
		for name, v := range targetLabels {
			ls[name] = v
		}
		jobs[t.job] = append(jobs[t.job], group{Targets: []string{address}, Labels: ls})
	}
	for job, groups := range jobs {
		text, err := json.Marshal(groups)
		if err != nil {
			return fmt.Errorf("writing discovery files: %w", err)
		}
		// Renamed into place: discovery must never read half a file.
		file := filepath.Join(dir, job+".json")
		if err := os.WriteFile(file+".new", text, 0o600); err != nil {
			return fmt.Errorf("writing discovery files: %w", err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			return fmt.Errorf("writing discovery files: %w", err)
		}
	}
	return nil
}

// serve serves the handler on a free port of the loopback interface.
func serve(handler http.Handler) (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("opening a port for the oracle: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = server.Serve(listener) }() // returns when closed
	return listener.Addr().String(), func() { _ = server.Close() }, nil
}
