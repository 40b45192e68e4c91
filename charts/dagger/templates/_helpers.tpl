{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{/* At most 52 characters: a StatefulSet puts its name and a hash into a label of its pods. */}}
{{- define "dagger.name" -}}
{{- include "common.objectName" (dict "root" . "suffix" "dagger-engine") | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "dagger.labels" -}}
{{- include "common.labels" (dict "root" . "component" "dagger-engine" "version" .Values.image.tag) -}}
{{- end -}}

{{- define "dagger.selectorLabels" -}}
{{- include "common.selectorLabels" (dict "root" . "component" "dagger-engine") -}}
{{- end -}}

{{/*
By this label a policy knows the one workload that may be privileged. It counts only together with the component's label, and only for
the rules that a BuildKit daemon breaks: charts/dagger/README.md lists them.
*/}}
{{- define "dagger.exemption" -}}
kubiya.io/policy-exemption: privileged-build-engine
{{- end -}}
