{{/*
SPDX-License-Identifier: Apache-2.0

  otel.env         dict "root" $ "backend" ...   the variables that the configuration reads (configs/README.md lists them), and extraEnv, which
                                                 takes the place of what has the same name: a name that is there twice is refused by server-side apply
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
{{- if $values.backend.caConfigMap }}
- name: SSL_CERT_DIR
  value: /etc/backend-ca
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
