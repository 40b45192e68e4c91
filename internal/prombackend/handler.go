// SPDX-License-Identifier: Apache-2.0

package prombackend

import (
	"io"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql/parser"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"
)

// Handler serves the part of Prometheus's HTTP API that needs nothing but a TSDB and an engine: /api/v1/write
// (remote write 1.0 and 2.0), query, query_range, query_exemplars, series, labels, label/{name}/values, and
// /-/healthy. The answers are Prometheus's own; any other path is 404.
func (b *Backend) Handler() http.Handler { return b.handler }

func newHandler(b *Backend, queryParser parser.Parser, logger *slog.Logger) http.Handler {
	api := apiv1.NewAPI(
		b.engine, b.db,
		&countingAppendable{db: b.db, refused: b.refused}, b.db,
		b.db,
		nil, nil, nil, // scrape pools, targets, Alertmanagers: this server has none, and their paths are not served
		func() config.Config { return config.DefaultConfig },
		nil,
		apiv1.GlobalURLOptions{},
		func(next http.HandlerFunc) http.HandlerFunc { return next }, // always ready: Open replayed the log
		nil, "", false, // admin API
		false, 0, // search API
		logger,
		nil,     // rules
		0, 0, 0, // remote read
		false, nil, nil,
		&apiv1.PrometheusVersion{},
		nil, nil,
		b.registry, b.registry,
		nil,
		true, remote.MessageTypes{remote.WriteV1MessageType, remote.WriteV2MessageType},
		false, false, false, // OTLP
		false,
		lookbackDelta,
		false, false,
		nil, nil,
		apiv1.OpenAPIOptions{},
		queryParser,
	)
	router := route.New()
	api.Register(router.WithPrefix("/api/v1"))

	mux := http.NewServeMux()
	// Listed one by one: the API also registers paths for parts that are absent here, and those would panic.
	for _, path := range []string{"query", "query_range", "query_exemplars", "series", "labels", "label/{name}/values"} {
		mux.Handle("/api/v1/"+path, router)
	}
	mux.Handle("/api/v1/write", b.requests.wrap(router))
	mux.HandleFunc("/-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "Prometheus Server is Healthy.\n") // the client is gone if this fails
	})
	return mux
}
