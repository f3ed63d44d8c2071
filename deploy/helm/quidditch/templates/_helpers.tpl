{{- define "quidditch.fullname" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- if not (regexMatch "^[a-z][a-z0-9-]*$" $name) -}}
{{- fail (printf "Services are named after the release, and %s is no name of a Service, which begins with a letter and has letters, digits and - alone: give fullnameOverride" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}
{{- define "quidditch.clusterName" -}}
{{- .Values.clusterName | default (include "quidditch.fullname" .) -}}
{{- end -}}
{{- define "quidditch.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (printf "%s-coordination" (include "quidditch.fullname" .)) -}}
{{- end -}}

{{/* (list . role): labels of objects; app is that of the ServiceMonitor. */}}
{{- define "quidditch.labels" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: quidditch
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
app.kubernetes.io/part-of: quidditch
helm.sh/chart: {{ $.Chart.Name }}-{{ $.Chart.Version }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}
{{- define "quidditch.podLabels" -}}
{{- $ := index . 0 -}}
app: {{ include "quidditch.fullname" $ }}-{{ index . 1 }}
app.kubernetes.io/name: quidditch
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/part-of: quidditch
{{- end -}}

{{- define "quidditch.image" -}}
{{- $ := index . 0 -}}
{{- with $.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end }}{{ $.Values.image.repository }}/{{ index . 1 }}:{{ $.Values.image.tag | default $.Chart.AppVersion }}
{{- end -}}

{{/* A quantity of Kubernetes as a number. */}}
{{- define "quidditch.number" -}}
{{- $text := ternary (printf "%f" .) (toString .) (kindIs "float64" .) -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- $factors := dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- mulf (regexFind "^[0-9.]+" $text | float64) (get $factors $unit) -}}
{{- end -}}

{{/* (list name-of-the-value value): {memory, cpu} alone are requests and limits; memory has a limit always. */}}
{{- define "quidditch.resources" -}}
{{- $name := index . 0 -}}
{{- $r := index . 1 | default dict -}}
{{- $requests := $r.requests | default dict -}}
{{- $limits := $r.limits | default dict -}}
{{- if or $r.memory $r.cpu -}}
{{- if $limits -}}
{{- fail (printf "%s has memory or cpu, which are requests and limits at once, and limits: give one of them" $name) -}}
{{- end -}}
{{- $limits = pick $r "memory" "cpu" -}}
{{- $requests = merge (pick $r "memory" "cpu") $requests -}}
{{- if not $requests.memory -}}
{{- fail (printf "%s has cpu and no memory, and a node without a limit plans with the memory of its machine: give %s.memory too" $name $name) -}}
{{- end -}}
{{- end -}}
{{- if not (or $requests.memory $limits.memory) -}}
{{- fail (printf "%s has no memory, and a node without a limit plans with the memory of its machine: give %s.requests.memory" $name $name) -}}
{{- end -}}
{{- if and $requests.memory (not $limits.memory) }}{{ $limits = merge (dict "memory" $requests.memory) $limits }}{{ end -}}
{{- range $what := list "memory" "cpu" -}}
{{- $request := get $requests $what -}}
{{- $limit := get $limits $what -}}
{{- if and $request $limit (gt (include "quidditch.number" $request | float64) (include "quidditch.number" $limit | float64)) -}}
{{- fail (printf "%s.limits.%s is %v and %s.requests.%s %v: lower the request too" $name $what $limit $name $what $request) -}}
{{- end -}}
{{- end -}}
{{- dict "requests" $requests "limits" $limits | toYaml -}}
{{- end -}}

{{/* (list . from first to last port): addresses of the masters */}}
{{- define "quidditch.masterAddresses" -}}
{{- $ := index . 0 -}}
{{- $name := printf "%s-master" (include "quidditch.fullname" $) -}}
{{- $port := index . 1 -}}
{{- $all := list -}}
{{- $n := include "quidditch.masters" $ | int -}}
{{- range $i := until (min $n 5 | int) -}}
{{- $all = append $all (printf "%s-%d.%s.%s.svc.cluster.local:%d" $name $i $name $.Release.Namespace $port) -}}
{{- end -}}
{{- join "," $all -}}
{{- end -}}
{{- define "quidditch.controlAddress" -}}
{{ include "quidditch.fullname" . }}-coordination-rpc.{{ .Release.Namespace }}.svc.cluster.local:9302
{{- end -}}

{{- define "quidditch.field" -}}
- name: {{ index . 0 }}
  valueFrom:
    fieldRef:
      fieldPath: {{ index . 1 }}
{{- end -}}

{{/* Variables of every node. */}}
{{- define "quidditch.env" -}}
{{ include "quidditch.field" (list "NODE_ID" "metadata.name") }}
{{ include "quidditch.field" (list "POD_NAMESPACE" "metadata.namespace") }}
- name: cluster.name
  value: {{ include "quidditch.clusterName" . | quote }}
{{- $own := list "transport.port" "transport.rpc_port" "metrics.port" "cluster.name" "node.name" "node.roles" "path.data" "network.host" "http.port" "http.allowed_hosts" "coordination.mode" "coordination.raft_peers" "coordination.master_addresses" "coordination.k8s_fallback" "coordination.k8s.namespace" "storage.tier" }}
{{- if .Values.zones }}{{ $own = concat $own (list "node.attr.zone" "cluster.routing.allocation.awareness.attributes") }}{{ end }}
{{- range $key, $value := .Values.settings }}
{{- if has $key $own }}{{ fail (printf "settings.%s is set by the chart's other values: take it out" $key) }}{{ end }}
- name: {{ $key }}
  value: {{ if kindIs "slice" $value }}{{ join "," $value | quote }}{{ else if kindIs "float64" $value }}{{ if eq (floor $value) $value }}{{ int64 $value | toString | quote }}{{ else }}{{ toString $value | quote }}{{ end }}{{ else }}{{ toString $value | quote }}{{ end }}
{{- end }}
{{- if .Values.zones }}
- name: cluster.routing.allocation.awareness.attributes
  value: zone
{{- end }}
{{- end -}}

{{/* Variables that say where the state is, of nodes that may hold it: (list . role) */}}
{{- define "quidditch.modeEnv" -}}
{{- $ := index . 0 -}}
{{- $role := index . 1 -}}
{{- $mode := include "quidditch.mode" $ -}}
{{- $migration := $.Values.controlPlane.migration -}}
{{- if and (eq $role "coordination") (or $migration (eq $mode "auto")) -}}
- name: coordination.mode
  value: auto
- name: K8S_FALLBACK
  value: "true"
{{- else if eq $mode "auto" -}}
- name: coordination.mode
  value: auto
- name: K8S_FALLBACK
  value: "true"
{{- else -}}
- name: USE_K8S_COORDINATION
  value: {{ eq $mode "k8s-native" | quote }}
{{- if $migration }}
- name: K8S_FALLBACK
  value: "true"
{{- end }}
{{- end }}
{{- end -}}

{{- define "quidditch.podSecurity" -}}
runAsNonRoot: true
runAsUser: 9200
runAsGroup: 9200
fsGroup: 9200
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}
{{- define "quidditch.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end -}}

{{- define "quidditch.probes" -}}
livenessProbe:
  httpGet:
    path: /health
    port: {{ . }}
  initialDelaySeconds: 30
  periodSeconds: 10
readinessProbe:
  httpGet:
    path: /ready
    port: {{ . }}
  initialDelaySeconds: 10
  periodSeconds: 5
{{- end -}}

{{/* (list . values-of-the-role port) */}}
{{- define "quidditch.podAnnotations" -}}
{{- $ := index . 0 -}}
{{- $a := (index . 1).annotations | default dict -}}
{{- if $.Values.monitoring.annotations }}{{ $a = merge (deepCopy $a) (dict "prometheus.io/scrape" "true" "prometheus.io/port" (index . 2 | toString)) }}{{ end -}}
{{- toYaml $a -}}
{{- end -}}

{{- define "quidditch.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
{{ toYaml . | indent 2 }}
{{- end }}
{{- end -}}

{{- define "quidditch.claim" -}}
volumeClaimTemplates:
- metadata:
    name: data
  spec:
    accessModes: ["ReadWriteOnce"]
    {{- with .storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .size }}
{{- end -}}
