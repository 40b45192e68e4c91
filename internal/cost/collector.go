// SPDX-License-Identifier: Apache-2.0

package cost

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// What a collector says about itself.
const (
	seriesMetric  = "otelcol_processor_runner_series"
	samplesMetric = "otelcol_processor_runner_samples_total"
	uptimeMetric  = "otelcol_process_uptime_seconds_total"
	bytesMetric   = "otelcol_exporter_durable_remote_write_sent_bytes_total"
	sentMetric    = "otelcol_exporter_durable_remote_write_sent_samples_total"
)

const (
	collectorTimeout = 15 * time.Second
	maxCollectorPage = 64 << 20
	maxCount         = 1e15
	maxUptime        = 1e9 // in seconds
)

// FromCollector takes what a running collector says about itself, at the address of its own metrics. It is known by component
// only: how many series there are now, and how many samples there have been in a second since its start.
func FromCollector(ctx context.Context, address string) (Input, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return Input{}, fmt.Errorf("%q is no address of a collector's own metrics: use one such as http://127.0.0.1:8888/metrics", address)
	}
	ctx, cancel := context.WithTimeout(ctx, collectorTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return Input{}, err
	}
	client := &http.Client{}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return Input{}, fmt.Errorf("the collector's own metrics cannot be read: %w: is it the address under service::telemetry::metrics?", err)
	}
	defer func() { _ = response.Body.Close() }() // it only read
	if response.StatusCode != http.StatusOK {
		return Input{}, fmt.Errorf("the collector's own metrics cannot be read: %s answered %s: the path is usually /metrics", u.Redacted(), response.Status)
	}
	in, err := parseCollector(io.LimitReader(response.Body, maxCollectorPage))
	if err != nil {
		return Input{}, fmt.Errorf("%s: %w", u.Redacted(), err)
	}
	in.Source = "the collector at " + u.Redacted()
	return in, nil
}

func parseCollector(page io.Reader) (Input, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	metrics, err := parser.TextToMetricFamilies(page)
	if err != nil {
		return Input{}, fmt.Errorf("it is not in the text format of Prometheus: %w", err)
	}
	uptime := sum(metrics[uptimeMetric])
	missing := slices.DeleteFunc([]string{uptimeMetric, seriesMetric, samplesMetric}, func(name string) bool { return metrics[name] != nil })
	switch {
	case len(missing) > 0:
		return Input{}, fmt.Errorf("it has no %s: give the own metrics of a collector with the runner processor that has scraped", strings.Join(missing, ", "))
	case uptime <= 0:
		return Input{}, fmt.Errorf("%s is %v: try again in a minute", uptimeMetric, uptime)
	}
	series, samples := byComponent(metrics[seriesMetric]), byComponent(metrics[samplesMetric])
	in := Input{Notes: []string{fmt.Sprintf("The samples are the average of the %s since the collector was started. Native histograms count as one sample, empty buckets as one.", model.Duration(time.Duration(min(uptime, maxUptime))*time.Second))}}
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		in.Series = append(in.Series, Series{Labels: labels.FromStrings(componentLabel, name), Count: int(series[name]), PerSecond: samples[name] / uptime})
	}
	if sent := sum(metrics[sentMetric]); sent > 0 {
		in.BytesPerSample = sum(metrics[bytesMetric]) / sent
	}
	return in, nil
}

func byComponent(family *dto.MetricFamily) map[string]float64 {
	values := map[string]float64{}
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "component" {
				values[l.GetValue()] += value(m)
			}
		}
	}
	return values
}

func sum(family *dto.MetricFamily) float64 {
	total := 0.0
	for _, m := range family.GetMetric() {
		total += value(m)
	}
	return total
}

// value is the number of a counter, a gauge or an untyped metric: only one of them is set. What cannot have been counted is 0.
func value(m *dto.Metric) float64 {
	v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
	if v > 0 && v < maxCount {
		return v
	}
	return 0
}
