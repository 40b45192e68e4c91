// SPDX-License-Identifier: Apache-2.0

package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	kjson "sigs.k8s.io/json"
)

const (
	// maxObjects bounds what is read of each kind.
	maxObjects = 20_000
	// maxAnnotation is how long an annotation may be, in bytes. Longer ones are rather data than something to relabel by.
	maxAnnotation = 256
	// chunk is how many objects are asked for at once.
	chunk = 500
)

// snapshot is the objects of the namespace at one time.
type snapshot struct {
	pods  []corev1.Pod
	texts map[string][]byte // the stripped object as YAML, by kind/name as scenes name it
}

// names returns the objects of a snapshot in order.
func (s *snapshot) names() []string { return slices.Sorted(maps.Keys(s.texts)) }

// stripper takes out of objects what discovery does not read, and what must not be written.
type stripper struct {
	redactor *redactor
	leftOut  tally
}

// take lists the objects of a namespace and strips them.
func (s *stripper) take(ctx context.Context, client kubernetes.Interface, namespace string) (*snapshot, error) {
	taken := &snapshot{texts: map[string][]byte{}}
	options := func(next string) metav1.ListOptions { return metav1.ListOptions{Limit: chunk, Continue: next} }

	err := pages(func(next string) (string, int, error) {
		list, err := client.CoreV1().Pods(namespace).List(ctx, options(next))
		if err != nil {
			return "", 0, listError("pods", namespace, err)
		}
		for i := range list.Items {
			pod := s.pod(&list.Items[i])
			taken.pods = append(taken.pods, *pod)
			if pod.Status.Phase != corev1.PodRunning {
				s.leftOut.add("pages of pods that did not run", pod.Name)
			}
			taken.texts["pod/"+pod.Name] = manifest("v1", "Pod", pod)
		}
		return list.Continue, len(list.Items), nil
	})
	if err != nil {
		return nil, err
	}
	err = pages(func(next string) (string, int, error) {
		list, err := client.CoreV1().Services(namespace).List(ctx, options(next))
		if err != nil {
			return "", 0, listError("services", namespace, err)
		}
		for i := range list.Items {
			service := s.service(&list.Items[i])
			taken.texts["service/"+service.Name] = manifest("v1", "Service", service)
		}
		return list.Continue, len(list.Items), nil
	})
	if err != nil {
		return nil, err
	}
	err = pages(func(next string) (string, int, error) {
		list, err := client.DiscoveryV1().EndpointSlices(namespace).List(ctx, options(next))
		if err != nil {
			return "", 0, listError("endpointslices.discovery.k8s.io", namespace, err)
		}
		for i := range list.Items {
			slice := s.endpointSlice(&list.Items[i])
			taken.texts["endpointslice/"+slice.Name] = manifest("discovery.k8s.io/v1", "EndpointSlice", slice)
		}
		return list.Continue, len(list.Items), nil
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// pages asks for one part of a list after the other.
func pages(part func(next string) (string, int, error)) error {
	next, total := "", 0
	for {
		following, n, err := part(next)
		if err != nil {
			return err
		}
		if total += n; total > maxObjects {
			return fmt.Errorf("the namespace has more than %d objects of a kind: record a smaller one", maxObjects)
		}
		if following == "" {
			return nil
		}
		next = following
	}
}

func listError(resource, namespace string, err error) error {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w: bind the account to a Role in %s with get, list and watch on pods, services and endpointslices (discovery.k8s.io), or choose another namespace with --namespace", err, namespace)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the cluster does not accept the credentials of the kubeconfig: %w: log in again, or choose another context with --context", err)
	case errors.Is(err, context.Canceled):
		return err
	default:
		return fmt.Errorf("%s of namespace %s cannot be listed: %w: is this the right context (--context), and is the cluster up?", resource, namespace, err)
	}
}

func (s *stripper) meta(from *metav1.ObjectMeta) metav1.ObjectMeta {
	to := metav1.ObjectMeta{
		Name: from.Name, Namespace: from.Namespace, UID: from.UID, DeletionTimestamp: from.DeletionTimestamp,
		Labels: map[string]string{}, Annotations: map[string]string{},
	}
	for name, value := range from.Labels {
		to.Labels[name], _ = s.redactor.redact("label "+name, value)
	}
	for name, value := range from.Annotations {
		switch {
		case name == corev1.LastAppliedConfigAnnotation, name == corev1.EndpointsLastChangeTriggerTime:
			continue // not worth a word
		case len(value) > maxAnnotation:
			s.leftOut.add("annotation "+name, string(from.UID))
			continue
		}
		to.Annotations[name], _ = s.redactor.redact("annotation "+name, value)
	}
	for _, owner := range from.OwnerReferences {
		to.OwnerReferences = append(to.OwnerReferences, metav1.OwnerReference{
			APIVersion: owner.APIVersion, Kind: owner.Kind, Name: owner.Name, UID: owner.UID, Controller: owner.Controller,
		})
	}
	return to
}

func (s *stripper) pod(from *corev1.Pod) *corev1.Pod {
	to := &corev1.Pod{ObjectMeta: s.meta(&from.ObjectMeta)}
	to.Spec = corev1.PodSpec{
		NodeName: from.Spec.NodeName, HostNetwork: from.Spec.HostNetwork, Hostname: from.Spec.Hostname, Subdomain: from.Spec.Subdomain,
		InitContainers: s.containers(from.Spec.InitContainers), Containers: s.containers(from.Spec.Containers),
	}
	to.Status = corev1.PodStatus{
		Phase: from.Status.Phase, PodIP: from.Status.PodIP, PodIPs: from.Status.PodIPs, HostIP: from.Status.HostIP, HostIPs: from.Status.HostIPs,
		InitContainerStatuses: containerStatuses(from.Status.InitContainerStatuses), ContainerStatuses: containerStatuses(from.Status.ContainerStatuses),
	}
	for _, condition := range from.Status.Conditions {
		if condition.Type == corev1.PodReady {
			to.Status.Conditions = append(to.Status.Conditions, corev1.PodCondition{Type: condition.Type, Status: condition.Status})
		}
	}
	return to
}

func (s *stripper) containers(from []corev1.Container) []corev1.Container {
	to := make([]corev1.Container, len(from))
	for i := range from {
		to[i] = corev1.Container{Name: from[i].Name, Ports: from[i].Ports, RestartPolicy: from[i].RestartPolicy}
		to[i].Image, _ = s.redactor.redact("image", from[i].Image)
	}
	return to
}

func containerStatuses(from []corev1.ContainerStatus) []corev1.ContainerStatus {
	to := make([]corev1.ContainerStatus, len(from))
	for i := range from {
		to[i] = corev1.ContainerStatus{Name: from[i].Name, ContainerID: from[i].ContainerID, Ready: from[i].Ready}
	}
	return to
}

func (s *stripper) service(from *corev1.Service) *corev1.Service {
	spec := &from.Spec
	to := &corev1.Service{ObjectMeta: s.meta(&from.ObjectMeta)}
	to.Spec = corev1.ServiceSpec{
		Type: spec.Type, ClusterIP: spec.ClusterIP, ClusterIPs: spec.ClusterIPs, IPFamilies: spec.IPFamilies, Selector: spec.Selector,
		Ports: spec.Ports, PublishNotReadyAddresses: spec.PublishNotReadyAddresses, LoadBalancerIP: spec.LoadBalancerIP,
	}
	to.Spec.ExternalName, _ = s.redactor.redact("externalName", spec.ExternalName)
	return to
}

func (s *stripper) endpointSlice(from *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	to := &discoveryv1.EndpointSlice{ObjectMeta: s.meta(&from.ObjectMeta), AddressType: from.AddressType, Ports: from.Ports}
	for i := range from.Endpoints {
		e := from.Endpoints[i]
		e.Hints, e.DeprecatedTopology = nil, nil
		to.Endpoints = append(to.Endpoints, e)
	}
	return to
}

// manifest writes an object as YAML, without what is empty.
func manifest(apiVersion, kind string, o any) []byte {
	text, err := json.Marshal(o)
	var tree map[string]any
	if err == nil {
		err = kjson.UnmarshalCaseSensitivePreserveInts(text, &tree)
	}
	if err != nil {
		panic(err) // it came from JSON
	}
	pruned(tree)
	metadata := tree["metadata"]
	delete(tree, "metadata")
	var b strings.Builder
	b.WriteString("apiVersion: " + apiVersion + "\nkind: " + kind + "\n")
	// First what people look for first.
	for _, part := range []map[string]any{{"metadata": metadata}, tree} {
		if len(part) == 0 {
			continue // an object of nothing but a name
		}
		encoder := yaml.NewEncoder(&b)
		encoder.SetIndent(2)
		if err := errors.Join(encoder.Encode(part), encoder.Close()); err != nil {
			panic(err) // it is made of maps, lists and scalars
		}
	}
	return []byte(b.String())
}

// pruned leaves out what has no content. An empty text is content only as the value of a label or an annotation.
func pruned(tree map[string]any) {
	for name, value := range tree {
		switch value := value.(type) {
		case nil:
			delete(tree, name)
		case string:
			if value == "" && name != "name" {
				delete(tree, name)
			}
		case map[string]any:
			if name != "labels" && name != "annotations" {
				pruned(value)
			}
			if len(value) == 0 {
				delete(tree, name)
			}
		case []any:
			for _, item := range value {
				if m, isMap := item.(map[string]any); isMap {
					pruned(m)
				}
			}
			if len(value) == 0 {
				delete(tree, name)
			}
		}
	}
}
