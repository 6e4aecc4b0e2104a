#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the demo and the tests need beyond the distribution's packages (scripts/deps.sh): the Python
# environment, the Kubernetes control plane and, with --test, promtool. Says first what will be
# fetched or built, and ends with how to get it where that cannot be done. Nothing is started before
# this has succeeded.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
scripts=$berth_root/scripts

parts=(venv.sh control-plane.sh)
[ "${1:-}" != --test ] || parts+=(promtool.sh)

plan=
for part in "${parts[@]}"; do
    missing=$("$scripts/$part" --check 2>&1 > /dev/null) || {
        [ $? = 2 ] || die "${missing#error: }" # what cannot be mended here
        plan+=$'\n  '$missing
    }
done
if [ -n "$plan" ]; then
    mkdir -p "$berth_cache" 2> /dev/null && [ -w "$berth_cache" ] ||
        die "cannot write to $berth_cache; set XDG_CACHE_HOME to a directory that can be written to"
    say "setting up once, in $berth_cache:$plan"
fi
for part in "${parts[@]}"; do
    "$scripts/$part" > /dev/null
done
