// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Options says what to run. Collector and Config are required.
type Options struct {
	// Duration is how long to scrape before the final check; 0 means until the context ends.
	Duration time.Duration
	// Collector is the path of the otelcol-runner binary.
	Collector string
	// Config is the reference configuration, as YAML; the demo lays its targets and ports over it.
	Config []byte
	// Dir is where the store, the configuration and the collector's log go. Empty means a temporary folder
	// that is removed at the end.
	Dir string
	// Listen is the address of the page.
	Listen string
	// Screen receives everything that is meant for people.
	Screen io.Writer
	// Redraw says that Screen is a terminal, where the table replaces itself; else it is a line every few seconds.
	Redraw bool
	// Color says that Screen shows colours.
	Color bool
	// Kill, when something is received from it, kills the collector, which is started again at once. Nil: nobody asks for it.
	Kill <-chan struct{}
	// Chaos kills it every few seconds.
	Chaos bool
	// Skip, when it becomes readable, ends the final check early.
	Skip <-chan struct{}
}

// checkBinary returns an error that says how to get the collector when there is none at path.
func checkBinary(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("no collector binary at %q: run `make build`, or name one with --collector", path)
	case err != nil:
		return fmt.Errorf("the collector binary %q cannot be read: %w", path, err)
	case info.IsDir():
		return fmt.Errorf("the collector binary %q is a folder: name the file itself with --collector", path)
	}
	if _, err := exec.LookPath(path); err != nil {
		return fmt.Errorf("the collector binary %q cannot be executed: %w; run `make build`, or name one with --collector", path, err)
	}
	return nil
}

// workFolder returns the folder to work in and the function that tidies it up.
func workFolder(dir string) (string, func() error, error) {
	if dir == "" {
		temp, err := os.MkdirTemp("", "runner-demo-")
		if err != nil {
			return "", nil, fmt.Errorf("no temporary folder: %w; name a folder with --dir", err)
		}
		return temp, func() error { return os.RemoveAll(temp) }, nil
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, fmt.Errorf("--dir %q: %w", dir, err)
	}
	if err := os.MkdirAll(absolute, 0o750); err != nil {
		return "", nil, fmt.Errorf("--dir %q cannot be created: %w; choose a folder that this user can write", dir, err)
	}
	// A store of an earlier run would count as lost or foreign in this one.
	entries, err := os.ReadDir(absolute)
	if err != nil {
		return "", nil, fmt.Errorf("--dir %q cannot be read: %w; choose a folder that this user can write", dir, err)
	}
	if len(entries) > 0 {
		return "", nil, fmt.Errorf("--dir %q is not empty: the demo counts what it stores there; choose an empty or a new folder", dir)
	}
	probe := filepath.Join(absolute, ".writable")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		return "", nil, fmt.Errorf("--dir %q cannot be written: %w; choose a folder that this user can write", dir, err)
	}
	if err := os.Remove(probe); err != nil {
		return "", nil, fmt.Errorf("--dir %q cannot be written: %w; choose a folder that this user can write", dir, err)
	}
	return absolute, func() error { return nil }, nil
}

// freePorts returns n TCP ports of 127.0.0.1 that were free a moment ago, for a process that takes its ports by number.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		// All are held until the last is chosen, so that no port comes twice.
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("no free port on 127.0.0.1: %w", err)
		}
		defer func() { _ = listener.Close() }() // it never accepted anything
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
