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
{{- else if eq (toString $c.k8sNative) "false" -}}
{{- fail "coordination.mode=auto leaves the choice to the first start, coordination.k8sNative=false does not: leave one of them out" -}}
{{- else if and (eq (toString .Values.master.enabled) "false") (eq (toString $cp.raft.enabled) "true") -}}
{{- fail "controlPlane.raft.enabled=true asks for masters, and master.enabled is false: leave one of them out" -}}
{{- end -}}
auto
{{- else if $raft -}}
{{- range $name, $value := dict "master.enabled" .Values.master.enabled "controlPlane.raft.enabled" $cp.raft.enabled -}}
{{- if eq (toString $value) "false" -}}
{{- fail (printf "%s asks for masters, and %s is false: leave one of them out" (join ", " $raft) $name) -}}
{{- end -}}
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
{{- $n := int .Values.master.replicas -}}
{{- $raft := int .Values.controlPlane.raft.replicas -}}
{{- if eq $mode "k8s-native" -}}
{{- if .Values.controlPlane.migration }}{{ $n }}{{ else }}0{{ end -}}
{{- else if and (eq $mode "auto") (eq (toString .Values.master.enabled) "false") -}}
0
{{- else if eq (toString .Values.master.enabled) "true" -}}
{{- if ne $raft 3 }}{{ if ne $n $raft }}{{ fail (printf "master.enabled=true takes master.replicas, which is %d, and controlPlane.raft.replicas is %d: set master.replicas" $n $raft) }}{{ end }}{{ end -}}
{{- if .Values.controlPlane.raft.resources }}{{ fail "master.enabled=true takes master.resources: move controlPlane.raft.resources there" }}{{ end -}}
{{ $n }}
{{- else -}}
{{- if ne $n 3 }}{{ if ne $n $raft }}{{ fail (printf "without master.enabled=true controlPlane.raft.replicas is taken, which is %d, and master.replicas is %d: set controlPlane.raft.replicas" $raft $n) }}{{ end }}{{ end -}}
{{ $raft }}
{{- end -}}
{{- end -}}

{{/* Do nodes talk to the API server? */}}
{{- define "quidditch.account" -}}
{{- if or .Values.controlPlane.migration (ne (include "quidditch.mode" .) "master") }}true{{ end -}}
{{- end -}}

{{/*
The mode, the cluster's name and the zones that this release was last rendered with are in a ConfigMap, which outlives it.
Another mode is taken only when the state has been moved: the root object in Kubernetes tells who is in charge. The
ConfigMap and the volume claims have the release's full name, so an upgrade that finds the one of another name is refused.
*/}}
{{- define "quidditch.keepsItsStore" -}}
{{- $mode := include "quidditch.mode" . -}}
{{- $name := printf "%s-control-plane" (include "quidditch.fullname" .) -}}
{{- $kept := dig "data" dict (lookup "v1" "ConfigMap" .Release.Namespace $name | default dict) -}}
{{- $was := dig "mode" "" $kept -}}
{{- $called := dig "clusterName" "" $kept -}}
{{- if and $called (ne $called (include "quidditch.clusterName" .)) -}}
{{- fail (printf "the cluster of this release is called %s, the values call it %s, and its nodes would not know each other: set clusterName=%s" $called (include "quidditch.clusterName" .) $called) -}}
{{- end -}}
{{- if and .Release.IsUpgrade (not $kept) -}}
{{- range (lookup "v1" "ConfigMap" .Release.Namespace "" | default dict).items -}}
{{- $labels := dig "metadata" "labels" dict . -}}
{{- $other := trimSuffix "-control-plane" .metadata.name -}}
{{- if and (ne $other .metadata.name) (eq (get $labels "app.kubernetes.io/name") "quidditch") (eq (get $labels "app.kubernetes.io/instance") $.Release.Name) -}}
{{- fail (printf "the objects of this release are called %s, the values call them %s, and the volumes would stay behind: set fullnameOverride=%s" $other (include "quidditch.fullname" $) $other) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if hasKey $kept "zones" -}}
{{- range $zone := splitList "," $kept.zones -}}
{{- if not (has $zone ($.Values.zones | default (list ""))) -}}
{{- $which := ternary (printf "those of zone %s" $zone) "those without zones" (ne $zone "") -}}
{{- fail (printf "the values have other zones: data nodes would be made anew with empty volumes, and %s go at once with all their copies. Set zones=%s as before; or empty these nodes first (qd node stop NODE --reason remove) and then take them out of zones in the ConfigMap %s" $which (ternary "[]" (printf "{%s}" $kept.zones) (eq $kept.zones "")) $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
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
