{{/*
SPDX-License-Identifier: Apache-2.0

Parts of a pod. Each gives YAML at the left margin: use `{{- include ... | nindent N }}`, or `with` where it may be empty.

  common.image              dict "root" $ "image" .Values.image "tag" "0.1.0"
                                                       registry/repository:tag@digest; global.imageRegistry takes the registry's place.
                                                       tag is used where image.tag is empty
  common.imagePullSecrets   .                          global.imagePullSecrets and imagePullSecrets, as the pod's key; empty without any
  common.podSecurityContext dict "values" .Values.podSecurityContext
                                                       Pod Security restricted, uid, gid and fsGroup 65532; values are merged over it
  common.securityContext    dict "values" .Values.securityContext
                                                       the same for a container
  common.resources          .Values.resources          requests and limits without what is null; empty when nothing is left
  common.scheduling         dict "root" $ "component" "otel-collector" "values" .Values
                                                       priorityClassName, nodeSelector (nodes with Linux, whatever else it says), tolerations,
                                                       affinity, topologySpreadConstraints (a constraint without labelSelector gets the
                                                       component's)
  common.token.volume       -                          a token for the API server as a volume, where the pod mounts none by itself
  common.token.mount        -                          its volumeMount, at the path where clients look for it
  common.tmp.volume         dict "size" "64Mi"         an emptyDir `tmp` with a size, for a read-only root file system
  common.tmp.mount          -                          its volumeMount at /tmp
*/}}

{{- define "common.image" -}}
{{- $global := .root.Values.global | default dict -}}
{{- $registry := $global.imageRegistry | default .image.registry -}}
{{- $tag := .image.tag | default .tag -}}
{{- if regexMatch "^[^/]*[.:][^/]*/" .image.repository -}}
{{- fail (printf "the image's repository %s begins with a registry: that is a key of its own, image.registry" .image.repository) -}}
{{- end -}}
{{- if not (or $tag .image.digest) -}}
{{- fail (printf "the image %s has neither tag nor digest: set one of them" .image.repository) -}}
{{- end -}}
{{- if and (eq ($tag | toString) "latest") (not .image.digest) -}}
{{- fail (printf "the image %s has the tag latest, which moves: name a version, or set its digest" .image.repository) -}}
{{- end -}}
{{- if $registry -}}{{ trimSuffix "/" $registry }}/{{ end -}}
{{- .image.repository -}}
{{- with $tag }}:{{ . }}{{ end -}}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{- define "common.imagePullSecrets" -}}
{{- $global := .Values.global | default dict -}}
{{- $secrets := concat ($global.imagePullSecrets | default list) (.Values.imagePullSecrets | default list) | uniq -}}
{{- with $secrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "common.podSecurityContext" -}}
{{- $defaults := dict
      "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532
      "fsGroupChangePolicy" "OnRootMismatch"
      "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- toYaml (mergeOverwrite $defaults (deepCopy (.values | default dict))) -}}
{{- end -}}

{{- define "common.securityContext" -}}
{{- $defaults := dict
      "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532
      "readOnlyRootFilesystem" true "allowPrivilegeEscalation" false
      "capabilities" (dict "drop" (list "ALL"))
      "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- toYaml (mergeOverwrite $defaults (deepCopy (.values | default dict))) -}}
{{- end -}}

{{- define "common.resources" -}}
{{- $resources := dict -}}
{{- range $kind, $amounts := . | default dict -}}
{{- $kept := dict -}}
{{- range $name, $amount := $amounts | default dict -}}
{{- if not (kindIs "invalid" $amount) -}}
{{- $_ := set $kept $name $amount -}}
{{- end -}}
{{- end -}}
{{- if $kept -}}
{{- $_ := set $resources $kind $kept -}}
{{- end -}}
{{- end -}}
{{- with $resources -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{- define "common.scheduling" -}}
{{- $parts := dict "nodeSelector" (merge (deepCopy (.values.nodeSelector | default dict)) (dict "kubernetes.io/os" "linux")) -}}
{{- range $key := list "priorityClassName" "tolerations" "affinity" -}}
{{- with index $.values $key -}}
{{- $_ := set $parts $key . -}}
{{- end -}}
{{- end -}}
{{- $selector := dict "labelSelector" (dict "matchLabels" (include "common.selectorLabels" . | fromYaml)) -}}
{{- $constraints := list -}}
{{- range .values.topologySpreadConstraints -}}
{{- $constraints = append $constraints (merge (deepCopy .) $selector) -}}
{{- end -}}
{{- with $constraints -}}
{{- $_ := set $parts "topologySpreadConstraints" . -}}
{{- end -}}
{{- toYaml $parts -}}
{{- end -}}

{{- define "common.token.volume" -}}
# The token that the kubelet would mount by itself has no end that fits; this one has, and is here only because the API is called.
name: api-token
projected:
  defaultMode: 0440
  sources:
    - serviceAccountToken:
        path: token
        expirationSeconds: 3600
    - configMap:
        name: kube-root-ca.crt
        items:
          - key: ca.crt
            path: ca.crt
    - downwardAPI:
        items:
          - path: namespace
            fieldRef:
              apiVersion: v1
              fieldPath: metadata.namespace
{{- end -}}

{{- define "common.token.mount" -}}
name: api-token
mountPath: /var/run/secrets/kubernetes.io/serviceaccount
readOnly: true
{{- end -}}

{{- define "common.tmp.volume" -}}
name: tmp
emptyDir:
  sizeLimit: {{ .size | default "64Mi" }}
{{- end -}}

{{- define "common.tmp.mount" -}}
name: tmp
mountPath: /tmp
{{- end -}}
