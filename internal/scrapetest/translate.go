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

// translation turns what a pipeline delivers into series, as its exporter for Prometheus does.
// Between open and close it lives in the bubble: what waits there for something must have been made there.
type translation interface {
	open(ctx context.Context) error
	// add translates batches.
	add(ctx context.Context, batches []pmetric.Metrics) error
	close() error
	// release gives back what is outside of the bubble.
	release() error
}

// newTranslation is the one of a pipeline's first exporter for Prometheus. A pipeline without one delivers nothing where another has one;
// else, as in a configuration of Prometheus, it is translated as durable_remote_write does with its defaults.
func (c *Config) newTranslation(p *pipeline, to *collection) (translation, error) {
	for _, id := range p.exporters {
		_, cfg, err := c.exporter(id)
		if err != nil {
			return nil, err
		}
		switch cfg := cfg.(type) {
		case *durableremotewriteexporter.Config:
			return newDurableTranslation(cfg.TranslateSettings(), to)
		case *prometheusremotewriteexporter.Config:
			return newStockTranslation(id, cfg, to)
		}
	}
	if c.delivers() {
		return nowhere{}, nil
	}
	defaults := durableremotewriteexporter.NewFactory().CreateDefaultConfig().(*durableremotewriteexporter.Config)
	return newDurableTranslation(defaults.TranslateSettings(), to)
}

// exporterNotes say what of a pipeline's exporters is otherwise here.
func (c *Config) exporterNotes(p *pipeline) []string {
	var notes []string
	first := ""
	for _, id := range p.exporters {
		_, cfg, err := c.exporter(id)
		if err != nil || id.Type().String() == debugType {
			continue // reported when the configuration was loaded
		}
		if first != "" {
			notes = append(notes, fmt.Sprintf("pipeline %s has several exporters: what is shown, and what it costs, is what %s delivers, and %s delivers as well", p.id, first, id))
			continue
		}
		first = id.String()
		if stock, ok := cfg.(*prometheusremotewriteexporter.Config); ok && stock.RemoteWriteProtoMsg == remoteapi.WriteV2MessageType {
			notes = append(notes, fmt.Sprintf("%s is run with remote write 1.0: the series are the same", id))
		}
	}
	return notes
}

// delivers says whether there is a pipeline with an exporter for Prometheus.
func (c *Config) delivers() bool {
	return slices.ContainsFunc(c.pipelines, func(p pipeline) bool {
		return slices.ContainsFunc(p.exporters, func(id component.ID) bool { return id.Type().String() != debugType })
	})
}

// nowhere is the translation of a pipeline that only shows what passes.
type nowhere struct{}

func (nowhere) open(context.Context) error                   { return nil }
func (nowhere) add(context.Context, []pmetric.Metrics) error { return nil }
func (nowhere) close() error                                 { return nil }
func (nowhere) release() error                               { return nil }

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
	return &durableTranslation{dir: dir, translator: translate.New(settings), to: to}, nil
}

func (t *durableTranslation) open(context.Context) (err error) {
	if t.log, err = samplelog.Open(samplelog.Options{FS: samplelog.Disk{}, Dir: t.dir, Shards: 1, SegmentBytes: segmentBytes, Now: time.Now}); err != nil {
		return err
	}
	t.reader = t.log.Reader(t.log.Runs(0)[0], 0, samplelog.Position{}, 0)
	return nil
}

// segmentBytes lets a whole run go into one segment.
const segmentBytes = 1 << 40

func (t *durableTranslation) add(ctx context.Context, batches []pmetric.Metrics) error {
	if err := t.log.Append(ctx, func(b *samplelog.Batch) error {
		for _, md := range batches {
			for reason, n := range t.translator.Translate(b, md, false).Refused {
				t.to.refuse(translate.Reason(reason).String(), n)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return readLog(t.reader, t.to)
}

func (t *durableTranslation) close() error {
	t.reader.Close()
	return t.log.Close()
}

func (t *durableTranslation) release() error { return os.RemoveAll(t.dir) }

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
	id       component.ID
	config   *prometheusremotewriteexporter.Config
	exporter exporter.Metrics
	server   *http.Server
}

func newStockTranslation(id component.ID, cfg *prometheusremotewriteexporter.Config, to *collection) (translation, error) {
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

	cfg.HTTP = confighttp.NewDefaultClientConfig()
	cfg.HTTP.Endpoint = "http://" + listener.Addr().String()
	// An open connection would hold up virtual time.
	cfg.HTTP.Keepalive = configoptional.None[confighttp.KeepaliveClientConfig]()
	cfg.RemoteWriteQueue.Enabled, cfg.BackOffConfig.Enabled = false, false
	cfg.RemoteWriteProtoMsg = remoteapi.WriteV1MessageType
	cfg.WAL = configoptional.None[prometheusremotewriteexporter.WALConfig]()
	return &stockTranslation{id: id, config: cfg, server: server}, nil
}

func (t *stockTranslation) open(ctx context.Context) (err error) {
	factory := prometheusremotewriteexporter.NewFactory()
	telemetry := component.TelemetrySettings{Logger: zap.NewNop(), MeterProvider: noopmetric.NewMeterProvider(), TracerProvider: nooptrace.NewTracerProvider()}
	settings := exporter.Settings{ID: component.NewIDWithName(factory.Type(), t.id.Name()), TelemetrySettings: telemetry, BuildInfo: buildInfo}
	if t.exporter, err = factory.CreateMetrics(ctx, settings, t.config); err != nil {
		return fmt.Errorf("exporters::%s: %w", t.id, err)
	}
	return t.exporter.Start(ctx, host{})
}

func (t *stockTranslation) add(ctx context.Context, batches []pmetric.Metrics) error {
	for _, md := range batches {
		if err := t.exporter.ConsumeMetrics(ctx, md); err != nil {
			return err
		}
	}
	return nil
}

func (t *stockTranslation) close() error { return t.exporter.Shutdown(context.Background()) }

func (t *stockTranslation) release() error { return t.server.Close() }

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
