// SPDX-License-Identifier: Apache-2.0

package durableremotewriteexporter

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/kubiyabot/otelcol-runner/components/durableremotewriteexporter/internal/metadata"
	"github.com/kubiyabot/otelcol-runner/internal/delivery"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
	"github.com/kubiyabot/otelcol-runner/internal/translate"
)

// reasonLogFull is why samples are not accepted that could not be written.
const reasonLogFull = "log_full"

// telemetry is what the exporter says about itself. It implements delivery.Observer.
type telemetry struct {
	b *metadata.TelemetryBuilder
	// own is on everything: a process may have several of these exporters.
	own attribute.KeyValue
}

func newTelemetry(set component.TelemetrySettings, id component.ID) (*telemetry, error) {
	b, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, err
	}
	return &telemetry{b: b, own: attribute.String("exporter", id.String())}, nil
}

func (t *telemetry) with(attrs ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributes(append(attrs, t.own)...)
}

func (t *telemetry) shutdown() { t.b.Shutdown() }

func (t *telemetry) recovered(ctx context.Context, r samplelog.Recovery) {
	t.b.ExporterDurableRemoteWriteTornRecords.Add(ctx, int64(r.TornBatches), t.with())
}

// translated counts what was not accepted.
func (t *telemetry) translated(ctx context.Context, r translate.Result, err error) {
	refuse := func(reason string, n int) {
		if n > 0 {
			t.b.ExporterDurableRemoteWriteRefusedSamples.Add(ctx, int64(n), t.with(attribute.String("reason", reason)))
		}
	}
	if err != nil {
		refuse(reasonLogFull, r.Samples)
		return
	}
	if r.RefusedExemplars > 0 {
		t.b.ExporterDurableRemoteWriteRefusedExemplars.Add(ctx, int64(r.RefusedExemplars), t.with())
	}
	for reason, n := range r.Refused {
		refuse(translate.Reason(reason).String(), n)
	}
}

// Attempt implements delivery.Observer.
func (t *telemetry) Attempt(status string, took time.Duration, bytes, samples int) {
	ctx, by := context.Background(), t.with(attribute.String("status", status))
	t.b.ExporterDurableRemoteWriteRequests.Add(ctx, 1, by)
	t.b.ExporterDurableRemoteWriteRequestDuration.Record(ctx, took.Seconds(), by)
	t.b.ExporterDurableRemoteWriteSentBytes.Add(ctx, int64(bytes), t.with())
	t.b.ExporterDurableRemoteWriteSentSamples.Add(ctx, int64(samples), t.with())
}

// Partial implements delivery.Observer.
func (t *telemetry) Partial() {
	t.b.ExporterDurableRemoteWritePartialWrites.Add(context.Background(), 1, t.with())
}

// Deduplicated implements delivery.Observer.
func (t *telemetry) Deduplicated() {
	t.b.ExporterDurableRemoteWriteDeduplicatedRequests.Add(context.Background(), 1, t.with())
}

// observe registers what is read when it is asked for. The account is read once, by the callback that is registered first and so is
// called first: samples that move while the others are called would be in two of its terms, or in none.
func (t *telemetry) observe(d *delivery.Delivery, log *samplelog.Log) error {
	var account atomic.Pointer[delivery.Stats]
	read := func() {
		now := d.Stats()
		account.Store(&now)
	}
	read()
	number := func(get func(*delivery.Stats) uint64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(get(account.Load())), t.with()) //nolint:gosec // samples
			return nil
		}
	}
	byReason := func(get func(*delivery.Stats) map[string]uint64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			for reason, n := range get(account.Load()) {
				o.Observe(int64(n), t.with(attribute.String("reason", reason))) //nolint:gosec // samples
			}
			return nil
		}
	}
	return errors.Join(
		t.b.RegisterExporterDurableRemoteWriteAcceptedSamplesCallback(func(_ context.Context, o metric.Int64Observer) error {
			read()
			o.Observe(int64(account.Load().Accepted), t.with()) //nolint:gosec // samples
			return nil
		}),
		t.b.RegisterExporterDurableRemoteWriteAcknowledgedSamplesCallback(number(func(s *delivery.Stats) uint64 { return s.Acknowledged })),
		t.b.RegisterExporterDurableRemoteWriteExpiredSamplesCallback(number(func(s *delivery.Stats) uint64 { return s.Expired })),
		t.b.RegisterExporterDurableRemoteWriteBacklogSamplesCallback(number(func(s *delivery.Stats) uint64 { return s.Backlog })),
		t.b.RegisterExporterDurableRemoteWriteShardsCallback(number(func(s *delivery.Stats) uint64 { return uint64(s.Shards) })), //nolint:gosec // 1 to 32
		t.b.RegisterExporterDurableRemoteWriteQuarantinedSamplesCallback(byReason(func(s *delivery.Stats) map[string]uint64 { return s.Quarantined })),
		t.b.RegisterExporterDurableRemoteWriteDroppedSamplesCallback(byReason(func(s *delivery.Stats) map[string]uint64 { return s.Dropped })),
		t.b.RegisterExporterDurableRemoteWriteBacklogBytesCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(log.Stats().Bytes, t.with())
			return nil
		}),
		t.b.RegisterExporterDurableRemoteWriteBacklogAgeCallback(func(_ context.Context, o metric.Float64Observer) error {
			age := 0.0
			if oldest := account.Load().Oldest; oldest != 0 {
				age = max(0, time.Since(time.UnixMilli(oldest)).Seconds())
			}
			o.Observe(age, t.with())
			return nil
		}),
		t.b.RegisterExporterDurableRemoteWriteDiskFreeCallback(func(_ context.Context, o metric.Int64Observer) error {
			free, err := log.Free()
			if err != nil {
				return nil //nolint:nilerr // not every system says it
			}
			o.Observe(int64(free), t.with()) //nolint:gosec // bytes of a disk
			return nil
		}),
	)
}
