// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/demo/sample"
)

const (
	organization = "acme"
	runnerName   = "acme-staging"
	runnerType   = "customers-runners"
	namespace    = "kubiya"

	collectorComponent = "otel-collector"
	collectorJob       = "otel-collector"

	// componentLimit is low enough for the exploding component to reach it within seconds, and twice what any other
	// component needs.
	componentLimit = 600

	scrapeInterval = "1s"
	scrapeTimeout  = "900ms"
)

// includedMetrics leave the cluster on top of the stage-1 scope: the sample's native histogram.
func includedMetrics() []string { return []string{"workflow_engine_step_duration_seconds"} }

// object is a YAML mapping.
type object = map[string]any

// overlay is the configuration that the collector merges over the reference one: file discovery in place of
// Kubernetes, free ports, a low limit. Everything else stays as a runner has it.
func overlay(jobs []string, discovery string, telemetryPort int) ([]byte, error) {
	scrapeConfigs := make([]object, 0, len(jobs))
	for _, job := range jobs {
		scrapeConfigs = append(scrapeConfigs, object{
			"job_name":        job,
			"file_sd_configs": []object{{"files": []string{filepath.Join(discovery, job+".json")}, "refresh_interval": "1s"}},
			// As every job of the reference: the list of jobs replaces that one as a whole.
			"metric_relabel_configs": []object{{"source_labels": []string{"__name__"}, "regex": "target_info", "action": "drop"}},
		})
	}
	// A port 0 where nobody needs to know the port: the demo never collides with what already runs here.
	anyPort := object{"endpoint": "127.0.0.1:0"}
	return yaml.Marshal(object{
		"receivers": object{
			"prometheus": object{"config": object{"scrape_configs": scrapeConfigs}},
			"otlp":       object{"protocols": object{"grpc": anyPort, "http": anyPort}},
		},
		"processors": object{"runner": object{
			"scope":  object{"metrics": object{"include": includedMetrics()}},
			"limits": object{"series_per_component": componentLimit},
		}},
		// One scrape is a request of its own, so that the page shows at once what happens.
		"exporters": object{"durable_remote_write": object{
			"batch": object{"max_wait": "500ms"},
		}},
		"extensions": object{"health_check": anyPort},
		"service": object{"telemetry": object{
			"logs": object{"encoding": "console"},
			"metrics": object{"readers": []object{{"pull": object{"exporter": object{"prometheus": object{
				"host": "127.0.0.1", "port": telemetryPort,
				"without_scope_info": true, "without_type_suffix": false, "without_units": false,
			}}}}}},
		}},
	})
}

// environment is what the reference configuration reads, and nothing of the caller's own: a demo must not depend on it.
func environment(remoteWriteURL, logDirectory string) []string {
	return []string{
		"RUNNER_ORGANIZATION=" + organization,
		"RUNNER_NAME=" + runnerName,
		"RUNNER_NAMESPACE=" + namespace,
		"REMOTE_WRITE_URL=" + remoteWriteURL,
		"LOG_DIRECTORY=" + logDirectory,
		"RUNNER_SECRETS=drop",
		"SCRAPE_INTERVAL=" + scrapeInterval,
		"SCRAPE_TIMEOUT=" + scrapeTimeout,
		"NO_PROXY=127.0.0.1",
		"HOME=" + os.Getenv("HOME"),
		"PATH=" + os.Getenv("PATH"),
	}
}

// discovery is a folder with a file of targets for each job.
type discovery struct {
	dir     string
	targets []sample.Target
}

// jobs are the names of the jobs, sorted.
func (d discovery) jobs() []string {
	var jobs []string
	for _, t := range d.targets {
		jobs = append(jobs, t.Job)
	}
	slices.Sort(jobs)
	return slices.Compact(jobs)
}

// publish lists every target.
func (d discovery) publish() error {
	groups := map[string][]object{}
	for _, t := range d.targets {
		groups[t.Job] = append(groups[t.Job], object{"targets": []string{t.Address}, "labels": t.Labels})
	}
	return d.write(groups)
}

// withdraw empties every list, as if the pods were deleted.
func (d discovery) withdraw() error { return d.write(nil) }

func (d discovery) write(groups map[string][]object) error {
	for _, job := range d.jobs() {
		list := groups[job]
		if list == nil {
			list = []object{}
		}
		content, err := json.MarshalIndent(list, "", "  ")
		if err != nil {
			return err
		}
		// Renamed into place: discovery may read at any moment, and never half a list.
		path := filepath.Join(d.dir, job+".json")
		partial := strings.TrimSuffix(path, ".json") + ".partial"
		if err := os.WriteFile(partial, content, 0o600); err != nil {
			return fmt.Errorf("the list of targets cannot be written: %w", err)
		}
		if err := os.Rename(partial, path); err != nil {
			return fmt.Errorf("the list of targets cannot be written: %w", err)
		}
	}
	return nil
}
