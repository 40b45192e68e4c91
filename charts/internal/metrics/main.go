// SPDX-License-Identifier: Apache-2.0

// Command metrics writes which metrics kube-state-metrics has to expose: those of the profile stage1, which is the collector's
// scope as well. It runs in charts/.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
)

const target = "kube-state-metrics/files/metrics.txt"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "metrics:", err)
		os.Exit(1)
	}
}

func run() error {
	text, err := generate()
	if err != nil {
		return err
	}
	if err := os.WriteFile(target, []byte(text), 0o644); err != nil { //nolint:gosec // everybody may read it
		return fmt.Errorf("writing the metrics: %w", err)
	}
	return nil
}

// generate lists the metrics, one pattern a line. Patterns are anchored: kube-state-metrics looks for them anywhere in a name.
func generate() (string, error) {
	patterns, err := scope.Profile("stage1")
	if err != nil {
		return "", fmt.Errorf("reading the profile: %w", err)
	}
	var b strings.Builder
	b.WriteString("# Code generated from internal/scope/stage1.txt by `go generate ./charts`. DO NOT EDIT.\n")
	for _, p := range patterns {
		if strings.HasPrefix(string(p), "kube_") {
			fmt.Fprintf(&b, "^%s$\n", p)
		}
	}
	return b.String(), nil
}
