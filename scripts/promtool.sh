#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Prints the path of promtool, which judges the metrics: the one in PATH, else that of the
# distribution's package (promtool; in Debian 12 and Ubuntu 24.04 part of prometheus), unpacked into
# the cache without installing: prometheus would start a server. --check says what would be fetched
# (exit 2), and fetches nothing.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cached=$berth_cache/promtool

if have promtool; then
    command -v promtool
    exit 0
fi
if [ ! -x "$cached" ]; then
    if [ "${1:-}" = --check ]; then
        say "promtool, from the distribution's packages (about 20 MB, unpacked only)"
        exit 2
    fi
    have apt-get || die "there is no apt-get here; install promtool, which is part of Prometheus"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # the package's name, the older one last; our directory is not for apt's own user
    fetch() {
        (
            cd "$work"
            for package in promtool prometheus; do
                ! apt-get -o APT::Sandbox::User=root download -qq "$package" || exit 0
            done
            exit 1
        )
    }
    if ! fetch > "$work/log" 2>&1 &&
        ! { as_root apt-get update -q && fetch; } >> "$work/log" 2>&1; then
        cat "$work/log" >&2
        die "cannot fetch promtool (see above): is the network there? Run apt-get update as root," \
            "or install promtool yourself"
    fi
    dpkg-deb --fsys-tarfile "$work"/prom*.deb | tar -x -C "$work" ./usr/bin/promtool
    mkdir -p "$berth_cache"
    mv "$work/usr/bin/promtool" "$cached.part.$$"
    mv "$cached.part.$$" "$cached"
fi
printf '%s\n' "$cached"
