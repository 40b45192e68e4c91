# SPDX-License-Identifier: Apache-2.0

# Where images come from, and whether they are the same tomorrow.
package policies.images

import data.lib
import data.policies.parameters

# METADATA
# title: Images come from registries that are allowed
# description: >-
#   What anybody can push to is not what was reviewed.
# custom:
#   id: image-registry-allowed
#   severity: high
#   remedy: >-
#     use a registry of the list, or name yours in image_prefixes
deny contains lib.in_container(rego.metadata.rule(), pod, container, sprintf("image %q comes from elsewhere", [container.image])) if {
	some pod in lib.pods
	some container in lib.containers(pod)
	not allowed(container.image)
}

# METADATA
# title: Images have a tag or a digest
# description: >-
#   Without either, the image is whatever is latest.
# custom:
#   id: image-tag-present
#   severity: high
#   remedy: >-
#     set the image's tag or digest
deny contains lib.in_container(rego.metadata.rule(), pod, container, sprintf("image %q has neither tag nor digest", [container.image])) if {
	some pod in lib.pods
	some container in lib.containers(pod)
	not tag(container.image)
	not digest(container.image)
}

# METADATA
# title: Tags do not move
# description: >-
#   A tag such as latest, main or v1 is another image next week.
# custom:
#   id: image-tag-pinned
#   severity: high
#   remedy: >-
#     use a tag of three numbers, such as 1.2.3, or a digest
deny contains lib.in_container(rego.metadata.rule(), pod, container, sprintf("the tag of image %q may move", [container.image])) if {
	some pod in lib.pods
	some container in lib.containers(pod)
	not digest(container.image)
	version := tag(container.image)
	not regex.match(`^v?[0-9]+\.[0-9]+\.[0-9]+`, version)
}

# METADATA
# title: Images are pulled when they are not there
# description: >-
#   Always makes a restart depend on the registry, and Never on luck.
# custom:
#   id: image-pull-policy
#   severity: low
#   remedy: >-
#     set imagePullPolicy to IfNotPresent
deny contains lib.in_container(rego.metadata.rule(), pod, container, "imagePullPolicy is not IfNotPresent") if {
	some pod in lib.pods
	some container in lib.containers(pod)
	object.get(container, "imagePullPolicy", "") != "IfNotPresent"
}

allowed(image) if {
	some prefix in parameters.image_prefixes
	startswith(image, prefix)
}

digest(image) := regex.find_n(`@sha256:[0-9a-f]{64}$`, image, 1)[0]

# The tag is behind the last colon of the last part: a colon before that is a registry's port.
tag(image) := regex.find_all_string_submatch_n(`^[^@]*/?[^/@:]+:([^/@:]+)(@|$)`, image, 1)[0][1]
