# SPDX-License-Identifier: Apache-2.0

# Who can reach what.
package policies.network

import data.lib

# METADATA
# title: Services are not of type NodePort
# description: >-
#   A node port is open on every node, past every ingress.
# custom:
#   id: service-node-port
#   severity: high
#   remedy: >-
#     use type ClusterIP
deny contains lib.finding(rego.metadata.rule(), resource, "", "type is NodePort") if {
	some resource in lib.of_kind("Service")
	resource.spec.type == "NodePort"
}

# METADATA
# title: Services are not of type LoadBalancer
# description: >-
#   It puts the runner on the internet, and costs money.
# custom:
#   id: service-load-balancer
#   severity: high
#   remedy: >-
#     use type ClusterIP
deny contains lib.finding(rego.metadata.rule(), resource, "", "type is LoadBalancer") if {
	some resource in lib.of_kind("Service")
	resource.spec.type == "LoadBalancer"
}

# METADATA
# title: Services are not of type ExternalName
# description: >-
#   It sends what trusts the cluster's names anywhere.
# custom:
#   id: service-external-name
#   severity: high
#   remedy: >-
#     use the outside name itself
deny contains lib.finding(rego.metadata.rule(), resource, "", "type is ExternalName") if {
	some resource in lib.of_kind("Service")
	resource.spec.type == "ExternalName"
}

# METADATA
# title: Services claim no external addresses
# description: >-
#   Whoever may claim an address may take another's traffic (CVE-2020-8554).
# custom:
#   id: service-external-ips
#   severity: high
#   remedy: >-
#     remove spec.externalIPs
deny contains lib.finding(rego.metadata.rule(), resource, "", "spec.externalIPs is set") if {
	some resource in lib.of_kind("Service")
	count(resource.spec.externalIPs) > 0
}

# METADATA
# title: Services of a namespace select different pods
# description: >-
#   Two names for the same pods are two ways past one policy.
# custom:
#   id: service-selector-unique
#   severity: low
#   remedy: >-
#     merge the Services, or select different pods
deny contains lib.finding(rego.metadata.rule(), resource, "", sprintf("its selector is also that of %s", [other.metadata.name])) if {
	some resource in lib.of_kind("Service")
	some other in lib.of_kind("Service")
	other.metadata.name != resource.metadata.name
	lib.namespace(other) == lib.namespace(resource)
	count(resource.spec.selector) > 0
	other.spec.selector == resource.spec.selector
}

# METADATA
# title: Ingresses encrypt every host
# description: >-
#   What is sent without TLS is read on the way.
# custom:
#   id: ingress-tls
#   severity: high
#   remedy: >-
#     list the host under spec.tls
deny contains lib.finding(rego.metadata.rule(), resource, "", sprintf("host %q is served without TLS", [host])) if {
	some resource in lib.of_kind("Ingress")
	some rule in resource.spec.rules
	host := object.get(rule, "host", "")
	not host in {name | some entry in resource.spec.tls; some name in entry.hosts}
}

# METADATA
# title: Ingresses name their hosts
# description: >-
#   A wildcard takes traffic of others.
# custom:
#   id: ingress-wildcard-host
#   severity: medium
#   remedy: >-
#     name every host
deny contains lib.finding(rego.metadata.rule(), resource, "", "a host is a wildcard") if {
	some resource in lib.of_kind("Ingress")
	some rule in resource.spec.rules
	startswith(object.get(rule, "host", "*"), "*")
}

# METADATA
# title: Every pod is under a NetworkPolicy
# description: >-
#   Without one a pod may talk to everything and be talked to by all.
# custom:
#   id: network-policy-present
#   severity: high
#   remedy: >-
#     add a NetworkPolicy whose podSelector takes the pod
deny contains lib.finding(rego.metadata.rule(), pod.resource, "", "no NetworkPolicy selects it") if {
	some pod in lib.pods
	not covered(pod)
}

# METADATA
# title: NetworkPolicies govern both directions
# description: >-
#   A policy of one direction leaves the other open.
# custom:
#   id: network-policy-directions
#   severity: medium
#   remedy: >-
#     name Ingress and Egress in spec.policyTypes
deny contains lib.finding(rego.metadata.rule(), resource, "", sprintf("%s is not in policyTypes", [direction])) if {
	some resource in lib.of_kind("NetworkPolicy")
	some direction in ["Ingress", "Egress"]
	not direction in object.get(resource, ["spec", "policyTypes"], [])
}

# METADATA
# title: Rules of NetworkPolicies name ports, except among the pods of the namespace
# description: >-
#   A rule without ports opens all of them. Who scrapes its neighbours does not know their ports beforehand.
# custom:
#   id: network-policy-open
#   severity: high
#   remedy: >-
#     name the ports
deny contains lib.finding(rego.metadata.rule(), resource, sprintf("%s rule %d", [direction, index]), "a rule opens every port beyond the namespace") if {
	some resource in lib.of_kind("NetworkPolicy")
	some direction, peers in {"ingress": "from", "egress": "to"}
	some index, rule in resource.spec[direction]
	count(object.get(rule, "ports", [])) == 0
	not stays_inside(object.get(rule, peers, []))
}

# METADATA
# title: Pods do not rewrite names
# description: >-
#   An entry in /etc/hosts goes past DNS and whoever watches it.
# custom:
#   id: host-aliases
#   severity: low
#   remedy: >-
#     remove hostAliases
deny contains lib.finding(rego.metadata.rule(), pod.resource, "", "hostAliases is set") if {
	some pod in lib.pods
	count(pod.spec.hostAliases) > 0
}

covered(pod) if {
	some policy in lib.of_kind("NetworkPolicy")
	lib.namespace(policy) == lib.namespace(pod.resource)
	lib.selects(policy.spec.podSelector, pod.labels)
}

# No peers are all peers.
stays_inside(peers) if {
	count(peers) > 0
	every peer in peers {
		object.keys(peer) == {"podSelector"}
	}
}
