# SPDX-License-Identifier: Apache-2.0

# What differs from one platform team to the next. A document at data.parameters replaces the default of its name.
package policies.parameters

# Where images may come from. The last two stand for mirrors of customers.
default image_prefixes := ["ghcr.io/kubiyabot/", "registry.k8s.io/", "quay.io/prometheus/", "registry.example.com/", "registry.example.com:5000/"]

image_prefixes := data.parameters.image_prefixes

default required_labels := [
	"app.kubernetes.io/name",
	"app.kubernetes.io/instance",
	"app.kubernetes.io/version",
	"app.kubernetes.io/part-of",
	"app.kubernetes.io/managed-by",
]

required_labels := data.parameters.required_labels

# The most that a memory limit may be, in terms of its request.
default memory_ratio := 4

memory_ratio := data.parameters.memory_ratio

# From how many replicas on a workload has to be spread.
default spread_from := 3

spread_from := data.parameters.spread_from
