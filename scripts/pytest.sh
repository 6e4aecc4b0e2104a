#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pytest in the tests' environment, on what is in build/ (or BERTH_BUILD):
#
#   scripts/pytest.sh tests/integration/test_adoption.py -k never
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$("$here/venv.sh")
export PYTHONDONTWRITEBYTECODE=1
exec "$venv/bin/python" -m pytest -c "$here/../tests/pytest.ini" "$@"
