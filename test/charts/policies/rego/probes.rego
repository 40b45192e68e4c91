# SPDX-License-Identifier: Apache-2.0

# Whether Kubernetes knows how a container is.
package policies.probes

import data.lib

# METADATA
# title: Containers have a readiness probe
# description: >-
#   Without it a container is sent requests before it can answer.
# custom:
#   id: probe-readiness
#   severity: medium
#   remedy: >-
#     set readinessProbe
deny contains lib.in_container(rego.metadata.rule(), pod, container, "readinessProbe is missing") if {
	some pod in lib.pods
	some container in lib.servers(pod)
	not container.readinessProbe
}

# METADATA
# title: Containers have a liveness probe
# description: >-
#   Without it a container that hangs hangs forever.
# custom:
#   id: probe-liveness
#   severity: medium
#   remedy: >-
#     set livenessProbe
deny contains lib.in_container(rego.metadata.rule(), pod, container, "livenessProbe is missing") if {
	some pod in lib.pods
	some container in lib.servers(pod)
	not container.livenessProbe
}

# METADATA
# title: Liveness and readiness are different
# description: >-
#   Where they are the same, a container that only should wait is killed.
# custom:
#   id: probes-different
#   severity: medium
#   remedy: >-
#     make the liveness probe more patient, or ask another path
deny contains lib.in_container(rego.metadata.rule(), pod, container, "livenessProbe and readinessProbe are the same") if {
	some pod in lib.pods
	some container in lib.servers(pod)
	container.livenessProbe == container.readinessProbe
}

# METADATA
# title: Probes and hooks name no host
# description: >-
#   With a host, the kubelet sends requests to wherever the pod's author likes.
# custom:
#   id: probe-host
#   severity: medium
#   remedy: >-
#     remove host from it
deny contains lib.in_container(rego.metadata.rule(), pod, container, sprintf("%s names a host", [part])) if {
	some pod in lib.pods
	some container in lib.containers(pod)
	some part in ["readinessProbe", "livenessProbe", "startupProbe", "lifecycle"]
	walk(container[part], [path, _])
	path[count(path) - 1] == "host"
}

# METADATA
# title: Container ports have names
# description: >-
#   Services, probes and policies that go by name survive a change of the number.
# custom:
#   id: container-ports-named
#   severity: low
#   remedy: >-
#     set name at the port
deny contains lib.in_container(rego.metadata.rule(), pod, container, sprintf("port %d has no name", [port.containerPort])) if {
	some pod in lib.pods
	some container in lib.containers(pod)
	some port in container.ports
	not port.name
}
