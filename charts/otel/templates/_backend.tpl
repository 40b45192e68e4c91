{{/*
SPDX-License-Identifier: Apache-2.0

  otel.backend      .   what files/backends.yaml says of the chosen backend, as YAML; fails where a value is missing that it needs
  otel.secret       .   "true" where the backend's Secret is mounted
  otel.secretKeys   dict "root" $ "backend" ...   the keys of that Secret which are read, with commas
*/}}

{{- define "otel.backend" -}}
{{- $backend := .Values.backend -}}
{{- $known := .Files.Get "files/backends.yaml" | fromYaml -}}
{{- if not $backend.preset -}}
{{- fail (printf "%s is not set: it says what takes the metrics, one of azure, aws, google, grafanaCloud, mimir, thanos, victoriametrics, prometheus" (include "common.key" (dict "root" . "key" "backend.preset"))) -}}
{{- end -}}
{{- if not $backend.endpoint -}}
{{- fail (printf "%s is not set: it is the URL of remote write, for example https://prometheus.example.com/api/v1/write" (include "common.key" (dict "root" . "key" "backend.endpoint"))) -}}
{{- end -}}
{{- $name := $backend.preset -}}
{{- with (index $backend $name | default dict).auth -}}
{{- $name = printf "%s-%s" $name . -}}
{{- end -}}
{{- $found := index $known $name -}}
{{- range $key := $found.required -}}
{{- if not (include "otel.backend.value" (dict "backend" $backend "key" $key)) -}}
{{- fail (printf "%s is not set: the backend %s needs it" (include "common.key" (dict "root" $ "key" (printf "backend.%s" $key))) $name) -}}
{{- end -}}
{{- end -}}
{{- if and $found.secret (not $backend.existingSecret) -}}
{{- fail (printf "%s is not set: the backend %s needs the name of a Secret with the key %s" (include "common.key" (dict "root" . "key" "backend.existingSecret")) $name (include "otel.secretKeys" (dict "root" . "backend" $found))) -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{- define "otel.backend.value" -}}
{{- $path := splitList "." .key -}}
{{- $value := index .backend (first $path) (last $path) | default "" -}}
{{- /* A number of a values file is a float, whose text would be 1.234567e+06. */ -}}
{{- kindIs "float64" $value | ternary (int64 $value) $value -}}
{{- end -}}

{{- define "otel.secret" -}}
{{- $keys := include "otel.secretKeys" (dict "root" . "backend" (include "otel.backend" . | fromYaml)) -}}
{{- if and $keys .Values.backend.existingSecret -}}true{{- end -}}
{{- end -}}

{{- define "otel.secretKeys" -}}
{{- $keys := list -}}
{{- range .backend.env -}}
{{- with index $.root.Values.backend.secretKeys (.key | default "") -}}
{{- $keys = append $keys . -}}
{{- end -}}
{{- end -}}
{{- join ", " $keys -}}
{{- end -}}
