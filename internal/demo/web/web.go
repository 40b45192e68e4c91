// SPDX-License-Identifier: Apache-2.0

// Package web is the demo's page: what the terminal shows, with charts, and a box for PromQL. It needs nothing from
// outside: markup, style, script and the chart library uPlot (MIT, assets/uplot/LICENSE) are embedded.
package web

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
)

//go:embed assets
var assets embed.FS

// policy lets the page load its own files and ask its own server, nothing else.
const policy = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page at /, the JSON of what state returns at /demo/state, and the query paths of the metrics
// backend, read only, at /api/v1/.
func Handler(state func() any, backend http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"query", "query_range", "series", "labels", "label/{name}/values"} {
		mux.Handle("GET /api/v1/"+path, backend)
	}
	mux.HandleFunc("GET /demo/state", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(state()) // the client is gone if this fails
	})
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // the folder is embedded: only a change of this file can break it
	}
	mux.Handle("GET /", http.FileServerFS(files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}
