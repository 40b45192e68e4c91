// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"net/netip"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// maxOfKind is how many services and nodes a cluster can have: like pods, they need addresses.
const maxOfKind = 20_000

// filler fills in what a cluster would, into objects that were added and nobody else has yet.
type filler struct {
	*Cluster
	fresh    map[key]bool // what was added and may be changed
	owners   map[ownerKey]bool
	made     int // pods
	expanded int // bytes of those that workloads have got
	nodes    []*corev1.Node
	taken    map[string]bool // addresses
	next     int             // the node that the next pod goes to
}

func (c *Cluster) fill(added []key) error {
	f := filler{Cluster: c, fresh: make(map[key]bool, len(added))}
	for _, k := range added {
		f.fresh[k] = true
	}
	for _, kindName := range []string{"Service", "Node", "Pod"} {
		if n := len(c.keys(kindName)); n > maxOfKind {
			return fmt.Errorf("these are %d objects of kind %s: at most %d are taken; leave out what is not scraped", n, kindName, maxOfKind)
		}
	}
	f.made = len(c.keys("Pod"))
	f.takeAddresses()
	f.findOwners()
	if err := f.expand(added); err != nil {
		return err
	}
	f.addNodes()
	for _, pod := range freshOnes[*corev1.Pod](&f, "Pod") {
		f.pod(pod)
	}
	for _, service := range freshOnes[*corev1.Service](&f, "Service") {
		f.service(service)
	}
	f.addNamespaces()
	return nil
}

// freshOnes returns the objects of a kind that may be changed, in order.
func freshOnes[T object](f *filler, kindName string) []T {
	var objects []T
	for _, k := range f.keys(kindName) {
		if o, isT := f.entries[k].object.(T); isT && f.fresh[k] {
			objects = append(objects, o)
		}
	}
	return objects
}

// addNamespaces makes the namespaces that something is in, and the one of the runner.
func (f *filler) addNamespaces() {
	kind := kindNamed("Namespace")
	names := map[string]bool{f.options.Namespace: true}
	for k := range f.entries {
		names[k.namespace] = true
	}
	delete(names, "")
	for name := range names {
		if k := (key{kind: kind, name: name}); f.entries[k].object == nil {
			f.put(k, entry{object: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}})
			f.fresh[k] = true
		}
	}
	for _, namespace := range freshOnes[*corev1.Namespace](f, kind.name) {
		namespace.Labels = with(namespace.Labels, map[string]string{corev1.LabelMetadataName: namespace.Name})
		if namespace.Status.Phase == "" {
			namespace.Status.Phase = corev1.NamespaceActive
		}
	}
}

// addNodes makes the nodes that pods name, and one when there is none at all.
func (f *filler) addNodes() {
	const kindName = "Node"
	pods := f.Pods()
	for _, pod := range pods {
		if name := pod.Spec.NodeName; name != "" {
			f.addNode(name, pod.Status.HostIP)
		}
	}
	if len(f.keys(kindName)) == 0 {
		f.addNode("node-1", "")
	}
	for _, node := range freshOnes[*corev1.Node](f, kindName) {
		f.node(node)
	}
	f.nodes = all[*corev1.Node](f.Cluster, kindName)
}

func (f *filler) addNode(name, address string) {
	k := key{kind: kindNamed("Node"), name: name}
	if f.entries[k].object != nil {
		return
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if address != "" {
		node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}, {Type: corev1.NodeHostName, Address: name}}
	}
	f.put(k, entry{object: node})
	f.fresh[k] = true
}

// kubeletPort is where kubelets listen.
const kubeletPort = 10250

func (f *filler) node(node *corev1.Node) {
	if len(node.Status.Conditions) > 0 {
		return // a node of a real cluster, or one that has been filled in
	}
	node.Labels = with(map[string]string{corev1.LabelHostname: node.Name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64"}, node.Labels)
	if len(node.Status.Addresses) == 0 {
		node.Status.Addresses = []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: f.address("node/"+node.Name, netip.AddrFrom4([4]byte{10, 0, 0, 0}))},
			{Type: corev1.NodeHostName, Address: node.Name},
		}
	}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = kubeletPort
	node.Status.Conditions = []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse},
		{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse},
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue},
	}
}

func internalIP(node *corev1.Node) string {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return address.Address
		}
	}
	return ""
}

// pod gives a pod what its node, its kubelet and the network would give it. For one that has been filled in nothing is left to do.
func (f *filler) pod(pod *corev1.Pod) {
	portDefaults(&pod.Spec)
	status := &pod.Status
	if status.Phase == "" {
		status.Phase = corev1.PodRunning
	}
	running := status.Phase == corev1.PodRunning
	ended := status.Phase == corev1.PodSucceeded || status.Phase == corev1.PodFailed
	if !running && !ended {
		return
	}
	if pod.Spec.NodeName == "" {
		pod.Spec.NodeName = f.nodes[f.next%len(f.nodes)].Name
		f.next++
	}
	if status.HostIP == "" {
		node, _ := f.entries[key{kind: kindNamed("Node"), name: pod.Spec.NodeName}].object.(*corev1.Node) // made above
		status.HostIP = internalIP(node)
	}
	if len(status.HostIPs) == 0 && status.HostIP != "" {
		status.HostIPs = []corev1.HostIP{{IP: status.HostIP}}
	}
	if status.PodIP == "" && len(status.PodIPs) > 0 {
		status.PodIP = status.PodIPs[0].IP
	}
	if status.PodIP == "" && pod.Spec.HostNetwork {
		status.PodIP = status.HostIP
	}
	if status.PodIP == "" {
		status.PodIP = f.address("pod/"+pod.Namespace+"/"+pod.Name, netip.AddrFrom4([4]byte{10, 244, 0, 0}))
	}
	if len(status.PodIPs) == 0 {
		status.PodIPs = []corev1.PodIP{{IP: status.PodIP}}
	}
	if len(status.Conditions) == 0 {
		status.Conditions = podConditions(running)
	}
	if len(status.ContainerStatuses) == 0 {
		for _, c := range pod.Spec.Containers {
			status.ContainerStatuses = append(status.ContainerStatuses, containerStatus(pod, c, running))
		}
	}
	if len(status.InitContainerStatuses) == 0 {
		for _, c := range pod.Spec.InitContainers {
			sidecar := c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
			status.InitContainerStatuses = append(status.InitContainerStatuses, containerStatus(pod, c, running && sidecar))
		}
	}
}

func portDefaults(spec *corev1.PodSpec) {
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			for j := range containers[i].Ports {
				port := &containers[i].Ports[j]
				if port.Protocol == "" {
					port.Protocol = corev1.ProtocolTCP
				}
			}
		}
	}
}

func podConditions(running bool) []corev1.PodCondition {
	ready, reason := corev1.ConditionTrue, ""
	if !running {
		ready, reason = corev1.ConditionFalse, "PodCompleted"
	}
	return []corev1.PodCondition{
		{Type: corev1.PodInitialized, Status: corev1.ConditionTrue, Reason: reason},
		{Type: corev1.PodReady, Status: ready, Reason: reason},
		{Type: corev1.ContainersReady, Status: ready, Reason: reason},
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
	}
}

func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func containerStatus(pod *corev1.Pod, container corev1.Container, running bool) corev1.ContainerStatus {
	id := sha256.Sum256([]byte(string(pod.UID) + "/" + container.Name))
	status := corev1.ContainerStatus{
		Name: container.Name, Image: container.Image, ContainerID: "containerd://" + hex.EncodeToString(id[:]),
		Ready: running && podReady(pod), Started: &running,
	}
	if running {
		status.State.Running = &corev1.ContainerStateRunning{}
	} else {
		status.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed"}
	}
	return status
}

func (f *filler) service(service *corev1.Service) {
	spec := &service.Spec
	if spec.Type == "" {
		spec.Type = corev1.ServiceTypeClusterIP
	}
	for i := range spec.Ports {
		port := &spec.Ports[i]
		if port.Protocol == "" {
			port.Protocol = corev1.ProtocolTCP
		}
		if (port.TargetPort == intstr.IntOrString{}) {
			port.TargetPort = intstr.FromInt32(port.Port)
		}
	}
	if spec.Type == corev1.ServiceTypeExternalName {
		return
	}
	if spec.ClusterIP == "" {
		spec.ClusterIP = f.address("service/"+service.Namespace+"/"+service.Name, netip.AddrFrom4([4]byte{10, 96, 0, 0}))
	}
	if len(spec.ClusterIPs) == 0 {
		spec.ClusterIPs = []string{spec.ClusterIP}
	}
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
		if ip, err := netip.ParseAddr(spec.ClusterIP); err == nil && ip.Is6() {
			spec.IPFamilies[0] = corev1.IPv6Protocol
		}
	}
}

// takeAddresses makes sure that no address of the manifests is given a second time.
func (f *filler) takeAddresses() {
	f.taken = map[string]bool{}
	for _, pod := range f.Pods() {
		f.taken[pod.Status.PodIP] = true
		f.taken[pod.Status.HostIP] = true
	}
	for _, service := range all[*corev1.Service](f.Cluster, "Service") {
		f.taken[service.Spec.ClusterIP] = true
	}
	for _, node := range all[*corev1.Node](f.Cluster, "Node") {
		for _, address := range node.Status.Addresses {
			f.taken[address.Address] = true
		}
	}
}

// address gives an address of the /16 net, by the hash of what it is for, so that it stays when others come and go. It has three
// times as many as maxOfKind.
func (f *filler) address(of string, net netip.Addr) string {
	const nets, hosts = 256, 254 // neither .0 nor .255
	h := fnv.New32a()
	_, _ = h.Write([]byte(of)) // never fails
	base := net.As4()
	for n := h.Sum32(); ; n++ {
		base[2], base[3] = byte(n/hosts%nets), byte(n%hosts+1)
		if address := netip.AddrFrom4(base).String(); !f.taken[address] {
			f.taken[address] = true
			return address
		}
	}
}

// jobPhase is the phase that pods of a job have.
func jobPhase(job *batchv1.Job) corev1.PodPhase {
	for _, condition := range job.Status.Conditions {
		switch {
		case condition.Status != corev1.ConditionTrue:
		case condition.Type == batchv1.JobComplete:
			return corev1.PodSucceeded
		case condition.Type == batchv1.JobFailed:
			return corev1.PodFailed
		}
	}
	return corev1.PodRunning
}
