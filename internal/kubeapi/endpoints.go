// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	// maxEndpointsPerSlice is kube-controller-manager's --max-endpoints-per-slice.
	maxEndpointsPerSlice = 100
	// What kube-controller-manager's controllers write into endpointslice.kubernetes.io/managed-by and endpoints.kubernetes.io/managed-by.
	sliceController     = "endpointslice-controller.k8s.io"
	mirroringController = "endpointslicemirroring-controller.k8s.io"
	endpointsController = "endpoint-controller"
	managedEndpoints    = "endpoints.kubernetes.io/managed-by"
)

// deriveEndpoints makes EndpointSlices and Endpoints of all services that have none of their own.
func (c *Cluster) deriveEndpoints() error {
	hasSlices := map[string]bool{}
	for _, slice := range all[*discoveryv1.EndpointSlice](c, "EndpointSlice") {
		hasSlices[slice.Namespace+"/"+slice.Labels[discoveryv1.LabelServiceName]] = true
	}
	index := newPodIndex(c.Pods())
	total := 0
	for _, service := range all[*corev1.Service](c, "Service") {
		name := service.Namespace + "/" + service.Name
		given := c.givenEndpoints(service)
		if service.Spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		if len(service.Spec.Selector) == 0 {
			if given != nil && !hasSlices[name] {
				c.addSlices(service, mirror(given))
			}
			continue
		}
		pods := index.selected(service)
		if total += len(pods) * max(1, len(service.Spec.Ports)); total > maxEndpoints {
			return fmt.Errorf("the services select more than %d ports of pods in all: at most so many are taken; is the selector of service %s too wide?", maxEndpoints, name)
		}
		backends := c.backends(service, pods)
		if !hasSlices[name] {
			c.addSlices(service, slicesOf(service, backends))
		}
		if given == nil {
			c.addEndpoints(service, backends)
		}
	}
	return nil
}

// podIndex finds the pods of a selector without asking each pod.
type podIndex map[[3]string][]*corev1.Pod // namespace, label, value

func newPodIndex(pods []*corev1.Pod) podIndex {
	index := podIndex{}
	for _, pod := range pods {
		for name, value := range pod.Labels {
			k := [3]string{pod.Namespace, name, value}
			index[k] = append(index[k], pod)
		}
	}
	return index
}

// selected returns the pods of a service, in their order.
func (index podIndex) selected(service *corev1.Service) []*corev1.Pod {
	var candidates []*corev1.Pod
	first := true
	for name, value := range service.Spec.Selector {
		if pods := index[[3]string{service.Namespace, name, value}]; first || len(pods) < len(candidates) {
			candidates, first = pods, false
		}
	}
	selector := labels.SelectorFromSet(service.Spec.Selector)
	var pods []*corev1.Pod
	for _, pod := range candidates {
		if selector.Matches(labels.Set(pod.Labels)) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// backend is a pod behind a service, with the numbers that the service's ports have there.
type backend struct {
	pod   *corev1.Pod
	zone  string
	ports []discoveryv1.EndpointPort
}

// backends leaves out the pods that have ended or have no address.
func (c *Cluster) backends(service *corev1.Service, pods []*corev1.Pod) []backend {
	var backends []backend
	for _, pod := range pods {
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || pod.Status.PodIP == "" {
			continue
		}
		b := backend{pod: pod}
		if node := c.entries[key{kind: kindNamed("Node"), name: pod.Spec.NodeName}].object; node != nil {
			b.zone = node.GetLabels()[corev1.LabelTopologyZone]
		}
		for i := range service.Spec.Ports {
			port := &service.Spec.Ports[i]
			number, found := findPort(pod, port)
			if !found {
				continue
			}
			b.ports = append(b.ports, discoveryv1.EndpointPort{Name: &port.Name, Port: &number, Protocol: &port.Protocol, AppProtocol: port.AppProtocol})
		}
		backends = append(backends, b)
	}
	return backends
}

// findPort is where a pod listens for a port of a service: a name is looked up in its containers.
func findPort(pod *corev1.Pod, port *corev1.ServicePort) (int32, bool) {
	if port.TargetPort.Type == intstr.Int {
		return port.TargetPort.IntVal, true
	}
	named := func(c corev1.Container) (int32, bool) {
		for _, p := range c.Ports {
			if p.Name == port.TargetPort.StrVal && p.Protocol == port.Protocol {
				return p.ContainerPort, true
			}
		}
		return 0, false
	}
	for _, c := range pod.Spec.Containers {
		if number, found := named(c); found {
			return number, true
		}
	}
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			continue
		}
		if number, found := named(c); found {
			return number, true
		}
	}
	return 0, false
}

// portsKey tells sets of ports apart.
func portsKey(ports []discoveryv1.EndpointPort) string {
	var b strings.Builder
	for _, p := range ports {
		protocol := ""
		if p.AppProtocol != nil {
			protocol = *p.AppProtocol
		}
		fmt.Fprintf(&b, "%s/%d/%s/%s,", *p.Name, *p.Port, *p.Protocol, protocol)
	}
	return b.String()
}

// slicesOf makes slices as the EndpointSlice controller does: one for each set of ports and 100 endpoints, and an empty one when
// there are no endpoints at all.
func slicesOf(service *corev1.Service, backends []backend) []*discoveryv1.EndpointSlice {
	var made []*discoveryv1.EndpointSlice
	for _, family := range service.Spec.IPFamilies {
		byPorts := map[string]*discoveryv1.EndpointSlice{} // that still have room
		before := len(made)
		for _, b := range backends {
			addresses := addressesOf(b.pod, family)
			if len(addresses) == 0 {
				continue
			}
			k := portsKey(b.ports)
			slice := byPorts[k]
			if slice == nil || len(slice.Endpoints) == maxEndpointsPerSlice {
				slice = &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressType(family), Ports: b.ports}
				byPorts[k] = slice
				made = append(made, slice)
			}
			slice.Endpoints = append(slice.Endpoints, endpoint(service, b, addresses))
		}
		if len(made) == before {
			made = append(made, &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressType(family)})
		}
	}
	return made
}

func addressesOf(pod *corev1.Pod, family corev1.IPFamily) []string {
	var addresses []string
	for _, podIP := range pod.Status.PodIPs {
		if ip, err := netip.ParseAddr(podIP.IP); err == nil && ip.Is6() == (family == corev1.IPv6Protocol) {
			addresses = append(addresses, podIP.IP)
		}
	}
	return addresses
}

func endpoint(service *corev1.Service, b backend, addresses []string) discoveryv1.Endpoint {
	serving, terminating := podReady(b.pod), b.pod.DeletionTimestamp != nil
	ready := service.Spec.PublishNotReadyAddresses || serving && !terminating
	e := discoveryv1.Endpoint{
		Addresses:  addresses,
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		TargetRef:  reference(b.pod),
		NodeName:   &b.pod.Spec.NodeName,
	}
	if b.zone != "" {
		e.Zone = &b.zone
	}
	if hasHostname(service, b.pod) {
		e.Hostname = &b.pod.Spec.Hostname
	}
	return e
}

func reference(pod *corev1.Pod) *corev1.ObjectReference {
	return &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}
}

func hasHostname(service *corev1.Service, pod *corev1.Pod) bool {
	return pod.Spec.Hostname != "" && pod.Spec.Subdomain == service.Name
}

// addSlices puts slices into the cluster, named and labelled after their service.
func (c *Cluster) addSlices(service *corev1.Service, made []*discoveryv1.EndpointSlice) {
	kind := kindNamed("EndpointSlice")
	yes := true
	for i, slice := range made {
		controller := slice.Labels[discoveryv1.LabelManagedBy]
		slice.Name, slice.Namespace = generatedName(service.Name, i), service.Namespace
		slice.Labels = with(service.Labels, map[string]string{
			discoveryv1.LabelServiceName: service.Name, discoveryv1.LabelManagedBy: cmp.Or(controller, sliceController),
		})
		markHeadless(service, slice.Labels)
		slice.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: "v1", Kind: "Service", Name: service.Name, UID: service.UID, Controller: &yes, BlockOwnerDeletion: &yes,
		}}
		c.put(key{kind, service.Namespace, slice.Name}, entry{object: slice, derived: true})
	}
}

// markHeadless sets the label that services without an address of their own give to their endpoints.
func markHeadless(service *corev1.Service, labels map[string]string) {
	delete(labels, corev1.IsHeadlessService)
	if service.Spec.ClusterIP == corev1.ClusterIPNone {
		labels[corev1.IsHeadlessService] = ""
	}
}

// serviceOf is the name of the service that slices and Endpoints belong to, "" for anything else.
func serviceOf(k key, e entry) string {
	switch k.kind.name {
	case "Endpoints":
		return k.name
	case "EndpointSlice":
		return e.GetLabels()[discoveryv1.LabelServiceName]
	default:
		return ""
	}
}

// forgetEndpoint takes a pod that was deleted out of the slices and Endpoints that came with the manifests.
func (c *Cluster) forgetEndpoint(pod key) {
	isPod := func(ref *corev1.ObjectReference) bool {
		return ref != nil && ref.Kind == "Pod" && ref.Name == pod.name && (ref.Namespace == "" || ref.Namespace == pod.namespace)
	}
	for k, e := range maps.Clone(c.entries) {
		if k.namespace != pod.namespace {
			continue
		}
		if slice, isSlice := e.object.(*discoveryv1.EndpointSlice); isSlice {
			changed := slice.DeepCopy()
			changed.Endpoints = slices.DeleteFunc(changed.Endpoints, func(e discoveryv1.Endpoint) bool { return isPod(e.TargetRef) })
			c.entries[k] = entry{object: changed, size: e.size}
		}
		if changed := withoutAddresses(e.object, isPod); changed != nil {
			c.entries[k] = entry{object: changed, size: e.size}
		}
	}
}
