{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{- define "dagger.name" -}}
{{- include "common.objectName" (dict "root" . "suffix" "dagger-engine" "max" 52) -}}
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
