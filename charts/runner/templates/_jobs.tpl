{{/*
SPDX-License-Identifier: Apache-2.0

  runner.cronJob  dict "root" $ "name" "image-updater" "labels" "common.podLabels" "job" dict
                  all that a job on a schedule needs: account, Role, NetworkPolicy, CronJob. job is an entry of .Values.jobs
*/}}

{{- define "runner.cronJob" -}}
{{- $root := .root -}}
{{- $job := .job -}}
{{- $object := include "common.objectName" (dict "root" $root "suffix" .name) -}}
{{- $labels := dict "root" $root "component" .name "version" $job.image.tag -}}
{{- include "runner.account" (dict "root" $root "name" .name "version" $job.image.tag "rules" $job.rules) }}
{{- if $root.Values.networkPolicy.enabled }}
{{ include "runner.networkPolicy" (dict "root" $root "name" .name "version" $job.image.tag "rules" $job.rules "egress" $job.extraEgress) }}
{{- end }}
---
apiVersion: batch/v1
kind: CronJob
metadata:
  # Kubernetes appends eleven characters to it for a Job.
  name: {{ printf "%s-%s" (include "common.fullname" $root | trunc (int (sub 51 (len .name))) | trimSuffix "-") .name }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- include "common.labels" $labels | nindent 4 }}
spec:
  schedule: {{ $job.schedule | quote }}
  {{- with $job.timeZone }}
  timeZone: {{ . | quote }}
  {{- end }}
  suspend: {{ $job.suspend | default false }}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 300
  successfulJobsHistoryLimit: 2
  failedJobsHistoryLimit: 1
  jobTemplate:
    metadata:
      labels:
        {{- include "common.labels" $labels | nindent 8 }}
    spec:
      backoffLimit: 2
      activeDeadlineSeconds: {{ $job.activeDeadlineSeconds | default 600 }}
      template:
        metadata:
          labels:
            {{- include .labels $labels | nindent 12 }}
        spec:
          restartPolicy: Never
          serviceAccountName: {{ $object }}
          automountServiceAccountToken: false
          enableServiceLinks: false
          {{- with include "common.imagePullSecrets" $root }}
          {{- . | nindent 10 }}
          {{- end }}
          securityContext:
            {{- include "common.podSecurityContext" dict | nindent 12 }}
          {{- include "common.scheduling" (dict "root" $root "component" .name "values" $job) | nindent 10 }}
          containers:
            - name: {{ .name }}
              image: {{ include "common.image" (dict "root" $root "image" $job.image) | quote }}
              imagePullPolicy: {{ $job.image.pullPolicy | default "IfNotPresent" }}
              {{- with $job.command }}
              command:
                {{- toYaml . | nindent 16 }}
              {{- end }}
              {{- with $job.args }}
              args:
                {{- toYaml . | nindent 16 }}
              {{- end }}
              env:
                # The one folder that can be written.
                - name: HOME
                  value: /tmp
                {{- range $name, $value := $job.env }}
                - name: {{ $name | quote }}
                  value: {{ $value | quote }}
                {{- end }}
              {{- with include "common.resources" $job.resources }}
              resources:
                {{- . | nindent 16 }}
              {{- end }}
              securityContext:
                {{- include "common.securityContext" dict | nindent 16 }}
              volumeMounts:
                - {{- include "common.tmp.mount" . | nindent 18 }}
                {{- if $job.rules }}
                - {{- include "common.token.mount" . | nindent 18 }}
                {{- end }}
          volumes:
            - {{- include "common.tmp.volume" (dict "size" "64Mi") | nindent 14 }}
            {{- if $job.rules }}
            - {{- include "common.token.volume" . | nindent 14 }}
            {{- end }}
{{- end -}}
