// SPDX-License-Identifier: Apache-2.0

package scopepushdownconverter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
)

const (
	nameLabel     = "__name__"
	exporterLabel = "exporter"
	// exporterCollector is the value of the target label exporter by which the runner processor knows the collector, all of whose
	// metrics pass (processors/runnerprocessor/target.go).
	exporterCollector = "otel-collector"
)

// job is what matters here of a scrape configuration.
type job struct {
	HonorLabels   bool `yaml:"honor_labels"`
	StaticConfigs []struct {
		Labels map[string]string `yaml:"labels"`
	} `yaml:"static_configs"`
	RelabelConfigs       []*relabel.Config `yaml:"relabel_configs"`
	MetricRelabelConfigs []*relabel.Config `yaml:"metric_relabel_configs"`
	Rest                 map[string]any    `yaml:",inline"`
}

// readJob reads a job as Prometheus does: as YAML.
func readJob(content map[string]any) (*job, error) {
	text, err := yaml.Marshal(content)
	if err != nil {
		return nil, err
	}
	var j job
	if err := yaml.Unmarshal(text, &j); err != nil {
		return nil, fmt.Errorf("reading the job: %w", err)
	}
	if slices.Contains(j.RelabelConfigs, nil) || slices.Contains(j.MetricRelabelConfigs, nil) {
		return nil, errors.New("a relabel rule is empty")
	}
	return &j, nil
}

// scrapeLimits are the keys, of a job or global, of limits that fail the whole scrape. They count what is left by metric_relabel_configs.
var scrapeLimits = []string{
	"sample_limit", "label_limit", "label_name_length_limit", "label_value_length_limit", "native_histogram_bucket_limit",
}

// leave says why a job is left alone, if it is.
func (j *job) leave(global map[string]any) error {
	for _, key := range scrapeLimits {
		if isLimit(j.Rest[key]) || isLimit(global[key]) {
			return fmt.Errorf("%s counts what the rules of the scrape keep, and would count less: use the limits of the runner processor", key)
		}
	}
	if !j.mayScrapeCollector() {
		return nil
	}
	hides := ""
	if j.HonorLabels {
		hides = "honor_labels"
	}
	for _, rule := range j.MetricRelabelConfigs {
		if mayWrite(rule, exporterLabel) {
			hides = "metric_relabel_configs"
		}
	}
	if hides != "" {
		return fmt.Errorf("%s can change the label %s of series, by which the collector's own pass", hides, exporterLabel)
	}
	return nil
}

// isLimit reports whether a limit is set: zero is none.
func isLimit(value any) bool { return value != nil && fmt.Sprint(value) != "0" }

// mayScrapeCollector reports whether a target of the job can have the label exporter="otel-collector". What Kubernetes and DNS
// know of a target becomes a label only by a rule.
func (j *job) mayScrapeCollector() bool {
	for _, static := range j.StaticConfigs {
		if static.Labels[exporterLabel] == exporterCollector {
			return true
		}
	}
	for key := range j.Rest {
		switch {
		case !strings.HasSuffix(key, "_sd_configs"), key == "kubernetes_sd_configs", key == "dns_sd_configs":
		default:
			return true
		}
	}
	for _, rule := range j.RelabelConfigs {
		if mayWrite(rule, exporterLabel) && (rule.Action != relabel.Replace || strings.Contains(rule.Replacement, "$") || rule.Replacement == exporterCollector) {
			return true
		}
	}
	return false
}

// mayWrite reports whether a rule can set the label, or take it away.
func mayWrite(rule *relabel.Config, name string) bool {
	switch rule.Action {
	case relabel.LabelMap, relabel.LabelDrop, relabel.LabelKeep:
		return true
	default:
		return rule.TargetLabel == name || strings.Contains(rule.TargetLabel, "$")
	}
}
