{{/*
SPDX-License-Identifier: Apache-2.0

  otel.warnings   .   what is risky in the values, as a YAML list of texts: for the notes of this chart, and of the one that it is in
*/}}

{{- define "otel.warnings" -}}
{{- $prefix := include "common.key" (dict "root" . "key" "") -}}
{{- $warnings := list -}}
{{- if eq .Values.delivery "stock" -}}
{{- $warnings = append $warnings (printf "%sdelivery is stock: what waits for the backend is in memory, and lost when the collector stops; most answers 4xx drop a request. `%sdelivery: durable` loses neither." $prefix $prefix) -}}
{{- else if not .Values.persistence.enabled -}}
{{- $warnings = append $warnings (printf "%spersistence.enabled is false: the log is in an emptyDir. What waits for the backend is lost with the pod: when it is deleted, evicted or moved. `%spersistence.enabled: true` keeps it." $prefix $prefix) -}}
{{- end -}}
{{- if ne .Values.persistence.whenDeleted "Retain" -}}
{{- $warnings = append $warnings (printf "%spersistence.whenDeleted is Delete: what waits for the backend is lost when the release is uninstalled." $prefix) -}}
{{- end -}}
{{- if ne .Values.persistence.whenScaled "Retain" -}}
{{- $warnings = append $warnings (printf "%spersistence.whenScaled is Delete: what a collector could not send is lost when it is scaled away." $prefix) -}}
{{- end -}}
{{- if eq .Values.instance "organization" -}}
{{- $warnings = append $warnings (printf "%sinstance is organization: series of several pods of a component fall together where no other label tells them apart. otelcol_processor_runner_* counts them." $prefix) -}}
{{- end -}}
{{- if not (eq (.Values.secrets | toString) "redact" "drop") -}}
{{- $warnings = append $warnings (printf "%ssecrets is off: a label value that looks like a secret is sent to the backend as it is." $prefix) -}}
{{- end -}}
{{- if .Values.presets.otlp.enabled -}}
{{- $warnings = append $warnings (printf "%spresets.otlp.enabled is true: every pod of this namespace can push to %s.%s.svc:4317 and :4318, without authentication." $prefix (include "otel.name" .) .Release.Namespace) -}}
{{- end -}}
{{- if and .Values.podMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) -}}
{{- $warnings = append $warnings (printf "%spodMonitor.enabled is true, but the NetworkPolicy lets nobody read the collector's own metrics: %snetworkPolicy.metricsFrom says where that Prometheus is." $prefix $prefix) -}}
{{- end -}}
{{- if not .Values.networkPolicy.enabled -}}
{{- $warnings = append $warnings (printf "%snetworkPolicy.enabled is false: the collector's own metrics can be read by every pod of the cluster." $prefix) -}}
{{- end -}}
{{- if hasPrefix "http://" .Values.backend.endpoint -}}
{{- $warnings = append $warnings (printf "%sbackend.endpoint is http: metrics, and tokens with them, are sent in the clear." $prefix) -}}
{{- end -}}
{{- if eq .Values.backend.preset "google" -}}
{{- $warnings = append $warnings (printf "%sbackend.preset is google: no remote-write endpoint of the service is documented, this is for a gateway of yours. Its key is read once: restart the pods after a change." $prefix) -}}
{{- end -}}
{{- if not (include "common.goMemLimit" (dict "resources" .Values.resources)) -}}
{{- $warnings = append $warnings (printf "%sresources.limits.memory is not set: GOMEMLIMIT is not set either, and the collector's own memory limit is a share of the node's." $prefix) -}}
{{- end -}}
{{- toYaml $warnings -}}
{{- end -}}
