# SPDX-License-Identifier: Apache-2.0

# What a container may take from its neighbours.
package policies.resources

import data.lib
import data.policies.parameters

# METADATA
# title: Containers request CPU and memory
# description: >-
#   The scheduler can only keep free what was asked for.
# custom:
#   id: resources-requests
#   severity: medium
#   remedy: >-
#     set it under resources.requests
deny contains lib.in_container(rego.metadata.rule(), pod, container, sprintf("no request for %s", [resource])) if {
	some pod in lib.pods
	some container in lib.containers(pod)
	some resource in ["cpu", "memory"]
	not container.resources.requests[resource]
}

# METADATA
# title: Containers have a memory limit
# description: >-
#   Without it a leak in one container kills others. A CPU limit is not asked for: some forbid what others require.
# custom:
#   id: resources-limits
#   severity: medium
#   remedy: >-
#     set resources.limits.memory
deny contains lib.in_container(rego.metadata.rule(), pod, container, "no limit for memory") if {
	some pod in lib.pods
	some container in lib.containers(pod)
	not container.resources.limits.memory
}

# METADATA
# title: Containers request and limit ephemeral storage
# description: >-
#   What a container logs and writes fills the node's disk.
# custom:
#   id: resources-ephemeral-storage
#   severity: medium
#   remedy: >-
#     set ephemeral-storage under resources.requests and resources.limits
deny contains lib.in_container(rego.metadata.rule(), pod, container, sprintf("ephemeral-storage is not in resources.%s", [part])) if {
	some pod in lib.pods
	some container in lib.containers(pod)
	some part in ["requests", "limits"]
	not container.resources[part]["ephemeral-storage"]
}

# METADATA
# title: Memory limits stay near their requests
# description: >-
#   A node that is sold many times over evicts pods.
# custom:
#   id: resources-memory-ratio
#   severity: medium
#   remedy: >-
#     raise the request or lower the limit
deny contains lib.in_container(rego.metadata.rule(), pod, container, sprintf("the memory limit is more than %v times the request", [parameters.memory_ratio])) if {
	some pod in lib.pods
	some container in lib.containers(pod)
	limit := units.parse_bytes(container.resources.limits.memory)
	request := units.parse_bytes(container.resources.requests.memory)
	limit > request * parameters.memory_ratio
}
