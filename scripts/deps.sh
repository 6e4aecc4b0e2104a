#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The distribution's packages that building and testing needs (names of Debian 12 and 13 and of
# Ubuntu 24.04 and later): says which are missing and installs them.
#
#   scripts/deps.sh           installs what building, testing and the demo need
#   scripts/deps.sh --ci      and what make check and .ci/run need beyond it (clang, gcovr, …)
#   scripts/deps.sh --check   says what is missing and installs nothing (exit 1)
#   scripts/deps.sh --list    prints the package names
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# package, and how to see that what it brings is there although it is not installed as a package:
# a command, a pkg-config module, a header, or a Python module
needed="
gcc command:gcc
libc6-dev header:stdio.h
make command:make
cmake command:cmake
ninja-build command:ninja
pkg-config command:pkg-config
libcurl4-openssl-dev module:libcurl
libyaml-dev module:yaml-0.1
libcjson-dev module:libcjson
libssl-dev module:openssl
libwebsockets-dev module:libwebsockets
libmicrohttpd-dev module:libmicrohttpd
uthash-dev header:uthash.h
libcmocka-dev module:cmocka
python3 command:python3
python3-venv python:ensurepip
openssl command:openssl
skopeo command:skopeo
curl command:curl
ca-certificates file:/etc/ssl/certs/ca-certificates.crt
"
ci="
clang command:clang
clang-format command:clang-format
clang-tidy command:run-clang-tidy
llvm command:llvm-symbolizer
gcovr command:gcovr
wrk command:wrk
nginx-light command:nginx
"

mode=install
wants_ci=
for arg; do
    case $arg in
        --ci) needed+=$ci wants_ci=1 ;;
        --check) mode=check ;;
        --list) mode=list ;;
        *) die "unknown argument $arg: see the top of $0" ;;
    esac
done

# libFuzzer and the sanitizers of clang are a package with clang's version in its name; which that
# is is asked of clang, or of what would be installed.
clang_runtime() {
    local major
    major=$(clang -dumpversion 2> /dev/null | cut -d. -f1 || true)
    [ -n "$major" ] ||
        major=$(apt-cache depends clang 2> /dev/null |
            sed -n 's/^ *Depends: clang-\([0-9]*\)$/\1/p')
    [ -z "$major" ] || echo "libclang-rt-$major-dev runtime:fuzzer"
}
if [ -n "$wants_ci" ]; then
    runtime=$(clang_runtime)
    if [ -z "$runtime" ] && [ "$mode" = install ] && have apt-get; then
        say "updating the package lists"
        as_root apt-get update -q >&2 || true
        runtime=$(clang_runtime)
    fi
    needed+=$runtime
fi

packages() { awk 'NF { print $1 }' <<< "$needed"; }

# What is there without being a package of this distribution.
is_there() {
    case $1 in
        command:*) have "${1#*:}" ;;
        module:*) have pkg-config && pkg-config --exists "${1#*:}" ;;
        header:*) [ -e "/usr/include/${1#*:}" ] || [ -e "/usr/local/include/${1#*:}" ] ;;
        python:*) have python3 && python3 -c "import ${1#*:}" 2> /dev/null ;;
        runtime:*) have clang && compgen -G \
            "$(clang -print-resource-dir)/lib/*/libclang_rt.${1#*:}*.a" > /dev/null ;;
        file:*) [ -e "${1#*:}" ] ;;
    esac
}

find_missing() {
    local installed package probe
    installed=$(packages | xargs dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2> /dev/null |
        sed -n 's/ installed$//p' || true)
    installed=" ${installed//$'\n'/ } "
    while read -r package probe; do
        [ -z "$package" ] || [[ $installed == *" $package "* ]] || is_there "$probe" ||
            echo "$package"
    done <<< "$needed"
}

if [ "$mode" = list ]; then
    packages
    exit 0
fi
mapfile -t missing < <(find_missing)
[ ${#missing[@]} -gt 0 ] || exit 0

say "missing packages: ${missing[*]}"
how="install them as root: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
[ "$mode" = install ] || exit 1
have apt-get || die "there is no apt-get here; install what these Debian packages bring:" \
    "${missing[*]}"
if [ "$(id -u)" != 0 ] && ! have sudo; then
    die "this is not root and there is no sudo; $how"
fi

install_packages() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        -o Dpkg::Use-Pty=0 "${missing[@]}" >&2
}
# the package lists may be absent (a container image) or too old for what the mirror still has
if ! apt-cache show --no-all-versions "${missing[@]}" > /dev/null 2>&1 ||
    ! install_packages; then
    say "updating the package lists"
    as_root apt-get update -q >&2 || die "apt-get update failed (see above): is the network" \
        "there? Then $how"
    install_packages || die "apt-get could not install them (see above): is the network there?" \
        "Then $how"
fi
mapfile -t missing < <(find_missing)
[ ${#missing[@]} -eq 0 ] || die "still missing after the installation: ${missing[*]}"
