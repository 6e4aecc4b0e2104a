#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make demo: Berth in action on this machine. KEEP=1 leaves everything running, until --stop.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
venv=$("$berth_root/scripts/venv.sh")
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$berth_root/tests/lib/python
if [ "${KEEP:-0}" = 1 ] && [ $# -eq 0 ]; then
    set -- --keep
fi
exec "$venv/bin/python" "$berth_root/scripts/demo.py" "$@"
