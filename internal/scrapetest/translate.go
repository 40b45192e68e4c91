// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
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

// translate turns what a pipeline has delivered into series, as its exporter for Prometheus does. A pipeline without one is
// translated as durable_remote_write does with its defaults.
func (r *run) translate(ctx context.Context, index int, to collection) error {
	var batches []pmetric.Metrics
	for _, d := range r.delivered {
		if d.pipeline == index {
			batches = append(batches, d.metrics)
		}
	}
	p := &r.config.pipelines[index]
	for _, id := range p.exporters {
		_, cfg, err := r.config.exporter(id)
		if err != nil {
			return err
		}
		switch cfg := cfg.(type) {
		case *durableremotewriteexporter.Config:
			return translateDurable(ctx, cfg.TranslateSettings(), batches, to)
		case *prometheusremotewriteexporter.Config:
			return translateStock(ctx, id, cfg, batches, to)
		}
	}
	defaults := durableremotewriteexporter.NewFactory().CreateDefaultConfig().(*durableremotewriteexporter.Config)
	return translateDurable(ctx, defaults.TranslateSettings(), batches, to)
}

// batchesAtOnce is how many are written to the log before it is made durable, which takes time and is of no use here.
const batchesAtOnce = 256

// translateDurable writes into a log and reads it again, which is how the exporter's translation gives series.
func translateDurable(ctx context.Context, settings translate.Settings, batches []pmetric.Metrics, to collection) (err error) {
	dir, err := os.MkdirTemp("", "runnerctl-")
	if err != nil {
		return fmt.Errorf("no temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log, err := samplelog.Open(samplelog.Options{FS: samplelog.Disk{}, Dir: dir, Shards: 1, SegmentBytes: 1 << 40, Now: time.Now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	reader := log.Reader(log.Runs(0)[0], 0, samplelog.Position{}, 0)
	defer reader.Close()

	translator := translate.New(settings)
	for some := range slices.Chunk(batches, batchesAtOnce) {
		if err := log.Append(ctx, func(b *samplelog.Batch) error {
			for _, md := range some {
				translator.Translate(b, md, false)
			}
			return nil
		}); err != nil {
			return err
		}
		if err := readLog(reader, to); err != nil {
			return err
		}
	}
	return nil
}

func readLog(reader *samplelog.Reader, to collection) error {
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
			to.add(piece.View.PromLabels(s.Ref), sample)
		}
	}
}

// translateStock sends to a server of our own with upstream's exporter, and reads what comes.
func translateStock(ctx context.Context, id component.ID, cfg *prometheusremotewriteexporter.Config, batches []pmetric.Metrics, to collection) (err error) {
	var mu sync.Mutex // guards to
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if err := receive(request, to); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})}
	go func() { _ = server.Serve(listener) }() // it ends when it is closed
	defer func() { err = errors.Join(err, server.Close()) }()

	cfg.HTTP = confighttp.NewDefaultClientConfig()
	cfg.HTTP.Endpoint = "http://" + listener.Addr().String()
	cfg.RemoteWriteQueue.Enabled, cfg.BackOffConfig.Enabled = false, false
	cfg.RemoteWriteProtoMsg = remoteapi.WriteV1MessageType
	cfg.WAL = configoptional.None[prometheusremotewriteexporter.WALConfig]()

	factory := prometheusremotewriteexporter.NewFactory()
	telemetry := component.TelemetrySettings{Logger: zap.NewNop(), MeterProvider: noopmetric.NewMeterProvider(), TracerProvider: nooptrace.NewTracerProvider()}
	settings := exporter.Settings{ID: component.NewIDWithName(factory.Type(), id.Name()), TelemetrySettings: telemetry, BuildInfo: buildInfo}
	e, err := factory.CreateMetrics(ctx, settings, cfg)
	if err != nil {
		return fmt.Errorf("exporters::%s: %w", id, err)
	}
	if err := e.Start(ctx, host{}); err != nil {
		return fmt.Errorf("exporters::%s: %w", id, err)
	}
	defer func() { err = errors.Join(err, e.Shutdown(context.WithoutCancel(ctx))) }()
	for _, md := range batches {
		if err := e.ConsumeMetrics(ctx, md); err != nil {
			return fmt.Errorf("exporters::%s: %w", id, err)
		}
	}
	return nil
}

// receive reads a request of remote write 1.0.
func receive(request *http.Request, to collection) error {
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
			to.add(ls, Sample{T: s.Timestamp, F: s.Value})
		}
		for _, h := range ts.Histograms {
			to.add(ls, Sample{T: h.Timestamp, H: h.ToFloatHistogram()})
		}
	}
	return nil
}
