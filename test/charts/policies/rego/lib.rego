# SPDX-License-Identifier: Apache-2.0

# What the rules share: the objects of a rendering, the pods in them, and the shape of a finding.
package lib

# The objects of the rendering. An empty document is none.
objects contains entry.contents if {
	some entry in input
	entry.contents.kind
}

of_kind(kind) := {resource | some resource in objects; resource.kind == kind}

# The pods of the rendering, as they are and as templates of workloads.
pods contains pod if {
	some resource in objects
	template := pod_template(resource)
	pod := {"resource": resource, "spec": template.spec, "labels": object.get(template, ["metadata", "labels"], {})}
}

pod_template(resource) := resource if resource.kind == "Pod"

pod_template(resource) := resource.spec.template if {
	resource.kind in {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"}
}

pod_template(resource) := resource.spec.jobTemplate.spec.template if resource.kind == "CronJob"

containers(pod) := [container |
	some list in ["containers", "initContainers", "ephemeralContainers"]
	some container in pod.spec[list]
]

# The containers that run as long as the pod does: init containers and pods that end are not asked whether they are ready.
servers(pod) := array.concat(
	[container | not ends(pod); some container in pod.spec.containers],
	[container | some container in pod.spec.initContainers; container.restartPolicy == "Always"],
)

ends(pod) if pod.spec.restartPolicy in {"OnFailure", "Never"}

# A security setting of a container, which is its own or its pod's.
setting(pod, container, field) := value if {
	value := container.securityContext[field]
} else := pod.spec.securityContext[field]

# BuildKit needs a privileged root. One component may have it, where it says so itself, and only in the container that is privileged.
exempt(pod, container) if {
	pod.labels["kubiya.io/policy-exemption"] == "privileged-build-engine"
	pod.labels["app.kubernetes.io/kubiya-runner-component"] == "dagger-engine"
	container.securityContext.privileged
}

namespace(resource) := object.get(resource, ["metadata", "namespace"], "")

# selects tells whether a label selector takes these labels. One that is empty takes all.
selects(selector, labels) if {
	every key, value in object.get(selector, "matchLabels", {}) {
		labels[key] == value
	}
	every requirement in object.get(selector, "matchExpressions", []) {
		meets(requirement, labels)
	}
}

meets(requirement, labels) if {
	requirement.operator == "In"
	labels[requirement.key] in requirement.values
}

meets(requirement, labels) if {
	requirement.operator == "NotIn"
	not labels[requirement.key] in requirement.values
}

meets(requirement, labels) if {
	requirement.operator == "Exists"
	requirement.key in object.keys(labels)
}

meets(requirement, labels) if {
	requirement.operator == "DoesNotExist"
	not requirement.key in object.keys(labels)
}

# finding is what a rule has to say of an object, or of one place in it. The rule's annotations say the rest.
finding(rule, resource, where, what) := {
	"id": rule.custom.id,
	"severity": rule.custom.severity,
	"object": name,
	"where": where,
	"remedy": rule.custom.remedy,
	"msg": sprintf("[%s] %s: %s: %s", [rule.custom.id, concat(", ", [part | some part in [name, where]; part != ""]), what, rule.custom.remedy]),
} if {
	name := sprintf("%s/%s/%s", [resource.kind, namespace(resource), object.get(resource, ["metadata", "name"], "")])
}

in_container(rule, pod, container, what) := finding(rule, pod.resource, sprintf("container %s", [container.name]), what)
