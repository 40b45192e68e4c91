// SPDX-License-Identifier: Apache-2.0

package remotewrite

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Profile is what is known of a receiver. A limit that is 0 is not there, or not known.
type Profile struct {
	// Name is what receiver: has in the configuration.
	Name string
	// Protocol is the best that it may take. Whether it takes V2 shows at the first request.
	Protocol Protocol
	// MaxAge is how old a sample may be that it stores.
	MaxAge time.Duration
	// MaxBytes is how large a request may be before compression.
	MaxBytes int
	// MaxLabels, MaxLabelName and MaxLabelValue are how many labels a series may have, its name among them, and how long they may be,
	// in characters.
	MaxLabels, MaxLabelName, MaxLabelValue int
	// DropsOverLimit says that it drops series above these limits without an error, and that nobody can raise them.
	DropsOverLimit bool
	// RepeatsOK says that it takes samples that it has, and late ones, without an error: nothing keeps a series from having several
	// samples in a request that may be sent twice.
	RepeatsOK bool
	// RequestsPerMinute is its budget for all senders together.
	RequestsPerMinute int
	// CaseInsensitiveSeries says that series that differ only in case are one for it.
	CaseInsensitiveSeries bool
	// AuthHint is what to know when it answers 401 or 403.
	AuthHint string
	// Note says what durable delivery comes to with it, for people.
	Note string
}

// The names of profiles.
const (
	Auto            = "auto"
	Azure           = "azure"
	AWS             = "aws"
	Google          = "google"
	GrafanaCloud    = "grafana_cloud"
	Mimir           = "mimir"
	Thanos          = "thanos"
	VictoriaMetrics = "victoriametrics"
	Prometheus      = "prometheus"
)

const mib = 1 << 20

// Profiles returns all profiles, Auto first.
func Profiles() []Profile {
	// Where a receiver takes 32 MiB and more, half of that is enough, and leaves room for what is in between.
	const large = 16 * mib
	return []Profile{
		{
			Name: Auto, Protocol: V2, MaxBytes: large,
			Note: "The receiver is told by its host name, else by its answers: 2.0 is tried first, requests shrink where they are too large. " +
				"What it drops after a 2xx cannot be seen: set receiver if it has a limit of age.",
		},
		{
			Name: Azure,
			// Remote write 2.0 is not documented by Microsoft.
			Protocol: V1,
			// learn.microsoft.com, azure-monitor/metrics: samples that are older or newer than 20 minutes are dropped after they were accepted.
			MaxAge: 20 * time.Minute,
			// Not documented. Prometheus sends 2,000 samples in a request by default, about as much, and is what Microsoft tells users to send with.
			MaxBytes: mib,
			// Azure/prometheus-collector, default jobs: label_limit 63, label_name_length_limit 511, label_value_length_limit 1023.
			MaxLabels: 63, MaxLabelName: 511, MaxLabelValue: 1023, DropsOverLimit: true,
			// It drops duplicates and late samples after a 2xx. A series twice in a request is 422, which one TimeSeries for each cannot be.
			RepeatsOK: true,
			// learn.microsoft.com, azure-monitor/service-limits, data collection endpoint: 15,000 requests a minute, cannot be raised.
			RequestsPerMinute: 15_000,
			// Azure/prometheus-collector, otelcollector/docs/MAC-3P-Docs/Limitations.md, "Case sensitivity".
			CaseInsensitiveSeries: true,
			AuthHint:              "a role assignment takes up to 30 minutes to take effect",
			Note: "Azure Monitor stores samples of the last 20 minutes only and answers 2xx to what it drops: an outage of more than that is a gap there, " +
				"whose samples are kept on disk as expired, for export; alert on the workspace's metrics of dropped samples.",
		},
		{
			Name: AWS,
			// docs.aws.amazon.com, AMP-APIReference-RemoteWrite knows version 0.1.0 only.
			Protocol: V1,
			// opentelemetry-collector-contrib#20289: 413 above 1 MB, "cannot be increased".
			MaxBytes: 1_000_000,
			// docs.aws.amazon.com, AMP_quotas, "Labels per metric series": 70, adjustable.
			MaxLabels: 70,
			AuthHint:  "the role needs aps:RemoteWrite on the workspace, and the request a signature for the service aps",
			Note: "Amazon Managed Prometheus refuses what is older than its out-of-order window, seen from the latest sample of a series; " +
				"in order, a backlog is delivered whole, as fast as the workspace's ingestion rate allows.",
		},
		{
			Name: Google, Protocol: V2, MaxBytes: mib, // no endpoint for remote write is documented
			Note: "Google Managed Prometheus documents no remote-write endpoint of its own: this profile is for a receiver in front of it, with small requests.",
		},
		{
			Name: GrafanaCloud, Protocol: V2,
			// As Mimir, which it is.
			MaxBytes: large,
			AuthHint: "the access policy needs the scope metrics:write, and the user name is the number of the instance",
			Note: "Grafana Cloud takes a backlog in order, whole, within the limits of the stack (by default 10,000 samples a second, then 429); " +
				"label values that are too long are cut.",
		},
		{
			Name: Mimir, Protocol: V2,
			// mimir, pkg/distributor: -distributor.max-recv-msg-size 100 MiB.
			MaxBytes: large,
			// limits.go: max_label_names_per_series 30, max_length_label_name 1024, max_length_label_value 2048; of a tenant, so often changed.
			MaxLabels: 30, MaxLabelName: 1024, MaxLabelValue: 2048,
			Note: "Mimir takes a backlog in order, whole; what it refuses, it names, and the rest of the request is stored.",
		},
		{
			Name: Thanos, Protocol: V2,
			// thanos, pkg/receive/limiter_config.go: no limit of size by default.
			MaxBytes: large,
			Note:     "Thanos Receive takes a backlog in order, as long as it is not older than the head of its TSDB (about 1 hour behind its newest sample).",
		},
		{
			Name: VictoriaMetrics,
			// VictoriaMetrics, lib/prompb: it reads 1.0 and its own protocol, and answers 204 to a body of 2.0 without storing anything.
			Protocol: V1,
			// lib/protoparser/promremotewrite: -maxInsertRequestSize 32 MiB.
			MaxBytes:  large,
			RepeatsOK: true,
			Note:      "VictoriaMetrics takes samples of any age within its retention, in any order and repeatedly, and drops the others after a 2xx.",
		},
		{
			Name: Prometheus, Protocol: V2,
			// client_golang/exp/api/remote: maxDecodedSize 32 MiB.
			MaxBytes: large,
			Note: "Prometheus takes a backlog in order, as long as it is not older than the head of its TSDB (about 1 hour behind its newest sample, " +
				"more with an out_of_order_time_window).",
		},
	}
}

// ProfileOf returns the profile of that name.
func ProfileOf(name string) (Profile, error) {
	var names []string
	for _, p := range Profiles() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Profile{}, fmt.Errorf("%q is not known, use one of %s", name, strings.Join(names, ", "))
}

// Detect returns the name of the profile for an endpoint, by its host, and Auto for any other.
func Detect(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return Auto
	}
	host := "." + strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	switch {
	// azure.com, and azure.us and azure.cn and whatever other sovereign clouds have.
	case strings.Contains(host, ".metrics.ingest.monitor.azure."):
		return Azure
	// amazonaws.com, amazonaws.com.cn, and with a VPC endpoint <id>.aps-workspaces.<region>.vpce.amazonaws.com.
	case strings.Contains(host, ".aps-workspaces") && strings.Contains(host, ".amazonaws.com"), strings.Contains(host, ".aps-workspaces") && strings.HasSuffix(host, ".api.aws"):
		return AWS
	case strings.HasSuffix(host, ".grafana.net"):
		return GrafanaCloud
	case strings.HasSuffix(host, ".googleapis.com"):
		return Google
	default:
		return Auto
	}
}
