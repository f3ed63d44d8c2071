{{/*
quidditch.mode: where the state is: master, k8s-native or auto (either, decided when the cluster forms). Values that
contradict each other end the render with a sentence. quidditch.masters: how many masters are deployed.
*/}}
{{- define "quidditch.mode" -}}
{{- $cp := .Values.controlPlane -}}
{{- $c := .Values.coordination -}}
{{- $raft := list -}}
{{- $k8s := list -}}
{{- if eq (toString .Values.master.enabled) "true" }}{{ $raft = append $raft "master.enabled=true" }}{{ end -}}
{{- if eq (toString $cp.raft.enabled) "true" }}{{ $raft = append $raft "controlPlane.raft.enabled=true" }}{{ end -}}
{{- if eq $cp.mode "raft" }}{{ $raft = append $raft "controlPlane.mode=raft" }}{{ end -}}
{{- if eq $c.mode "master" }}{{ $raft = append $raft "coordination.mode=master" }}{{ end -}}
{{- if eq (toString $c.k8sNative) "true" }}{{ $k8s = append $k8s "coordination.k8sNative=true" }}{{ end -}}
{{- if eq $cp.mode "k8s" }}{{ $k8s = append $k8s "controlPlane.mode=k8s" }}{{ end -}}
{{- if eq $c.mode "k8s-native" }}{{ $k8s = append $k8s "coordination.mode=k8s-native" }}{{ end -}}
{{- if and $raft $k8s -}}
{{- fail (printf "%s asks for masters and %s for the state in Kubernetes: give one of them" (join ", " $raft) (join ", " $k8s)) -}}
{{- end -}}
{{- if eq $c.mode "auto" -}}
{{- if or $k8s (eq $cp.mode "raft") -}}
{{- fail (printf "coordination.mode=auto leaves the choice to the first start, %s does not: leave one of them out" (join ", " (concat $k8s $raft))) -}}
{{- end -}}
auto
{{- else if $raft -}}
{{- if and (eq (toString .Values.master.enabled) "false") -}}
{{- fail (printf "%s asks for masters, and master.enabled is false: leave one of them out" (join ", " $raft)) -}}
{{- end -}}
master
{{- else if eq (toString $c.k8sNative) "false" -}}
{{- fail "coordination.k8sNative is false, and no masters are asked for: set master.enabled=true, or leave coordination.k8sNative out" -}}
{{- else -}}
k8s-native
{{- end -}}
{{- end -}}

{{- define "quidditch.masters" -}}
{{- $mode := include "quidditch.mode" . -}}
{{- if eq $mode "k8s-native" -}}
{{- if .Values.controlPlane.migration }}{{ .Values.master.replicas }}{{ else }}0{{ end -}}
{{- else if and (eq $mode "auto") (eq (toString .Values.master.enabled) "false") -}}
0
{{- else if eq (toString .Values.master.enabled) "true" -}}
{{ .Values.master.replicas }}
{{- else -}}
{{ .Values.controlPlane.raft.replicas }}
{{- end -}}
{{- end -}}

{{/* Do nodes talk to the API server? */}}
{{- define "quidditch.account" -}}
{{- if or .Values.controlPlane.migration (ne (include "quidditch.mode" .) "master") }}true{{ end -}}
{{- end -}}

{{/*
The mode that this release was last rendered with is in a ConfigMap, which outlives it. Another one is taken only when
the state has been moved: the root object in Kubernetes tells who is in charge.
*/}}
{{- define "quidditch.keepsItsStore" -}}
{{- $mode := include "quidditch.mode" . -}}
{{- $name := printf "%s-control-plane" (include "quidditch.fullname" .) -}}
{{- $was := dig "data" "mode" "" (lookup "v1" "ConfigMap" .Release.Namespace $name | default dict) -}}
{{- if and $was (ne $was $mode) -}}
{{- $root := dict -}}
{{- if .Capabilities.APIVersions.Has "quidditch.io/v1/QuidditchState" -}}
{{- $root = lookup "quidditch.io/v1" "QuidditchState" .Release.Namespace (include "quidditch.clusterName" .) | default dict -}}
{{- end -}}
{{- $active := eq (dig "spec" "state" "" $root) "active" -}}
{{- if or (eq $mode "auto") (and (eq $mode "k8s-native") (not $active)) (and (eq $mode "master") $active) -}}
{{- $to := ternary "master" "k8s-native" (eq $mode "master") -}}
{{- fail (printf "the cluster %s was installed with the mode %s, the values ask for %s: its state would stay behind. Keep the mode and set controlPlane.migration=true, run `qd migrate start --to %s` in a coordination pod until `qd migrate status` says done, and then upgrade with the new mode (docs/deploy/helm.md)" (include "quidditch.clusterName" .) $was $mode $to) -}}
{{- end -}}
{{- end -}}
{{- end -}}
