// SPDX-License-Identifier: Apache-2.0

package scope

// healthMetrics are what Prometheus itself reports of each scrape
// (https://prometheus.io/docs/concepts/jobs_instances, and the ones behind extra_scrape_metrics).
var healthMetrics = map[string]bool{
	"up":                                    true,
	"scrape_duration_seconds":               true,
	"scrape_samples_scraped":                true,
	"scrape_samples_post_metric_relabeling": true,
	"scrape_series_added":                   true,
	"scrape_timeout_seconds":                true,
	"scrape_sample_limit":                   true,
	"scrape_body_size_bytes":                true,
}

// IsHealthMetric reports whether Prometheus writes a metric of that name for each scrape. A target can expose one as well.
func IsHealthMetric(name string) bool { return healthMetrics[name] }
