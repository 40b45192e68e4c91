{{/*
SPDX-License-Identifier: Apache-2.0

  otel.checks   .   what the schema cannot say: fails with the key and the remedy. backend's own are in _backend.tpl
*/}}

{{- define "otel.checks" -}}
{{- if not (or (include "otel.discovery" .) .Values.presets.selfMetrics.enabled .Values.presets.otlp.enabled) -}}
{{- fail (printf "%s: all of them are off, and nothing is left to deliver: enable one" (include "common.key" (dict "root" . "key" "presets"))) -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail (printf "%s is not set: with create false it says which service account the pods use" (include "common.key" (dict "root" . "key" "serviceAccount.name"))) -}}
{{- end -}}
{{- end -}}
