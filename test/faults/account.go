// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const metricPrefix = "otelcol_exporter_durable_remote_write_"

// account is what the exporter counts, by the name behind metricPrefix and, in braces, the value of its label.
type account map[string]int

// readAccount reads the collector's own metrics.
func readAccount(ctx context.Context, address string) (account, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("the collector's own metrics: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("the collector's own metrics: %w", err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the collector's own metrics: %w", err)
	}
	a := account{}
	for name, family := range families {
		short, own := strings.CutPrefix(name, metricPrefix)
		if !own || family.GetType() == dto.MetricType_HISTOGRAM {
			continue
		}
		for _, m := range family.GetMetric() {
			key := short
			for _, l := range m.GetLabel() {
				if l.GetName() != "exporter" { // there is one
					key += "{" + l.GetValue() + "}"
				}
			}
			a[key] += int(m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue())
		}
	}
	return a, nil
}

// by returns the values of a counter by its label, without zeros.
func (a account) by(name string) map[string]int {
	found := map[string]int{}
	for key, n := range a {
		if label, ok := strings.CutPrefix(key, name+"{"); ok && n != 0 {
			found[strings.TrimSuffix(label, "}")] = n
		}
	}
	return found
}

// sum returns the sum of the values of a counter over its label.
func (a account) sum(name string) int {
	n := 0
	for _, v := range a.by(name) {
		n += v
	}
	return n
}

func (a account) accepted() int { return a["accepted_samples_total"] }
func (a account) backlog() int  { return a["backlog_samples"] }

// notStored is how many samples the account says are not at the receiver.
func (a account) notStored() int {
	return a["expired_samples_total"] + a.sum("quarantined_samples_total") + a.sum("dropped_samples_total")
}

// open is how many samples are in no term of the account.
func (a account) open() int {
	return a.accepted() - a["acknowledged_samples_total"] - a.notStored() - a.backlog()
}

// String is the account in a line.
func (a account) String() string {
	parts := []string{fmt.Sprintf("accepted %d", a.accepted()), fmt.Sprintf("acknowledged %d", a["acknowledged_samples_total"])}
	for _, term := range []struct{ name, metric string }{{"expired", "expired_samples_total"}, {"backlog", "backlog_samples"}} {
		if n := a[term.metric]; n != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", term.name, n))
		}
	}
	for _, term := range []struct{ name, metric string }{
		{"quarantined", "quarantined_samples_total"}, {"dropped", "dropped_samples_total"}, {"refused", "refused_samples_total"},
		{"answers", "requests_total"},
	} {
		if values := a.by(term.metric); len(values) > 0 {
			parts = append(parts, term.name+" "+counts(values))
		}
	}
	return strings.Join(parts, ", ")
}

// counts is a map of numbers in a line.
func counts(m map[string]int) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s x %d", key, m[key]))
	}
	return strings.Join(parts, " ")
}
