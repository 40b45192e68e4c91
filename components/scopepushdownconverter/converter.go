// SPDX-License-Identifier: Apache-2.0

package scopepushdownconverter

import (
	"context"
	"errors"
	"maps"
	"slices"

	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
)

// NewFactory returns the factory of the converter.
func NewFactory() confmap.ConverterFactory {
	return confmap.NewConverterFactory(func(set confmap.ConverterSettings) confmap.Converter {
		return converter{set.Logger}
	})
}

type converter struct{ logger *zap.Logger }

// Convert adds the derived rules. It leaves alone what it cannot read: the collector refuses that as well, and says more about it.
func (c converter) Convert(_ context.Context, conf *confmap.Conf) error {
	receivers, _ := conf.Get("receivers").(map[string]any)
	for _, id := range slices.Sorted(maps.Keys(receivers)) {
		if typeOf(id) != "prometheus" {
			continue
		}
		logger := c.logger.With(zap.String("receiver", id))
		scopes, err := scopesOf(conf, id)
		if err == nil && len(scopes) > 0 {
			err = convertReceiver(conf, id, scopes, logger)
		}
		if err != nil {
			logger.Info(left, zap.Error(err))
		}
	}
	return nil
}

// left is the message about what is left alone.
const left = "What is out of scope is not dropped at the scrape"

// convertReceiver adds the rule to the jobs of a receiver. The error says why it does not.
func convertReceiver(conf *confmap.Conf, id string, scopes []*scope.Metrics, logger *zap.Logger) error {
	receiver := "receivers::" + id
	if trim, _ := conf.Get(receiver + "::trim_metric_suffixes").(bool); trim {
		return errors.New("trim_metric_suffixes gives metrics other names than their series have")
	}
	key := receiver + "::config"
	if !conf.IsSet(key) {
		return errors.New("config comes from a file that holds more than it: let config itself refer to a file")
	}
	// Without references to the environment: the receiver takes this section in the same form (PromConfig.Unmarshal).
	config, _ := conf.Get(key).(map[string]any)
	jobs, ok := config["scrape_configs"].([]any)
	if !ok {
		return nil // those of other files and of a target allocator cannot be reached
	}
	global, _ := config["global"].(map[string]any)
	if external, _ := global["external_labels"].(map[string]any); external[nameLabel] != nil || external[exporterLabel] != nil {
		return errors.New("external_labels change a label that the scope goes by")
	}
	for _, item := range jobs {
		job, ok := item.(map[string]any)
		if !ok {
			continue
		}
		if err := convertJob(job, global, scopes); err != nil {
			logger.Info(left, zap.Reflect("job", job["job_name"]), zap.Error(err))
		}
	}
	// Deleted first: a merge would append to lists where the feature gate confmap.enableMergeAppendOption is on.
	conf.Delete(key)
	return conf.Merge(confmap.NewFromStringMap(map[string]any{"receivers": map[string]any{id: map[string]any{"config": config}}}))
}

// convertJob appends the rule to the job's own. The error says why it does not.
func convertJob(content, global map[string]any, scopes []*scope.Metrics) error {
	job, err := readJob(content)
	if err != nil {
		return err
	}
	if err := job.leave(global); err != nil {
		return err
	}
	rule, ok := Derive(job.mayScrapeCollector(), scopes...)
	if !ok {
		return nil
	}
	own, _ := content["metric_relabel_configs"].([]any)
	var source []any
	for _, name := range rule.SourceLabels {
		source = append(source, string(name))
	}
	content["metric_relabel_configs"] = append(own, map[string]any{
		"source_labels": source, "regex": rule.Regex.String(), "action": string(rule.Action),
	})
	return nil
}
