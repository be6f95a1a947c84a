{{/*
The name of everything. Two releases never share one, whatever they are called: "keyturn" is the
release's own name, every other release has "-keyturn" behind it, and what would be too long ends
in a hash of the whole. 47 leaves room for the longest suffix, and for a Job's hash, in 63.
*/}}
{{- define "keyturn.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if eq .Release.Name "keyturn" -}}
keyturn
{{- else -}}
{{- $name := printf "%s-keyturn" .Release.Name -}}
{{- if gt (len $name) 47 -}}
{{- printf "%s-%s" ($name | trunc 38 | trimSuffix "-") ($name | sha256sum | trunc 8) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "keyturn.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* What a selector may name: never changes, because selectors cannot. Takes root and component. */}}
{{- define "keyturn.selector" -}}
app.kubernetes.io/name: keyturn
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of pods: without the chart's version, so that a new chart alone replaces none. */}}
{{- define "keyturn.podLabels" -}}
{{ include "keyturn.selector" . }}
app.kubernetes.io/part-of: keyturn
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* name, namespace and labels of an object. Takes root, component and suffix. */}}
{{- define "keyturn.metadata" -}}
name: {{ include "keyturn.fullname" .root }}{{ .suffix }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "keyturn.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: keyturn
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "keyturn.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The host people type, from the issuer. */}}
{{- define "keyturn.host" -}}
{{- get (urlParse .Values.issuer) "hostname" -}}
{{- end -}}

{{/* Most pods there may be, but for the one more of a rollout. */}}
{{- define "keyturn.mostPods" -}}
{{- if .Values.autoscaling.enabled -}}
{{- int .Values.autoscaling.maxReplicas -}}
{{- else -}}
{{- int .Values.replicaCount -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.leastPods" -}}
{{- if .Values.autoscaling.enabled -}}
{{- int .Values.autoscaling.minReplicas -}}
{{- else -}}
{{- int .Values.replicaCount -}}
{{- end -}}
{{- end -}}
