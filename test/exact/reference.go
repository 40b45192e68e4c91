// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	_ "github.com/prometheus/prometheus/discovery/file" // registers file_sd_configs
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/scrape"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

// reference is the scraping half of a Prometheus server: its discovery and its scrape manager, with the options that
// cmd/prometheus has by default, writing into a TSDB.
type reference struct {
	discovery *discovery.Manager
	scraping  *scrape.Manager
	cancel    context.CancelFunc
	done      sync.WaitGroup
	errs      chan error
}

// startReference scrapes as the configuration says. The runner's labels are target labels here, set by relabelling:
// what Prometheus makes of them, also where a page claims one of them, is what the collector has to deliver.
func startReference(scrapeConfig string, store *prombackend.Backend, logger *slog.Logger) (*reference, error) {
	cfg, err := config.Load(scrapeConfig, logger)
	if err != nil {
		return nil, fmt.Errorf("scrape.yaml: %w", err)
	}
	jobs, err := cfg.GetScrapeConfigs()
	if err != nil {
		return nil, fmt.Errorf("scrape.yaml: %w", err)
	}
	discoveries := map[string]discovery.Configs{}
	for _, job := range jobs {
		discoveries[job.JobName] = job.ServiceDiscoveryConfigs
		for _, l := range runnerLabels {
			job.RelabelConfigs = append(job.RelabelConfigs, &relabel.Config{
				Action: relabel.Replace, Regex: relabel.DefaultRelabelConfig.Regex,
				TargetLabel: l.name, Replacement: l.value, NameValidationScheme: model.UTF8Validation,
			})
		}
	}

	registry := prometheus.NewRegistry()
	sdMetrics, err := discovery.CreateAndRegisterSDMetrics(registry)
	if err != nil {
		return nil, fmt.Errorf("starting discovery: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &reference{cancel: cancel, errs: make(chan error, 2)}
	r.discovery = discovery.NewManager(ctx, logger, registry, sdMetrics)
	if r.discovery == nil {
		cancel()
		return nil, errors.New("starting discovery failed, see the log")
	}
	r.scraping, err = scrape.NewManager(&scrape.Options{DiscoveryReloadOnStartup: true}, logger, nil, nil, store.DB(), registry)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("starting the scrape manager: %w", err)
	}
	if err := errors.Join(r.scraping.ApplyConfig(cfg), r.discovery.ApplyConfig(discoveries)); err != nil {
		cancel()
		return nil, fmt.Errorf("scrape.yaml: %w", err)
	}
	r.done.Go(func() { r.errs <- r.discovery.Run() })
	r.done.Go(func() { r.errs <- r.scraping.Run(r.discovery.SyncCh()) })
	return r, nil
}

// stop ends discovery and scraping, and returns the error that ended either of them early.
func (r *reference) stop() error {
	r.cancel()
	r.scraping.Stop()
	r.done.Wait()
	var err error
	for range cap(r.errs) {
		if e := <-r.errs; !errors.Is(e, context.Canceled) {
			err = errors.Join(err, e)
		}
	}
	return err
}
