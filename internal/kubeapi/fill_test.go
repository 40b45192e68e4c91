// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// TestPods: how many pods workloads get, their names and nodes.
func TestPods(t *testing.T) {
	const (
		nodes = "{apiVersion: v1, kind: Node, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Node, metadata: {name: b}}\n---\n"
		spec  = "template: {metadata: {labels: {app: x}}, spec: {containers: [{name: c, image: i}]}}"
	)
	pods := func(manifests string) string {
		t.Helper()
		var b strings.Builder
		for _, pod := range clusterOf(t, parse(t, nodes+manifests)).Pods() {
			fmt.Fprintf(&b, "%s on %s %s; ", pod.Name, pod.Spec.NodeName, pod.Status.Phase)
		}
		return b.String()
	}
	set := func(more string) string {
		return "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s}, spec: {" + more + spec + "}}"
	}
	job := func(more, status string) string {
		return "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {" + more + spec + "}, status: {" + status + "}}"
	}
	assert.Equal(t, "s-0 on a Running; s-1 on b Running; s-2 on a Running; ", pods(set("replicas: 3, ")))
	assert.Equal(t, "s-5 on a Running; s-6 on b Running; ", pods(set("replicas: 2, ordinals: {start: 5}, ")))
	assert.Equal(t, "s-0 on a Running; ", pods(set("")))
	assert.Empty(t, pods(set("replicas: 0, ")))
	assert.Empty(t, pods(set("replicas: -1, ")))
	assert.Regexp(t, `^d-\w{5} on a Running; d-\w{5} on b Running; $`, pods("{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: d}, spec: {"+spec+"}}"))
	assert.Regexp(t, `^j-\w{5} on a Running; $`, pods(job("", "")))
	assert.Regexp(t, `^(j-\w{5} on [ab] Running; ){2}$`, pods(job("parallelism: 3, completions: 2, ", "")))
	assert.Empty(t, pods(job("suspend: true, ", "")))
	assert.Regexp(t, `^j-\w{5} on a Succeeded; $`, pods(job("", `conditions: [{type: Complete, status: "True"}]`)))
	assert.Regexp(t, `^j-\w{5} on a Failed; $`, pods(job("", `conditions: [{type: Complete, status: "False"}, {type: Failed, status: "True"}]`)))
	assert.Regexp(t, `^x{58}\w{5} on a Running; $`, pods(strings.Replace(job("", ""), "name: j", "name: "+strings.Repeat("x", 63), 1)), "a generated name fits into a label")
}

func TestSlices(t *testing.T) {
	slices := func(manifests string) string {
		t.Helper()
		var b strings.Builder
		for _, slice := range all[*discoveryv1.EndpointSlice](clusterOf(t, parse(t, manifests)), "EndpointSlice") {
			for _, p := range slice.Ports {
				fmt.Fprintf(&b, "%d/%s ", *p.Port, *p.Protocol)
			}
			fmt.Fprintf(&b, "%s %d endpoints", slice.AddressType, len(slice.Endpoints))
			if len(slice.Endpoints) == 1 {
				e := slice.Endpoints[0]
				fmt.Fprintf(&b, " ready %t serving %t terminating %t", *e.Conditions.Ready, *e.Conditions.Serving, *e.Conditions.Terminating)
				if e.Zone != nil {
					b.WriteString(" in " + *e.Zone)
				}
			}
			b.WriteString("; ")
		}
		return b.String()
	}
	pod := func(metadata, ports, status string) string {
		return "{apiVersion: v1, kind: Pod, metadata: {labels: {app: x}, " + metadata + "}, spec: {containers: [{name: c, image: i, ports: [" + ports + "]}]}, status: {" + status + "}}\n---\n"
	}
	service := func(spec string) string {
		return "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {selector: {app: x}, " + spec + "}}\n---\n"
	}
	const node = "{apiVersion: v1, kind: Node, metadata: {name: node-a, labels: {topology.kubernetes.io/zone: z}}}\n---\n"

	assert.Equal(t, "53/UDP IPv4 1 endpoints ready true serving true terminating false; ",
		slices(pod("name: a", "{name: dns, containerPort: 54}, {name: dns, containerPort: 53, protocol: UDP}", "")+service("ports: [{port: 1, targetPort: dns, protocol: UDP}]")))
	assert.Equal(t, "80/TCP IPv4 1 endpoints ready false serving true terminating true; ",
		slices(pod("name: a, deletionTimestamp: 2026-01-01T00:00:00Z", "", "")+service("ports: [{port: 80}]")))
	assert.Equal(t, "80/TCP IPv4 1 endpoints ready true serving true terminating false in z; ", slices(node+pod("name: a", "", "")+service("ports: [{port: 80}]")))
	assert.Equal(t, "80/TCP IPv4 1 endpoints ready true serving true terminating false; 80/TCP IPv6 1 endpoints ready true serving true terminating false; ",
		slices(pod("name: a", "", "podIPs: [{ip: 192.0.2.1}, {ip: '2001:db8::1'}]")+service("ipFamilies: [IPv4, IPv6], ports: [{port: 80}]")))

	var many strings.Builder
	for i := range 101 {
		many.WriteString(pod(fmt.Sprintf("name: p%d", i), "", ""))
	}
	assert.Equal(t, "80/TCP IPv4 100 endpoints; 80/TCP IPv4 1 endpoints ready true serving true terminating false; ", slices(many.String()+service("ports: [{port: 80}]")))
}
