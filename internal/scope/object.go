// SPDX-License-Identifier: Apache-2.0

package scope

import "strings"

// namespacedKinds are the kinds that kube-state-metrics writes a `namespace` label of their own for
// (kube-state-metrics docs/metrics, by resource).
var namespacedKinds = map[string]bool{
	"configmap": true, "cronjob": true, "daemonset": true, "deployment": true, "endpoint": true, "endpointslice": true,
	"horizontalpodautoscaler": true, "hpa": true, "ingress": true, "job": true, "lease": true, "limitrange": true,
	"networkpolicy": true, "persistentvolumeclaim": true, "pod": true, "poddisruptionbudget": true, "replicaset": true,
	"replicationcontroller": true, "resourcequota": true, "role": true, "rolebinding": true, "secret": true,
	"service": true, "serviceaccount": true, "statefulset": true,
}

// IsObjectMetric reports whether a metric speaks about a Kubernetes object and not about the target that exposes it: the
// kube_* metrics of kube-state-metrics, less the ones about itself.
func IsObjectMetric(name string) bool {
	return strings.HasPrefix(name, "kube_") && !strings.HasPrefix(name, "kube_state_metrics_")
}

// IsNamespacedObjectMetric reports whether an object metric is about a kind that lives in a namespace. Unknown kinds (custom
// resources) and cluster-scoped ones (nodes, namespaces, persistent volumes) are not.
func IsNamespacedObjectMetric(name string) bool {
	kind, _, found := strings.Cut(strings.TrimPrefix(name, "kube_"), "_")
	return found && namespacedKinds[kind]
}
