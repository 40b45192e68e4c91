// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/component"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
)

// Values of instance.
const (
	instanceTarget       = "target"
	instanceOrganization = "organization"
)

// Values of scope::secrets.
const (
	secretsRedact = "redact"
	secretsDrop   = "drop"
	secretsOff    = "off"
)

// Config is the configuration of the runner processor.
type Config struct {
	// RequiredEnv names environment variables that must be set and not empty for the collector to start. The collector itself
	// only warns of a reference to an unset variable and goes on with an empty value. Default: none.
	// Example: [RUNNER_NAME, REMOTE_WRITE_URL].
	RequiredEnv []string `mapstructure:"required_env"`

	// Metadata is the runner's identity: label name to value, on every series. A label of the same name that a target exposes
	// becomes exported_<name>, as Prometheus does with target labels. No default; at least one entry, no empty value.
	// Example: {organization: acme, runner: r1, kubiya_type: customers-runners, namespace: runner}.
	Metadata map[string]string `mapstructure:"metadata"`

	// Instance says what the label `instance` holds. `target` (default) is the scraped host:port. `organization` is the legacy
	// value, metadata's organization, which makes series collide that only their instance told apart; those are counted.
	Instance string `mapstructure:"instance"`

	// Scope says what may leave the cluster. What it does not name, or what cannot be told to be in it, is dropped.
	Scope ScopeConfig `mapstructure:"scope"`

	// Limits bounds the number of live series and the size of labels.
	Limits LimitsConfig `mapstructure:"limits"`
}

// ScopeConfig says what may leave the cluster.
type ScopeConfig struct {
	// Namespaces are the Kubernetes namespaces whose targets and objects may be reported: exact names or anchored regexps.
	// No default; must not be empty. Example: [runner-prod].
	Namespaces []scope.Pattern `mapstructure:"namespaces"`

	// Components are the values that the target label `app` may have: exact names or anchored regexps.
	// No default; must not be empty. Example: [tool-manager, agent-manager, otel-collector].
	Components []scope.Pattern `mapstructure:"components"`

	// Metrics are the metrics that may leave.
	Metrics MetricsConfig `mapstructure:"metrics"`

	// Labels are the labels that may leave.
	Labels LabelsConfig `mapstructure:"labels"`

	// Secrets says what to do about label values that look like a credential or an e-mail address: `redact` (default) replaces
	// the value by <redacted:KIND>, `drop` drops the series, `off` lets it pass. Help texts are replaced in both. The patterns are in
	// docs/secrets.md.
	Secrets string `mapstructure:"secrets"`

	// Pushdown drops metrics that are out of scope in the scrape already, where it costs least: a converter of the configuration
	// (components/scopepushdownconverter) gives scrape jobs a rule for it. What is delivered is the same. Default: true.
	Pushdown bool `mapstructure:"pushdown"`
}

// MetricsConfig says which metrics may leave, by name. Histograms and summaries are kept or dropped as families.
type MetricsConfig struct {
	// Profile is a named list to start from: `stage1` (default), what the dashboards and alerts read, or `none`.
	Profile string `mapstructure:"profile"`

	// Include adds to the profile: exact names or anchored regexps. Default: none. Example: [workflow_runs_total, "sdk_.*"].
	Include []scope.Pattern `mapstructure:"include"`

	// Exclude takes away from both: exact names or anchored regexps. Default: none. Example: [kube_pod_labels].
	Exclude []scope.Pattern `mapstructure:"exclude"`
}

// LabelsConfig says which labels may leave. Identity (metadata, job, instance) is not subject to it.
type LabelsConfig struct {
	// Drop removes labels: exact names or anchored regexps. Default: none. Example: [pod_ip, pod_host_ip].
	Drop []scope.Pattern `mapstructure:"drop"`

	// Keep, when not empty, removes all labels but these: exact names or anchored regexps. Default: none.
	// Example: [app, pod, container, status, method].
	Keep []scope.Pattern `mapstructure:"keep"`
}

// LimitsConfig bounds what one runner may send. A classic histogram counts as all its series: buckets, sum and count. A series
// above a limit is dropped and counted; one that is live is never cut off. Zero turns a limit off.
type LimitsConfig struct {
	// Series is the number of live series in total. Default: 50000.
	Series int `mapstructure:"series"`

	// SeriesPerMetric is the number of live series that one component has of one metric or family. Default: 10000.
	SeriesPerMetric int `mapstructure:"series_per_metric"`

	// SeriesPerComponent is the number of live series of one component (label app). Default: 20000.
	SeriesPerComponent int `mapstructure:"series_per_component"`

	// LabelCount is the number of labels of a series, with the metric name, job, instance and metadata. Default: 63, the limit
	// of Azure Monitor.
	LabelCount int `mapstructure:"label_count"`

	// LabelNameLength is in bytes. Default: 511, the limit of Azure Monitor.
	LabelNameLength int `mapstructure:"label_name_length"`

	// LabelValueLength is in bytes. Default: 1023, the limit of Azure Monitor.
	LabelValueLength int `mapstructure:"label_value_length"`

	// TTL is how long a series without a sample and without a stale marker keeps its place. At least 2m, twice the longest scrape
	// interval. Default: 5m, Prometheus's lookback.
	TTL time.Duration `mapstructure:"ttl"`
}

func createDefaultConfig() component.Config {
	return &Config{
		Instance: instanceTarget,
		Scope: ScopeConfig{
			Metrics:  MetricsConfig{Profile: "stage1"},
			Secrets:  secretsRedact,
			Pushdown: true,
		},
		Limits: LimitsConfig{
			Series:             50000,
			SeriesPerMetric:    10000,
			SeriesPerComponent: 20000,
			LabelCount:         63,
			LabelNameLength:    511,
			LabelValueLength:   1023,
			TTL:                5 * time.Minute,
		},
	}
}

// Validate reports what is wrong with identity, as one error that holds all of it.
func (c *Config) Validate() error {
	var errs []error
	for i, name := range c.RequiredEnv {
		if os.Getenv(name) == "" {
			errs = append(errs, fmt.Errorf("required_env[%d]: environment variable %s is not set or empty: set it where the collector is started", i, name))
		}
	}
	if len(c.Metadata) == 0 {
		errs = append(errs, errors.New("metadata: empty: name the runner, for example {organization: acme, runner: r1}"))
	}
	for _, key := range sortedKeys(c.Metadata) {
		errs = append(errs, validateMetadata(key, c.Metadata[key]))
	}
	switch c.Instance {
	case instanceTarget:
	case instanceOrganization:
		if c.Metadata["organization"] == "" {
			errs = append(errs, errors.New("instance: organization needs metadata::organization: set it, or use instance: target"))
		}
	default:
		errs = append(errs, fmt.Errorf("instance: unknown value %q: use target or organization", c.Instance))
	}
	return errors.Join(errs...)
}

// reservedLabels belong to the target or to the type of the metric. Metadata of that name would overwrite them.
var reservedLabels = []string{"job", "instance", "le", "quantile", "app", "exporter"}

func validateMetadata(key, value string) error {
	switch {
	case !model.LegacyValidation.IsValidLabelName(key):
		return fmt.Errorf("metadata::%s: not a valid label name: use letters, digits and underscores, and no digit first", key)
	case strings.HasPrefix(key, "__"):
		return fmt.Errorf("metadata::%s: names that begin with __ are Prometheus's own: rename it", key)
	case strings.Contains(key, "__") || strings.Trim(key, "_") == "":
		return fmt.Errorf("metadata::%s: exporters merge runs of underscores, which would change the name: use single ones", key)
	case strings.HasPrefix(key, "otel_scope_") || strings.HasPrefix(key, model.ExportedLabelPrefix):
		return fmt.Errorf("metadata::%s: names that begin with otel_scope_ or exported_ are taken: rename it", key)
	case slices.Contains(reservedLabels, key):
		return fmt.Errorf("metadata::%s: this label belongs to the target: rename it", key)
	case strings.TrimSpace(value) == "":
		return fmt.Errorf("metadata::%s: empty value: a series without it cannot be told from another runner's; set the value or the environment variable that it is read from", key)
	}
	return nil
}

// Validate reports an empty scope. The patterns report for themselves.
func (c *ScopeConfig) Validate() error {
	var errs []error
	if len(c.Namespaces) == 0 {
		errs = append(errs, errors.New("namespaces: empty, so that nothing could leave: name the runner's namespace, for example [\"${env:RUNNER_NAMESPACE}\"]"))
	}
	if len(c.Components) == 0 {
		errs = append(errs, errors.New("components: empty, so that nothing could leave: name the components, for example [tool-manager, agent-manager]"))
	}
	switch c.Secrets {
	case secretsRedact, secretsDrop, secretsOff:
	default:
		errs = append(errs, fmt.Errorf("secrets: unknown value %q: use redact, drop or off", c.Secrets))
	}
	return errors.Join(errs...)
}

// Validate reports an unknown profile, an empty scope and an include that can have no effect.
func (c *MetricsConfig) Validate() error {
	listed, err := scope.Profile(c.Profile)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	if len(listed)+len(c.Include) == 0 {
		return errors.New("include: empty with profile none, so that no metric could leave: set profile: stage1 or include metrics")
	}
	var errs []error
	for i, p := range c.Include {
		if slices.Contains(c.Exclude, p) {
			errs = append(errs, fmt.Errorf("include[%d]: %q is in exclude too, which wins: remove one of them", i, string(p)))
		}
	}
	return errors.Join(errs...)
}

// Validate reports limits that cannot be meant.
func (c *LimitsConfig) Validate() error {
	var errs []error
	for _, l := range []struct {
		key   string
		value int
	}{
		{"series", c.Series}, {"series_per_metric", c.SeriesPerMetric}, {"series_per_component", c.SeriesPerComponent},
		{"label_count", c.LabelCount}, {"label_name_length", c.LabelNameLength}, {"label_value_length", c.LabelValueLength},
	} {
		if l.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %d is negative: use a positive number, or 0 for no limit", l.key, l.value))
		}
	}
	if c.TTL < 2*time.Minute {
		errs = append(errs, fmt.Errorf("ttl: %s is less than two of the longest scrape interval, 1m: use 2m or more", c.TTL))
	}
	return errors.Join(errs...)
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
