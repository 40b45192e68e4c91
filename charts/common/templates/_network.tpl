{{/*
SPDX-License-Identifier: Apache-2.0

Rules of a NetworkPolicy. Each gives one item of `ingress` or `egress`: use `{{- include ... | nindent 4 }}` below it.

  common.egress.dns        -                           the cluster's DNS: its pods, a cache on the node, or a cloud's resolver, and OpenShift's,
                                                       whose pods listen on another port than their Service. Two items
  common.egress.apiServer  .Values.networkPolicy.apiServer
                                                       cidrs (empty: anywhere) and ports of the API server. Policies see its own address and
                                                       port, not those of the Service `kubernetes`: that is why 6443 is there beside 443
  common.egress.namespace  -                           any pod of the same namespace
  common.url.port          "https://host:8443/path"    the port of a URL
*/}}

{{- define "common.egress.dns" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: node-local-dns
    - ipBlock:
        cidr: 169.254.0.0/16
  ports:
    - protocol: UDP
      port: 53
    - protocol: TCP
      port: 53
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: openshift-dns
      podSelector:
        matchLabels:
          dns.operator.openshift.io/daemonset-dns: default
  ports:
    - protocol: UDP
      port: 5353
    - protocol: TCP
      port: 5353
{{- end -}}

{{- define "common.egress.apiServer" -}}
- ports:
    {{- range .ports }}
    - protocol: TCP
      port: {{ . }}
    {{- end }}
  {{- with .cidrs }}
  to:
    {{- range . }}
    - ipBlock:
        cidr: {{ . | quote }}
    {{- end }}
  {{- end }}
{{- end -}}

{{- define "common.egress.namespace" -}}
- to:
    - podSelector: {}
{{- end -}}

{{- define "common.url.port" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- if $port -}}{{ $port }}{{- else if eq $url.scheme "http" -}}80{{- else -}}443{{- end -}}
{{- end -}}
