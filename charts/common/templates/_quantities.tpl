{{/*
SPDX-License-Identifier: Apache-2.0

Arithmetic with quantities of Kubernetes.

  common.bytes                 dict "key" "persistence.size" "value" "3Gi"
                               the quantity in bytes; the key is named when it is none
  common.resources.withVolume  dict "resources" .Values.resources "size" .Values.persistence.size
                               resources, with the size of an emptyDir added to ephemeral-storage: the kubelet counts it there, and
                               evicts a pod that has more than its limit
  common.goMemLimit            dict "resources" .Values.resources
                               GOMEMLIMIT: 85 % of limits.memory, in bytes; empty without a limit

The garbage collector works harder as it comes near GOMEMLIMIT. The rest is for what Go does not count: the binary's own pages, and
stacks of the kernel.
*/}}

{{- define "common.bytes" -}}
{{- /* A number of a values file is a float, whose text would be 5.36870912e+08. */ -}}
{{- $value := kindIs "float64" .value | ternary (int64 .value) .value | toString -}}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$" $value) -}}
{{- fail (printf "%s is %q: it has to be an amount of bytes, for example 512Mi or 3Gi" .key $value) -}}
{{- end -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $number := regexFind "^[0-9.]+" $value -}}
{{- mulf (float64 $number) (index $units (trimPrefix $number $value)) | int64 -}}
{{- end -}}

{{- define "common.resources.withVolume" -}}
{{- $resources := deepCopy (.resources | default dict) -}}
{{- $size := include "common.bytes" (dict "key" "persistence.size" "value" .size) | int64 -}}
{{- range $kind := list "requests" "limits" -}}
{{- with index (index $resources $kind | default dict) "ephemeral-storage" -}}
{{- $own := include "common.bytes" (dict "key" (printf "resources.%s.ephemeral-storage" $kind) "value" .) | int64 -}}
{{- $_ := set (index $resources $kind) "ephemeral-storage" (printf "%dMi" (div (add $own $size) 1048576)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "common.goMemLimit" -}}
{{- $limits := (.resources | default dict).limits | default dict -}}
{{- with $limits.memory -}}
{{- div (mul (include "common.bytes" (dict "key" "resources.limits.memory" "value" .) | int64) 85) 100 -}}
{{- end -}}
{{- end -}}
