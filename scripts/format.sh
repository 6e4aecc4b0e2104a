#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Formats the C sources, or says which are not formatted: scripts/format.sh [--check]
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
have clang-format || die "clang-format is missing: apt-get install clang-format" \
    "(or: scripts/deps.sh --ci)"
cd "$berth_root"
mode=(-i)
[ "${1:-}" != --check ] || mode=(--dry-run --Werror)
find cmd include pkg tests -name '*.[ch]' ! -name '*_gen.[ch]' -print0 |
    xargs -0 -r clang-format "${mode[@]}"
