// SPDX-License-Identifier: Apache-2.0

package durableremotewriteexporter

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
	"github.com/kubiyabot/otelcol-runner/internal/translate"
)

// Config is the configuration of the durable_remote_write exporter.
type Config struct {
	// ClientConfig is the HTTP client's: endpoint (required, the receiver's full URL), timeout of one attempt (default 30s), tls, auth,
	// headers, proxy_url and what else confighttp has. `compression` must stay unset: remote write is always snappy.
	confighttp.ClientConfig `mapstructure:",squash"`

	// Receiver is what is at the endpoint, which decides about protocol, sizes and ages: auto (default, by the endpoint's host), azure,
	// aws, google, grafana_cloud, mimir, thanos, victoriametrics or prometheus. Example: azure.
	Receiver string `mapstructure:"receiver"`

	// Protocol is the version of remote write: "1.0", "2.0", or auto (default): what the receiver is known to take, or 2.0 with 1.0 as
	// soon as it turns out not to. Example: "1.0".
	Protocol string `mapstructure:"protocol"`

	// Strict gives the specification's answer to 4xx: the samples are dropped, and counted. Default: false, they are sent again until
	// the receiver takes them, or the bad ones among them are found. For conformance tests.
	Strict bool `mapstructure:"strict"`

	// ResourceLabels are the resource attributes that become labels of every series.
	// Default: [organization, runner, kubiya_type, namespace, app].
	ResourceLabels []string `mapstructure:"resource_labels"`

	// Names says what happens to names that are not of the classic form: utf8 (default) leaves them as they are, escaped puts
	// underscores in the place of other characters, for receivers that want that. Example: escaped.
	Names string `mapstructure:"names"`

	// Log is the log on disk that every sample goes through.
	Log LogConfig `mapstructure:"log"`

	// Shards is how many requests can be on their way at a time, 1 to 32; a series is always in the same. Another number than before
	// takes effect when what is in the log has been delivered. Default: 1, which is enough for 100,000 samples/s at 100 ms a request.
	Shards int `mapstructure:"shards"`

	// Batch says how large requests are.
	Batch BatchConfig `mapstructure:"batch"`

	// Drain bounds how fast a backlog is sent.
	Drain DrainConfig `mapstructure:"drain"`

	// Retry says how long to wait before another attempt. There is no end to attempts but the log's max_age and max_bytes.
	Retry RetryConfig `mapstructure:"retry"`

	// MaxSampleAge is the age up to which samples are sent; older ones are set aside in the log as expired, counted, and can be
	// exported with `runnerctl log export`. Default: 0s, what the receiver takes (azure: 20m, others: any age). Example: 1h.
	MaxSampleAge time.Duration `mapstructure:"max_sample_age"`

	// SetAside bounds what is kept of samples that are not sent.
	SetAside SetAsideConfig `mapstructure:"set_aside"`

	// ShutdownTimeout is how long a stop may go on sending what is in the log; the rest is for the next start. Below the grace period
	// of the pod. Default: 10s.
	ShutdownTimeout time.Duration `mapstructure:"shutdown_timeout"`
}

// LogConfig is the configuration of the log.
type LogConfig struct {
	// Directory is the folder of the log, made if it is missing, for this exporter alone. No default.
	// Example: /var/lib/otelcol-runner/log.
	Directory string `mapstructure:"directory"`

	// MaxBytes is what the log may take on disk, in bytes; on_full applies above it. 0: no limit. Default: 2147483648 (2 GiB), days of
	// a runner with 1,000 samples/s. At least four segments.
	MaxBytes int64 `mapstructure:"max_bytes"`

	// MaxAge is the age at which samples are dropped, and counted, that could not be delivered. Default: 0s, never. Example: 72h.
	MaxAge time.Duration `mapstructure:"max_age"`

	// SegmentBytes is the size of one file of the log, in bytes, at least 65536. What has been delivered is deleted in whole segments.
	// Default: 33554432 (32 MiB).
	SegmentBytes int64 `mapstructure:"segment_bytes"`

	// SyncInterval is the least time between two fsyncs; a batch is accepted when the fsync that it takes part in has succeeded. 0s
	// gives each batch its own. Default: 100ms. At most 10s.
	SyncInterval time.Duration `mapstructure:"sync_interval"`

	// OnFull says what becomes of new samples while they cannot be written, because of max_bytes or because the disk is full or fails:
	// block (default) lets the receiver wait, for 15s at most, and then gives it an error; drop_oldest deletes the oldest segment, counted; refuse
	// answers with an error, which a scrape does not repeat.
	OnFull string `mapstructure:"on_full"`
}

// BatchConfig says how large requests are.
type BatchConfig struct {
	// MaxSamples is the number of samples in a request. Default: 10000.
	MaxSamples int `mapstructure:"max_samples"`

	// MaxBytes is the size of a request before compression, in bytes. Default: 0, what the receiver takes.
	MaxBytes int `mapstructure:"max_bytes"`

	// MaxWait is how long a request that is not full waits for more samples. They are on disk in the meantime. Default: 5s.
	MaxWait time.Duration `mapstructure:"max_wait"`
}

// DrainConfig bounds how fast samples are sent, so that a thousand runners that come back at once are not a storm.
type DrainConfig struct {
	// SamplesPerSecond is for all shards together. 0: no limit. Default: 200000.
	SamplesPerSecond float64 `mapstructure:"samples_per_second"`

	// RequestsPerSecond is for all shards together. 0: no limit. Default: 100. A request holds one sample of a series (but see the
	// receivers that take several), so that a backlog drains at most this times the shortest scrape interval faster than it came.
	RequestsPerSecond float64 `mapstructure:"requests_per_second"`
}

// RetryConfig says how long to wait before another attempt. A receiver's Retry-After goes before.
type RetryConfig struct {
	// InitialInterval is the first pause; each further one is twice as long, give or take 5 %. Default: 1s.
	InitialInterval time.Duration `mapstructure:"initial_interval"`

	// MaxInterval is the longest pause. Default: 30s.
	MaxInterval time.Duration `mapstructure:"max_interval"`
}

// SetAsideConfig bounds what is kept of samples that are not sent.
type SetAsideConfig struct {
	// MaxBytes is the size of the quarantine (samples that the receiver refused) and of the expired samples, in bytes, each on its own.
	// The oldest are deleted above it; they stay counted. So does what a full disk has no room for after five attempts. Default: 268435456 (256 MiB).
	MaxBytes int64 `mapstructure:"max_bytes"`
}

// Values of names.
const (
	namesUTF8    = "utf8"
	namesEscaped = "escaped"
)

// Bounds that Validate checks.
const (
	maxShards       = 32
	minSegmentBytes = 64 << 10
	maxSyncInterval = 10 * time.Second
	protocolAuto    = "auto"
)

func createDefaultConfig() component.Config {
	client := confighttp.NewDefaultClientConfig()
	client.Timeout = 30 * time.Second
	return &Config{
		ClientConfig:    client,
		Receiver:        "auto",
		Protocol:        protocolAuto,
		ResourceLabels:  []string{"organization", "runner", "kubiya_type", "namespace", "app"},
		Names:           namesUTF8,
		Shards:          1,
		ShutdownTimeout: 10 * time.Second,
		Log: LogConfig{
			MaxBytes:     2 << 30,
			SegmentBytes: 32 << 20,
			SyncInterval: 100 * time.Millisecond,
			OnFull:       string(samplelog.Block),
		},
		Batch:    BatchConfig{MaxSamples: 10_000, MaxWait: 5 * time.Second},
		Drain:    DrainConfig{SamplesPerSecond: 200_000, RequestsPerSecond: 100},
		Retry:    RetryConfig{InitialInterval: time.Second, MaxInterval: 30 * time.Second},
		SetAside: SetAsideConfig{MaxBytes: 256 << 20},
	}
}

// ownHeaders are those that the specification gives to the sender.
var ownHeaders = []string{"Content-Encoding", "Content-Type", "X-Prometheus-Remote-Write-Version", "User-Agent", "Retry-Attempt"}

// Validate reports all that is wrong, as one error.
func (c *Config) Validate() error {
	errs := []error{c.ClientConfig.Validate(), c.validateEndpoint()}
	if _, err := remotewrite.ProfileOf(c.Receiver); err != nil {
		errs = append(errs, fmt.Errorf("receiver: %w", err))
	}
	if !slices.Contains([]string{protocolAuto, string(remotewrite.V1), string(remotewrite.V2)}, c.Protocol) {
		errs = append(errs, fmt.Errorf("protocol: unknown value %q: use auto, \"1.0\" or \"2.0\" (in quotes)", c.Protocol))
	}
	if c.Names != namesUTF8 && c.Names != namesEscaped {
		errs = append(errs, fmt.Errorf("names: unknown value %q: use utf8 or escaped", c.Names))
	}
	if c.Compression != "" {
		errs = append(errs, fmt.Errorf("compression: %q: remote write is always snappy: remove the key", c.Compression))
	}
	for name := range c.Headers.Iter {
		if slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)) {
			errs = append(errs, fmt.Errorf("headers::%s: the specification of remote write sets this header: remove it", name))
		}
	}
	for i, label := range c.ResourceLabels {
		if label == "" {
			errs = append(errs, fmt.Errorf("resource_labels[%d]: empty: name a resource attribute, or remove it", i))
		}
	}
	if c.Shards < 1 || c.Shards > maxShards {
		errs = append(errs, fmt.Errorf("shards: %d: use 1 to %d", c.Shards, maxShards))
	}
	return errors.Join(append(errs, c.validateTimes()...)...)
}

func (c *Config) validateEndpoint() error {
	if c.Endpoint == "" {
		return errors.New("endpoint: empty: set the receiver's full URL, for example https://prometheus.example/api/v1/write")
	}
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil:
		// The error of url.Parse holds the address, which may hold a password.
		return errors.New("endpoint: not a URL: use a form like https://prometheus.example/api/v1/write")
	case !isHTTP(u) && c.Strict:
		return nil // the conformance suite wants attempts that fail, not a start that does; warn names it
	case !isHTTP(u):
		return fmt.Errorf("endpoint: scheme %q: use a URL that begins with https:// or http://", u.Scheme)
	case u.Host == "":
		return errors.New("endpoint: no host: use a form like https://prometheus.example/api/v1/write")
	case u.User != nil:
		return errors.New("endpoint: a user or password in the URL would get into logs: use an auth extension, for example basicauth")
	default:
		return nil
	}
}

func isHTTP(u *url.URL) bool { return u.Scheme == "http" || u.Scheme == "https" }

func (c *Config) validateTimes() []error {
	var errs []error
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"max_sample_age", c.MaxSampleAge}, {"shutdown_timeout", c.ShutdownTimeout}, {"timeout", c.Timeout},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %s is negative: use a positive time", d.key, d.value))
		}
	}
	if c.Timeout == 0 {
		errs = append(errs, errors.New("timeout: 0s would let an attempt hang for ever, and the shard with it: use 30s"))
	}
	return errs
}

// Validate reports what is wrong with the log.
func (c *LogConfig) Validate() error {
	var errs []error
	if c.Directory == "" {
		errs = append(errs, errors.New("directory: empty: set a folder on a disk that outlives the process, for example /var/lib/otelcol-runner/log"))
	}
	if c.SegmentBytes < minSegmentBytes {
		errs = append(errs, fmt.Errorf("segment_bytes: %d: use at least %d", c.SegmentBytes, minSegmentBytes))
	}
	if c.MaxBytes < 0 || c.MaxBytes > 0 && c.MaxBytes < 4*c.SegmentBytes {
		errs = append(errs, fmt.Errorf("max_bytes: %d: use at least four segments (4 x segment_bytes = %d), or 0 for no limit", c.MaxBytes, 4*c.SegmentBytes))
	}
	if c.MaxAge < 0 {
		errs = append(errs, fmt.Errorf("max_age: %s is negative: use a positive time, or 0s to keep samples until they are delivered", c.MaxAge))
	}
	if c.SyncInterval < 0 || c.SyncInterval > maxSyncInterval {
		errs = append(errs, fmt.Errorf("sync_interval: %s: use 0s to %s", c.SyncInterval, maxSyncInterval))
	}
	switch samplelog.OnFull(c.OnFull) {
	case samplelog.Block, samplelog.DropOldest, samplelog.Refuse:
	default:
		errs = append(errs, fmt.Errorf("on_full: unknown value %q: use %s", c.OnFull, strings.Join([]string{string(samplelog.Block), string(samplelog.DropOldest), string(samplelog.Refuse)}, ", ")))
	}
	return errors.Join(errs...)
}

// Validate reports sizes that cannot be meant.
func (c *BatchConfig) Validate() error {
	var errs []error
	if c.MaxSamples < 1 || c.MaxSamples > 1_000_000 {
		errs = append(errs, fmt.Errorf("max_samples: %d: use 1 to 1000000", c.MaxSamples))
	}
	if c.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("max_bytes: %d is negative: use a positive number, or 0 for what the receiver takes", c.MaxBytes))
	}
	if c.MaxWait < 0 || c.MaxWait > 5*time.Minute {
		errs = append(errs, fmt.Errorf("max_wait: %s: use 0s to 5m", c.MaxWait))
	}
	return errors.Join(errs...)
}

// Validate reports negative rates.
func (c *DrainConfig) Validate() error {
	var errs []error
	if c.SamplesPerSecond < 0 {
		errs = append(errs, fmt.Errorf("samples_per_second: %v is negative: use a positive number, or 0 for no limit", c.SamplesPerSecond))
	}
	if c.RequestsPerSecond < 0 {
		errs = append(errs, fmt.Errorf("requests_per_second: %v is negative: use a positive number, or 0 for no limit", c.RequestsPerSecond))
	}
	return errors.Join(errs...)
}

// Validate reports pauses that cannot be meant.
func (c *RetryConfig) Validate() error {
	var errs []error
	if c.InitialInterval <= 0 {
		errs = append(errs, fmt.Errorf("initial_interval: %s: use a positive time, for example 1s", c.InitialInterval))
	}
	if c.MaxInterval < c.InitialInterval {
		errs = append(errs, fmt.Errorf("max_interval: %s is less than initial_interval, %s: use a longer time, for example 30s", c.MaxInterval, c.InitialInterval))
	}
	return errors.Join(errs...)
}

// Validate reports a size that cannot be meant.
func (c *SetAsideConfig) Validate() error {
	if c.MaxBytes < 1<<20 {
		return fmt.Errorf("max_bytes: %d: use at least 1048576", c.MaxBytes)
	}
	return nil
}

// TranslateSettings are the part of the configuration that the translation into series depends on.
func (c *Config) TranslateSettings() translate.Settings {
	return translate.Settings{ResourceLabels: c.ResourceLabels, EscapeNames: c.Names == namesEscaped}
}
