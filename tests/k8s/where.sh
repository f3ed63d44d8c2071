# where.sh - sourced by the scripts beside it: `bin` is the folder of the binaries, those of build-current with
# QD_KUBE=current; and how they wait.
# shellcheck shell=bash disable=SC2154,SC2034
if [ -z "${QD_KUBE_CACHE:-}" ]; then
    QD_KUBE_CACHE=${HOME:-/nonexistent}/.cache/quidditch-kube
    [ "$(id -u)" != 0 ] || QD_KUBE_CACHE=/var/cache/quidditch-kube/bin
fi
recipe=build-kube
[ "${QD_KUBE:-}" != current ] || recipe=build-current
bin=$QD_KUBE_CACHE/$(sha256sum "$here/$recipe" | cut -c1-12)

wait_until() { # wait_until SECONDS COMMAND...: true once the command is, false when it was not for so long
    local end=$((SECONDS + $1)); shift
    until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.05; done
}
