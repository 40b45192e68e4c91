// SPDX-License-Identifier: Apache-2.0

// Command standin takes the place of one component of a runner in the end-to-end tests: the vendor's images are not
// for everybody. It serves that component's ports, answers its health checks and exposes its metrics, by their real
// names, with series that tell which scrape they are of.
//
// Every port has /control. GET says what this process was asked for, and what it exposed when; POST {"series": 10000}
// makes it expose that many more series, as a component with a bad deploy does.
//
//	standin COMPONENT [ARGUMENT...]
//
// Arguments after the component are the real program's, and ignored.
package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ports is where each component listens.
var ports = map[string]int{
	"agent-manager":   8080,
	"tool-manager":    3001,
	"sdk-server":      8000,
	"kubiya-operator": 80,
	"workflow-engine": 8080,
	"dagger-engine":   8080,
}

func main() {
	run := serve
	// In the image of the dagger engine it is there under a second name.
	if filepath.Base(os.Args[0]) == "buildctl" {
		run = checkEngine
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1) //nolint:gocritic // the process ends, and the signals with it
	}
}

func serve(ctx context.Context, args []string) error {
	if len(args) == 0 || ports[args[0]] == 0 {
		return fmt.Errorf("the first argument has to be a component: %s", strings.Join(slices.Sorted(maps.Keys(ports)), ", "))
	}
	handler, err := newStandIn(args[0])
	if err != nil {
		return err
	}
	server := &http.Server{
		Addr: ":" + strconv.Itoa(ports[args[0]]), Handler: handler, ConnState: handler.connection, ReadHeaderTimeout: 5 * time.Second,
	}
	done := make(chan error, 1)
	go func() { done <- server.ListenAndServe() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

// checkEngine is `buildctl debug workers`: it fails unless the engine of this pod accepts connections.
func checkEngine(ctx context.Context, _ []string) error {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports["dagger-engine"]))
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
