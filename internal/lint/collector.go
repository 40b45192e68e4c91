// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
)

func collectorRules() []Rule {
	const around = "receivers: {otlp: }\nprocessors: {memory_limiter: {}, runner: {metadata: {organization: acme, runner: r1, kubiya_type: customers-runners, namespace: runner}}}\nexporters: {durable_remote_write: }\n"
	return []Rule{
		{
			ID: "pipeline-order", Severity: report.Warning, Fixable: true,
			Summary: "A pipeline whose memory_limiter is not first, or with a batch processor in front of an exporter that keeps what it is given on disk.",
			Why: "memory_limiter can only refuse what no processor has taken yet. batch accepts data that is in memory only: a crash loses it, though the exporter " +
				"would have kept it.",
			Fix:   "put memory_limiter first; leave batch out",
			Bad:   ofFile(around + "service:\n  pipelines:\n    metrics:\n      receivers: [otlp]\n      processors: [runner, memory_limiter]\n      exporters: [durable_remote_write]\n"),
			Good:  ofFile(around + "service:\n  pipelines:\n    metrics:\n      receivers: [otlp]\n      processors: [memory_limiter, runner]\n      exporters: [durable_remote_write]\n"),
			check: checkPipelineOrder,
		},
		{
			ID: "refused-key", Severity: report.Error, Fixable: true,
			Summary: "A key or component that newer collectors refuse.",
			Why:     "The collector does not start, and says `has invalid keys` or `unknown type`.",
			Fix:     "remove it",
			Bad:     ofFile("service:\n  telemetry:\n    metrics: {level: basic, address: '127.0.0.1:8888'}\n"),
			Good:    ofFile("service:\n  telemetry:\n    metrics:\n      level: basic\n      readers:\n        - pull: {exporter: {prometheus: {host: 127.0.0.1, port: 8888}}}\n"),
			check:   checkRefusedKeys,
		},
		{
			ID: "old-name", Severity: report.Info,
			Summary: "The old name of a component.",
			Why:     "It still works, with a warning at each start, until it is removed.",
			Fix:     "use the new name, where it is defined and in the pipelines",
			Bad:     ofFile("exporters:\n  prometheusremotewrite: {endpoint: 'https://prometheus.example.com/api/v1/write'}\n"),
			Good:    ofFile("exporters:\n  prometheus_remote_write: {endpoint: 'https://prometheus.example.com/api/v1/write'}\n"),
			check:   checkOldNames,
		},
	}
}

// pipeline is a pipeline of the collector.
type pipeline struct {
	id         string
	processors *yaml.Node
	exporters  []string
}

func (c *checker) pipelines() []pipeline {
	var out []pipeline
	for key, value := range configfile.Pairs(configfile.Get(c.file.Root, "service", "pipelines")) {
		p := pipeline{id: key.Value, processors: configfile.Get(value, "processors")}
		for _, n := range configfile.Items(configfile.Get(value, "exporters")) {
			p.exporters = append(p.exporters, n.Value)
		}
		out = append(out, p)
	}
	return out
}

func checkPipelineOrder(c *checker) {
	for _, p := range c.pipelines() {
		items := configfile.Items(p.processors)
		limiter := slices.IndexFunc(items, func(n *yaml.Node) bool { return kindOf(n.Value) == "memory_limiter" })
		if limiter > 0 {
			f := c.add(items[limiter], "memory_limiter of the pipeline %s comes behind %s", shown(p.id), shown(items[0].Value))
			c.moveFirst(f, items, limiter)
			continue
		}
		durable := slices.IndexFunc(p.exporters, c.keepsOnDisk)
		if durable < 0 {
			continue
		}
		for i, n := range items {
			if kindOf(n.Value) != "batch" {
				continue
			}
			f := c.add(n, "%s of the pipeline %s holds in memory what %s would keep on disk", shown(n.Value), shown(p.id), shown(p.exporters[durable]))
			f.Fix = "leave batch out"
			if edit, err := c.file.DeleteItem(p.processors, i); err == nil && kindOf(p.exporters[durable]) == "durable_remote_write" && len(p.exporters) == 1 {
				f.edits = append(f.edits, edit)
			}
		}
	}
}

// moveFirst makes a finding mendable by writing the names of a list in another order: each into the place of another.
func (c *checker) moveFirst(f *Finding, items []*yaml.Node, index int) {
	moved := slices.Insert(slices.Delete(slices.Clone(items), index, index+1), 0, items[index])
	var edits []configfile.Edit
	for i, n := range items[:index+1] {
		edit, err := c.file.ReplaceScalar(n, moved[i].Value)
		if err != nil {
			return
		}
		edits = append(edits, edit)
	}
	f.edits = edits
}

// keepsOnDisk says whether an exporter has a queue on disk.
func (c *checker) keepsOnDisk(id string) bool {
	if kindOf(id) == "durable_remote_write" {
		return true
	}
	return configfile.Get(c.file.Root, "exporters", id, "sending_queue", "storage") != nil
}

// gone is a key or a component that there used to be.
type gone struct {
	section string
	kinds   []string
	key     []string // empty: the component itself
	message string
	fix     string
	remove  bool // taking it out changes nothing that still works
}

// goneKeys are those of components that scrape and deliver metrics, by the changelogs of opentelemetry-collector and -contrib.
var goneKeys = []gone{
	{"receivers", []string{"prometheus"}, []string{"use_start_time_metric"}, "was removed in v0.143.0", "remove it; the processor metric_start_time has strategy: start_time_metric", true},
	{"receivers", []string{"prometheus"}, []string{"start_time_metric_regex"}, "was removed in v0.143.0", "remove it; the processor metric_start_time has start_time_metric_regex", true},
	{"receivers", []string{"prometheus"}, []string{"report_extra_scrape_metrics"}, "is ignored since v0.145.0 and refused by v0.165.0", "use extra_scrape_metrics: true in config::global", false},
	{"receivers", []string{"prometheus"}, []string{"enable_open_metrics"}, "is no key of the receiver", "list the formats in scrape_protocols", true},
	{"receivers", []string{"prometheus"}, []string{"config", "remote_write"}, "is not for the receiver", "use an exporter", false},
	{"receivers", []string{"prometheus"}, []string{"config", "remote_read"}, "is not for the receiver", "remove it", true},
	{"receivers", []string{"prometheus"}, []string{"config", "rule_files"}, "is not for the receiver", "load the rules where the series are stored", false},
	{"receivers", []string{"prometheus"}, []string{"config", "alerting"}, "is not for the receiver", "send alerts from where the series are stored", false},
	{"receivers", []string{"opencensus"}, nil, "was removed from the distributions", "use otlp", false},
	{"processors", []string{"memory_limiter"}, []string{"ballast_size_mib"}, "has no effect since v0.106.0 and is refused by v0.165.0", "remove it; GOMEMLIMIT does what the ballast did", true},
	{"exporters", []string{"logging"}, nil, "was removed in v0.111.0", "use debug", false},
	{"exporters", []string{"debug"}, []string{"loglevel"}, "is no key of debug", "use verbosity", false},
	{"exporters", []string{"prometheusremotewrite", "prometheus_remote_write"}, []string{"sending_queue"}, "is no key of this exporter", "use remote_write_queue", false},
	{"exporters", []string{"prometheusremotewrite", "prometheus_remote_write"}, []string{"export_created_metric"}, "was removed in v0.123.0", "remove it", true},
	{"extensions", []string{"memory_ballast"}, nil, "was removed in v0.109.0", "remove it, also from service::extensions; GOMEMLIMIT does what it did", false},
}

// receiverKeys are all keys of the prometheus receiver at v0.165.0.
var receiverKeys = []string{
	"config", "trim_metric_suffixes", "target_allocator", "api_server", "scrape_on_shutdown", "discovery_reload_on_startup", "initial_scrape_offset",
}

func checkRefusedKeys(c *checker) {
	metrics := configfile.Get(c.file.Root, "service", "telemetry", "metrics")
	if key := configfile.Key(metrics, "address"); key != nil {
		c.add(key, "address of service::telemetry::metrics is ignored since v0.123.0 and refused since v0.128.0").Fix = "use readers: [{pull: {exporter: {prometheus: {host: …, port: …}}}}]"
	}
	for _, g := range goneKeys {
		for _, p := range c.components(g.section, g.kinds...) {
			c.checkGone(g, p)
		}
	}
	for _, p := range c.components("exporters", exporterKinds(c)...) {
		if key := configfile.Key(configfile.Get(p.config, "sending_queue"), "blocking"); key != nil {
			c.add(key, "sending_queue::blocking was removed in v0.129.0").Fix = "use block_on_overflow"
		}
	}
	for _, p := range c.receivers() {
		for key := range configfile.Pairs(p.config) {
			if !slices.Contains(receiverKeys, key.Value) {
				c.add(key, "the prometheus receiver has no key %s", shown(key.Value)).Fix = "remove it; its keys are " + strings.Join(receiverKeys, ", ")
			}
		}
	}
}

func exporterKinds(c *checker) []string {
	var kinds []string
	for key := range configfile.Pairs(configfile.Get(c.file.Root, "exporters")) {
		kinds = append(kinds, kindOf(key.Value))
	}
	return kinds
}

func (c *checker) checkGone(g gone, p component) {
	if len(g.key) == 0 {
		c.add(p.key, "%s %s", shown(p.id), g.message).Fix = g.fix
		return
	}
	parent := configfile.Get(p.config, g.key[:len(g.key)-1]...)
	name := g.key[len(g.key)-1]
	key := configfile.Key(parent, name)
	if key == nil {
		return
	}
	f := c.add(key, "%s of %s %s", strings.Join(g.key, "::"), shown(p.id), g.message)
	f.Fix = g.fix
	if !g.remove {
		return
	}
	if edit, err := c.file.DeleteKey(parent, name); err == nil {
		f.edits = append(f.edits, edit)
	}
}

// newNames are the names of components since v0.154.0 and before.
var newNames = map[string]map[string]string{
	"exporters":  {"prometheusremotewrite": "prometheus_remote_write", "otlphttp": "otlp_http"},
	"processors": {"k8sattributes": "k8s_attributes", "metricstransform": "metrics_transform", "metricstarttime": "metric_start_time"},
}

func checkOldNames(c *checker) {
	for section, names := range newNames {
		for old, name := range names {
			for _, p := range c.components(section, old) {
				c.add(p.key, "%s is called %s now", shown(old), shown(name))
			}
		}
	}
}
