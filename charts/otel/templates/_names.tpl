{{/*
SPDX-License-Identifier: Apache-2.0

  otel.name             .   the name of the objects
  otel.component        -   the component as dashboards know it
  otel.selectorLabels   .   what selects the collector's pods
  otel.labels           .   what its objects carry
  otel.podLabels        .   what its pods and Service carry
  otel.test.labels      .   what the pod of `helm test` carries: not the collector's component, or it would be one
*/}}

{{- define "otel.name" -}}
{{- include "common.objectName" (dict "root" . "suffix" "otel" "max" 52) -}}
{{- end -}}

{{- define "otel.component" -}}otel-collector{{- end -}}

{{- define "otel.selectorLabels" -}}
{{- include "common.selectorLabels" (dict "root" . "component" (include "otel.component" .)) -}}
{{- end -}}

{{- define "otel.labels" -}}
{{- include "common.labels" (dict "root" . "component" (include "otel.component" .)) -}}
{{- end -}}

{{- define "otel.podLabels" -}}
{{- include "common.podLabels" (dict "root" . "component" (include "otel.component" .)) -}}
{{- end -}}

{{- define "otel.test.labels" -}}
{{- include "common.labels" (dict "root" . "component" "otel-test") -}}
{{- end -}}

{{- define "otel.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "otel.name" .) -}}
{{- end -}}
