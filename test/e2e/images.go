// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Images that are loaded under a second name, as if there were another release of them.
const (
	// otherTag is what an upgrade goes to.
	otherTag = "0.1.0-next"
	// olderVersion is what the previous version of the charts is called, olderTag the image of agent-manager that it had.
	olderVersion, olderTag = "0.0.9", "v0.5.0"

	vendor = "ghcr.io/kubiyabot/"
)

// loadImages loads everything that the charts run: this repository's images, and those of components.
func (w *world) loadImages(ctx context.Context) error {
	for _, name := range []string{"otelcol-runner", "runnerctl"} {
		w.say("building the image of %s", name)
		archive, version, err := w.buildImage(ctx, name)
		if err != nil {
			return err
		}
		if err := w.node.Load(ctx, archive); err != nil {
			return err
		}
		// An archive names no registry.
		if err := w.node.Tag(ctx, "docker.io/library/"+name+":"+version, vendor+name+":"+version); err != nil {
			return err
		}
		if name == "otelcol-runner" {
			if err := w.node.Tag(ctx, vendor+name+":"+version, vendor+name+":"+otherTag); err != nil {
				return err
			}
		}
	}
	w.say("loading the images of components")
	if err := w.node.LoadComponents(ctx, w.root, w.log); err != nil {
		return err
	}
	for _, second := range [][2]string{
		{"agent-manager:v0.5.1", "agent-manager:" + otherTag}, {"agent-manager:v0.5.1", "agent-manager:" + olderTag},
		{"workflow-engine:v1.46.2", "workflow-engine:" + otherTag},
	} {
		if err := w.node.Tag(ctx, vendor+second[0], vendor+second[1]); err != nil {
			return err
		}
	}
	return nil
}

// buildImage writes the archive of one image of this repository.
func (w *world) buildImage(ctx context.Context, name string) (archive, version string, err error) {
	cmd := exec.CommandContext(ctx, "go", "run", "./image", "build", "--root", w.root, "--image", name, "--dist", w.folder) //nolint:gosec // our own
	cmd.Dir = filepath.Join(w.root, "tools")
	// The distribution's build tags mean something else to other modules.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -trimpath")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", "", fmt.Errorf("the image of %s: %w: %s", name, err, tail(stderr.String(), 500))
	}
	lines := bytes.Split(bytes.TrimSpace(stdout.Bytes()), []byte("\n"))
	var built struct {
		Archive string `json:"archive"`
		Version string `json:"version"`
	}
	if err := json.Unmarshal(lines[len(lines)-1], &built); err != nil {
		return "", "", fmt.Errorf("the image of %s: its last line of output: %w", name, err)
	}
	return built.Archive, built.Version, nil
}
