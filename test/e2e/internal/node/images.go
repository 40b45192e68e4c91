// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Stand-ins have the names and tags that the charts have, so that these run as they are.
var standIns = []struct{ image, component string }{
	{"ghcr.io/kubiyabot/agent-manager:v0.5.1", "agent-manager"},
	{"ghcr.io/kubiyabot/tool-manager:0.5.8", "tool-manager"},
	{"ghcr.io/kubiyabot/sdk-py:v1.20.0", "sdk-server"},
	{"ghcr.io/kubiyabot/kubiya-operator:v1.0.0", "kubiya-operator"},
	{"ghcr.io/kubiyabot/workflow-engine:v1.46.2", "workflow-engine"},
	{"ghcr.io/kubiyabot/kubiya-registry:v0.2.1", "dagger-engine"},
}

// The other images of the charts, made of the real programs.
const (
	kubeStateMetrics = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.18.0"
	blackbox         = "quay.io/prometheus/blackbox-exporter:v0.28.0"
	updater          = "ghcr.io/kubiyabot/kubernetes:1.32.0"
)

// busybox is Debian's busybox-static: it is the shell, or wget, by the name that it is called by.
const busybox = "/bin/busybox"

// LoadComponents makes and loads the images of everything that the charts run, except this repository's own: stand-ins
// for the vendor's components, the real kube-state-metrics and blackbox exporter, and for the image updater the real kubectl.
func (n *Node) LoadComponents(ctx context.Context, root string, progress io.Writer) error {
	work, err := os.MkdirTemp(n.run, "standin")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // Down takes it otherwise
	standIn := filepath.Join(work, "standin")
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", standIn, "./test/e2e/standin") //nolint:gosec // our own
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if _, err := run(ctx, progress, build); err != nil {
		return err
	}

	for _, s := range standIns {
		_, _ = fmt.Fprintln(progress, "loading", s.image)
		files := []string{standIn + "=/standin"}
		if s.component == "dagger-engine" {
			files = append(files, standIn+"=/bin/buildctl") // what its probes call
		}
		if err := n.Image(ctx, s.image, "/standin "+s.component, files...); err != nil {
			return err
		}
	}
	bin := filepath.Join(filepath.Dir(n.run), "bin")
	_, _ = fmt.Fprintln(progress, "loading", kubeStateMetrics)
	err = n.Image(ctx, kubeStateMetrics, "/kube-state-metrics --port=8080 --telemetry-port=8081",
		filepath.Join(bin, "kube-state-metrics")+"=/kube-state-metrics")
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(progress, "loading", blackbox)
	err = n.Image(ctx, blackbox, "/bin/blackbox_exporter",
		filepath.Join(bin, "blackbox_exporter")+"=/bin/blackbox_exporter", busybox+"=/bin/wget", busybox+"=/bin/sh")
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(progress, "loading", updater)
	return n.Image(ctx, updater, "/bin/sh", filepath.Join(bin, "kubectl")+"=/bin/kubectl", busybox+"=/bin/sh", busybox+"=/bin/date")
}

// Image makes an image of nothing but files, and loads it. A file is path or path=/path/in/the/image; the image runs as
// user 65532.
func (n *Node) Image(ctx context.Context, name, entrypoint string, files ...string) error {
	_, err := n.cluster(ctx, io.Discard, append([]string{"image", name, entrypoint}, files...)...)
	return err
}
