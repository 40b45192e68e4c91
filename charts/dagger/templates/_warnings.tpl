{{/*
SPDX-License-Identifier: Apache-2.0

  dagger.warnings   .   what is risky in the values, as a YAML list of texts: for the notes of this chart, and of the one that it is in
*/}}

{{- define "dagger.warnings" -}}
{{- $prefix := include "common.key" (dict "root" . "key" "") -}}
{{- $warnings := list -}}
{{- if not .Values.persistence.enabled -}}
{{- $warnings = append $warnings (printf "%spersistence.enabled is false: the build cache is gone with the pod, and the first builds after it are slow." $prefix) -}}
{{- end -}}
{{- if not .Values.networkPolicy.enabled -}}
{{- $warnings = append $warnings (printf "%snetworkPolicy.enabled is false: any pod that reaches port 8080 can run containers as root on this node." $prefix) -}}
{{- end -}}
{{- toYaml $warnings -}}
{{- end -}}
