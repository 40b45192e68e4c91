{{/*
SPDX-License-Identifier: Apache-2.0

  otel.checks   .   what the schema cannot say: fails with the key and the remedy. backend's own are in _backend.tpl
*/}}

{{- define "otel.checks" -}}
{{- if not (or (include "otel.discovery" .) .Values.presets.selfMetrics.enabled .Values.presets.otlp.enabled) -}}
{{- fail (printf "%s: all of them are off, and nothing is left to deliver: enable one" (include "common.key" (dict "root" . "key" "presets"))) -}}
{{- end -}}
{{- if and .Values.backend.existingSecret (not (include "otel.secret" .)) -}}
{{- $preset := .Values.backend.preset -}}
{{- $other := dict "azure" "azure.auth: clientSecret or certificate" "prometheus" "prometheus.auth: bearer" -}}
{{- $remedy := hasKey $other $preset | ternary (printf "set %s, or remove it" (include "common.key" (dict "root" . "key" (printf "backend.%s" (get $other $preset))))) "remove it" -}}
{{- fail (printf "%s is set, and nothing reads it: the backend %s as it is set needs no Secret. To change that, %s" (include "common.key" (dict "root" . "key" "backend.existingSecret")) $preset $remedy) -}}
{{- end -}}
{{- $interval := mustDateModify .Values.scrape.interval (toDate "2006" "2000") -}}
{{- if mustDateModify .Values.scrape.timeout (toDate "2006" "2000") | date "15:04:05.000" | lt ($interval | date "15:04:05.000") -}}
{{- fail (printf "%s is %s, longer than the interval of %s: a slow target would overlap with its own next scrape" (include "common.key" (dict "root" . "key" "scrape.timeout")) .Values.scrape.timeout .Values.scrape.interval) -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail (printf "%s is not set: with create false it says which service account the pods use" (include "common.key" (dict "root" . "key" "serviceAccount.name"))) -}}
{{- end -}}
{{- end -}}
