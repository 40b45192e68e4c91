{{/*
SPDX-License-Identifier: Apache-2.0

  kube-state-metrics.warnings   .   what is risky in the values, as a YAML list of texts: for the notes of this chart, and of the one that it is in
*/}}

{{- define "kube-state-metrics.warnings" -}}
{{- $prefix := include "common.key" (dict "root" . "key" "") -}}
{{- $warnings := list -}}
{{- if not .Values.networkPolicy.enabled -}}
{{- $warnings = append $warnings (printf "%snetworkPolicy.enabled is false: any pod that reaches port 8080 reads what is in this namespace." $prefix) -}}
{{- end -}}
{{- toYaml $warnings -}}
{{- end -}}
