// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/kubiyabot/otelcol-runner/internal/casefile"
)

// quietTime is how long nothing has to change before cases are run again: an editor writes a file in several steps.
const quietTime = 100 * time.Millisecond

// clearScreen also forgets what was scrolled away.
const clearScreen = "\x1b[H\x1b[2J\x1b[3J"

// testWatch runs the cases, and again whenever something that they read changes, until it is interrupted.
func testWatch(ctx context.Context, o *testOptions) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("changes cannot be watched: %w", err)
	}
	defer watcher.Close() //nolint:errcheck // the process ends
	for {
		if err := o.watchRun(ctx, watcher); err != nil {
			return err
		}
		if err := changed(ctx, watcher); err != nil {
			if errors.Is(err, context.Canceled) {
				return nil // the user has seen enough
			}
			return err
		}
	}
}

// watchRun runs everything once, and watches what was read for it.
func (o *testOptions) watchRun(ctx context.Context, watcher *fsnotify.Watcher) error {
	if o.streams.outTTY {
		if _, err := io.WriteString(o.streams.out, clearScreen); err != nil {
			return err
		}
	}
	// What changes while it runs has to be seen: folders that are known already are watched all the time.
	files, err := o.once(ctx)
	if err != nil && !errors.Is(err, errBroken) && ctx.Err() == nil {
		if _, err := fmt.Fprintf(o.streams.out, "runnerctl: %s\n", err); err != nil {
			return err
		}
	}
	if err := watchFolders(watcher, append(o.folders(files), watcher.WatchList()...)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(o.streams.out, "waiting for a change; Ctrl-C ends")
	return err
}

// folders are those in which something is read. A file that an editor replaces is only noticed by its folder.
func (o *testOptions) folders(files []*casefile.File) []string {
	paths := slices.Clone(o.args)
	if o.config != "" {
		paths = append(paths, o.config)
	}
	for _, f := range files {
		paths = append(paths, f.Paths()...)
	}
	var folders []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			folders = append(folders, path)
			continue
		}
		if target, err := filepath.EvalSymlinks(path); err == nil {
			folders = append(folders, filepath.Dir(target))
		}
		folders = append(folders, filepath.Dir(path))
	}
	return folders
}

func watchFolders(watcher *fsnotify.Watcher, folders []string) error {
	for _, folder := range folders {
		if slices.Contains(watcher.WatchList(), folder) {
			continue
		}
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			continue // it may be a pattern, or be gone
		}
		if err := watcher.Add(folder); err != nil {
			return fmt.Errorf("changes in %s cannot be watched: %w", folder, err)
		}
	}
	return nil
}

// changed waits until something has changed and then nothing for a while.
func changed(ctx context.Context, watcher *fsnotify.Watcher) error {
	var quiet <-chan time.Time
	for {
		select {
		case event := <-watcher.Events:
			if event.Op != fsnotify.Chmod {
				quiet = time.After(quietTime)
			}
		case err := <-watcher.Errors:
			return fmt.Errorf("changes cannot be watched any more: %w", err)
		case <-quiet:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
