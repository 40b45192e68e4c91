{{- define "loose.used" -}}
{{- with .Values.nested }}nested: {{ .key | quote }}{{ else }}nested: none{{ end -}}
{{- end -}}

{{- define "loose.unused" -}}
{{ .Values.name }}
{{- end -}}
