// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// The names under which the collector exposes what its runner processor did.
const (
	pointsMetric     = "otelcol_processor_runner_points_total"
	samplesMetric    = "otelcol_processor_runner_samples_total"
	seriesMetric     = "otelcol_processor_runner_series"
	collisionsMetric = "otelcol_processor_runner_instance_collisions"
)

// exporterMetrics is how the names begin under which it exposes what its exporter did.
const exporterMetrics = "otelcol_exporter_durable_remote_write_"

// counters are the collector's own numbers at one moment.
type counters struct {
	Kept, Dropped int64 // data points
	// KeptSamples are the Prometheus samples that the kept points become.
	KeptSamples int64
	ByReason    map[string]int64 // dropped points
	ByComponent map[string]Component
	Collisions  int64
	Log         Log
}

// Log is what the exporter says about its log. Samples are counted over restarts.
type Log struct {
	// Accepted samples are all the others together.
	Accepted     int64 `json:"accepted"`
	Acknowledged int64 `json:"acknowledged"`
	Expired      int64 `json:"expired"`
	Quarantined  int64 `json:"quarantined"`
	Dropped      int64 `json:"dropped"`
	Backlog      int64 `json:"backlog"`
	// Bytes is the size of the log, Age how many seconds its oldest sample has waited.
	Bytes int64   `json:"bytes"`
	Age   float64 `json:"age"`
}

// add adds what an earlier process has counted in memory.
func (c *counters) add(earlier counters) {
	c.Kept += earlier.Kept
	c.Dropped += earlier.Dropped
	c.KeptSamples += earlier.KeptSamples
	c.Collisions += earlier.Collisions
	// New maps: the old ones may be on their way to the page.
	reasons, components := maps.Clone(earlier.ByReason), maps.Clone(earlier.ByComponent)
	for reason, n := range c.ByReason {
		if reasons == nil {
			reasons = map[string]int64{}
		}
		reasons[reason] += n
	}
	for name, x := range c.ByComponent {
		if components == nil {
			components = map[string]Component{}
		}
		before := components[name]
		components[name] = Component{Kept: before.Kept + x.Kept, Dropped: before.Dropped + x.Dropped, Series: x.Series}
	}
	c.ByReason, c.ByComponent = reasons, components
}

// Component is what the runner processor did with one component's points.
type Component struct {
	Kept    int64 `json:"kept"`
	Dropped int64 `json:"dropped"`
	// Series is the number of live series that count against the component's limit.
	Series int64 `json:"series"`
}

// readCounters reads the collector's own telemetry endpoint.
func readCounters(ctx context.Context, client *http.Client, url string) (counters, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return counters{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return counters{}, fmt.Errorf("the collector's own metrics cannot be read: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it only read
	if response.StatusCode != http.StatusOK {
		return counters{}, fmt.Errorf("the collector's own metrics cannot be read: %s answered %s", url, response.Status)
	}
	return parseCounters(response.Body)
}

func parseCounters(page io.Reader) (counters, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(page)
	if err != nil {
		return counters{}, fmt.Errorf("the collector's own metrics are not in the text format: %w", err)
	}
	c := counters{ByReason: map[string]int64{}, ByComponent: map[string]Component{}}
	for _, m := range families[pointsMetric].GetMetric() {
		n := number(m)
		component := c.ByComponent[label(m, "component")]
		if label(m, "decision") == "dropped" {
			c.Dropped += n
			c.ByReason[label(m, "reason")] += n
			component.Dropped += n
		} else {
			c.Kept += n
			component.Kept += n
		}
		c.ByComponent[label(m, "component")] = component
	}
	for _, m := range families[seriesMetric].GetMetric() {
		component := c.ByComponent[label(m, "component")]
		component.Series += number(m)
		c.ByComponent[label(m, "component")] = component
	}
	for _, m := range families[samplesMetric].GetMetric() {
		c.KeptSamples += number(m)
	}
	for _, m := range families[collisionsMetric].GetMetric() {
		c.Collisions += number(m)
	}
	c.Log = logOf(families)
	return c, nil
}

// logOf reads what the exporter says about its log.
func logOf(families map[string]*dto.MetricFamily) Log {
	sum := func(name string) (n int64) {
		for _, m := range families[exporterMetrics+name].GetMetric() {
			n += number(m)
		}
		return n
	}
	l := Log{
		Accepted: sum("accepted_samples_total"), Acknowledged: sum("acknowledged_samples_total"), Expired: sum("expired_samples_total"),
		Quarantined: sum("quarantined_samples_total"), Dropped: sum("dropped_samples_total"), Backlog: sum("backlog_samples"),
		Bytes: sum("backlog_bytes"),
	}
	for _, m := range families[exporterMetrics+"backlog_age_seconds"].GetMetric() {
		l.Age = max(l.Age, m.GetGauge().GetValue())
	}
	return l
}

func label(m *dto.Metric, name string) string {
	for _, pair := range m.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

// number is the value of a counter or a gauge; the processor counts whole things.
func number(m *dto.Metric) int64 {
	switch {
	case m.GetCounter() != nil:
		return int64(m.GetCounter().GetValue())
	case m.GetGauge() != nil:
		return int64(m.GetGauge().GetValue())
	}
	return int64(m.GetUntyped().GetValue())
}
