# SPDX-License-Identifier: Apache-2.0

# What tells objects apart, and whom they belong to.
package policies.labels

import data.lib
import data.policies.parameters

# METADATA
# title: Objects carry the recommended labels
# description: >-
#   Cost, ownership and clean-up go by labels.
# custom:
#   id: labels-required
#   severity: medium
#   remedy: >-
#     add it to metadata.labels
deny contains lib.finding(rego.metadata.rule(), resource, "", sprintf("label %s is missing", [label])) if {
	some resource in lib.objects
	some label in parameters.required_labels
	object.get(resource, ["metadata", "labels", label], "") == ""
}

# METADATA
# title: Pods carry the recommended labels
# description: >-
#   Pods are what is billed, watched and selected.
# custom:
#   id: labels-on-pods
#   severity: medium
#   remedy: >-
#     add it to the labels of the pod template
deny contains lib.finding(rego.metadata.rule(), pod.resource, "", sprintf("label %s is missing in the pod template", [label])) if {
	some pod in lib.pods
	pod.resource.kind != "Pod"
	some label in parameters.required_labels
	object.get(pod.labels, label, "") == ""
}

# METADATA
# title: Selectors hold nothing that an upgrade changes
# description: >-
#   Selectors and volumeClaimTemplates are immutable: with a version in them the next upgrade fails.
# custom:
#   id: labels-in-selectors
#   severity: high
#   remedy: >-
#     leave version and chart out of selectors and volumeClaimTemplates
deny contains lib.finding(rego.metadata.rule(), resource, "", sprintf("label %s is in what cannot be changed", [label])) if {
	some resource in lib.objects
	some label in changing
	some labels in immutable(resource)
	labels[label]
}

changing := {"app.kubernetes.io/version", "helm.sh/chart"}

immutable(resource) := array.concat(
	[labels | labels := resource.spec.selector.matchLabels],
	[labels | some claim in resource.spec.volumeClaimTemplates; labels := claim.metadata.labels],
) if resource.kind in {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"}
