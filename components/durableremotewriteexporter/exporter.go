// SPDX-License-Identifier: Apache-2.0

package durableremotewriteexporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"github.com/kubiyabot/otelcol-runner/internal/delivery"
	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
	"github.com/kubiyabot/otelcol-runner/internal/translate"
)

// durableExporter puts metrics into the log, from where they are delivered.
type durableExporter struct {
	cfg        *Config
	set        component.TelemetrySettings
	id         component.ID
	version    string
	profile    remotewrite.Profile
	telemetry  *telemetry
	translator *translate.Translator // used under the log's lock
	cases      *caseWatch            // where the receiver does not look at case

	log                 *samplelog.Log
	quarantine, expired *delivery.SetAside
	delivery            *delivery.Delivery
}

func newExporter(set exporter.Settings, cfg *Config) (*durableExporter, error) {
	receiver := cfg.Receiver
	if receiver == "auto" {
		receiver = remotewrite.Detect(cfg.Endpoint)
	}
	profile, err := remotewrite.ProfileOf(receiver)
	if err != nil {
		return nil, fmt.Errorf("receiver: %w", err)
	}
	e := &durableExporter{
		cfg: cfg, id: set.ID, set: set.TelemetrySettings, version: set.BuildInfo.Version, profile: profile,
		translator: translate.New(cfg.TranslateSettings()),
	}
	if profile.CaseInsensitiveSeries {
		e.cases = newCaseWatch(set.Logger)
	}
	return e, nil
}

// start opens the log and begins to deliver what is in it.
func (e *durableExporter) start(ctx context.Context, host component.Host) error {
	e.warn()
	client, err := e.cfg.ToClient(ctx, host.GetExtensions(), e.set)
	if err != nil {
		return fmt.Errorf("creating the HTTP client: %w", err)
	}
	logger := slog.New(zapslog.NewHandler(e.set.Logger.Core()))
	e.log, err = samplelog.Open(samplelog.Options{
		FS: samplelog.Disk{}, Dir: e.cfg.Log.Directory, Shards: e.cfg.Shards, SegmentBytes: e.cfg.Log.SegmentBytes,
		MaxBytes: e.cfg.Log.MaxBytes, SyncInterval: e.cfg.Log.SyncInterval, OnFull: samplelog.OnFull(e.cfg.Log.OnFull), Logger: logger,
	})
	if err != nil {
		return fmt.Errorf("log::directory: %w", err)
	}
	e.quarantine = e.setAside(delivery.QuarantineFolder, logger)
	e.expired = e.setAside(delivery.ExpiredFolder, logger)
	if e.telemetry, err = newTelemetry(e.set, e.id); err != nil {
		return errors.Join(err, e.log.Close())
	}
	e.telemetry.recovered(ctx, e.log.Recovery())
	transport := &transport{client: withoutRedirects(client), url: e.cfg.Endpoint, userAgent: remotewrite.UserAgent(e.version)}
	e.delivery = delivery.New(e.deliveryConfig(logger, host), e.log, transport, e.quarantine, e.expired, e.telemetry)
	if err := e.telemetry.observe(e.delivery, e.log); err != nil {
		return errors.Join(err, e.log.Close())
	}
	e.delivery.Start()
	return nil
}

func (e *durableExporter) setAside(folder string, logger *slog.Logger) *delivery.SetAside {
	return delivery.NewSetAside(samplelog.Disk{}, filepath.Join(e.cfg.Log.Directory, folder), e.cfg.SetAside.MaxBytes, logger)
}

// warn names what is allowed and risky.
func (e *durableExporter) warn() {
	u, err := url.Parse(e.cfg.Endpoint)
	if err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		e.set.Logger.Warn("endpoint without TLS: samples and credentials can be read on the way: use https://", zap.String("host", u.Host))
	}
	if err == nil && !isHTTP(u) {
		e.set.Logger.Warn("endpoint: no attempt can succeed with this scheme: use https://", zap.String("scheme", u.Scheme))
	}
	e.set.Logger.Info("what durable means with this receiver", zap.String("receiver", e.profile.Name), zap.String("note", e.profile.Note))
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (e *durableExporter) deliveryConfig(logger *slog.Logger, host component.Host) delivery.Config {
	c := delivery.Config{
		Profile: e.profile, Protocol: e.profile.Protocol, Fallback: e.cfg.Protocol == protocolAuto, Strict: e.cfg.Strict,
		Destination: fingerprint(e.cfg.Endpoint),
		MaxSamples:  e.cfg.Batch.MaxSamples, MaxBytes: e.cfg.Batch.MaxBytes, MaxWait: e.cfg.Batch.MaxWait,
		SamplesPerSecond: e.cfg.Drain.SamplesPerSecond, RequestsPerSecond: e.cfg.Drain.RequestsPerSecond,
		InitialInterval: e.cfg.Retry.InitialInterval, MaxInterval: e.cfg.Retry.MaxInterval,
		MaxSampleAge: e.cfg.MaxSampleAge, MaxAge: e.cfg.Log.MaxAge,
		Logger: logger, Jitter: rand.Float64, Now: time.Now,
		Status: func(err error) { reportStatus(host, err) },
	}
	if e.cfg.Protocol != protocolAuto {
		c.Protocol = remotewrite.Protocol(e.cfg.Protocol)
	}
	if c.MaxSampleAge == 0 {
		c.MaxSampleAge = e.profile.MaxAge
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = e.profile.MaxBytes
	}
	if budget := float64(e.profile.RequestsPerMinute) / 60; budget > 0 && (c.RequestsPerSecond == 0 || c.RequestsPerSecond > budget) {
		c.RequestsPerSecond = budget
	}
	return c
}

// reportStatus tells the collector whether samples get through. That they do not is nothing that a restart mends.
func reportStatus(host component.Host, err error) {
	if err == nil {
		componentstatus.ReportStatus(host, componentstatus.NewEvent(componentstatus.StatusOK))
		return
	}
	componentstatus.ReportStatus(host, componentstatus.NewRecoverableErrorEvent(err))
}

// fingerprint stands for an address that may hold a key.
func fingerprint(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// blockFor is how long a batch waits for room at most. A receiver that is held up for longer could not be shut down; it gets an
// error, which OTLP clients answer with another try and which costs a scrape, as waiting for the next one would.
const blockFor = 15 * time.Second

// push returns when the samples are on disk.
func (e *durableExporter) push(ctx context.Context, md pmetric.Metrics) error {
	ctx, cancel := context.WithTimeout(ctx, blockFor)
	defer cancel()
	var result translate.Result
	again := false
	err := e.log.Append(ctx, func(b *samplelog.Batch) error {
		result = e.translator.Translate(b, md, again)
		again = true
		if e.cases != nil {
			e.cases.look(b)
		}
		return nil
	})
	if err != nil && !again { // there was no room to translate them to
		result.Samples = translate.Samples(md)
	}
	e.telemetry.translated(ctx, result, err)
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var full *samplelog.FullError
	if errors.As(err, &full) || errors.Is(err, samplelog.ErrClosed) {
		return err // another try may help
	}
	return consumererror.NewPermanent(err)
}

// shutdown sends what it can in the time that it has, and leaves the rest to the next start.
func (e *durableExporter) shutdown(ctx context.Context) error {
	if e.delivery == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.ShutdownTimeout)
	defer cancel()
	e.delivery.Shutdown(ctx)
	e.telemetry.shutdown()
	return errors.Join(e.log.Close(), e.quarantine.Close(), e.expired.Close())
}
