// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// aimPatience is how long a strike waits for its moment before it takes any. A log that is idle has none.
const aimPatience = 5 * time.Second

// awaitFile waits until op happens to a file in the folder whose name begins with prefix; seen is false when it did not.
func awaitFile(ctx context.Context, folder, prefix string, op fsnotify.Op) (seen bool, err error) {
	return await(ctx, folder, func(e fsnotify.Event) bool {
		return e.Has(op) && strings.HasPrefix(filepath.Base(e.Name), prefix)
	})
}

// awaitWrite waits until something is written to the file; seen is false when nothing was.
func awaitWrite(ctx context.Context, file string) (seen bool, err error) {
	return await(ctx, file, func(e fsnotify.Event) bool { return e.Has(fsnotify.Write) })
}

func await(ctx context.Context, path string, wanted func(fsnotify.Event) bool) (seen bool, err error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return false, fmt.Errorf("watching %s: %w", path, err)
	}
	defer func() { _ = watcher.Close() }() // it only listened
	if err := watcher.Add(path); err != nil {
		return false, fmt.Errorf("watching %s: %w", path, err)
	}
	timeout := time.NewTimer(aimPatience)
	defer timeout.Stop()
	for {
		select {
		case event := <-watcher.Events:
			if wanted(event) {
				return true, nil
			}
		case err := <-watcher.Errors:
			return false, fmt.Errorf("watching %s: %w", path, err)
		case <-timeout.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}
