{{/* All that differs between the two services. */}}
{{- define "dapr-tasks.services" -}}
task-api:
  values: taskApi
  port: 8000
  publicPaths: [/tasks]
  invokedBy:
    - {appId: notification-service, method: /redeliver, verb: POST}
notification-service:
  values: notificationService
  port: 8001
  # Activity and dead letters are for operators, and stay inside.
  publicPaths: [/notifications, /preferences]
  invokedBy:
    - {appId: task-api, method: /notify, verb: POST}
{{- end }}

{{- define "dapr-tasks.selectorLabels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* Labels that a pod has too. */}}
{{- define "dapr-tasks.podLabels" -}}
{{ include "dapr-tasks.selectorLabels" . }}
app.kubernetes.io/part-of: dapr-tasks
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end }}

{{/* Takes the name of what it labels: a service, redis, or dapr-tasks for what belongs to all. */}}
{{- define "dapr-tasks.labels" -}}
{{ include "dapr-tasks.podLabels" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The image of a service, from its values. */}}
{{- define "dapr-tasks.image" -}}
{{- with .root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "dapr-tasks.appApiTokenSecret" -}}
{{ .Values.tokens.appApiTokenSecret | default "app-api-token" }}
{{- end }}

{{- define "dapr-tasks.daprApiTokenSecret" -}}
{{ .Values.tokens.daprApiTokenSecret | default "dapr-api-token" }}
{{- end }}

{{- define "dapr-tasks.redisSecret" -}}
{{ .Values.redis.passwordSecret | default "redis" }}
{{- end }}

{{/* A value of a Secret in base64: as the cluster has it, or a new one. */}}
{{- define "dapr-tasks.keptOrRandom" -}}
{{- $kept := lookup "v1" "Secret" .root.Release.Namespace .secret }}
{{- dig "data" .key "" $kept | default (randAlphaNum 40 | b64enc) }}
{{- end }}

{{/* What all pods have in common; takes the values of where they may run. */}}
{{- define "dapr-tasks.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "dapr-tasks.podSecurityContext" .root | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- range $name := tuple "nodeSelector" "tolerations" "affinity" }}
{{- with index $.values $name }}
{{ $name }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* What keeps a container within Pod Security "restricted". */}}
{{- define "dapr-tasks.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
{{ include "dapr-tasks.user" . }}
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "dapr-tasks.podSecurityContext" -}}
{{ include "dapr-tasks.user" . }}
{{- with .Values.podSecurity.userId }}
fsGroup: {{ . | int64 }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "dapr-tasks.user" -}}
runAsNonRoot: true
{{- with .Values.podSecurity.userId }}
runAsUser: {{ . | int64 }}
runAsGroup: {{ . | int64 }}
{{- end }}
{{- end }}

{{/* Most bytes of data in the chart's Redis; nothing where its memory has no limit. While Redis
     rewrites its append-only file it may need twice its data: measured with writes at full speed, 60 %
     of the limit was too much, half was not. */}}
{{- define "dapr-tasks.redisMaxmemory" -}}
{{- with dig "limits" "memory" "" .Values.redis.resources }}
{{- div (include "dapr-tasks.bytes" . | int64) 2 }}
{{- end }}
{{- end }}

{{/* Entries of each of its streams. Half of its data may be streams, and an entry of task-events and
     one of task-changes together have 4 KiB at most, on average: measured, 0.8 and 0.7 to 2.4 KB. */}}
{{- define "dapr-tasks.redisMaxLenApprox" -}}
{{- $maxmemory := include "dapr-tasks.redisMaxmemory" . }}
{{- if .Values.redis.maxLenApprox }}
{{- .Values.redis.maxLenApprox | int64 }}
{{- else if $maxmemory }}
{{- div (div (int64 $maxmemory) 2) 4096 | max 1 }}
{{- else }}
{{- include "dapr-tasks.maxLenApprox" . }}
{{- end }}
{{- end }}

{{/* Entries of each stream of a Redis that is large enough, as in components/. */}}
{{- define "dapr-tasks.maxLenApprox" -}}1000000{{- end }}

{{/* A quantity of Kubernetes, such as 512Mi or 1.5G, as a whole number. */}}
{{- define "dapr-tasks.bytes" -}}
{{- $units := dict "" 1.0 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 }}
{{- $text := toString . }}
{{- $number := regexFind "^[0-9.]+([eE][+-]?[0-9]+)?" $text }}
{{- $unit := trimPrefix $number $text }}
{{- if or (not $number) (not (hasKey $units $unit)) }}
{{- fail (printf "\n%s is no quantity of memory.\nWrite it as Kubernetes does, such as 512Mi." $text) }}
{{- end }}
{{- mulf (float64 $number) (get $units $unit) | int64 }}
{{- end }}

{{/* Seconds that a service has to end its requests (service_kit.service), and a sidecar itself. */}}
{{- define "dapr-tasks.serviceStopSeconds" -}}10{{- end }}
{{- define "dapr-tasks.sidecarStopSeconds" -}}5{{- end }}
