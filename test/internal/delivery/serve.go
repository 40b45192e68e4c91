// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

// BackendCommand is the first argument with which a test runs itself as its own backend; RunBackend takes the rest.
const BackendCommand = "backend"

// stopPatience is how long a process may take to end in order.
const stopPatience = 20 * time.Second

// RunBackend is a Prometheus that takes remote write, with its data in a folder and its requests in a journal, until ctx
// ends. What it has acknowledged survives a kill: the TSDB writes its log before it answers.
func RunBackend(ctx context.Context, args []string, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet(BackendCommand, flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", "", "folder of the TSDB")
	listen := flags.String("listen", "", "address")
	journalPath := flags.String("journal", "", "file that the requests are written to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := prombackend.Open(*dir, prombackend.Options{Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	// Not buffered: what was written is there after a kill.
	file, err := os.OpenFile(*journalPath, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("the backend's journal: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", store.Handler())
	mux.Handle("/api/v1/write", newJournal(file, store.Handler()))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	return server.Shutdown(stopping)
}
