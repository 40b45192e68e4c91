// SPDX-License-Identifier: Apache-2.0

package durableremotewriteexporter

import (
	"context"
	"errors"
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
}

func newTelemetry(set component.TelemetrySettings) (*telemetry, error) {
	b, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, err
	}
	return &telemetry{b: b}, nil
}

func (t *telemetry) shutdown() { t.b.Shutdown() }

func (t *telemetry) recovered(ctx context.Context, r samplelog.Recovery) {
	t.b.ExporterDurableRemoteWriteTornRecords.Add(ctx, int64(r.TornBatches))
}

// translated counts what was not accepted.
func (t *telemetry) translated(ctx context.Context, r translate.Result, err error) {
	refuse := func(reason string, n int) {
		if n > 0 {
			t.b.ExporterDurableRemoteWriteRefusedSamples.Add(ctx, int64(n), metric.WithAttributes(attribute.String("reason", reason)))
		}
	}
	if err != nil {
		refuse(reasonLogFull, r.Samples)
		return
	}
	for reason, n := range r.Refused {
		refuse(translate.Reason(reason).String(), n) //nolint:gosec // an index of an array of reasons
	}
}

// Attempt implements delivery.Observer.
func (t *telemetry) Attempt(status string, took time.Duration, bytes, samples int) {
	ctx, by := context.Background(), metric.WithAttributes(attribute.String("status", status))
	t.b.ExporterDurableRemoteWriteRequests.Add(ctx, 1, by)
	t.b.ExporterDurableRemoteWriteRequestDuration.Record(ctx, took.Seconds(), by)
	t.b.ExporterDurableRemoteWriteSentBytes.Add(ctx, int64(bytes))
	t.b.ExporterDurableRemoteWriteSentSamples.Add(ctx, int64(samples))
}

// Partial implements delivery.Observer.
func (t *telemetry) Partial() {
	t.b.ExporterDurableRemoteWritePartialWrites.Add(context.Background(), 1)
}

// Deduplicated implements delivery.Observer.
func (t *telemetry) Deduplicated() {
	t.b.ExporterDurableRemoteWriteDeduplicatedRequests.Add(context.Background(), 1)
}

// observe registers what is read when it is asked for.
func (t *telemetry) observe(d *delivery.Delivery, log *samplelog.Log) error {
	number := func(get func(delivery.Stats) uint64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(get(d.Stats()))) //nolint:gosec // samples
			return nil
		}
	}
	byReason := func(get func(delivery.Stats) map[string]uint64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			for reason, n := range get(d.Stats()) {
				o.Observe(int64(n), metric.WithAttributes(attribute.String("reason", reason))) //nolint:gosec // samples
			}
			return nil
		}
	}
	return errors.Join(
		t.b.RegisterExporterDurableRemoteWriteAcceptedSamplesCallback(number(func(s delivery.Stats) uint64 { return s.Accepted })),
		t.b.RegisterExporterDurableRemoteWriteAcknowledgedSamplesCallback(number(func(s delivery.Stats) uint64 { return s.Acknowledged })),
		t.b.RegisterExporterDurableRemoteWriteExpiredSamplesCallback(number(func(s delivery.Stats) uint64 { return s.Expired })),
		t.b.RegisterExporterDurableRemoteWriteBacklogSamplesCallback(number(func(s delivery.Stats) uint64 { return s.Backlog })),
		t.b.RegisterExporterDurableRemoteWriteShardsCallback(number(func(s delivery.Stats) uint64 { return uint64(s.Shards) })), //nolint:gosec // 1 to 32
		t.b.RegisterExporterDurableRemoteWriteQuarantinedSamplesCallback(byReason(func(s delivery.Stats) map[string]uint64 { return s.Quarantined })),
		t.b.RegisterExporterDurableRemoteWriteDroppedSamplesCallback(byReason(func(s delivery.Stats) map[string]uint64 { return s.Dropped })),
		t.b.RegisterExporterDurableRemoteWriteBacklogBytesCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(log.Stats().Bytes)
			return nil
		}),
		t.b.RegisterExporterDurableRemoteWriteBacklogAgeCallback(func(_ context.Context, o metric.Float64Observer) error {
			age := 0.0
			if oldest := d.Stats().Oldest; oldest != 0 {
				age = max(0, time.Since(time.UnixMilli(oldest)).Seconds())
			}
			o.Observe(age)
			return nil
		}),
		t.b.RegisterExporterDurableRemoteWriteDiskFreeCallback(func(_ context.Context, o metric.Int64Observer) error {
			free, err := log.Free()
			if err != nil {
				return nil //nolint:nilerr // not every system says it
			}
			o.Observe(int64(free)) //nolint:gosec // bytes of a disk
			return nil
		}),
	)
}
