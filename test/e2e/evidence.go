// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// evidence writes down what the cluster knows, for whoever looks for the reason of a failure. No Secret is among it.
func (w *world) evidence(ctx context.Context) (folder string, err error) {
	folder, err = os.MkdirTemp("", "e2e-evidence-")
	if err != nil {
		return "", err
	}
	var errs []error
	write := func(name string, text []byte) {
		path := filepath.Join(folder, filepath.FromSlash(name))
		errs = append(errs, os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, text, 0o600)) //nolint:gosec // names are those of Kubernetes objects
	}
	checks, err := json.MarshalIndent(w.list, "", " ")
	errs = append(errs, err)
	write("checks.json", checks)
	write("backend.log", []byte(w.backendLog.String()))
	if w.node == nil {
		return folder, errors.Join(errs...)
	}
	errs = append(errs, w.nodeLogs(write))
	if w.clerk == nil {
		return folder, errors.Join(errs...)
	}
	for _, namespace := range []string{firstNamespace, secondNamespace, decoyNamespace} {
		errs = append(errs, w.describe(ctx, namespace, write))
	}
	for _, r := range []*runner{w.first, w.second} {
		if r == nil {
			continue
		}
		manifest, err := r.manifest(ctx)
		if err != nil {
			manifest = err.Error() // it may not be installed
		}
		write(r.namespace+"/manifest.yaml", []byte(manifest))
	}
	return folder, errors.Join(errs...)
}

// nodeLogs writes the logs of the node's programs.
func (w *world) nodeLogs(write func(name string, text []byte)) error {
	logs, err := filepath.Glob(filepath.Join(w.node.Logs(), "*.log"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range logs {
		text, err := os.ReadFile(path) //nolint:gosec // the node's logs
		errs = append(errs, err)
		write("node/"+filepath.Base(path), text)
	}
	return errors.Join(errs...)
}

// describe writes the pods, workloads, events and logs of a namespace.
func (w *world) describe(ctx context.Context, namespace string, write func(name string, text []byte)) error {
	pods, err := w.cluster.pods(ctx, namespace, "")
	if err != nil {
		return err
	}
	var errs []error
	for _, pod := range pods {
		pod.ManagedFields = nil
		text, err := json.MarshalIndent(pod, "", " ")
		errs = append(errs, err)
		write(namespace+"/"+pod.Name+".json", text)
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			for _, previous := range []bool{false, true} {
				if previous && status.RestartCount == 0 {
					continue
				}
				text, err := w.cluster.logs(ctx, namespace, pod.Name, status.Name, previous)
				if err != nil {
					text = err.Error() // it may not have started
				}
				write(fmt.Sprintf("%s/%s.%s%s.log", namespace, pod.Name, status.Name, map[bool]string{true: ".previous"}[previous]), []byte(text))
			}
		}
	}
	events, err := w.cluster.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	slices.SortFunc(events.Items, func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
	var lines strings.Builder
	for _, e := range events.Items {
		fmt.Fprintf(&lines, "%s %s %s/%s: %s: %s\n", e.LastTimestamp.Format("15:04:05"), e.Type, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, e.Message)
	}
	write(namespace+"/events.txt", []byte(lines.String()))
	return errors.Join(errs...)
}

// addNames adds the names of pods.
func addNames(names []string, pods []corev1.Pod) []string {
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	return names
}
