#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Configures (once) and builds: scripts/build.sh [DIRECTORY [JOBS [TARGET...]]]. An environment's CC
# is used; extra arguments of the first configuration come in BERTH_CMAKE_ARGS.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
build=${1:-$berth_root/build}
jobs=${2:-$(nproc)}

if [ ! -e "$build/build.ninja" ]; then
    say "building in $build (the first time about half a minute on 2 cores)"
    # shellcheck disable=SC2086 # several arguments
    cmake -S "$berth_root" -B "$build" -G Ninja ${BERTH_CMAKE_ARGS:-} > "$build.log" 2>&1 || {
        cat "$build.log" >&2
        rm -rf "$build/CMakeCache.txt" "$build/CMakeFiles" "$build.log"
        die "cmake failed (see above)"
    }
    rm -f "$build.log"
fi
# quiet where nothing is to be done
cmake --build "$build" -j "$jobs" ${3:+--target "${@:3}"} -- --quiet
