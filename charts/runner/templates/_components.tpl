{{/*
SPDX-License-Identifier: Apache-2.0

The contract between the components, as data: which ports they listen on, where they look for credentials, what they may ask of the API
server. None of it is a value, because changing it in one place breaks another.

  runner.components  .   the components that are enabled, a list:
    key                  their values in values.yaml
    name                 the component, as discovery, dashboards and the other components know it
    scrape               port of its metrics; none without
    probe                annotations of its Service: how the collector's prober asks it
    rules                what its service account may do, in this namespace
    annotations          of its pods: what they read once, so that a change replaces them
    bus                  it connects to the control bus
    volumes              besides /tmp and what the values add
    containers           name; key of its values below those of the component (none: those); port and its name; health: the path that answers 200
                         (none: the port is only connected to); env; mounts

  runner.engine      .   where the build engine is: the subchart's Service, or one elsewhere, or nothing
*/}}

{{- define "runner.engine" -}}
{{- if .Values.dagger.enabled -}}tcp://dagger-engine-service:8080
{{- else -}}{{ .Values.dagger.externalEngine.address }}
{{- end -}}
{{- end -}}

{{- define "runner.registryCA" -}}
{{- if .Values.registryTls.crt -}}{{ include "common.objectName" (dict "root" . "suffix" "registry-ca") }}
{{- else -}}{{ .Values.registryTls.existingConfigMap }}
{{- end -}}
{{- end -}}

{{- define "runner.components" -}}
{{- $sharedTools := "/tmp/kubiya_shared_tools" -}}
{{- $identity := dict
      "KUBIYA_USER_ORG" (include "common.organization" .)
      "KUBIYA_RUNNER_NAME" (include "common.runnerName" .)
      "KUBIYA_AGENT_UUID" .Values.uuid -}}
{{- if .Values.agentManager.enabled }}
- key: agentManager
  name: agent-manager
  scrape: 8080
  probe:
    kubiya.io/probe: http_2xx
    kubiya.io/probe-port: "80"
    kubiya.io/probe-path: /healthz
  bus: true
  rules:
    - {apiGroups: [""], resources: [pods], verbs: [get, list]}
  volumes:
    - {{- include "runner.credentials" .Values.nats.customerCredentials | nindent 6 }}
  containers:
    - name: agent-manager
      port: 8080
      portName: http
      health: /healthz
      env:
        TOOL_MANAGER_URL: tool-manager:80
        KUBIYA_NATS_CREDS: /nats/nats.creds
        ENVIRONMENT: production
      mounts:
        - {name: nats, mountPath: /nats, readOnly: true}
{{- end }}
{{- if .Values.toolManager.enabled }}
- key: toolManager
  name: tool-manager
  scrape: 3001
  probe:
    kubiya.io/probe: http_2xx
    kubiya.io/probe-port: "80"
    kubiya.io/probe-path: /health
  {{- if .Values.registryTls.crt }}
  annotations:
    checksum/registry-ca: {{ include "runner.certificate" . | sha256sum }}
  {{- end }}
  bus: true
  rules:
    - {apiGroups: [""], resources: [configmaps, persistentvolumeclaims, pods, services], verbs: [create, delete, get, list, watch]}
    - {apiGroups: [batch], resources: [jobs], verbs: [create, delete, get, list, watch]}
    # What a tool needs as a secret is written for it and removed after it. Reading is not needed for that.
    - {apiGroups: [""], resources: [secrets], verbs: [create, delete]}
  volumes:
    - {{- include "runner.credentials" .Values.nats.customerCredentials | nindent 6 }}
    - name: shared-tools
      emptyDir: {sizeLimit: {{ .Values.toolManager.sharedToolsSize | quote }}}
    - name: workspaces
      emptyDir: {sizeLimit: {{ .Values.toolManager.workspacesSize | quote }}}
    {{- with include "runner.registryCA" . }}
    - name: registry-ca
      configMap: {name: {{ . | quote }}, items: [{key: ca.crt, path: ca.crt}]}
    {{- end }}
  containers:
    - name: tool-manager
      port: 3001
      portName: http
      health: /health
      env:
        {{- toYaml $identity | nindent 8 }}
        KUBIYA_NATS_CREDS: /opt/nats.creds
        KUBIYA_SDK_SERVER_URL: http://127.0.0.1:8000
        KUBIYA_TOOLS_SHARED_VOLUME: {{ $sharedTools }}
        # The account of the tools: not tool-manager's own, whose rights a tool has no use for.
        KUBIYA_SERVICE_ACCOUNT: {{ include "common.objectName" (dict "root" . "suffix" "tools") }}
        {{- with include "runner.engine" . }}
        KUBIYA_DAGGER_ENGINE_SERVICE_URL: {{ . | quote }}
        {{- end }}
        {{- if include "runner.registryCA" . }}
        SSL_CERT_DIR: /etc/ssl/certs:/etc/registry-ca
        {{- end }}
      mounts:
        - {name: nats, mountPath: /opt, readOnly: true}
        - {name: shared-tools, mountPath: {{ $sharedTools }}}
        - {name: workspaces, mountPath: /workspaces}
        {{- if include "runner.registryCA" . }}
        - {name: registry-ca, mountPath: /etc/registry-ca, readOnly: true}
        {{- end }}
    - name: sdk-server
      key: sdkServer
      port: 8000
      portName: sdk
      health: /health
      env:
        {{- toYaml $identity | nindent 8 }}
        KUBIYA_NATS_CREDS: /opt/nats.creds
        KUBIYA_TOOLS_SHARED_VOLUME: {{ $sharedTools }}
      mounts:
        - {name: nats, mountPath: /opt, readOnly: true}
        - {name: shared-tools, mountPath: {{ $sharedTools }}}
{{- end }}
{{- if .Values.kubiyaOperator.enabled }}
- key: kubiyaOperator
  name: kubiya-operator
  probe:
    kubiya.io/probe: tcp_connect
    kubiya.io/probe-port: "80"
  bus: true
  rules: []
  volumes:
    - {{- include "runner.credentials" .Values.nats.runnerCredentials | nindent 6 }}
  containers:
    - name: kubiya-operator
      port: 80
      portName: http
      env:
        NATS_SERVER: {{ .Values.nats.serverUrl | quote }}
        NATS_SUBJECT: {{ .Values.nats.subject | quote }}
        NATS_CREDENTIAL_FILE: /etc/nats/nats.creds
        NAMESPACE: {{ .Release.Namespace | quote }}
      mounts:
        - {name: nats, mountPath: /etc/nats, readOnly: true}
{{- end }}
{{- if .Values.workflowEngine.enabled }}
- key: workflowEngine
  name: workflow-engine
  scrape: 8080
  probe:
    kubiya.io/probe: http_2xx
    kubiya.io/probe-port: "80"
    kubiya.io/probe-path: /health
  bus: false
  rules: []
  volumes:
    - name: shared-tools
      emptyDir: {sizeLimit: {{ .Values.workflowEngine.sharedToolsSize | quote }}}
  containers:
    - name: workflow-engine
      port: 8080
      portName: http
      health: /health
      env:
        KUBIYA_TOOLS_SHARED_VOLUME: {{ $sharedTools }}
        {{- with include "runner.engine" . }}
        KUBIYA_DAGGER_ENGINE_SERVICE_URL: {{ . | quote }}
        {{- end }}
      mounts:
        - {name: shared-tools, mountPath: {{ $sharedTools }}}
{{- end }}
{{- end -}}

{{/* A Secret with credentials of the bus, as a volume. A file, because a file is renewed and is in no dump of the environment. */}}
{{- define "runner.credentials" -}}
name: nats
secret:
  secretName: {{ .existingSecret | quote }}
  defaultMode: 0440
  items: [{key: {{ .key | quote }}, path: nats.creds}]
{{- end -}}
