{{/*
SPDX-License-Identifier: Apache-2.0

  otel.checks   .   what the schema cannot say: fails with the key and the remedy. backend's own are in _backend.tpl
*/}}

{{- define "otel.checks" -}}
{{- if not (or (include "otel.discovery" .) .Values.presets.selfMetrics.enabled .Values.presets.otlp.enabled) -}}
{{- fail "presets: all of them are off, and nothing is left to deliver: enable one" -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.name is not set: with serviceAccount.create false it says which one the pods use" -}}
{{- end -}}
{{- end -}}
