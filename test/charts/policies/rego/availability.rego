# SPDX-License-Identifier: Apache-2.0

# What happens when a node is drained or lost.
package policies.availability

import data.lib
import data.policies.parameters

# METADATA
# title: PodDisruptionBudgets allow an eviction
# description: >-
#   A budget of nothing stops every drain, and with it every upgrade of nodes.
# custom:
#   id: pdb-blocks-eviction
#   severity: high
#   remedy: >-
#     allow at least one pod to be unavailable
deny contains lib.finding(rego.metadata.rule(), resource, "", "it never allows an eviction") if {
	some resource in lib.of_kind("PodDisruptionBudget")
	blocks(resource.spec)
}

# METADATA
# title: PodDisruptionBudgets ask for less than there is
# description: >-
#   With as many pods demanded as there are, no node can be drained.
# custom:
#   id: pdb-below-replicas
#   severity: high
#   remedy: >-
#     set minAvailable below the replicas, or render no budget for one replica
deny contains lib.finding(rego.metadata.rule(), resource, "", sprintf("minAvailable is all that %s %s has", [workload.kind, workload.metadata.name])) if {
	some resource in lib.of_kind("PodDisruptionBudget")
	some workload in lib.objects
	workload.kind in {"Deployment", "StatefulSet", "ReplicaSet"}
	lib.namespace(workload) == lib.namespace(resource)
	lib.selects(resource.spec.selector, workload.spec.template.metadata.labels)
	is_number(resource.spec.minAvailable)
	resource.spec.minAvailable >= object.get(workload, ["spec", "replicas"], 1)
}

# METADATA
# title: Workloads of several replicas are spread
# description: >-
#   Replicas on one node fail together.
# custom:
#   id: topology-spread
#   severity: medium
#   remedy: >-
#     set topologySpreadConstraints
deny contains lib.finding(rego.metadata.rule(), pod.resource, "", sprintf("%d replicas without topologySpreadConstraints", [pod.resource.spec.replicas])) if {
	some pod in lib.pods
	pod.resource.kind in {"Deployment", "StatefulSet", "ReplicaSet"}
	pod.resource.spec.replicas >= parameters.spread_from
	count(object.get(pod.spec, "topologySpreadConstraints", [])) == 0
}

# METADATA
# title: Pods keep off the control plane
# description: >-
#   The control plane's nodes hold the cluster's secrets.
# custom:
#   id: tolerations-control-plane
#   severity: medium
#   remedy: >-
#     remove the toleration
deny contains lib.finding(rego.metadata.rule(), pod.resource, "", "a toleration admits the control plane's taint") if {
	some pod in lib.pods
	some toleration in pod.spec.tolerations
	tolerates_control_plane(toleration)
}

blocks(budget) if budget.maxUnavailable in {0, "0", "0%"}

blocks(budget) if budget.minAvailable == "100%"

tolerates_control_plane(toleration) if {
	toleration.key in {"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"}
}

# A toleration without a key tolerates everything.
tolerates_control_plane(toleration) if object.get(toleration, "key", "") == ""
