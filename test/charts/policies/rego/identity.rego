# SPDX-License-Identifier: Apache-2.0

# Who a pod is to the API server.
package policies.identity

import data.lib

# METADATA
# title: Pods have a service account of their own
# description: >-
#   What is granted to the default account is granted to everybody.
# custom:
#   id: account-not-default
#   severity: medium
#   remedy: >-
#     set serviceAccountName
deny contains lib.finding(rego.metadata.rule(), pod.resource, "", "the default service account is used") if {
	some pod in lib.pods
	object.get(pod.spec, "serviceAccountName", "default") == "default"
}

# METADATA
# title: Service accounts do not mount their token
# description: >-
#   Whoever breaks into a pod is its service account.
# custom:
#   id: account-token-automount
#   severity: medium
#   remedy: >-
#     set automountServiceAccountToken: false on the account
deny contains lib.finding(rego.metadata.rule(), resource, "", "automountServiceAccountToken is not false") if {
	some resource in lib.of_kind("ServiceAccount")
	object.get(resource, "automountServiceAccountToken", true)
}

# METADATA
# title: Pods do not mount a token unasked
# description: >-
#   A token belongs only where the API is called, as a projected volume.
# custom:
#   id: pod-token-automount
#   severity: medium
#   remedy: >-
#     set automountServiceAccountToken: false in the pod's spec
deny contains lib.finding(rego.metadata.rule(), pod.resource, "", "automountServiceAccountToken is not false") if {
	some pod in lib.pods
	object.get(pod.spec, "automountServiceAccountToken", true)
}

# METADATA
# title: Projected tokens expire within two hours
# description: >-
#   A token that was copied should soon be worth nothing.
# custom:
#   id: token-lifetime
#   severity: low
#   remedy: >-
#     set expirationSeconds to at most 7200
deny contains lib.finding(rego.metadata.rule(), pod.resource, sprintf("volume %s", [volume.name]), "a token lives longer than two hours") if {
	some pod in lib.pods
	some volume in pod.spec.volumes
	some source in volume.projected.sources
	source.serviceAccountToken.expirationSeconds > 7200
}
