// SPDX-License-Identifier: Apache-2.0

//nolint:staticcheck // Endpoints are deprecated in favour of slices; role endpoints still reads them
package kubeapi

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (c *Cluster) endpointsKey(service *corev1.Service) key {
	return key{kindNamed("Endpoints"), service.Namespace, service.Name}
}

// givenEndpoints returns the Endpoints that manifests have for a service, or nil.
func (c *Cluster) givenEndpoints(service *corev1.Service) *corev1.Endpoints {
	given, _ := c.entries[c.endpointsKey(service)].object.(*corev1.Endpoints)
	return given
}

// addEndpoints puts the Endpoints of a service into the cluster.
func (c *Cluster) addEndpoints(service *corev1.Service, backends []backend) {
	c.put(c.endpointsKey(service), entry{object: endpointsOf(service, backends), derived: true})
}

// endpointsOf makes Endpoints as the endpoints controller does: ports that the same addresses have are in one subset.
func endpointsOf(service *corev1.Service, backends []backend) *corev1.Endpoints {
	e := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{
		Name: service.Name, Namespace: service.Namespace, Labels: with(service.Labels, map[string]string{managedEndpoints: endpointsController}),
	}}
	markHeadless(service, e.Labels)

	var ports []corev1.EndpointPort // in the order in which they are met
	byPort := map[string]*corev1.EndpointSubset{}
	add := func(b backend, port corev1.EndpointPort) {
		addresses := addressesOf(b.pod, service.Spec.IPFamilies[0])
		if len(addresses) == 0 || b.pod.DeletionTimestamp != nil && !service.Spec.PublishNotReadyAddresses {
			return
		}
		k := endpointPortKey(port)
		subset := byPort[k]
		if subset == nil {
			subset = &corev1.EndpointSubset{}
			byPort[k] = subset
			ports = append(ports, port)
		}
		address := corev1.EndpointAddress{IP: addresses[0], NodeName: &b.pod.Spec.NodeName, TargetRef: reference(b.pod)}
		if hasHostname(service, b.pod) {
			address.Hostname = b.pod.Spec.Hostname
		}
		if service.Spec.PublishNotReadyAddresses || podReady(b.pod) {
			subset.Addresses = append(subset.Addresses, address)
		} else {
			subset.NotReadyAddresses = append(subset.NotReadyAddresses, address)
		}
	}
	for _, b := range backends {
		if len(service.Spec.Ports) == 0 && service.Spec.ClusterIP == corev1.ClusterIPNone {
			add(b, corev1.EndpointPort{})
		}
		for _, p := range b.ports {
			add(b, corev1.EndpointPort{Name: *p.Name, Port: *p.Port, Protocol: *p.Protocol, AppProtocol: p.AppProtocol})
		}
	}

	byAddresses := map[string]int{} // subset in e
	for _, port := range ports {
		subset := byPort[endpointPortKey(port)]
		k := addressesKey(subset)
		i, exists := byAddresses[k]
		if !exists {
			i = len(e.Subsets)
			byAddresses[k] = i
			e.Subsets = append(e.Subsets, *subset)
		}
		if port.Port != 0 {
			e.Subsets[i].Ports = append(e.Subsets[i].Ports, port)
		}
	}
	return e
}

func endpointPortKey(port corev1.EndpointPort) string {
	protocol := ""
	if port.AppProtocol != nil {
		protocol = *port.AppProtocol
	}
	return fmt.Sprintf("%s/%d/%s/%s", port.Name, port.Port, port.Protocol, protocol)
}

func addressesKey(subset *corev1.EndpointSubset) string {
	var b strings.Builder
	for _, addresses := range [][]corev1.EndpointAddress{subset.Addresses, subset.NotReadyAddresses} {
		for _, address := range addresses {
			b.WriteString(address.IP + "=" + string(address.TargetRef.UID) + ",")
		}
		b.WriteByte(';')
	}
	return b.String()
}

// mirror makes slices of Endpoints that were written by hand.
func mirror(endpoints *corev1.Endpoints) []*discoveryv1.EndpointSlice {
	var made []*discoveryv1.EndpointSlice
	for _, subset := range endpoints.Subsets {
		byFamily := map[discoveryv1.AddressType]*discoveryv1.EndpointSlice{}
		add := func(address corev1.EndpointAddress, ready bool) {
			family := discoveryv1.AddressTypeIPv4
			if ip, err := netip.ParseAddr(address.IP); err == nil && ip.Is6() {
				family = discoveryv1.AddressTypeIPv6
			}
			slice := byFamily[family]
			if slice == nil || len(slice.Endpoints) == maxEndpointsPerSlice {
				slice = &discoveryv1.EndpointSlice{AddressType: family}
				slice.Labels = map[string]string{discoveryv1.LabelManagedBy: mirroringController}
				for i := range subset.Ports {
					p := &subset.Ports[i]
					slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &p.Name, Port: &p.Port, Protocol: &p.Protocol, AppProtocol: p.AppProtocol})
				}
				byFamily[family] = slice
				made = append(made, slice)
			}
			e := discoveryv1.Endpoint{Addresses: []string{address.IP}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}, TargetRef: address.TargetRef, NodeName: address.NodeName}
			if address.Hostname != "" {
				e.Hostname = &address.Hostname
			}
			slice.Endpoints = append(slice.Endpoints, e)
		}
		for _, address := range subset.Addresses {
			add(address, true)
		}
		for _, address := range subset.NotReadyAddresses {
			add(address, false)
		}
	}
	return made
}

// withoutAddresses returns Endpoints without the addresses of a pod, nil when the object is something else.
func withoutAddresses(o object, isPod func(*corev1.ObjectReference) bool) object {
	endpoints, isEndpoints := o.(*corev1.Endpoints)
	if !isEndpoints {
		return nil
	}
	gone := func(a corev1.EndpointAddress) bool { return isPod(a.TargetRef) }
	changed := endpoints.DeepCopy()
	for i := range changed.Subsets {
		subset := &changed.Subsets[i]
		subset.Addresses = slices.DeleteFunc(subset.Addresses, gone)
		subset.NotReadyAddresses = slices.DeleteFunc(subset.NotReadyAddresses, gone)
	}
	return changed
}
