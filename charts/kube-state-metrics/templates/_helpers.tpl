{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{/*
What is watched, by API group. Both the argument --resources and the Role come from here: a resource that is only in one of them is
either not counted or refused by the API server again and again. All of them are namespaced.
*/}}
{{- define "kube-state-metrics.resources" -}}
"": [persistentvolumeclaims, pods]
apps: [deployments, statefulsets]
autoscaling: [horizontalpodautoscalers]
batch: [jobs]
{{- end -}}

{{/* The metrics of the profile stage1, from the same list as the collector's scope. */}}
{{- define "kube-state-metrics.metrics" -}}
{{- $metrics := list -}}
{{- range .Files.Lines "files/metrics.txt" -}}
{{- if and . (not (hasPrefix "#" .)) -}}
{{- $metrics = append $metrics . -}}
{{- end -}}
{{- end -}}
{{- join "," $metrics -}}
{{- end -}}

{{- define "kube-state-metrics.labels" -}}
{{- include "common.labels" (dict "root" . "component" "kube-state-metrics" "version" .Values.image.tag) -}}
{{- end -}}
