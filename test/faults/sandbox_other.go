// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// insideCommand is the first argument of this program within its namespaces.
const insideCommand = "inside"

var errNotLinux = errors.New("the rows mount file systems in a namespace of their own: run them on Linux, for example in a container")

func enter(_ context.Context, _ []string, _, stderr io.Writer) int {
	_, _ = fmt.Fprintln(stderr, "faults:", errNotLinux) // progress only
	return 1
}

func furnish(string) error { return errNotLinux }

func mountTmpfs(string, int64) (func(int64) error, func() error, error) { return nil, nil, errNotLinux }

func mountReadOnly(string) (func() error, error) { return nil, errNotLinux }

func mountFailing(string, string, *failures) (func() error, error) { return nil, errNotLinux }
