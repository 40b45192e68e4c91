// SPDX-License-Identifier: Apache-2.0

// Command admission puts the admission policies of test/charts/policies before a real API server: every fixture that breaks a rule has to
// be denied by that rule, every other one to be admitted. Its last line is one JSON object.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
	"github.com/kubiyabot/otelcol-runner/test/internal/admission"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "admission:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root, err := testbed.FindRoot()
	if err != nil {
		return err
	}
	bin, err := admission.Binaries()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "admission-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left there is of no use to anybody

	began := time.Now()
	server, err := admission.StartServer(ctx, bin, dir)
	if err != nil {
		return err
	}
	defer server.Stop()
	fmt.Fprintf(os.Stderr, "the API server is up after %s\n", time.Since(began).Round(time.Millisecond))

	policies := filepath.Join(root, "test", "charts", "policies")
	if err := admission.Load(ctx, server.Config, policies); err != nil {
		return err
	}
	verdict, err := admission.Judge(ctx, server.Config, policies)
	if err != nil {
		return err
	}
	for _, fault := range verdict.Faults {
		fmt.Fprintln(os.Stderr, fault)
	}
	summary, err := json.Marshal(map[string]any{
		"rules": len(verdict.Rules), "denied": verdict.Denied, "admitted": verdict.Admitted, "faults": len(verdict.Faults),
		"seconds": time.Since(began).Round(100 * time.Millisecond).Seconds(),
	})
	if err != nil {
		return err
	}
	fmt.Println(string(summary))
	if n := len(verdict.Faults); n > 0 {
		return fmt.Errorf("%d fixtures were not treated as they should", n)
	}
	return nil
}
