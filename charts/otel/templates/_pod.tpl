{{/*
SPDX-License-Identifier: Apache-2.0

  otel.env         dict "root" $ "backend" ...   the variables that the configuration reads (configs/README.md lists them), and extraEnv, which
                                                 takes the place of what has the same name: a name that is there twice is refused by server-side apply
  otel.resources   .                             resources; with the log in an emptyDir its size is added to ephemeral-storage
*/}}

{{- define "otel.env" -}}
{{- $extra := .root.Values.extraEnv -}}
{{- $names := list -}}
{{- range $extra -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- range include "otel.ownEnv" . | fromYamlArray -}}
{{- if not (has .name $names) }}
- {{ toYaml . | nindent 2 | trim }}
{{- end -}}
{{- end -}}
{{- with $extra }}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{- define "otel.ownEnv" -}}
{{- $values := .root.Values -}}
- name: RUNNER_ORGANIZATION
  value: {{ include "common.organization" .root | quote }}
- name: RUNNER_NAME
  value: {{ include "common.runnerName" .root | quote }}
- name: RUNNER_NAMESPACE
  valueFrom:
    fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}
- name: MY_POD_NAME
  valueFrom:
    fieldRef: {apiVersion: v1, fieldPath: metadata.name}
- name: MY_POD_IP
  valueFrom:
    fieldRef: {apiVersion: v1, fieldPath: status.podIP}
{{- if gt (int $values.replicas) 1 }}
- name: SHARD
  valueFrom:
    fieldRef: {apiVersion: v1, fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}
{{- end }}
- name: REMOTE_WRITE_URL
  value: {{ $values.backend.endpoint | quote }}
- name: SCRAPE_INTERVAL
  value: {{ $values.scrape.interval | quote }}
- name: SCRAPE_TIMEOUT
  value: {{ $values.scrape.timeout | quote }}
- name: RUNNER_SECRETS
  # YAML reads an unquoted off as false.
  value: {{ $values.secrets | default "off" | quote }}
- name: RUNNER_INSTANCE
  value: {{ $values.instance | quote }}
{{- with include "common.goMemLimit" (dict "resources" $values.resources) }}
- name: GOMEMLIMIT
  value: {{ . | quote }}
{{- end }}
{{- range $name, $from := .backend.env }}
{{- if $from.file }}
{{- if and $values.backend.existingSecret (index $values.backend.secretKeys $from.key) }}
- name: {{ $name }}
  value: /etc/remote-write/{{ $from.file }}
{{- end }}
{{- else }}
{{- with include "otel.backend.value" (dict "backend" $values.backend "key" $from.value) }}
- name: {{ $name }}
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "otel.resources" -}}
{{- $resources := deepCopy (.Values.resources | default dict) -}}
{{- if and (eq .Values.delivery "durable") (not .Values.persistence.enabled) -}}
{{- $size := include "common.bytes" (dict "key" "persistence.size" "value" .Values.persistence.size) | int64 -}}
{{- range $kind := list "requests" "limits" -}}
{{- with index (index $resources $kind | default dict) "ephemeral-storage" -}}
{{- $own := include "common.bytes" (dict "key" (printf "resources.%s.ephemeral-storage" $kind) "value" .) | int64 -}}
{{- $_ := set (index $resources $kind) "ephemeral-storage" (printf "%dMi" (div (add $own $size) 1048576)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}
