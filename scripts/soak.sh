#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make soak: see tests/soak/soak.py; with --webhook as the first argument, tests/soak/webhook.py.
# Logs are below TMPDIR, and stay where it fails.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
venv=$("$berth_root/scripts/venv.sh")
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$berth_root/tests/lib/python
part=soak
if [ "${1:-}" = --webhook ]; then
    part=webhook
    shift
fi
exec "$venv/bin/python" "$berth_root/tests/soak/$part.py" "$@"
