{{/*
SPDX-License-Identifier: Apache-2.0

What the schema cannot say. Each failure names the key, and what to set instead.
*/}}

{{- define "runner.checks" -}}
{{- if and .Values.dagger.enabled .Values.dagger.externalEngine.address -}}
{{- fail "dagger.externalEngine.address is set, and dagger.enabled is true: components would not know which engine is meant. Set dagger.enabled: false, or remove the address" -}}
{{- end -}}
{{- if and .Values.imageUpdater.enabled (not .Values.imageUpdater.workloads) -}}
{{- fail "imageUpdater.enabled is true, and imageUpdater.workloads is empty: list what it may patch, as in\nimageUpdater:\n  workloads:\n    - {kind: Deployment, name: runner-agent-manager, container: agent-manager, image: ghcr.io/kubiyabot/agent-manager:v0.5.2}" -}}
{{- end -}}
{{- if .Values.registryTls.crt -}}
{{- $_ := include "runner.certificate" . -}}
{{- end -}}
{{- end -}}

{{/* registryTls.crt as PEM. */}}
{{- define "runner.certificate" -}}
{{- if .Values.registryTls.existingConfigMap -}}
{{- fail "registryTls.crt and registryTls.existingConfigMap are both set: keep one of them" -}}
{{- end -}}
{{- $text := trim .Values.registryTls.crt -}}
{{- if not (hasPrefix "-----BEGIN" $text) -}}
{{- $text = $text | nospace | b64dec | trim -}}
{{- end -}}
{{- if contains "PRIVATE KEY" $text -}}
{{- fail "registryTls.crt has a private key in it: keep the part from BEGIN CERTIFICATE to END CERTIFICATE, and replace the key pair if these values have been stored anywhere" -}}
{{- end -}}
{{- if not (and (hasPrefix "-----BEGIN CERTIFICATE-----" $text) (hasSuffix "-----END CERTIFICATE-----" $text)) -}}
{{- fail "registryTls.crt is no certificate: it has to be PEM, -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----, or base64 of that" -}}
{{- end -}}
{{- $text -}}
{{- end -}}
