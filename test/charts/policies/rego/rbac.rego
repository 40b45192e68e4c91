# SPDX-License-Identifier: Apache-2.0

# What a service account may do. A rule counts wherever it is: a ClusterRole is a Role for every namespace.
package policies.rbac

import data.lib

# METADATA
# title: Roles name their verbs
# description: >-
#   What is added to Kubernetes tomorrow is allowed today.
# custom:
#   id: rbac-wildcard-verbs
#   severity: high
#   remedy: >-
#     name the verbs
deny contains lib.finding(rego.metadata.rule(), resource, where, "every verb is allowed") if {
	some [resource, where, rule] in rules
	"*" in rule.verbs
}

# METADATA
# title: Roles name their resources
# description: >-
#   Every resource includes secrets, and what is installed tomorrow.
# custom:
#   id: rbac-wildcard-resources
#   severity: high
#   remedy: >-
#     name the resources
deny contains lib.finding(rego.metadata.rule(), resource, where, "every resource is allowed") if {
	some [resource, where, rule] in rules
	"*" in rule.resources
}

# METADATA
# title: Roles name their API groups
# description: >-
#   Every group includes those that are installed tomorrow.
# custom:
#   id: rbac-wildcard-groups
#   severity: high
#   remedy: >-
#     name the API groups
deny contains lib.finding(rego.metadata.rule(), resource, where, "every API group is allowed") if {
	some [resource, where, rule] in rules
	"*" in rule.apiGroups
}

# METADATA
# title: Nobody makes himself more than he is
# description: >-
#   With escalate, bind or impersonate a role is every role.
# custom:
#   id: rbac-escalation
#   severity: high
#   remedy: >-
#     remove the verb
deny contains lib.finding(rego.metadata.rule(), resource, where, sprintf("verb %s is allowed", [verb])) if {
	some [resource, where, rule] in rules
	some verb in rule.verbs
	verb in {"escalate", "bind", "impersonate"}
}

# METADATA
# title: Nobody reads secrets through the API
# description: >-
#   Not even by name: mount what is needed. To list is to read.
# custom:
#   id: rbac-secrets
#   severity: high
#   remedy: >-
#     remove get, list and watch on secrets
deny contains lib.finding(rego.metadata.rule(), resource, where, "secrets can be read") if {
	some [resource, where, rule] in rules
	some group in rule.apiGroups
	group in {"", "*"}
	some name in rule.resources
	name in {"secrets", "*"}
	some verb in rule.verbs
	verb in {"get", "list", "watch", "*"}
}

# METADATA
# title: Nobody talks to kubelets
# description: >-
#   nodes/proxy runs commands in every pod of the node.
# custom:
#   id: rbac-nodes-proxy
#   severity: high
#   remedy: >-
#     remove subresources of nodes
deny contains lib.finding(rego.metadata.rule(), resource, where, sprintf("%s is allowed", [name])) if {
	some [resource, where, rule] in rules
	some name in rule.resources
	startswith(name, "nodes/")
}

# METADATA
# title: Nobody enters pods
# description: >-
#   Who enters a pod is its service account.
# custom:
#   id: rbac-pods-exec
#   severity: high
#   remedy: >-
#     remove the subresource
deny contains lib.finding(rego.metadata.rule(), resource, where, sprintf("%s is allowed", [name])) if {
	some [resource, where, rule] in rules
	some name in rule.resources
	name in {"pods/*", "pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers"}
}

# METADATA
# title: Nobody mints tokens of service accounts
# description: >-
#   Who may ask for a token of an account is that account.
# custom:
#   id: rbac-token-request
#   severity: high
#   remedy: >-
#     remove serviceaccounts/token
deny contains lib.finding(rego.metadata.rule(), resource, where, "serviceaccounts/token is allowed") if {
	some [resource, where, rule] in rules
	some name in rule.resources
	name in {"serviceaccounts/token", "serviceaccounts/*"}
}

# METADATA
# title: Bindings refer to Roles
# description: >-
#   A ClusterRole is written by others, and grows without notice.
# custom:
#   id: rbac-binding-role
#   severity: high
#   remedy: >-
#     bind a Role of the same namespace
deny contains lib.finding(rego.metadata.rule(), resource, "", "roleRef is not a Role") if {
	some resource in lib.of_kind("RoleBinding")
	resource.roleRef.kind != "Role"
}

# METADATA
# title: Bindings are for one's own service accounts
# description: >-
#   A group, a user, the default account or another namespace is somebody else.
# custom:
#   id: rbac-binding-subjects
#   severity: high
#   remedy: >-
#     name a service account of the same namespace that is not default
deny contains lib.finding(rego.metadata.rule(), resource, "", sprintf("subject %s %s is somebody else", [subject.kind, subject.name])) if {
	some resource in lib.of_kind("RoleBinding")
	some subject in resource.subjects
	not own(resource, subject)
}

rules contains [resource, sprintf("rule %d", [index]), rule] if {
	some resource in lib.objects
	resource.kind in {"Role", "ClusterRole"}
	some index, rule in resource.rules
}

own(binding, subject) if {
	subject.kind == "ServiceAccount"
	subject.name != "default"
	subject.namespace == lib.namespace(binding)
}
