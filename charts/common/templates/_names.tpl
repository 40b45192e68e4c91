{{/*
SPDX-License-Identifier: Apache-2.0

Names and labels.

  common.fullname        .                                     the release's name, or fullnameOverride, as a name that a Service may have
  common.objectName      dict "root" $ "suffix" "otel" "max" 52
                                                               <fullname>-otel; a fullname that ends in "otel" stays as it is. max is 63 unless
                                                               given; a StatefulSet's is 52, because it puts a hash behind its name into a label
  common.chart           .                                     the value of the label helm.sh/chart
  common.selectorLabels  dict "root" $ "component" "otel-collector"
                                                               what selects the pods: it never changes, and holds no version
  common.labels          dict "root" $ "component" "otel-collector" "version" "0.1.0"
                                                               what every object carries; version is the chart's appVersion unless given
  common.podLabels       as common.labels                      the same, and the component as discovery and dashboards know it: for pods and Services
  common.organization    .                                     organization, global.organization, or a failure that says what to set
  common.runnerName      .                                     runnerName, global.runnerName, or the release's name
  common.key             dict "root" $ "key" "backend.preset"  the key as whoever installs it writes it: with the chart's name before it in a subchart

The component is one of those that the collector's scope lists: it becomes the label `app` of series.
*/}}

{{- define "common.fullname" -}}
{{- /* A release's name may have dots and begin with a digit. */ -}}
{{- $name := .Values.fullnameOverride | default .Release.Name | replace "." "-" -}}
{{- regexMatch "^[0-9]" $name | ternary (printf "runner-%s" $name) $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "common.objectName" -}}
{{- $fullname := include "common.fullname" .root -}}
{{- if hasSuffix .suffix $fullname -}}
{{- $fullname -}}
{{- else -}}
{{- printf "%s-%s" ($fullname | trunc (int (sub (.max | default 63) (add1 (len .suffix)))) | trimSuffix "-") .suffix -}}
{{- end -}}
{{- end -}}

{{- define "common.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "common.selectorLabels" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "common.labels" -}}
{{ include "common.selectorLabels" . }}
app.kubernetes.io/version: {{ .version | default .root.Chart.AppVersion | toString | trunc 63 | quote }}
app.kubernetes.io/part-of: kubiya-runner
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ include "common.chart" .root }}
{{- end -}}

{{- define "common.podLabels" -}}
{{ include "common.labels" . }}
app.kubernetes.io/kubiya-runner-component: {{ .component }}
{{- end -}}

{{- define "common.organization" -}}
{{- $global := .Values.global | default dict -}}
{{- $organization := .Values.organization | default $global.organization -}}
{{- if not $organization -}}
{{- fail (printf "%s is not set: every series carries it as a label. Set it, for example with --set global.organization=acme" (.Chart.IsRoot | ternary "organization" "global.organization")) -}}
{{- end -}}
{{- $organization -}}
{{- end -}}

{{- define "common.runnerName" -}}
{{- $global := .Values.global | default dict -}}
{{- .Values.runnerName | default $global.runnerName | default .Release.Name -}}
{{- end -}}

{{- define "common.key" -}}
{{- .root.Chart.IsRoot | ternary .key (printf "%s.%s" .root.Chart.Name .key) -}}
{{- end -}}
