// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// helm runs the Helm that users run.
type helm struct {
	binary     string
	kubeconfig string
	folder     string // for what is Helm's own
}

// newHelm finds the binary.
func newHelm(root, kubeconfig, folder string) (*helm, error) {
	binary := filepath.Join(root, "bin", "helm")
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("%w: run `make bin/helm` first", err)
	}
	return &helm{binary: binary, kubeconfig: kubeconfig, folder: folder}, nil
}

// linkNotes are what Helm says about each symbolic link in a chart.
var linkNotes = regexp.MustCompile(`(?m)^walk\.go:.*\n`)

// run runs one command and returns what it printed. The error has what it said.
func (h *helm) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, h.binary, args...) //nolint:gosec // a binary of this repository
	// Nothing of the user's own: no repositories, no plugins.
	cmd.Env = append(os.Environ(), "KUBECONFIG="+h.kubeconfig, "HELM_CONFIG_HOME="+h.folder, "HELM_DATA_HOME="+h.folder, "HELM_CACHE_HOME="+h.folder)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("helm %s: %w: %s", args[0], err, tail(strings.TrimSpace(linkNotes.ReplaceAllString(stderr.String(), "")), 2000))
	}
	return stdout.String(), nil
}

// release is one release of a chart.
type release struct {
	helm      *helm
	name      string
	namespace string
}

// install installs a chart.
func (r release) install(ctx context.Context, chart string, flags ...string) (string, error) {
	return r.helm.run(ctx, append([]string{"install", r.name, chart, "--namespace", r.namespace}, flags...)...)
}

// upgrade upgrades the release to a chart, with the values of these flags and no others.
func (r release) upgrade(ctx context.Context, chart string, flags ...string) error {
	_, err := r.helm.run(ctx, append([]string{"upgrade", r.name, chart, "--namespace", r.namespace, "--reset-values"}, flags...)...)
	return err
}

// rollback goes back to a revision.
func (r release) rollback(ctx context.Context, revision int) error {
	_, err := r.helm.run(ctx, "rollback", r.name, fmt.Sprint(revision), "--namespace", r.namespace)
	return err
}

// uninstall takes the release away.
func (r release) uninstall(ctx context.Context) error {
	_, err := r.helm.run(ctx, "uninstall", r.name, "--namespace", r.namespace, "--wait")
	return err
}

// test runs the tests of the chart.
func (r release) test(ctx context.Context, patience time.Duration) (string, error) {
	return r.helm.run(ctx, "test", r.name, "--namespace", r.namespace, "--timeout", patience.String())
}

// manifest is what the release consists of.
func (r release) manifest(ctx context.Context) (string, error) {
	return r.helm.run(ctx, "get", "manifest", r.name, "--namespace", r.namespace)
}

var chartVersion = regexp.MustCompile(`(?m)^((?:- |  )?(?:  )?version:\s*"?)0\.1\.0`)

// olderCharts copies the charts of the tree with another version, as if they had been released before.
func olderCharts(root, folder, version string) (string, error) {
	source, target := filepath.Join(root, "charts"), filepath.Join(folder, "charts-"+version)
	err := copyFollowing(source, target, func(path string, text []byte) []byte {
		if filepath.Base(path) != "Chart.yaml" {
			return text
		}
		return chartVersion.ReplaceAll(text, []byte("${1}"+version))
	})
	if err != nil {
		return "", fmt.Errorf("copying the charts: %w", err)
	}
	return target, nil
}

// copyFollowing copies a folder; what a symbolic link names is copied in its place.
func copyFollowing(source, target string, change func(path string, text []byte) []byte) error {
	entries, err := os.ReadDir(source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(target, 0o750); err != nil {
		return err
	}
	for _, entry := range entries {
		from, to := filepath.Join(source, entry.Name()), filepath.Join(target, entry.Name())
		info, err := os.Stat(from)
		if err != nil {
			return err
		}
		if info.IsDir() {
			if err := copyFollowing(from, to, change); err != nil {
				return err
			}
			continue
		}
		text, err := fs.ReadFile(os.DirFS(source), entry.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, change(from, text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
