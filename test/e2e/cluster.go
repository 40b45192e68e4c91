// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/node"
)

// componentLabel says on every pod and Service of a runner which component it is.
const componentLabel = "app.kubernetes.io/kubiya-runner-component"

// collectorComponent is its value on the collector's pods.
const collectorComponent = "otel-collector"

// cluster is the cluster as its administrator sees it.
type cluster struct {
	kubernetes.Interface
	dynamic dynamic.Interface
	config  *rest.Config
}

// connect reads the kubeconfig of an administrator.
func connect(kubeconfig string) (*cluster, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("the cluster's kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 100, 200
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &cluster{Interface: clients, dynamic: objects, config: config}, nil
}

// makeNamespace makes a namespace with labels.
func (c *cluster) makeNamespace(ctx context.Context, name string, labels map[string]string) error {
	_, err := c.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	return err
}

// makeSecret makes a Secret, as whoever installs a runner does it.
func (c *cluster) makeSecret(ctx context.Context, namespace, name string, data map[string]string) error {
	_, err := c.CoreV1().Secrets(namespace).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}, metav1.CreateOptions{})
	return err
}

// pods are those of a component, or all of them for an empty one.
func (c *cluster) pods(ctx context.Context, namespace, component string) ([]corev1.Pod, error) {
	options := metav1.ListOptions{}
	if component != "" {
		options.LabelSelector = componentLabel + "=" + component
	}
	list, err := c.CoreV1().Pods(namespace).List(ctx, options)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// uids are the identities of pods, by name: the same name with another identity is another pod.
func uids(pods []corev1.Pod) map[string]types.UID {
	found := map[string]types.UID{}
	for _, pod := range pods {
		found[pod.Name] = pod.UID
	}
	return found
}

// ready says whether every workload of the namespace has all of its replicas, of its latest revision, with a pod that is ready
// for each, and no pod is on its way out.
func (c *cluster) ready(ctx context.Context, namespace string) (bool, string, error) {
	deployments, err := c.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, "", err
	}
	sets, err := c.AppsV1().StatefulSets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, "", err
	}
	var waiting []string
	want := 0
	for _, d := range deployments.Items {
		want += int(*d.Spec.Replicas)
		if !deploymentReady(d) {
			waiting = append(waiting, fmt.Sprintf("%s %d/%d", d.Name, d.Status.ReadyReplicas, *d.Spec.Replicas))
		}
	}
	for _, s := range sets.Items {
		want += int(*s.Spec.Replicas)
		if !statefulSetReady(s) {
			waiting = append(waiting, fmt.Sprintf("%s %d/%d", s.Name, s.Status.ReadyReplicas, *s.Spec.Replicas))
		}
	}
	pods, err := c.pods(ctx, namespace, "")
	if err != nil {
		return false, "", err
	}
	serving := 0
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			waiting = append(waiting, pod.Name+" is ending")
		}
		if ready(&pod) {
			serving++
		}
	}
	// A workload's status is a moment behind: a pod that was deleted by force counts there as ready for a little longer.
	if serving < want {
		waiting = append(waiting, fmt.Sprintf("%d of %d pods", serving, want))
	}
	if len(waiting) > 0 {
		return false, "not ready: " + strings.Join(waiting, ", "), nil
	}
	n := len(deployments.Items) + len(sets.Items)
	return n > 0, fmt.Sprintf("%d workloads ready", n), nil
}

func deploymentReady(d appsv1.Deployment) bool {
	want := *d.Spec.Replicas
	return d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == want && d.Status.Replicas == want && d.Status.AvailableReplicas == want
}

func statefulSetReady(s appsv1.StatefulSet) bool {
	want := *s.Spec.Replicas
	return s.Status.ObservedGeneration >= s.Generation && s.Status.Replicas == want && s.Status.ReadyReplicas == want &&
		s.Status.UpdatedReplicas == want && s.Status.CurrentRevision == s.Status.UpdateRevision
}

// restarts are the containers that have been started more than once.
func (c *cluster) restarts(ctx context.Context, namespace string) ([]string, error) {
	pods, err := c.pods(ctx, namespace, "")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, pod := range pods {
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if status.RestartCount > 0 {
				found = append(found, fmt.Sprintf("%s/%s %d times (%s)", pod.Name, status.Name, status.RestartCount, lastEnd(status)))
			}
		}
	}
	return found, nil
}

func lastEnd(status corev1.ContainerStatus) string {
	if end := status.LastTerminationState.Terminated; end != nil {
		return fmt.Sprintf("%s, exit status %d", end.Reason, end.ExitCode)
	}
	return "why is not known"
}

// transient kinds come and go without anybody's doing.
var transient = []string{"events", "leases", "endpointslices", "endpoints", "controllerrevisions", "replicasets"}

// objects lists all objects of a namespace, or all that are in none, as kind/name.
func (c *cluster) objects(ctx context.Context, namespace string) ([]string, error) {
	lists, err := c.Discovery().ServerPreferredResources()
	if err != nil {
		return nil, fmt.Errorf("the kinds of the cluster: %w", err)
	}
	lists = discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "delete"}}, lists)
	seen := map[string]bool{}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, kind := range list.APIResources {
			if kind.Namespaced != (namespace != "") || slices.Contains(transient, kind.Name) {
				continue
			}
			var resource dynamic.ResourceInterface = c.dynamic.Resource(version.WithResource(kind.Name))
			if namespace != "" {
				resource = c.dynamic.Resource(version.WithResource(kind.Name)).Namespace(namespace)
			}
			found, err := resource.List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("listing %s: %w", kind.Name, err)
			}
			for _, object := range found.Items {
				seen[kind.Kind+"/"+object.GetName()] = true
			}
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// less is what is in a and not in b.
func less(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// logs are those of a container, of its last life too if there was one.
func (c *cluster) logs(ctx context.Context, namespace, pod, container string, previous bool) (string, error) {
	stream, err := c.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, Previous: previous}).Stream(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = stream.Close() }() // it was only read
	text, err := io.ReadAll(stream)
	return string(text), err
}

// evict asks for a pod to go, as a drain does it. It is refused with status 429 where a PodDisruptionBudget says no.
func (c *cluster) evict(ctx context.Context, namespace, pod string) error {
	return c.PolicyV1().Evictions(namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pod}})
}

// tryEvict says what evict would, and leaves the pod where it is.
func (c *cluster) tryEvict(ctx context.Context, namespace, pod string) error {
	return c.PolicyV1().Evictions(namespace).Evict(ctx, &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pod}, DeleteOptions: &metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}},
	})
}

// claims are the names of the volumes that a pod keeps.
func claims(volumes []corev1.Volume) []string {
	var names []string
	for _, volume := range volumes {
		if volume.PersistentVolumeClaim != nil {
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		}
	}
	return names
}

// cordon marks the node as one that takes no pods, or as one that does again.
func (c *cluster) cordon(ctx context.Context, unschedulable bool) error {
	patch := fmt.Sprintf(`{"spec":{"unschedulable":%t}}`, unschedulable)
	_, err := c.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// awaitGone waits until a pod of that identity is not there any more.
func (c *cluster) awaitGone(ctx context.Context, namespace, name string, uid types.UID, patience time.Duration) error {
	gone, seen := await(ctx, patience, func(ctx context.Context) (bool, string, error) {
		pod, err := c.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && pod.UID != uid {
			return true, "gone", nil
		}
		return false, "still there", err
	})
	if !gone {
		return fmt.Errorf("waiting for the pod %s/%s to be gone: %s after %s", namespace, name, seen, patience)
	}
	return nil
}

// awaitReady waits until the namespace is ready, and is an error where it does not become so.
func (c *cluster) awaitReady(ctx context.Context, namespace string, patience time.Duration) error {
	ready, seen := await(ctx, patience, func(ctx context.Context) (bool, string, error) { return c.ready(ctx, namespace) })
	if !ready {
		return errors.New("the namespace " + namespace + " is not ready: " + seen)
	}
	return nil
}
