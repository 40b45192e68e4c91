{{/*
SPDX-License-Identifier: Apache-2.0

What components and jobs share. `dict "root" $ "name" "tool-manager" ...` in each:

  runner.account        "annotations" ... "rules" list     a service account, with a Role and its binding where there are rules
  runner.scheduling     "values" .Values.x                 common.scheduling, with replicas kept apart unless the values say how
  runner.networkPolicy  "ports" list "bus" bool "rules" list "ingress" list "egress" list
                                                           one for the pods of that name; rules say whether the API server is used
*/}}

{{- define "runner.account" -}}
{{- $object := include "common.objectName" (dict "root" .root "suffix" .name) -}}
{{- $labels := include "common.labels" (dict "root" .root "component" .name "version" .version) -}}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $object }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- $labels | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
# Where the API is called, the pod mounts a token of its own, which expires.
automountServiceAccountToken: false
{{- with .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $object }}
  namespace: {{ $.root.Release.Namespace | quote }}
  labels:
    {{- $labels | nindent 4 }}
rules:
  {{- toYaml . | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $object }}
  namespace: {{ $.root.Release.Namespace | quote }}
  labels:
    {{- $labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $object }}
subjects:
  - kind: ServiceAccount
    name: {{ $object }}
    namespace: {{ $.root.Release.Namespace | quote }}
{{- end }}
{{- end -}}

{{- define "runner.scheduling" -}}
{{- $values := .values -}}
{{- if gt (int $values.replicas) 1 -}}
{{- $selector := dict "matchLabels" (include "common.selectorLabels" (dict "root" .root "component" .name) | fromYaml) -}}
{{- $apart := dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list
      (dict "weight" 100 "podAffinityTerm" (dict "topologyKey" "kubernetes.io/hostname" "labelSelector" $selector)))) -}}
{{- $spread := list -}}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" -}}
{{- $spread = append $spread (dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway" "matchLabelKeys" (list "pod-template-hash")) -}}
{{- end -}}
{{- $values = merge (dict
      "affinity" ($values.affinity | default $apart)
      "topologySpreadConstraints" ($values.topologySpreadConstraints | default $spread)) $values -}}
{{- end -}}
{{- include "common.scheduling" (dict "root" .root "component" .name "values" $values) -}}
{{- end -}}

{{- define "runner.networkPolicy" -}}
{{- $root := .root -}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "common.objectName" (dict "root" .root "suffix" .name) }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "common.labels" (dict "root" .root "component" .name "version" .version) | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "common.selectorLabels" (dict "root" .root "component" .name) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- if or .ports .ingress }}
  ingress:
    {{- with .ports }}
    # The pods of this runner: its components, and the collector. Probes of the kubelet come from the node, and are always let in.
    - from:
        - podSelector:
            matchLabels:
              app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
              app.kubernetes.io/part-of: kubiya-runner
      ports:
        {{- range . }}
        - protocol: TCP
          port: {{ . }}
        {{- end }}
    {{- end }}
    {{- with .ingress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  egress:
    {{- include "common.egress.dns" . | nindent 4 }}
    {{- if .ports }}
    # Each other, and the build engine.
    - to:
        - podSelector:
            matchLabels:
              app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
              app.kubernetes.io/part-of: kubiya-runner
      ports:
        {{- range list 80 3001 8080 }}
        - protocol: TCP
          port: {{ . }}
        {{- end }}
    {{- end }}
    {{- if .bus }}
    # The control bus.
    - ports:
        - protocol: TCP
          port: {{ regexFind ":[0-9]+$" $root.Values.nats.serverUrl | trimPrefix ":" | default 4222 }}
    {{- end }}
    {{- if and .ports (not $root.Values.dagger.enabled) $root.Values.dagger.externalEngine.address }}
    # The build engine elsewhere.
    - ports:
        - protocol: TCP
          port: {{ regexFind "[0-9]+$" $root.Values.dagger.externalEngine.address }}
    {{- end }}
    {{- if .rules }}
    {{- include "common.egress.apiServer" $root.Values.networkPolicy.apiServer | nindent 4 }}
    {{- end }}
    {{- with concat ($root.Values.networkPolicy.extraEgress | default list) (.egress | default list) }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
