// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"
	"github.com/prometheus/client_golang/prometheus"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/textparse"
	promscrape "github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"go.opentelemetry.io/collector/component"

	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

// Scraped is one scrape of a target: what Prometheus's scraper hands over, before a receiver makes pdata of it.
type Scraped struct {
	Target Target
	// Page is what the target answered. Listening is false where nothing listens at its address.
	Page      scene.Page
	Listening bool
	// Err says why the scrape failed; nil where it did not.
	Err error
	// Series are those of the page, in its order. Duration and the like are no part of a page: see Report.
	Series []ScrapedSeries
	// Report are the values that the scraper adds to each scrape, by name: up, scrape_samples_scraped.
	Report map[string]float64

	config          *promconfig.ScrapeConfig
	honorTimestamps bool // the job does
}

// ScrapedSeries is a series of a page.
type ScrapedSeries struct {
	// Labels are with those of the target, conflicts resolved.
	Labels labels.Labels
	// Family and Type are what the page says of it; empty and unknown where it has no TYPE for it.
	Family   string
	Metadata metadata.Metadata
	Sample   Sample
}

// Scrape scrapes all targets that there are at a time after the first scrape once, with the scraper that the receiver has and no
// receiver. Without rules metric_relabel_configs are left out, limits too, and all samples get the time of the scrape, so that each series
// of each page is handed over.
func (e *Engine) Scrape(ctx context.Context, c *Config, s *scene.Scene, at time.Duration, rules bool) ([]Scraped, error) {
	r, err := e.prepare(ctx, c, momentOf(s, at))
	if err != nil {
		return nil, err
	}
	defer r.proxy.close()
	var failed error
	all := &scrapes{byKey: map[string]*Scraped{}}
	if err := e.clock.Run(func() { failed = r.scrape(rules, all) }); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	var list []Scraped
	for _, t := range r.targets[0].targets {
		if !t.Kept() {
			list = append(list, Scraped{Target: t})
			continue
		}
		found := all.byKey[targetKey(t.Receiver, t.Job, t.URL, t.Labels)]
		if found == nil {
			return nil, fmt.Errorf("job %s: the target %s was not scraped: its interval may be too long for a scene", t.Job, t.URL)
		}
		found.Target = t
		found.Page, found.Listening = pageOf(s.At(at), t.URL)
		list = append(list, *found)
	}
	return list, nil
}

// momentOf is a scene of what there is at one time, as if it had been so from the start.
func momentOf(s *scene.Scene, at time.Duration) *scene.Scene {
	now := *s
	now.Start = s.Start.Add(at)
	state := *s.At(at)
	state.At = 0
	now.States = []scene.State{state}
	return &now
}

// scrape runs a scrape manager for each job until every target has been scraped once. It runs in a bubble.
func (r *run) scrape(rules bool, all *scrapes) error {
	time.Sleep(time.Until(r.scene.Start))
	receivers := map[component.ID]bool{}
	for i := range r.config.pipelines {
		for _, id := range r.config.pipelines[i].receivers {
			if receivers[id] {
				continue
			}
			receivers[id] = true
			cfg, err := r.config.receiver(id)
			if err != nil {
				return err
			}
			scrapeConfigs, err := (*promconfig.Config)(cfg.PrometheusConfig).GetScrapeConfigs()
			if err != nil {
				return fmt.Errorf("receivers::%s: %w", id, err)
			}
			for _, sc := range scrapeConfigs {
				to := scrapesOf{all: all, receiver: id.String(), config: sc, honorTimestamps: sc.HonorTimestamps}
				if !rules {
					sc.HonorTimestamps = false
					// Limits are for what the rules leave.
					sc.MetricRelabelConfigs, sc.SampleLimit, sc.LabelLimit = nil, 0, 0
					sc.LabelNameLengthLimit, sc.LabelValueLengthLimit = 0, 0
				}
				stop, err := r.startScraper(cfg.PrometheusConfig, to)
				if err != nil {
					return fmt.Errorf("receivers::%s: job %s: %w", id, sc.JobName, err)
				}
				defer stop()
			}
		}
	}
	virtualtime.Settle()
	return nil
}

// startScraper starts a manager of one job: a manager does not say which job a scrape is of, and a target's label job may be any.
func (r *run) startScraper(whole *prometheusreceiver.PromConfig, to scrapesOf) (stop func(), err error) {
	prom := promconfig.Config(*whole)
	to.config.HTTPClientConfig = throughProxy(r.proxy.url)
	prom.ScrapeConfigs, prom.ScrapeConfigFiles = []*promconfig.ScrapeConfig{to.config}, nil
	options := &promscrape.Options{PassMetadataInContext: true, AppendMetadata: true, DiscoveryReloadOnStartup: true}
	if err := setForTests(options, "skipJitterOffsetting"); err != nil {
		return nil, err
	}
	manager, err := promscrape.NewManager(options, discardLogger, nil, nil, to, prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	if err := manager.ApplyConfig(&prom); err != nil {
		return nil, err
	}
	updates := make(chan map[string][]*targetgroup.Group, 1)
	updates <- map[string][]*targetgroup.Group{to.config.JobName: r.found[0][jobKey{to.receiver, to.config.JobName}]}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = manager.Run(updates) // it has no error of its own
	}()
	return func() {
		for _, targets := range manager.TargetsActive() {
			for _, t := range targets {
				to.all.fail(to.key(t), t.LastError())
			}
		}
		close(updates)
		<-ended
		manager.Stop()
	}, nil
}

func targetKey(receiver, job, address string, ls labels.Labels) string {
	return receiver + "\x00" + job + "\x00" + address + "\x00" + string(ls.Bytes(nil))
}

// scrapes gathers what scrapers hand over.
type scrapes struct {
	mu     sync.Mutex // guards byKey and what it holds
	byKey  map[string]*Scraped
	series int
}

func (s *scrapes) fail(key string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if scraped := s.byKey[key]; scraped != nil {
		scraped.Err = err
	}
}

// scrapesOf is the storage of the scrape manager of one job.
type scrapesOf struct {
	all      *scrapes
	receiver string
	config   *promconfig.ScrapeConfig
	// honorTimestamps is the job's own setting; that of config is what is run.
	honorTimestamps bool
}

func (s scrapesOf) key(t *promscrape.Target) string {
	return targetKey(s.receiver, s.config.JobName, t.URL().String(), t.Labels(labels.NewBuilder(labels.EmptyLabels())))
}

// AppenderV2 implements storage.AppendableV2.
func (s scrapesOf) AppenderV2(ctx context.Context) storage.AppenderV2 {
	a := &scrapeAppender{all: s.all, scraped: Scraped{config: s.config, honorTimestamps: s.honorTimestamps}}
	if target, ok := promscrape.TargetFromContext(ctx); ok {
		a.key = s.key(target)
	}
	return a
}

type scrapeAppender struct {
	all     *scrapes
	key     string
	scraped Scraped
}

// reported are the names that the scraper adds. They come last.
func reported(name string) bool { return name == "up" || strings.HasPrefix(name, "scrape_") }

// Append implements storage.AppenderV2.
func (a *scrapeAppender) Append(_ storage.SeriesRef, ls labels.Labels, _, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, options storage.AOptions) (storage.SeriesRef, error) {
	// The names of reports end in a byte that no text has.
	if name, isReport := strings.CutSuffix(options.MetricFamilyName, "\xff"); isReport && reported(name) {
		if a.scraped.Report == nil {
			a.scraped.Report = map[string]float64{}
		}
		a.scraped.Report[strings.Clone(name)] = v
		return 1, nil
	}
	s := ScrapedSeries{Labels: ls, Family: strings.Clone(options.MetricFamilyName), Metadata: options.Metadata, Sample: Sample{T: t, F: v, H: fh}}
	if h != nil {
		s.Sample.H = h.ToFloat(nil)
	}
	a.scraped.Series = append(a.scraped.Series, s)
	return 1, nil
}

// Commit implements storage.AppenderV2.
func (a *scrapeAppender) Commit() error {
	a.all.mu.Lock()
	defer a.all.mu.Unlock()
	if a.all.byKey[a.key] == nil {
		if a.all.series += len(a.scraped.Series); a.all.series > maxSamples {
			return errTooManySamples
		}
		a.all.byKey[a.key] = &a.scraped
	}
	return nil
}

// Rollback implements storage.AppenderV2. What failed in the middle counts for nothing.
func (a *scrapeAppender) Rollback() error {
	a.scraped = Scraped{config: a.scraped.config, honorTimestamps: a.scraped.honorTimestamps}
	return nil
}

var _ storage.AppenderV2 = (*scrapeAppender)(nil)

// ExposedSeries is a series as it stands on a page.
type ExposedSeries struct {
	// Labels are empty where the scraper has made something else of it.
	Labels labels.Labels
	// Time is what the page gives its sample; zero where that is the scrape's.
	Time time.Time
}

// Exposed returns the series of the page as they stand there, each at the index that it has in Series. Parsed by Prometheus's own parsers,
// with the job's settings.
func (s *Scraped) Exposed() ([]ExposedSeries, error) {
	if s.config == nil || len(s.Series) == 0 {
		return nil, nil
	}
	parser, err := newParser(&s.Page, s.config)
	if err != nil {
		return nil, err
	}
	exposed := make([]ExposedSeries, len(s.Series))
	for next := 0; next < len(exposed); {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if entry != textparse.EntrySeries && entry != textparse.EntryHistogram {
			continue
		}
		var ls labels.Labels
		parser.Labels(&ls)
		// A line that is there twice is handed over once.
		if standsFor(ls, s.Series[next].Labels) {
			exposed[next] = ExposedSeries{ls, timeOf(parser, entry)}
			next++
		}
	}
	return exposed, nil
}

// standsFor says whether each label of an exposed series is one of the scraped series, as it is or as exported_*.
func standsFor(exposed, scraped labels.Labels) bool {
	ok := true
	exposed.Range(func(l labels.Label) {
		for name := l.Name; scraped.Get(name) != l.Value; name = "exported_" + name {
			if !scraped.Has(name) {
				ok = false
				return
			}
		}
	})
	return ok
}

// newParser reads a page as the scraper of a job does.
func newParser(page *scene.Page, config *promconfig.ScrapeConfig) (textparse.Parser, error) {
	body, err := unpacked(page)
	if err != nil {
		return nil, err
	}
	parser, err := textparse.New(body, page.ContentType, labels.NewSymbolTable(), textparse.ParserOptions{
		IgnoreNativeHistograms:                  !config.ScrapeNativeHistogramsEnabled(),
		ConvertClassicHistogramsToNHCB:          config.ConvertClassicHistogramsToNHCBEnabled(),
		KeepClassicOnClassicAndNativeHistograms: config.AlwaysScrapeClassicHistogramsEnabled(),
		FallbackContentType:                     config.ScrapeFallbackProtocol.HeaderMediaType(),
	})
	if parser == nil {
		return nil, err
	}
	return parser, nil // it may come with an error that says why the fallback was taken
}

func unpacked(page *scene.Page) ([]byte, error) {
	if page.Encoding != "gzip" {
		return page.Body, nil
	}
	reader, err := gzip.NewReader(bytes.NewReader(page.Body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader) // its size was checked when the scene was loaded
}
