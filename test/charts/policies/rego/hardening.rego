# SPDX-License-Identifier: Apache-2.0

# What a container can do to the node when somebody else is in it.
package policies.hardening

import data.lib

# METADATA
# title: Containers are not privileged
# description: >-
#   A privileged container is root on the node.
# custom:
#   id: privileged
#   severity: high
#   remedy: >-
#     remove securityContext.privileged
deny contains lib.in_container(rego.metadata.rule(), pod, container, "privileged is set") if {
	some pod in lib.pods
	some container in lib.containers(pod)
	not lib.exempt(pod, container)
	container.securityContext.privileged
}

# METADATA
# title: Processes gain no privileges
# description: >-
#   A setuid file makes root of anybody. A privileged container is another rule's.
# custom:
#   id: privilege-escalation
#   severity: high
#   remedy: >-
#     set securityContext.allowPrivilegeEscalation: false on the container
deny contains lib.in_container(rego.metadata.rule(), pod, container, "allowPrivilegeEscalation is not false") if {
	some pod in lib.pods
	some container in lib.containers(pod)
	object.get(container, ["securityContext", "allowPrivilegeEscalation"], true)
	not container.securityContext.privileged
}

# METADATA
# title: Containers drop all capabilities
# description: >-
#   The default set allows more than a network service ever needs.
# custom:
#   id: capabilities-drop-all
#   severity: high
#   remedy: >-
#     set securityContext.capabilities.drop: [ALL]
deny contains lib.in_container(rego.metadata.rule(), pod, container, "capabilities are not dropped") if {
	some pod in lib.pods
	some container in lib.containers(pod)
	not lib.exempt(pod, container)
	not "ALL" in object.get(container, ["securityContext", "capabilities", "drop"], [])
}

# METADATA
# title: Containers add no capability but NET_BIND_SERVICE
# description: >-
#   Many capabilities are root by another name.
# custom:
#   id: capabilities-add
#   severity: high
#   remedy: >-
#     remove it from securityContext.capabilities.add
deny contains lib.in_container(rego.metadata.rule(), pod, container, sprintf("capability %s is added", [capability])) if {
	some pod in lib.pods
	some container in lib.containers(pod)
	some capability in container.securityContext.capabilities.add
	capability != "NET_BIND_SERVICE"
}

# METADATA
# title: Containers refuse to run as root
# description: >-
#   An image whose user is root is found out at the start.
# custom:
#   id: run-as-non-root
#   severity: high
#   remedy: >-
#     set securityContext.runAsNonRoot: true
deny contains lib.in_container(rego.metadata.rule(), pod, container, "runAsNonRoot is not true") if {
	some pod in lib.pods
	some container in lib.containers(pod)
	not lib.exempt(pod, container)
	not lib.setting(pod, container, "runAsNonRoot")
}

# METADATA
# title: Containers name a user other than root
# description: >-
#   An image may change its user, the pod may not.
# custom:
#   id: run-as-user
#   severity: high
#   remedy: >-
#     set securityContext.runAsUser to a number above 0
deny contains lib.in_container(rego.metadata.rule(), pod, container, "runAsUser is not set, or 0") if {
	some pod in lib.pods
	some container in lib.containers(pod)
	not lib.exempt(pod, container)
	not above_zero(pod, container, "runAsUser")
}

# METADATA
# title: Containers name a group other than root's
# description: >-
#   Files of the group root are open to it.
# custom:
#   id: run-as-group
#   severity: medium
#   remedy: >-
#     set securityContext.runAsGroup to a number above 0
deny contains lib.in_container(rego.metadata.rule(), pod, container, "runAsGroup is not set, or 0") if {
	some pod in lib.pods
	some container in lib.containers(pod)
	not lib.exempt(pod, container)
	not above_zero(pod, container, "runAsGroup")
}

# METADATA
# title: Volumes and pods do not belong to the group root
# description: >-
#   Files of the group root are open to it.
# custom:
#   id: fs-group
#   severity: medium
#   remedy: >-
#     use a number above 0 in fsGroup and supplementalGroups
deny contains lib.finding(rego.metadata.rule(), pod.resource, "", "fsGroup or supplementalGroups has 0") if {
	some pod in lib.pods
	context := pod.spec.securityContext
	0 in array.concat([object.get(context, "fsGroup", 1)], object.get(context, "supplementalGroups", []))
}

# METADATA
# title: Containers run under the runtime's seccomp profile
# description: >-
#   Most ways out of a container go through system calls that the profile forbids.
# custom:
#   id: seccomp
#   severity: high
#   remedy: >-
#     set securityContext.seccompProfile.type: RuntimeDefault
deny contains lib.in_container(rego.metadata.rule(), pod, container, "no seccomp profile") if {
	some pod in lib.pods
	some container in lib.containers(pod)
	not confined(pod, container)
}

# METADATA
# title: The root file system is read-only
# description: >-
#   What cannot be written cannot be replaced.
# custom:
#   id: read-only-root
#   severity: medium
#   remedy: >-
#     set securityContext.readOnlyRootFilesystem: true, and mount an emptyDir where something is written
deny contains lib.in_container(rego.metadata.rule(), pod, container, "readOnlyRootFilesystem is not true") if {
	some pod in lib.pods
	some container in lib.containers(pod)
	not lib.exempt(pod, container)
	not container.securityContext.readOnlyRootFilesystem
}

# METADATA
# title: /proc stays masked
# description: >-
#   An unmasked /proc shows and sets what is the node's.
# custom:
#   id: proc-mount
#   severity: high
#   remedy: >-
#     remove securityContext.procMount
deny contains lib.in_container(rego.metadata.rule(), pod, container, "procMount is not Default") if {
	some pod in lib.pods
	some container in lib.containers(pod)
	object.get(container, ["securityContext", "procMount"], "Default") != "Default"
}

above_zero(pod, container, field) if lib.setting(pod, container, field) > 0

confined(pod, container) if lib.setting(pod, container, "seccompProfile").type in {"RuntimeDefault", "Localhost"}
