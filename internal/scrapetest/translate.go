// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/prometheusremotewriteexporter"
	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage/remote"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pmetric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"

	"github.com/kubiyabot/otelcol-runner/components/durableremotewriteexporter"
	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
	"github.com/kubiyabot/otelcol-runner/internal/translate"
)

// translation turns what a pipeline delivers into series, as its exporter for Prometheus does.
type translation interface {
	// add translates batches. It may be called in a bubble.
	add(ctx context.Context, batches []pmetric.Metrics) error
	close() error
}

// newTranslation is the one of a pipeline's first exporter for Prometheus. A pipeline without one is translated as
// durable_remote_write does with its defaults.
func (c *Config) newTranslation(ctx context.Context, p *pipeline, to *collection) (translation, error) {
	for _, id := range p.exporters {
		_, cfg, err := c.exporter(id)
		if err != nil {
			return nil, err
		}
		switch cfg := cfg.(type) {
		case *durableremotewriteexporter.Config:
			return newDurableTranslation(cfg.TranslateSettings(), to)
		case *prometheusremotewriteexporter.Config:
			return newStockTranslation(ctx, id, cfg, to)
		}
	}
	defaults := durableremotewriteexporter.NewFactory().CreateDefaultConfig().(*durableremotewriteexporter.Config)
	return newDurableTranslation(defaults.TranslateSettings(), to)
}

// durableTranslation writes into a log and reads it again, which is how the exporter's translation gives series.
type durableTranslation struct {
	dir        string
	log        *samplelog.Log
	reader     *samplelog.Reader
	translator *translate.Translator
	to         *collection
}

func newDurableTranslation(settings translate.Settings, to *collection) (translation, error) {
	dir, err := os.MkdirTemp("", "runnerctl-")
	if err != nil {
		return nil, fmt.Errorf("no temporary folder: %w", err)
	}
	log, err := samplelog.Open(samplelog.Options{FS: samplelog.Disk{}, Dir: dir, Shards: 1, SegmentBytes: segmentBytes, Now: time.Now})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	reader := log.Reader(log.Runs(0)[0], 0, samplelog.Position{}, 0)
	return &durableTranslation{dir: dir, log: log, reader: reader, translator: translate.New(settings), to: to}, nil
}

// segmentBytes lets a whole run go into one segment.
const segmentBytes = 1 << 40

func (t *durableTranslation) add(ctx context.Context, batches []pmetric.Metrics) error {
	if err := t.log.Append(ctx, func(b *samplelog.Batch) error {
		for _, md := range batches {
			t.translator.Translate(b, md, false)
		}
		return nil
	}); err != nil {
		return err
	}
	return readLog(t.reader, t.to)
}

func (t *durableTranslation) close() error {
	t.reader.Close()
	return errors.Join(t.log.Close(), os.RemoveAll(t.dir))
}

func readLog(reader *samplelog.Reader, to *collection) error {
	for {
		piece, err := reader.Next()
		if errors.Is(err, samplelog.ErrNothingNew) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range piece.Samples {
			s := &piece.Samples[i]
			sample := Sample{T: s.T, F: s.V, H: s.FH}
			if s.H != nil {
				sample.H = s.H.ToFloat(nil)
			}
			if err := to.add(piece.View.PromLabels(s.Ref), sample); err != nil {
				return err
			}
		}
	}
}

// stockTranslation sends to a server of our own with upstream's exporter, and reads what comes.
type stockTranslation struct {
	exporter exporter.Metrics
	server   *http.Server
}

func newStockTranslation(ctx context.Context, id component.ID, cfg *prometheusremotewriteexporter.Config, to *collection) (_ translation, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex // guards to: the exporter may send several requests at once
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if err := receive(request, to); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})}
	go func() { _ = server.Serve(listener) }() // it ends when it is closed
	defer func() {
		if err != nil {
			err = fmt.Errorf("exporters::%s: %w", id, errors.Join(err, server.Close()))
		}
	}()
	cfg.HTTP = confighttp.NewDefaultClientConfig()
	cfg.HTTP.Endpoint = "http://" + listener.Addr().String()
	// An open connection would hold up virtual time.
	cfg.HTTP.Keepalive = configoptional.None[confighttp.KeepaliveClientConfig]()
	cfg.RemoteWriteQueue.Enabled, cfg.BackOffConfig.Enabled = false, false
	cfg.RemoteWriteProtoMsg = remoteapi.WriteV1MessageType
	cfg.WAL = configoptional.None[prometheusremotewriteexporter.WALConfig]()

	factory := prometheusremotewriteexporter.NewFactory()
	telemetry := component.TelemetrySettings{Logger: zap.NewNop(), MeterProvider: noopmetric.NewMeterProvider(), TracerProvider: nooptrace.NewTracerProvider()}
	settings := exporter.Settings{ID: component.NewIDWithName(factory.Type(), id.Name()), TelemetrySettings: telemetry, BuildInfo: buildInfo}
	e, err := factory.CreateMetrics(ctx, settings, cfg)
	if err != nil {
		return nil, err
	}
	if err := e.Start(ctx, host{}); err != nil {
		return nil, err
	}
	return &stockTranslation{exporter: e, server: server}, nil
}

func (t *stockTranslation) add(ctx context.Context, batches []pmetric.Metrics) error {
	for _, md := range batches {
		if err := t.exporter.ConsumeMetrics(ctx, md); err != nil {
			return err
		}
	}
	return nil
}

func (t *stockTranslation) close() error {
	return errors.Join(t.exporter.Shutdown(context.Background()), t.server.Close())
}

// receive reads a request of remote write 1.0.
func receive(request *http.Request, to *collection) error {
	write, err := remote.DecodeWriteRequest(request.Body)
	if err != nil {
		return err
	}
	builder := labels.NewScratchBuilder(0)
	for i := range write.Timeseries {
		ts := &write.Timeseries[i]
		ls := ts.ToLabels(&builder, nil)
		if !ls.IsValid(model.UTF8Validation) {
			return fmt.Errorf("labels that no receiver takes: %s", ls)
		}
		for _, s := range ts.Samples {
			if err := to.add(ls, Sample{T: s.Timestamp, F: s.Value}); err != nil {
				return err
			}
		}
		for _, h := range ts.Histograms {
			if err := to.add(ls, Sample{T: h.Timestamp, H: h.ToFloatHistogram()}); err != nil {
				return err
			}
		}
	}
	return nil
}
