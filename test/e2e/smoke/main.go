// SPDX-License-Identifier: Apache-2.0

// Command smoke starts the node of the end-to-end tests, looks at what these rely on, and stops it: pods run under
// Pod Security's restricted level, are reached from this machine and by name from each other, keep their volume, can be
// killed and are seen in the audit log; and of the node nothing stays behind.
//
//	go run ./test/e2e/smoke
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/node"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "smoke:", err)
		os.Exit(1) //nolint:gocritic // the process ends, and the signals with it
	}
}

func run(ctx context.Context) (err error) {
	began := time.Now()
	say := func(what string) { fmt.Fprintf(os.Stderr, "%5.1f s  %s\n", time.Since(began).Seconds(), what) }

	before, err := traces()
	if err != nil {
		return err
	}
	n, err := node.Up(ctx, ".", os.Stderr)
	if err != nil {
		return err
	}
	say("the node is up")
	if err := look(ctx, n, say); err != nil {
		return fmt.Errorf("%w; the node is left as it is (%s), stop it with test/e2e/cluster.sh down", err, n.Kubeconfig)
	}
	if err := n.Down(ctx); err != nil {
		return err
	}
	say("the node is down")
	after, err := traces()
	if err != nil {
		return err
	}
	if left := difference(after, before); len(left) > 0 {
		return fmt.Errorf("the node left behind: %q", left)
	}
	say("nothing is left of it")
	return nil
}
