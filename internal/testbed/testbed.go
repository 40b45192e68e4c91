// SPDX-License-Identifier: Apache-2.0

// Package testbed holds what tests share that run the built binaries.
package testbed

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// FindRoot returns the root of the repository: the folder with go.mod, at or above the working directory.
func FindRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod at or above the working directory: run this inside the repository")
		}
		dir = parent
	}
}

// Root is FindRoot for a test, which fails without it.
func Root(t testing.TB) string {
	t.Helper()
	root, err := FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// Collector returns the path of the built collector. The test fails where it has not been built.
func Collector(t testing.TB) string {
	t.Helper()
	path := filepath.Join(Root(t), "bin", "otelcol-runner")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run `make build` first", err)
	}
	return path
}

// Buffer is a buffer that a process writes to while a test reads it. The zero Buffer is ready for use.
type Buffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

// Write appends p. It never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns what has been written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
