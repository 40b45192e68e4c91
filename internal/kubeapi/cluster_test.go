// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func parse(t *testing.T, text string) []Object {
	t.Helper()
	objects, err := Parse("f.yaml", []byte(text))
	require.NoError(t, err)
	return objects
}

// podNames lists pods with their addresses.
func podNames(c *Cluster) []string {
	var names []string
	for _, pod := range c.Pods() {
		names = append(names, pod.Name+" "+pod.Status.PodIP)
	}
	return names
}

// endpointsIn lists the pods behind a service.
func endpointsIn(c *Cluster, service string) []string {
	var pods []string
	for _, slice := range all[*discoveryv1.EndpointSlice](c, "EndpointSlice") {
		for _, e := range slice.Endpoints {
			if slice.Labels[discoveryv1.LabelServiceName] == service {
				pods = append(pods, e.TargetRef.Name)
			}
		}
	}
	return pods
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: tool-manager}
spec:
  replicas: 3
  selector: {matchLabels: {app: tool-manager}}
  template:
    metadata: {labels: {app: tool-manager}}
    spec: {containers: [{name: main, image: "image:1", ports: [{containerPort: 3001}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: tool-manager}
spec: {selector: {app: tool-manager}, ports: [{port: 3001}]}
`

func TestWithout(t *testing.T) {
	cluster := clusterOf(t, parse(t, deployment))
	before := podNames(cluster)
	require.Len(t, before, 3)
	first := cluster.Pods()[0].Name

	less, err := cluster.Without("pod/" + first)
	require.NoError(t, err)
	assert.Equal(t, before[1:], podNames(less), "the others stay as they are")
	assert.Len(t, endpointsIn(less, "tool-manager"), 2)
	assert.Equal(t, before, podNames(cluster), "a cluster never changes")
	assert.Len(t, endpointsIn(cluster, "tool-manager"), 3)

	more, err := less.With(parse(t, "{apiVersion: v1, kind: Pod, metadata: {name: late, labels: {app: tool-manager}}, spec: {containers: [{name: c, image: i}]}}"))
	require.NoError(t, err)
	require.Len(t, more.Pods(), 3, "a pod that was deleted does not come back")
	assert.Equal(t, "late", more.Pods()[0].Name)
	assert.Equal(t, before[1:], podNames(more)[1:])
	assert.Contains(t, endpointsIn(more, "tool-manager"), "late")

	none, err := more.Without("deployment/tool-manager")
	require.NoError(t, err)
	assert.Len(t, none.Pods(), 1, "a pod of nobody stays")
	assert.Empty(t, all[*appsv1.ReplicaSet](none, "ReplicaSet"))

	none, err = more.Without("pods/runner/*")
	require.NoError(t, err)
	assert.Empty(t, none.Pods())
	assert.Empty(t, endpointsIn(none, "tool-manager"))

	none, err = more.Without("service/tool-manager")
	require.NoError(t, err)
	assert.Empty(t, all[*discoveryv1.EndpointSlice](none, "EndpointSlice"))

	none, err = more.Without("namespace/runner")
	require.NoError(t, err)
	assert.Empty(t, none.Pods())

	for name, message := range map[string]string{
		"pod/nobody":  `there is no pod/nobody in namespace "runner": there are pod/runner/`,
		"nobody":      `"nobody" is no name of an object: use one such as pod/tool-manager-0 or pod/NAMESPACE/NAME`,
		"thing/x":     `"thing/x": there is no kind "thing" here: use pod, service or deployment, for example`,
		"pod/[":       `"pod/[": syntax error in pattern`,
		"cronjob/x":   `there is no cronjob/x in namespace "runner": there are none`,
		"pod/other/*": `there is no pod/other/* in namespace "other": there are pod/runner/`,
	} {
		_, err := cluster.Without(name)
		assert.ErrorContains(t, err, message)
	}
}

// TestWithoutGiven: a pod that was recorded with its slices is taken out of them, and only out of them.
func TestWithoutGiven(t *testing.T) {
	cluster := clusterOf(t, parse(t, `
{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Running, podIP: 192.0.2.1}}
---
{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {selector: {app: x}}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s-1, labels: {kubernetes.io/service-name: s}}, addressType: IPv4,
 endpoints: [{addresses: [192.0.2.1], targetRef: {kind: Pod, name: a}}, {addresses: [192.0.2.2], targetRef: {kind: Pod, name: b}}]}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: s}, subsets: [{addresses: [{ip: 192.0.2.1, targetRef: {kind: Pod, name: a}}]}]}
`))
	assert.Equal(t, []string{"a", "b"}, endpointsIn(cluster, "s"))
	less, err := cluster.Without("pod/a")
	require.NoError(t, err)
	assert.Equal(t, []string{"b"}, endpointsIn(less, "s"))
	assert.Equal(t, []string{"a", "b"}, endpointsIn(cluster, "s"))
}

// TestReplace: with another template a Deployment gets other pods, with another number of replicas the same ones and more.
func TestReplace(t *testing.T) {
	cluster := clusterOf(t, parse(t, deployment))
	scaled, err := cluster.With(parse(t, strings.Replace(deployment, "replicas: 3", "replicas: 5", 1)))
	require.NoError(t, err)
	require.Len(t, scaled.Pods(), 5)
	for _, pod := range podNames(cluster) {
		assert.Contains(t, podNames(scaled), pod)
	}
	rolled, err := cluster.With(parse(t, strings.Replace(deployment, "image:1", "image:2", 1)))
	require.NoError(t, err)
	require.Len(t, rolled.Pods(), 3)
	for _, pod := range podNames(rolled) {
		assert.NotContains(t, podNames(cluster), pod)
	}
	assert.Len(t, endpointsIn(rolled, "tool-manager"), 3)
}

// TestGivenPods: the pods of `kubectl get` are the ones, whatever their workload would make.
func TestGivenPods(t *testing.T) {
	cluster := clusterOf(t, parse(t, deployment+`
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: tool-manager-abc, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: tool-manager, uid: "1", controller: true}]}
spec: {replicas: 3, selector: {matchLabels: {app: tool-manager}}, template: {metadata: {labels: {app: tool-manager}}}}
---
apiVersion: v1
kind: Pod
metadata: {name: tool-manager-abc-12345, labels: {app: tool-manager}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: tool-manager-abc, uid: "2", controller: true}]}
spec: {nodeName: worker-7, containers: [{name: main, image: i}]}
status: {phase: Running, podIP: 192.0.2.7, hostIP: 192.0.2.1, conditions: [{type: Ready, status: "False"}]}
`))
	assert.Equal(t, []string{"tool-manager-abc-12345 192.0.2.7"}, podNames(cluster))
	node := cluster.entries[key{kind: kindNamed("Node"), name: "worker-7"}]
	require.NotNil(t, node.object, "the node that the pod names")
	assert.Len(t, cluster.keys("Node"), 1)
}

// TestReplaceGiven: with a workload of `kubectl get` its pods are there again, in any order; and a service keeps its slices.
func TestReplaceGiven(t *testing.T) {
	const pod = `
apiVersion: v1
kind: Pod
metadata: {name: set-0, labels: {app: s}, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: set, uid: "1", controller: true}]}
status: {phase: Running, podIP: 192.0.2.7}
`
	const set = `
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: set}
spec: {replicas: 3, selector: {matchLabels: {app: s}}, template: {metadata: {labels: {app: s}}}}
---
apiVersion: v1
kind: Service
metadata: {name: s}
spec: {selector: {app: s}, ports: [{port: 80}]}
`
	const slice = `
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s-1, labels: {kubernetes.io/service-name: s}, ownerReferences: [{apiVersion: v1, kind: Service, name: s, uid: "1", controller: true}]}
addressType: IPv4
endpoints: [{addresses: [192.0.2.9], targetRef: {kind: Pod, name: other}}]
`
	cluster := clusterOf(t, parse(t, pod+set+slice))
	again, err := cluster.With(parse(t, pod+set))
	require.NoError(t, err)
	assert.Equal(t, []string{"set-0 192.0.2.7"}, podNames(again))
	assert.Equal(t, []string{"other"}, endpointsIn(again, "s"))
}

// TestAddresses: none is given twice, and none that a manifest has.
func TestAddresses(t *testing.T) {
	manifests := func(more string) []Object {
		var b strings.Builder
		for i := range 2000 {
			fmt.Fprintf(&b, "---\n{apiVersion: v1, kind: Pod, metadata: {name: p%d}, spec: {containers: []}}\n", i)
		}
		return parse(t, b.String()+more)
	}
	cluster := clusterOf(t, manifests(""))
	seen := map[string]string{}
	for _, pod := range cluster.Pods() {
		assert.Regexp(t, `^10\.244\.\d+\.\d+$`, pod.Status.PodIP)
		assert.Empty(t, seen[pod.Status.PodIP])
		seen[pod.Status.PodIP] = pod.Name
	}
	taken := cluster.Pods()[0].Status.PodIP
	cluster = clusterOf(t, manifests("---\n{apiVersion: v1, kind: Pod, metadata: {name: first}, status: {podIP: "+taken+"}}\n"))
	count := 0
	for _, pod := range cluster.Pods() {
		if pod.Status.PodIP == taken {
			count++
		}
	}
	assert.Equal(t, 1, count)
}

func TestLimits(t *testing.T) {
	fails := func(message, manifests string) {
		t.Helper()
		_, err := NewCluster(parse(t, manifests), Options{})
		assert.ErrorContains(t, err, message)
	}
	fails("replicaset/default/tool-manager-", strings.Replace(deployment, "replicas: 3", "replicas: 2000000000", 1))
	fails("would make it more than 20000 pods", strings.Replace(deployment, "replicas: 3", "replicas: 2000000000", 1))
	fails("with 9000 replicas of 97 KiB would make more than 256 MiB", strings.NewReplacer("replicas: 3", "replicas: 9000", "image:1", strings.Repeat("i", 100_000)).Replace(deployment))

	var b strings.Builder
	b.WriteString(strings.Replace(deployment, "replicas: 3", "replicas: 10000", 1))
	for i := range 30 {
		fmt.Fprintf(&b, "---\n{apiVersion: v1, kind: Service, metadata: {name: s%d}, spec: {selector: {app: tool-manager}, ports: [{port: 80}]}}\n", i)
	}
	fails("the services select more than 200000 ports of pods in all", b.String())

	b.Reset()
	for i := range 20_001 {
		fmt.Fprintf(&b, "---\n{apiVersion: v1, kind: Service, metadata: {name: s%d}}\n", i)
	}
	fails("these are 20001 objects of kind Service: at most 20000 are taken", b.String())
}

// TestConcurrent: clusters share objects, and cases that run side by side share clusters. (For the race detector.)
func TestConcurrent(t *testing.T) {
	objects := parseFile(t, "runner.yaml")
	base := clusterOf(t, objects)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			cluster := clusterOf(t, objects)
			assert.Equal(t, podNames(base), podNames(cluster))
			more, err := base.With(parse(t, deployment))
			assert.NoError(t, err)
			_, err = more.Without("pod/dagger-0", "deployment/tool-manager")
			assert.NoError(t, err)
		})
	}
	wg.Wait()
}
