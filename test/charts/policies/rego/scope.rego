# SPDX-License-Identifier: Apache-2.0

# One namespace, and nothing outside of it.
package policies.scope

import data.lib

# METADATA
# title: Nothing is cluster-scoped
# description: >-
#   The runner lives in one namespace, and whoever installs it may be nothing but that namespace's admin.
# custom:
#   id: cluster-scope
#   severity: high
#   remedy: >-
#     do without it, or let the cluster's owner make it
deny contains lib.finding(rego.metadata.rule(), resource, "", "it belongs to the whole cluster") if {
	some resource in lib.objects
	cluster_scoped(resource)
}

# METADATA
# title: Objects name their namespace
# description: >-
#   What is rendered to a file is otherwise applied to whichever namespace is current.
# custom:
#   id: namespace-explicit
#   severity: low
#   remedy: >-
#     set metadata.namespace
deny contains lib.finding(rego.metadata.rule(), resource, "", "metadata.namespace is missing") if {
	some resource in lib.objects
	not cluster_scoped(resource)
	lib.namespace(resource) == ""
}

cluster_scoped(resource) if resource.kind in {
	"APIService",
	"CSIDriver",
	"ClusterRole",
	"ClusterRoleBinding",
	"CustomResourceDefinition",
	"IngressClass",
	"MutatingAdmissionPolicy",
	"MutatingAdmissionPolicyBinding",
	"MutatingWebhookConfiguration",
	"Namespace",
	"PersistentVolume",
	"PriorityClass",
	"RuntimeClass",
	"StorageClass",
	"ValidatingAdmissionPolicy",
	"ValidatingAdmissionPolicyBinding",
	"ValidatingWebhookConfiguration",
}
