{{/* The pod's security context. OpenShift gives every namespace its own ids, and refuses others. */}}
{{- define "keyturn.podSecurityContext" -}}
{{- $context := .Values.podSecurityContext -}}
{{- if .Values.openshift -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* What every container of ours has in common. */}}
{{- define "keyturn.container" -}}
image: {{ include "keyturn.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}

{{/*
Secrets reach the process as files, and only their names by the environment, which every child
process and every crash report repeats. Takes root and migrates: whether it changes the schema.
*/}}
{{- define "keyturn.secretFiles" -}}
{{- $postgres := .root.Values.postgres -}}
{{- $own := and .migrates .root.Values.migrations.postgres.existingSecret -}}
- name: KEYTURN_POSTGRES__URL_FILE
  value: /run/secrets/keyturn/postgres-url
{{- if and $postgres.directUrlKey (not $own) }}
- name: KEYTURN_POSTGRES__DIRECT_URL_FILE
  value: /run/secrets/keyturn/postgres-direct-url
{{- end }}
- name: KEYTURN_SECRETS_FILE
  value: /run/secrets/keyturn/secrets
{{- if and .root.Values.redis.enabled (not .migrates) }}
- name: KEYTURN_REDIS__URL_FILE
  value: /run/secrets/keyturn/redis-url
{{- end }}
{{- with $postgres.sslMode }}
- name: PGSSLMODE
  value: {{ . }}
{{- end }}
{{- if $postgres.caSecret.name }}
- name: PGSSLROOTCERT
  value: /run/secrets/keyturn/postgres-ca.crt
{{- end }}
{{- end -}}

{{/*
The volume of secret files: the keys that are needed, not the Secrets they come from. Mode 0440,
root's and the fsGroup's; a rotated Secret appears in it by itself. Takes root and migrates.
*/}}
{{- define "keyturn.secretVolume" -}}
{{- $values := .root.Values -}}
{{- $own := and .migrates $values.migrations.postgres.existingSecret -}}
projected:
  defaultMode: 0440
  sources:
    - secret:
        {{- if $own }}
        name: {{ $values.migrations.postgres.existingSecret }}
        items:
          - {key: {{ $values.migrations.postgres.urlKey }}, path: postgres-url}
        {{- else }}
        name: {{ $values.postgres.existingSecret }}
        items:
          - {key: {{ $values.postgres.urlKey }}, path: postgres-url}
          {{- with $values.postgres.directUrlKey }}
          - {key: {{ . }}, path: postgres-direct-url}
          {{- end }}
        {{- end }}
    - secret:
        name: {{ $values.secrets.existingSecret }}
        items:
          - {key: {{ $values.secrets.key }}, path: secrets}
    {{- with $values.postgres.caSecret }}
    {{- if .name }}
    - secret:
        name: {{ .name }}
        items:
          - {key: {{ .key }}, path: postgres-ca.crt}
    {{- end }}
    {{- end }}
    {{- if and $values.redis.enabled (not .migrates) }}
    - secret:
        name: {{ $values.redis.existingSecret }}
        items:
          - {key: {{ $values.redis.urlKey }}, path: redis-url}
    {{- with $values.redis.caSecret }}
    {{- if .name }}
    - secret:
        name: {{ .name }}
        items:
          - {key: {{ .key }}, path: redis-ca.crt}
    {{- end }}
    {{- end }}
    {{- end }}
{{- end -}}

{{/* Environment of containers that have the whole configuration. Takes root and migrates. */}}
{{- define "keyturn.env" -}}
- name: KEYTURN_CONFIG
  value: /etc/keyturn/config.yaml
{{ include "keyturn.secretFiles" . }}
{{- if and .migrates .root.Values.migrations.postgres.existingSecret (ne .root.Values.postgres.pooler "none") }}
- name: KEYTURN_POSTGRES__POOLER
  value: none
{{- end }}
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where they see it. Takes root and secrets: the volume of secret files. */}}
{{- define "keyturn.mounts" -}}
- name: config
  mountPath: /etc/keyturn/config.yaml
  subPath: config.yaml
  readOnly: true
- name: {{ .secrets }}
  mountPath: /run/secrets/keyturn
  readOnly: true
{{- if or .root.Values.clients.inline .root.Values.clients.existingSecret }}
- name: clients
  mountPath: /etc/keyturn/clients
  readOnly: true
{{- end }}
- name: tmp
  mountPath: /tmp
{{- with .root.Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The volumes but for the secrets that migrate. Takes root. */}}
{{- define "keyturn.volumes" -}}
- name: config
  configMap:
    name: {{ include "keyturn.fullname" .root }}
- name: secrets
  {{- include "keyturn.secretVolume" (dict "root" .root "migrates" false) | nindent 2 }}
{{- if .root.Values.clients.inline }}
- name: clients
  configMap:
    name: {{ include "keyturn.fullname" .root }}-clients
{{- else if .root.Values.clients.existingSecret }}
- name: clients
  secret:
    secretName: {{ .root.Values.clients.existingSecret }}
    defaultMode: 0440
{{- end }}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "keyturn.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}
