// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"
	commonconfig "github.com/prometheus/common/config"
	promconfig "github.com/prometheus/prometheus/config"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
)

// Config is a resolved configuration: what the collector would start with.
type Config struct {
	// File is what it was read from.
	File *configfile.File

	receivers  map[component.ID]*confmap.Conf
	processors map[component.ID]*confmap.Conf
	exporters  map[component.ID]*confmap.Conf
	connectors map[component.ID]*confmap.Conf
	pipelines  []pipeline
	jobs       []Job
}

// pipeline is a pipeline of metrics that something scrapes for.
type pipeline struct {
	id         string
	receivers  []component.ID // of the type prometheus
	processors []component.ID
	exporters  []component.ID
}

var prometheusType = component.MustNewType("prometheus")

// Load resolves a configuration as the collector does, except that ${env:NAME} is taken from env. A variable that is neither in
// env nor has a default is an error that names it, as is a component that the distribution has not got or whose configuration it
// refuses.
func Load(file *configfile.File, env map[string]string) (*Config, error) {
	return load(file, env, converters(env))
}

// LoadUnconverted is Load without the distribution's converters: nothing is derived from what stands in the file. The processors of such a
// configuration count what is out of scope, which Load lets the scrape drop where that makes no other difference.
func LoadUnconverted(file *configfile.File, env map[string]string) (*Config, error) {
	return load(file, env, nil)
}

func load(file *configfile.File, env map[string]string, converters []confmap.ConverterFactory) (*Config, error) {
	conf, err := resolve(file, env, converters)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name, err)
	}
	c := &Config{File: file}
	if err := c.read(conf); err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name, err)
	}
	return c, nil
}

func resolve(file *configfile.File, env map[string]string, converters []confmap.ConverterFactory) (*confmap.Conf, error) {
	if file.Kind == configfile.Collector {
		return resolveCollector(file.Text, env, converters)
	}
	// Prometheus expands nothing in scrape_configs: the content is taken as it is.
	var content any
	if err := yaml.Unmarshal(file.Text, &content); err != nil {
		return nil, fmt.Errorf("%w: `runnerctl lint` says where", err)
	}
	scrape := map[string]any{"scrape_configs": content}
	if all, isMap := content.(map[string]any); isMap {
		// The rest of a Prometheus server's configuration is about storage, rules and remote write.
		scrape = map[string]any{}
		for _, key := range []string{"global", "scrape_configs", "scrape_config_files"} {
			if value, ok := all[key]; ok {
				scrape[key] = value
			}
		}
	}
	return confmap.NewFromStringMap(map[string]any{
		"receivers": map[string]any{"prometheus": map[string]any{"config": scrape}},
		"service":   map[string]any{"pipelines": map[string]any{"metrics": map[string]any{"receivers": []any{"prometheus"}}}},
	}), nil
}

func (c *Config) read(conf *confmap.Conf) error {
	var err error
	if c.receivers, err = components(conf, "receivers"); err != nil {
		return err
	}
	if c.processors, err = components(conf, "processors"); err != nil {
		return err
	}
	if c.exporters, err = components(conf, "exporters"); err != nil {
		return err
	}
	if c.connectors, err = components(conf, "connectors"); err != nil {
		return err
	}
	var service struct {
		Pipelines map[string]struct {
			Receivers  []component.ID `mapstructure:"receivers"`
			Processors []component.ID `mapstructure:"processors"`
			Exporters  []component.ID `mapstructure:"exporters"`
		} `mapstructure:"pipelines"`
	}
	section, err := conf.Sub("service")
	if err != nil {
		return fmt.Errorf("service: %w", err)
	}
	if err := section.Unmarshal(&service, confmap.WithIgnoreUnused()); err != nil {
		return fmt.Errorf("service: %w", err)
	}
	for _, id := range slices.Sorted(maps.Keys(service.Pipelines)) {
		if signal, _, _ := strings.Cut(id, "/"); signal != "metrics" {
			continue
		}
		p := pipeline{id: id, processors: service.Pipelines[id].Processors, exporters: service.Pipelines[id].Exporters}
		for _, r := range service.Pipelines[id].Receivers {
			if r.Type() == prometheusType {
				p.receivers = append(p.receivers, r)
			}
		}
		if len(p.receivers) == 0 {
			continue
		}
		if err := c.check(&p); err != nil {
			return fmt.Errorf("service::pipelines::%s: %w", id, err)
		}
		c.pipelines = append(c.pipelines, p)
	}
	if len(c.pipelines) == 0 {
		return errors.New("service::pipelines: no pipeline of metrics has a prometheus receiver: there is nothing to scrape")
	}
	return nil
}

// components takes a section apart, by component.
func components(conf *confmap.Conf, section string) (map[component.ID]*confmap.Conf, error) {
	all := map[component.ID]*confmap.Conf{}
	sub, err := conf.Sub(section)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", section, err)
	}
	for key := range sub.ToStringMap() {
		var id component.ID
		if err := id.UnmarshalText([]byte(key)); err != nil {
			return nil, fmt.Errorf("%s::%s: %w", section, key, err)
		}
		if all[id], err = sub.Sub(key); err != nil {
			return nil, fmt.Errorf("%s::%s: %w", section, key, err)
		}
	}
	return all, nil
}

// check makes the configuration of everything that a pipeline needs, so that what the collector would refuse is refused here.
func (c *Config) check(p *pipeline) error {
	for _, id := range p.receivers {
		if slices.ContainsFunc(c.jobs, func(j Job) bool { return j.Receiver == id.String() }) {
			continue // of another pipeline as well
		}
		cfg, err := c.receiver(id)
		if err != nil {
			return err
		}
		for _, sc := range cfg.PrometheusConfig.ScrapeConfigs {
			c.jobs = append(c.jobs, Job{Receiver: id.String(), Name: sc.JobName, Scrape: sc})
		}
	}
	for _, id := range p.processors {
		if _, _, err := c.processor(id); err != nil {
			return err
		}
	}
	for _, id := range p.exporters {
		if err := c.checkExporter(id); err != nil {
			return err
		}
	}
	return nil
}

// receiver makes a configuration of a prometheus receiver, which belongs to the caller. All jobs are in it, those of other files as well.
func (c *Config) receiver(id component.ID) (*prometheusreceiver.Config, error) {
	conf, ok := c.receivers[id]
	if !ok {
		return nil, fmt.Errorf("receivers::%s is not configured: add it, or take it out of the pipeline", id)
	}
	cfg := prometheusreceiver.NewFactory().CreateDefaultConfig().(*prometheusreceiver.Config)
	none := cfg.TargetAllocator
	if err := conf.Unmarshal(cfg); err != nil {
		return nil, fmt.Errorf("receivers::%s: %w", id, refusal(err))
	}
	switch {
	case cfg.PrometheusConfig.ContainsScrapeConfigs():
	case cfg.TargetAllocator.HasValue():
		return nil, fmt.Errorf("receivers::%s: its jobs come from a target allocator, which a scene has not got: write one of them under config::scrape_configs", id)
	default:
		return nil, fmt.Errorf("receivers::%s: it has no job, which the receiver refuses: add one under scrape_configs", id)
	}
	cfg.TargetAllocator = none
	if err := c.gather(cfg.PrometheusConfig); err != nil {
		return nil, fmt.Errorf("receivers::%s: %w", id, err)
	}
	if err := confmap.Validate(cfg); err != nil {
		return nil, fmt.Errorf("receivers::%s: %w", id, err)
	}
	return cfg, nil
}

// gather takes the jobs of other files into the configuration. What it names is next to it, as it is for Prometheus.
func (c *Config) gather(cfg *prometheusreceiver.PromConfig) error {
	dir := filepath.Dir(c.File.Name)
	for _, sc := range cfg.ScrapeConfigs {
		sc.SetDirectory(dir)
	}
	for i, pattern := range cfg.ScrapeConfigFiles {
		cfg.ScrapeConfigFiles[i] = commonconfig.JoinDir(dir, pattern)
	}
	all, err := (*promconfig.Config)(cfg).GetScrapeConfigs()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("scrape_config_files: no job in %s: correct the patterns", strings.Join(cfg.ScrapeConfigFiles, ", "))
	}
	cfg.ScrapeConfigs, cfg.ScrapeConfigFiles = all, nil
	// Credentials are files of the pod: their absence here is no fault. They are not used either.
	for _, sc := range all {
		forget(sc)
	}
	return nil
}

var (
	lineOfLoader = regexp.MustCompile(`(yaml: unmarshal errors:)?\s*line \d+: `)
	typeOfLoader = regexp.MustCompile(` (in type|into) \S+`)
)

// refusal makes an error of Prometheus's loader readable. The lines in it are those of a text that nobody has seen: the receiver writes
// what it is given anew.
func refusal(err error) error {
	_, message, ofLoader := strings.Cut(err.Error(), "failed to unmarshal yaml to prometheus config object: ")
	if !ofLoader {
		return err
	}
	message = lineOfLoader.ReplaceAllString(typeOfLoader.ReplaceAllString(message, ""), "; ")
	return fmt.Errorf("Prometheus refuses it: %s: `runnerctl lint` says where", strings.TrimPrefix(message, "; ")) //nolint:staticcheck // a name
}

// Jobs are the scrape configurations, with Prometheus's defaults filled in, by receiver, in the order of the file. They must not be changed.
func (c *Config) Jobs() []Job { return c.jobs }

// LongestInterval is the longest scrape interval of all jobs.
func (c *Config) LongestInterval() time.Duration {
	longest := time.Duration(0)
	for _, job := range c.jobs {
		longest = max(longest, time.Duration(job.Scrape.ScrapeInterval))
	}
	return longest
}

// Job is one scrape configuration.
type Job struct {
	// Receiver is the component that has it: prometheus, or prometheus/name.
	Receiver string
	// Name is its job_name.
	Name string
	// Scrape is what Prometheus makes of it.
	Scrape *promconfig.ScrapeConfig
}

// resolveCollector expands and merges as the collector's own resolver does.
func resolveCollector(text []byte, env map[string]string, converters []confmap.ConverterFactory) (*confmap.Conf, error) {
	variables := &environment{values: env}
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs: []string{textScheme + ":"},
		ProviderFactories: []confmap.ProviderFactory{
			confmap.NewProviderFactory(func(confmap.ProviderSettings) confmap.Provider { return textProvider(text) }),
			confmap.NewProviderFactory(func(confmap.ProviderSettings) confmap.Provider { return variables }),
		},
		DefaultScheme:      envScheme,
		ConverterFactories: converters,
	})
	if err != nil {
		return nil, err
	}
	conf, err := resolver.Resolve(context.Background())
	if err != nil {
		return nil, err
	}
	if missing := variables.missing(); len(missing) > 0 {
		return nil, fmt.Errorf("the environment has no %s: set it under scene::env", strings.Join(missing, ", "))
	}
	return conf, nil
}

var discardLogger = slog.New(slog.DiscardHandler)
