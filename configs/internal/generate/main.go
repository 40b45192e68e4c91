// SPDX-License-Identifier: Apache-2.0

// Command generate writes the variants of collector.yaml: a whole file, comments included, for each managed
// Prometheus. A variant differs from collector.yaml in how it delivers and in nothing else, which this command
// guarantees by making one from the other. The chart of the collector gets copies. It runs in the folder of collector.yaml (go generate ./configs).
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const source = "collector.yaml"

func main() {
	err := run(".")
	if err == nil {
		err = runChart(".", chartConfigs)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run writes every variant into dir, from the collector.yaml in it.
func run(dir string) error {
	path := filepath.Join(dir, source)
	base, err := os.ReadFile(path) //nolint:gosec // the caller's own folder
	if err != nil {
		return fmt.Errorf("reading the file that the variants are made from: %w; run `go generate ./configs`", err)
	}
	for _, v := range variants {
		rendered, err := v.render(string(base))
		if err != nil {
			return fmt.Errorf("%s: %w", v.file, err)
		}
		if err := os.WriteFile(filepath.Join(dir, v.file), []byte(rendered), 0o600); err != nil { //nolint:gosec // a fixed list of files
			return fmt.Errorf("writing a variant: %w", err)
		}
	}
	return nil
}
