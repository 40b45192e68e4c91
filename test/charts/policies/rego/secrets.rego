# SPDX-License-Identifier: Apache-2.0

# Where secrets are, and where they never are.
package policies.secrets

import data.lib

# METADATA
# title: Secrets are mounted as files
# description: >-
#   The environment is seen in dumps, logs and child processes, and never renewed.
# custom:
#   id: secret-in-environment
#   severity: high
#   remedy: >-
#     mount the Secret as a volume
deny contains lib.in_container(rego.metadata.rule(), pod, container, "a Secret is put into the environment") if {
	some pod in lib.pods
	some container in lib.containers(pod)
	in_environment(container)
}

# METADATA
# title: Manifests hold no secrets
# description: >-
#   A manifest is read by all who may read the repository or the release.
# custom:
#   id: secret-inline
#   severity: high
#   remedy: >-
#     refer to a Secret that exists already
deny contains lib.finding(rego.metadata.rule(), resource, concat(".", [sprintf("%v", [part]) | some part in path]), "it looks like a secret") if {
	some resource in lib.objects
	resource.kind != "Secret"
	some path in suspicious(resource)
}

# METADATA
# title: Manifests render no Secret
# description: >-
#   Its values would be in Helm's values, and in the history of releases.
# custom:
#   id: secret-object
#   severity: high
#   remedy: >-
#     let the customer name a Secret that exists already
deny contains lib.finding(rego.metadata.rule(), resource, "", "a Secret is rendered") if {
	some resource in lib.of_kind("Secret")
}

in_environment(container) if container.env[_].valueFrom.secretKeyRef

in_environment(container) if container.envFrom[_].secretRef

suspicious(resource) := {path |
	walk(resource, [path, value])
	is_string(value)
	regex.match(form, value)
} | {path |
	walk(resource, [path, value])
	path[count(path) - 2] == "env"
	regex.match(name, value.name)
	object.get(value, "value", "") != ""
}

# Private keys, tokens of JWT, AWS, GitHub and Slack, and the seeds of NATS.
form := `-----BEGIN [A-Z ]*(PRIVATE KEY|NKEY SEED)|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{36}|\bxox[baprs]-\w{10,}|\bS[UAO][A-Z2-7]{56}\b`

# The value of a variable that ends in FILE, PATH or URL is where a secret is, not what it is.
name := `(?i)(SECRET|PASSWORD|TOKEN|CREDENTIALS?|API_?KEY|PRIVATE_?KEY)$`
