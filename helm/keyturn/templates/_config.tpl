{{/*
config.yaml: what the chart decides, over what `config` says. The schema refuses a `config` that
names one of these, so that nobody wonders whose word counts.
*/}}
{{- define "keyturn.config" -}}
{{- $postgres := dict "pool_max" (int .Values.postgres.poolMax) -}}
{{- if ne .Values.postgres.pooler "none" -}}
{{- $_ := set $postgres "pooler" .Values.postgres.pooler -}}
{{- end -}}
{{- $server := dict
  "port" 8080 "management_port" 8081
  "drain_seconds" (int .Values.shutdown.drainSeconds) "grace_seconds" (int .Values.shutdown.graceSeconds) -}}
{{- $owned := dict "issuer" .Values.issuer "postgres" $postgres "server" $server -}}
{{- if or .Values.clients.inline .Values.clients.existingSecret -}}
{{- $_ := set $owned "clients_file" (printf "/etc/keyturn/clients/%s" (include "keyturn.clientsKey" .)) -}}
{{- end -}}
{{- mergeOverwrite (deepCopy .Values.config) $owned | toYaml -}}
{{- end -}}

{{- define "keyturn.clientsKey" -}}
{{- if .Values.clients.inline -}}
clients.yaml
{{- else -}}
{{- .Values.clients.key -}}
{{- end -}}
{{- end -}}
