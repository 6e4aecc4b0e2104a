#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make bench: see tests/bench/bench.py.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
venv=$("$berth_root/scripts/venv.sh")
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$berth_root/tests/lib/python
exec "$venv/bin/python" "$berth_root/tests/bench/bench.py" "$@"
