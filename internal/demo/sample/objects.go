// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// objects is what kube-state-metrics says about the objects of a namespace, in its own label names.
type objects struct {
	namespace string
	started   time.Time
}

// newObjects describes the runner's objects. It also describes a few of the neighbour's, as a kube-state-metrics does
// that was given a ClusterRole by mistake.
func newObjects(namespace string) source {
	return &objects{namespace: namespace, started: time.Now()}
}

// Describe sends nothing: the series depend on the objects, so the collector is an unchecked one.
func (o *objects) Describe(chan<- *prometheus.Desc) {}

func (o *objects) advance(time.Duration) {}

// Collect sends the state of every object.
func (o *objects) Collect(ch chan<- prometheus.Metric) {
	for _, w := range []struct {
		name string
		pods []string
	}{
		{"agent-manager", []string{"7c9f5d-k2x8p", "7c9f5d-w4m1z"}},
		{"tool-manager", []string{"5d8b6c-3hq9t", "5d8b6c-9vx2k", "5d8b6c-p7d4n"}},
		{"workflow-engine", []string{"64f7b9-b8s5r"}},
		{SpoofingComponent, []string{"6b5c4d-z1n3v"}},
		{ExplodingComponent, []string{"0"}},
	} {
		o.deployment(ch, o.namespace, w.name, len(w.pods))
		for _, suffix := range w.pods {
			o.pod(ch, o.namespace, w.name, w.name+"-"+suffix)
		}
	}
	o.deployment(ch, NeighbourNamespace, NeighbourApp, 2)
	o.pod(ch, NeighbourNamespace, NeighbourApp, "checkout-8f6d5b-t9k4c")
	o.pod(ch, NeighbourNamespace, NeighbourApp, "checkout-8f6d5b-x2j7w")
}

func (o *objects) deployment(ch chan<- prometheus.Metric, namespace, name string, replicas int) {
	labels := prometheus.Labels{"namespace": namespace, "deployment": name}
	gauge(ch, "kube_deployment_spec_replicas", labels, float64(replicas))
	gauge(ch, "kube_deployment_status_replicas", labels, float64(replicas))
	gauge(ch, "kube_deployment_status_replicas_updated", labels, float64(replicas))
	gauge(ch, "kube_deployment_status_replicas_unavailable", labels, 0)
	gauge(ch, "kube_deployment_created", labels, float64(o.started.Unix()))
	gauge(ch, "kube_deployment_metadata_generation", labels, 3)
}

func (o *objects) pod(ch chan<- prometheus.Metric, namespace, component, name string) {
	labels := func(more ...string) prometheus.Labels {
		l := prometheus.Labels{"namespace": namespace, "pod": name}
		for i := 0; i < len(more); i += 2 {
			l[more[i]] = more[i+1]
		}
		return l
	}
	for _, phase := range []string{"Pending", "Running", "Succeeded", "Failed", "Unknown"} {
		gauge(ch, "kube_pod_status_phase", labels("phase", phase), truth(phase == "Running"))
	}
	for _, condition := range []string{"true", "false", "unknown"} {
		gauge(ch, "kube_pod_status_ready", labels("condition", condition), truth(condition == "true"))
	}
	gauge(ch, "kube_pod_info", labels("node", "aks-runner-0", "created_by_kind", "ReplicaSet"), 1)
	gauge(ch, "kube_pod_labels", labels("label_app_kubernetes_io_kubiya_runner_component", component), 1)
	gauge(ch, "kube_pod_container_info", labels("container", component, "image", "ghcr.io/kubiyabot/"+component), 1)
	gauge(ch, "kube_pod_container_resource_requests", labels("container", component, "resource", "cpu", "unit", "core"), 0.25)
	gauge(ch, "kube_pod_container_resource_limits", labels("container", component, "resource", "memory", "unit", "byte"), 512<<20)
	metric(ch, prometheus.CounterValue, "kube_pod_container_status_restarts_total", labels("container", component), 0)
	// The stage-1 scope lists none of the following.
	gauge(ch, "kube_pod_created", labels(), float64(o.started.Unix()))
	gauge(ch, "kube_pod_start_time", labels(), float64(o.started.Unix()))
	gauge(ch, "kube_pod_owner", labels("owner_kind", "ReplicaSet", "owner_name", component), 1)
	gauge(ch, "kube_pod_restart_policy", labels("type", "Always"), 1)
	gauge(ch, "kube_pod_tolerations", labels("key", "node.kubernetes.io/not-ready"), 1)
}

func gauge(ch chan<- prometheus.Metric, name string, labels prometheus.Labels, value float64) {
	metric(ch, prometheus.GaugeValue, name, labels, value)
}

func metric(ch chan<- prometheus.Metric, kind prometheus.ValueType, name string, labels prometheus.Labels, value float64) {
	ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, name, nil, labels), kind, value)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
