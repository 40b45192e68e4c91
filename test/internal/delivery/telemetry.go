// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"context"
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Balance is the account that the exporter keeps of its samples.
type Balance struct {
	Accepted, Acknowledged, Expired, Quarantined, Dropped, Backlog int64
}

// Open is by how much the account does not balance: what was accepted and is nowhere.
func (b Balance) Open() int64 {
	return b.Accepted - b.Acknowledged - b.Expired - b.Quarantined - b.Dropped - b.Backlog
}

// GivenUp are the samples that the exporter does not try to deliver any more. A backend that takes everything in order
// leaves no reason for that.
func (b Balance) GivenUp() int64 { return b.Expired + b.Quarantined + b.Dropped }

const balancePrefix = "otelcol_exporter_durable_remote_write_"

// balanceTries is how often an account is read that does not balance: its numbers move while they are read.
const balanceTries = 20

// ReadBalance reads the account from the collector's own metrics, found says whether its exporter keeps one. It is an
// error when the account does not balance.
func (b *Bench) ReadBalance(ctx context.Context) (balance Balance, found bool, err error) {
	for range balanceTries {
		body, err := get(ctx, "http://"+b.Telemetry+"/metrics")
		if err != nil {
			return balance, false, fmt.Errorf("the collector's own metrics: %w", err)
		}
		if balance, found, err = parseBalance(body); err != nil || !found || balance.Open() == 0 {
			return balance, found, err
		}
		time.Sleep(pollEvery)
	}
	return balance, true, fmt.Errorf("the exporter's account does not balance: %+v, %d samples are nowhere", balance, balance.Open())
}

func parseBalance(exposition []byte) (balance Balance, found bool, err error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(exposition))
	if err != nil {
		return balance, false, fmt.Errorf("the collector's own metrics: %w", err)
	}
	for name, to := range map[string]*int64{
		"accepted_samples_total": &balance.Accepted, "acknowledged_samples_total": &balance.Acknowledged,
		"expired_samples_total": &balance.Expired, "quarantined_samples_total": &balance.Quarantined,
		"dropped_samples_total": &balance.Dropped, "backlog_samples": &balance.Backlog,
	} {
		family := families[balancePrefix+name]
		found = found || family != nil && to == &balance.Accepted
		for _, m := range family.GetMetric() {
			*to += int64(valueOf(m))
		}
	}
	return balance, found, nil
}

func valueOf(m *dto.Metric) float64 {
	return m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
}
