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
# title: Pods set only kernel parameters of their own
# description: >-
#   Most are the node's. Those that Pod Security allows are the pod's, as the first port that needs no privilege.
# custom:
#   id: sysctls
#   severity: high
#   remedy: >-
#     remove it from securityContext.sysctls
deny contains lib.finding(rego.metadata.rule(), pod.resource, "", sprintf("the sysctl %s is set", [sysctl.name])) if {
	some pod in lib.pods
	some sysctl in pod.spec.securityContext.sysctls
	not sysctl.name in safe_sysctls
}

safe_sysctls := {
	"kernel.shm_rmid_forced",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.ip_local_reserved_ports",
	"net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ping_group_range",
	"net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes",
	"net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_syncookies",
}

allowed := {"configMap", "secret", "projected", "downwardAPI", "emptyDir", "csi", "ephemeral", "persistentVolumeClaim"}
