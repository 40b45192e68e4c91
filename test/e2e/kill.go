// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// killProcess ends the collector's process as the kernel does it that is out of memory. The kubelet starts the container
// again, on the same volume.
func killProcess(ctx context.Context, w *world) error {
	before, err := w.collector(ctx, w.first)
	if err != nil {
		return err
	}
	if err := w.node.Kill(ctx, w.first.namespace, before.Name, collectorContainer); err != nil {
		return err
	}
	killed := time.Now()
	w.eventually(ctx, "the container is started again, in the same pod", time.Minute, "one restart more, ready", func(ctx context.Context) (bool, string, error) {
		pod, err := w.collector(ctx, w.first)
		if err != nil {
			return false, "", err
		}
		for _, status := range pod.Status.ContainerStatuses {
			if status.Name == collectorContainer {
				return pod.UID == before.UID && restartsOf(pod) == restartsOf(before)+1 && status.Ready,
					fmt.Sprintf("%d restarts, ready %t, %s", status.RestartCount, status.Ready, lastEnd(status)), nil
			}
		}
		return false, "no such container", nil
	})
	w.delivers(ctx, w.first, "every target is delivered again after kill -9", killed)
	w.nothingLost(ctx, w.first, "nothing that was accepted before kill -9 is lost", killed)
	return nil
}

// killPod takes the collector's pod away without asking it, as it happens to those on a node that is gone.
func killPod(ctx context.Context, w *world) error {
	before, err := w.collector(ctx, w.first)
	if err != nil {
		return err
	}
	now := int64(0)
	if err := w.cluster.CoreV1().Pods(w.first.namespace).Delete(ctx, before.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		return err
	}
	killed := time.Now()
	if err := w.cluster.awaitGone(ctx, w.first.namespace, before.Name, before.UID, time.Minute); err != nil {
		return err
	}
	w.settles(ctx, w.first, "another pod takes the place of one that was deleted by force")
	after, err := w.collector(ctx, w.first)
	if err != nil {
		return err
	}
	w.that(after.UID != before.UID, "it is another pod", "another identity", "%s after %s", after.UID, before.UID)
	w.equal("it has the volume of the one before", claims(before.Spec.Volumes), claims(after.Spec.Volumes))
	w.delivers(ctx, w.first, "every target is delivered again after the pod was deleted by force", killed)
	w.nothingLost(ctx, w.first, "nothing that was accepted before the pod was deleted by force is lost", killed)
	return nil
}

// drainNode does what `kubectl drain` does. There is no second node, so that what was evicted waits until the node is back.
func drainNode(ctx context.Context, w *world) (err error) {
	if err := w.cluster.cordon(ctx, true); err != nil {
		return err
	}
	drained := time.Now()
	back := false
	uncordon := func() error {
		if back {
			return nil
		}
		back = true
		return w.cluster.cordon(context.WithoutCancel(ctx), false)
	}
	defer func() {
		if again := uncordon(); err == nil {
			err = again
		}
	}()

	before, err := w.collector(ctx, w.first)
	if err != nil {
		return err
	}
	err = w.cluster.evict(ctx, w.first.namespace, before.Name)
	w.that(err == nil, "the only collector may be evicted: no budget blocks a drain for ever", "no error", "%v", err)
	managers, err := w.cluster.pods(ctx, w.first.namespace, "agent-manager")
	if err != nil {
		return err
	}
	if len(managers) < 2 {
		return fmt.Errorf("there are %d pods of agent-manager, fewer than the 2 that its budget is about", len(managers))
	}
	err = w.cluster.evict(ctx, w.first.namespace, managers[0].Name)
	w.that(err == nil, "the first of two pods of agent-manager may be evicted", "no error", "%v", err)
	w.eventually(ctx, "the budget keeps the second while the first has no successor", 20*time.Second, "429 Too Many Requests", func(ctx context.Context) (bool, string, error) {
		// Until the first is counted as gone, the budget would still allow it: so it is asked on trial.
		refused := w.cluster.tryEvict(ctx, w.first.namespace, managers[1].Name)
		return apierrors.IsTooManyRequests(refused), fmt.Sprint(refused), nil
	})
	if err := w.cluster.awaitGone(ctx, w.first.namespace, before.Name, before.UID, time.Minute); err != nil {
		return err
	}
	w.eventually(ctx, "the collector waits for a node", 20*time.Second, "Pending, unschedulable", func(ctx context.Context) (bool, string, error) {
		pod, err := w.collector(ctx, w.first)
		if err != nil {
			return false, "", err
		}
		message := ""
		for _, condition := range pod.Status.Conditions {
			message += condition.Message
		}
		return pod.Status.Phase == "Pending" && strings.Contains(message, "unschedulable"), string(pod.Status.Phase) + " " + message, nil
	})
	if err := uncordon(); err != nil {
		return err
	}
	returned := time.Now()
	w.settles(ctx, w.first, "everything is ready again when the node is back")
	w.delivers(ctx, w.first, "every target is delivered again after the drain", returned)
	w.nothingLost(ctx, w.first, "nothing that was accepted before the drain is lost", drained)
	return nil
}
