// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"io"
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

// counters are the collector's own numbers at one moment.
type counters struct {
	Kept, Dropped int64 // data points
	// KeptSamples are the Prometheus samples that the kept points become.
	KeptSamples int64
	ByReason    map[string]int64 // dropped points
	ByComponent map[string]Component
	Collisions  int64
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
	return c, nil
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
