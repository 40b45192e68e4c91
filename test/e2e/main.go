// SPDX-License-Identifier: Apache-2.0

// Command e2e installs the charts on a real Kubernetes, lets things happen to them, and looks whether what they promise holds.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	os.Exit(code)
}
