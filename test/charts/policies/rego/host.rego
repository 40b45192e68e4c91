# SPDX-License-Identifier: Apache-2.0

# What of the node a pod can see.
package policies.host

import data.lib

# METADATA
# title: Pods have a network of their own
# description: >-
#   On the node's network no NetworkPolicy holds.
# custom:
#   id: host-network
#   severity: high
#   remedy: >-
#     remove hostNetwork
deny contains lib.finding(rego.metadata.rule(), pod.resource, "", "hostNetwork is set") if {
	some pod in lib.pods
	pod.spec.hostNetwork
}

# METADATA
# title: Pods do not see the node's processes
# description: >-
#   Who sees processes sees their environment, and their memory.
# custom:
#   id: host-process-namespaces
#   severity: high
#   remedy: >-
#     remove hostPID and hostIPC
deny contains lib.finding(rego.metadata.rule(), pod.resource, "", sprintf("%s is set", [field])) if {
	some pod in lib.pods
	some field in ["hostPID", "hostIPC"]
	pod.spec[field]
}

# METADATA
# title: Containers take no ports of the node
# description: >-
#   A host port is open past every Service and policy.
# custom:
#   id: host-ports
#   severity: high
#   remedy: >-
#     remove hostPort
deny contains lib.in_container(rego.metadata.rule(), pod, container, sprintf("port %d has a hostPort", [port.containerPort])) if {
	some pod in lib.pods
	some container in lib.containers(pod)
	some port in container.ports
	object.get(port, "hostPort", 0) != 0
}

# METADATA
# title: Volumes are not folders of the node
# description: >-
#   A folder of the node is a way onto the node.
# custom:
#   id: host-path
#   severity: high
#   remedy: >-
#     use an emptyDir or a claim
deny contains lib.finding(rego.metadata.rule(), pod.resource, sprintf("volume %s", [volume.name]), "hostPath is used") if {
	some pod in lib.pods
	some volume in pod.spec.volumes
	volume.hostPath
}

# METADATA
# title: Volumes are of the types that Pod Security allows
# description: >-
#   Other types reach storage past the cluster's storage classes.
# custom:
#   id: volume-types
#   severity: medium
#   remedy: >-
#     use a configMap, secret, projected, downwardAPI, emptyDir, csi, ephemeral or persistentVolumeClaim volume
deny contains lib.finding(rego.metadata.rule(), pod.resource, sprintf("volume %s", [volume.name]), "its type is not allowed") if {
	some pod in lib.pods
	some volume in pod.spec.volumes
	count((object.keys(volume) - {"name", "hostPath"}) - allowed) > 0
}

# METADATA
# title: An emptyDir has a size
# description: >-
#   Without one it fills the node's disk.
# custom:
#   id: empty-dir-sized
#   severity: medium
#   remedy: >-
#     set emptyDir.sizeLimit
deny contains lib.finding(rego.metadata.rule(), pod.resource, sprintf("volume %s", [volume.name]), "emptyDir has no sizeLimit") if {
	some pod in lib.pods
	some volume in pod.spec.volumes
	volume.emptyDir
	not volume.emptyDir.sizeLimit
}

# METADATA
# title: Pods set no kernel parameters
# description: >-
#   Some of them are the node's.
# custom:
#   id: sysctls
#   severity: high
#   remedy: >-
#     remove securityContext.sysctls
deny contains lib.finding(rego.metadata.rule(), pod.resource, "", "sysctls are set") if {
	some pod in lib.pods
	count(pod.spec.securityContext.sysctls) > 0
}

allowed := {"configMap", "secret", "projected", "downwardAPI", "emptyDir", "csi", "ephemeral", "persistentVolumeClaim"}
