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

{{/* A value of a Secret in base64: as the cluster has it, or a new one. */}}
{{- define "dapr-tasks.keptOrRandom" -}}
{{- $kept := lookup "v1" "Secret" .root.Release.Namespace .secret }}
{{- dig "data" .key "" $kept | default (randAlphaNum 40 | b64enc) }}
{{- end }}

{{/* What keeps a container within Pod Security "restricted". */}}
{{- define "dapr-tasks.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "dapr-tasks.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Seconds that a service has to end its requests (service_kit.service), and a sidecar itself. */}}
{{- define "dapr-tasks.serviceStopSeconds" -}}10{{- end }}
{{- define "dapr-tasks.sidecarStopSeconds" -}}5{{- end }}
