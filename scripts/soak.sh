#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make soak: see tests/soak/soak.py. Its logs are below TMPDIR, and stay where it fails.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
venv=$("$berth_root/scripts/venv.sh")
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$berth_root/tests/lib/python
exec "$venv/bin/python" "$berth_root/tests/soak/soak.py" "$@"
