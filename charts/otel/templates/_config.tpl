{{/*
SPDX-License-Identifier: Apache-2.0

The collector's configuration is one of the files of configs/, of which files/configs has copies. What is changed:

  - jobs and receivers of presets that are off are left out
  - with several replicas each job keeps the targets of its shard
  - `scope`, `limits` and `extraConfig` are laid over it, and the log gets what the volume has room for
  - delivery `stock` takes the exporter of stock.yaml, with the authentication of the backend's file

Values of a customer stay references to environment variables, so the ConfigMap holds none.

  otel.config            .   the configuration, as YAML
  otel.discovery         .   "true" where something is found through the API server
  otel.log.maxBytes      .   log::max_bytes: 80 % of what is left of the volume after 512 MiB for samples that were set aside
*/}}

{{- define "otel.config" -}}
{{- $backend := include "otel.backend" . | fromYaml -}}
{{- $config := .Files.Get (printf "files/configs/%s.yaml" $backend.config) | fromYaml -}}
{{- $presets := .Values.presets -}}

{{- $enabled := dict
      "runner-components" $presets.annotatedPods.enabled
      "kubiya-apps" $presets.annotatedServices.enabled
      "kube-state-metrics" $presets.kubeStateMetrics.enabled
      "otel-collector" $presets.selfMetrics.enabled
      "probes" $presets.probes.enabled -}}
{{- $jobs := list -}}
{{- range $job := $config.receivers.prometheus.config.scrape_configs -}}
{{- if index $enabled $job.job_name -}}
{{- if and (gt (int $.Values.replicas) 1) (ne $job.job_name "otel-collector") -}}
{{- $_ := set $job "relabel_configs" (concat $job.relabel_configs (include "otel.shard" (dict "job" $job.job_name "shards" $.Values.replicas) | fromYamlArray)) -}}
{{- end -}}
{{- $jobs = append $jobs $job -}}
{{- end -}}
{{- end -}}
{{- $receivers := list -}}
{{- if $jobs -}}
{{- $_ := set $config.receivers.prometheus.config "scrape_configs" $jobs -}}
{{- $receivers = append $receivers "prometheus" -}}
{{- end -}}
{{- if $presets.otlp.enabled -}}
{{- $receivers = append $receivers "otlp" -}}
{{- end -}}
{{- $_ := set $config "receivers" (pick $config.receivers (first $receivers) (last $receivers)) -}}
{{- $_ := set $config.service.pipelines.metrics "receivers" $receivers -}}

{{- $runner := $config.processors.runner -}}
{{- $_ := set $runner "scope" (mergeOverwrite $runner.scope (deepCopy .Values.scope)) -}}
{{- $_ := set $runner "limits" (mergeOverwrite $runner.limits (deepCopy .Values.limits)) -}}

{{- if eq .Values.delivery "stock" -}}
{{- $durable := $config.exporters.durable_remote_write -}}
{{- $stock := .Files.Get "files/configs/stock.yaml" | fromYaml -}}
{{- $_ := set $config "exporters" $stock.exporters -}}
{{- $_ := set $config.service.pipelines.metrics "exporters" $stock.service.pipelines.metrics.exporters -}}
{{- range $key := list "auth" "headers" -}}
{{- with index $durable $key -}}
{{- $_ := set $config.exporters.prometheus_remote_write.http $key . -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- $_ := set $config.exporters.durable_remote_write.log "max_bytes" (include "otel.log.maxBytes" . | int64) -}}
{{- end -}}

{{- toYaml (mergeOverwrite $config (deepCopy .Values.extraConfig)) -}}
{{- end -}}

{{/* A target is known by its address, and a probe, whose address is the exporter's, by what it asks. */}}
{{- define "otel.shard" -}}
- source_labels: [__address__{{ if eq .job "probes" }}, __param_target{{ end }}]
  action: hashmod
  modulus: {{ .shards }}
  target_label: __tmp_shard
- source_labels: [__tmp_shard]
  regex: "${env:SHARD}${env:AS_TEXT:-}"
  action: keep
{{- end -}}

{{- define "otel.discovery" -}}
{{- $presets := .Values.presets -}}
{{- if or $presets.annotatedPods.enabled $presets.annotatedServices.enabled $presets.kubeStateMetrics.enabled $presets.probes.enabled -}}true{{- end -}}
{{- end -}}

{{- define "otel.log.maxBytes" -}}
{{- $size := include "common.bytes" (dict "key" "persistence.size" "value" .Values.persistence.size) | int64 -}}
{{- if lt $size 1073741824 -}}
{{- fail (printf "%s is %s: the log needs 1Gi at least, of which 512Mi are for samples that were set aside" (include "common.key" (dict "root" . "key" "persistence.size")) .Values.persistence.size) -}}
{{- end -}}
{{- div (mul (sub $size 536870912) 4) 5 -}}
{{- end -}}
