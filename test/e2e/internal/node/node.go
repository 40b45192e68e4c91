// SPDX-License-Identifier: Apache-2.0

// Package node runs a real Kubernetes node on this machine, and does to it what only its operator can: load images, make
// volumes, kill what runs in a container, and read the API server's audit log. test/e2e/cluster.sh does the work.
package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// Name is the node's name in the cluster.
	Name = "node1"
	// Machine is the address at which pods reach this machine: what listens here is outside the cluster.
	Machine = "198.18.0.1"
)

// Node is a node that runs.
type Node struct {
	// Kubeconfig is the path of its administrator's kubeconfig.
	Kubeconfig string
	// Client is the administrator's.
	Client kubernetes.Interface

	script  string
	run     string // the folder of its state
	volumes int    // how many AddVolumes made
}

// Up builds what is needed and starts the node. root is the repository's folder. What takes long is told to progress.
// It fails when a node runs already.
func Up(ctx context.Context, root string, progress io.Writer) (*Node, error) {
	return start(ctx, root, "up", progress)
}

// Running is the node that was started before, by Up or by hand.
func Running(ctx context.Context, root string, progress io.Writer) (*Node, error) {
	return start(ctx, root, "kubeconfig", progress)
}

func start(ctx context.Context, root, command string, progress io.Writer) (*Node, error) {
	n := &Node{script: filepath.Join(root, "test", "e2e", "cluster.sh")}
	out, err := n.cluster(ctx, progress, command)
	if err != nil {
		return nil, err
	}
	n.Kubeconfig = strings.TrimSpace(out)
	n.run = filepath.Dir(n.Kubeconfig)
	config, err := clientcmd.BuildConfigFromFlags("", n.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("the node's kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 100, 200
	n.Client, err = kubernetes.NewForConfig(config)
	return n, err
}

// Down stops the node and deletes its state.
func (n *Node) Down(ctx context.Context) error {
	_, err := n.cluster(ctx, io.Discard, "down")
	return err
}

// Load loads an image archive, as docker save and `make image` write it.
func (n *Node) Load(ctx context.Context, archive string) error {
	_, err := n.cluster(ctx, io.Discard, "load", archive)
	return err
}

// Tag gives an image that was loaded a second name.
func (n *Node) Tag(ctx context.Context, image, name string) error {
	_, err := n.ctr(ctx, "images", "tag", "--force", image, name)
	return err
}

// EnforceNetworkPolicies enforces NetworkPolicies from now on. This machine is outside the cluster: it reaches pods that do
// not admit it with Dial only. What takes long is told to progress.
func (n *Node) EnforceNetworkPolicies(ctx context.Context, progress io.Writer) error {
	_, err := n.cluster(ctx, progress, "enforce")
	return err
}

// Kill kills the first process of a container with SIGKILL, from outside, as the kernel does when memory runs out.
func (n *Node) Kill(ctx context.Context, namespace, pod, container string) error {
	p, err := n.Client.CoreV1().Pods(namespace).Get(ctx, pod, metav1.GetOptions{})
	if err != nil {
		return err
	}
	id, err := containerID(p, container)
	if err != nil {
		return err
	}
	_, err = n.ctr(ctx, "tasks", "kill", "--signal", "SIGKILL", id)
	return err
}

func containerID(pod *corev1.Pod, container string) (string, error) {
	var names []string
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == container && status.State.Running != nil {
			return strings.TrimPrefix(status.ContainerID, "containerd://"), nil
		}
		if status.State.Running != nil {
			names = append(names, status.Name)
		}
	}
	return "", fmt.Errorf("pod %s/%s has no running container %q; running are %q", pod.Namespace, pod.Name, container, names)
}

// cluster runs cluster.sh, and returns what it prints.
func (n *Node) cluster(ctx context.Context, progress io.Writer, args ...string) (string, error) {
	return run(ctx, progress, exec.CommandContext(ctx, n.script, args...)) //nolint:gosec // our own script
}

// ctr talks to the node's containerd.
func (n *Node) ctr(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"--address", filepath.Join(n.run, "containerd.sock"), "--namespace", "k8s.io"}, args...)
	return run(ctx, io.Discard, exec.CommandContext(ctx, "ctr", args...)) //nolint:gosec // no shell is between
}

func run(ctx context.Context, progress io.Writer, cmd *exec.Cmd) (string, error) {
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, io.MultiWriter(&complaint, progress)
	err := cmd.Run()
	if err == nil {
		return out.String(), nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), ctx.Err())
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return "", err
}

// Logs is the folder of the logs of the node's own programs.
func (n *Node) Logs() string { return filepath.Join(n.run, "log") }

// auditLog opens the API server's audit log.
func (n *Node) auditLog() (*os.File, error) { return os.Open(filepath.Join(n.run, "audit.log")) }
