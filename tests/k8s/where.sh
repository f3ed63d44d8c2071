# where.sh - sourced by the scripts beside it: `bin` is the folder of the binaries.
# shellcheck shell=bash disable=SC2154,SC2034
if [ -z "${QD_KUBE_CACHE:-}" ]; then
    QD_KUBE_CACHE=${HOME:-/nonexistent}/.cache/quidditch-kube
    [ "$(id -u)" != 0 ] || QD_KUBE_CACHE=/var/cache/quidditch-kube/bin
fi
bin=$QD_KUBE_CACHE/$(sha256sum "$here/build-kube" | cut -c1-12)
