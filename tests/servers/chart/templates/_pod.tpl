{{- define "litellm.name" -}}
{{- .Values.fullnameOverride | default (printf "%s-litellm" .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "litellm.image" -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
{{- end -}}

{{- define "litellm.database" -}}
{{- if .Values.db.useExisting }}
{{- with .Values.db }}
- {name: DATABASE_USERNAME, valueFrom: {secretKeyRef: {name: {{ .secret.name | quote }}, key: {{ .secret.usernameKey | quote }}}}}
- {name: DATABASE_PASSWORD, valueFrom: {secretKeyRef: {name: {{ .secret.name | quote }}, key: {{ .secret.passwordKey | quote }}}}}
- {name: DATABASE_HOST, value: {{ .endpoint | quote }}}
- {name: DATABASE_NAME, value: {{ .database | quote }}}
- {name: DATABASE_URL, value: {{ .url | quote }}}
{{- end }}
{{- else if .Values.db.deployStandalone }}
{{- fail "the real chart would deploy a PostgreSQL of its own with a published password" }}
{{- end }}
{{- end -}}

{{- define "litellm.probe" -}}
httpGet: {path: {{ .path | quote }}, port: http}
initialDelaySeconds: {{ .initialDelaySeconds }}
periodSeconds: {{ .periodSeconds }}
timeoutSeconds: {{ .timeoutSeconds }}
successThreshold: {{ .successThreshold }}
failureThreshold: {{ .failureThreshold }}
{{- end -}}
