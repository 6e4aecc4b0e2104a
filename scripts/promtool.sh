#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Prints the path of promtool, which judges the metrics: the one in PATH, else that of the
# distribution's package, unpacked into the cache without installing (the package would start a
# server). --check says what would be fetched, and fetches nothing.
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
        say "  promtool, from the distribution's package prometheus (about 40 MB, unpacked only)"
        exit 1
    fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    (cd "$work" && apt-get download -qq prometheus) > "$work/log" 2>&1 || {
        cat "$work/log" >&2
        die "cannot fetch the package prometheus; run apt-get update, or install promtool yourself"
    }
    dpkg-deb --fsys-tarfile "$work"/prometheus_*.deb | tar -x -C "$work" ./usr/bin/promtool
    mkdir -p "$berth_cache"
    mv "$work/usr/bin/promtool" "$cached.part.$$"
    mv "$cached.part.$$" "$cached"
fi
printf '%s\n' "$cached"
