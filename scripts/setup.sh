#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the tests and the demo need beyond the distribution's packages (scripts/deps.sh): the Python
# environment and the Kubernetes control plane. Says first what will be fetched or built, and ends
# with how to get it where that cannot be done. Nothing is started before this has succeeded.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
scripts=$berth_root/scripts

plan=$("$scripts/venv.sh" --check 2>&1 > /dev/null || true)
plan+=${plan:+$'\n'}$("$scripts/control-plane.sh" --check 2>&1 > /dev/null || true)
plan+=${plan:+$'\n'}$("$scripts/promtool.sh" --check 2>&1 > /dev/null || true)
[ -z "${plan//$'\n'/}" ] || say "setting up once, in $berth_cache:"$'\n'"$plan"
"$scripts/venv.sh" > /dev/null
"$scripts/control-plane.sh" > /dev/null
"$scripts/promtool.sh" > /dev/null
