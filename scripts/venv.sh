#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Python environment of the tests and the demo: a venv in the cache, made once from
# tests/requirements.txt (a change there makes a new one), with the stable name "venv" beside it.
#
#   scripts/venv.sh            makes it where it is missing; prints its directory
#   scripts/venv.sh --check    says on stderr what is missing (exit 2); changes nothing
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

requirements=$berth_root/tests/requirements.txt
python=${PYTHON:-python3}

have "$python" || die "python3 is missing: apt-get install python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "Python 3.11 or later is needed, $python is $("$python" -V 2>&1);" \
        "set PYTHON to another one"

# the interpreter is part of the name: a venv does not outlive a change of its minor version
which_python='import sys; print(sys.version_info[:2], sys.base_prefix)'
id=$({ grep -v -e '^#' -e '^$' "$requirements"; "$python" -c "$which_python"; } |
    sha256sum | cut -c1-12)
venv=$berth_cache/venv-$id

link() {
    ln -sfn "venv-$id" "$berth_cache/venv.$$" && mv -Tf "$berth_cache/venv.$$" "$berth_cache/venv"
}

if [ -e "$venv/.complete" ]; then
    [ "$(readlink "$berth_cache/venv" 2> /dev/null)" = "venv-$id" ] || link
    echo "$venv"
    exit 0
fi
if [ "${1:-}" = --check ]; then
    say "the Python environment of the tests is not made yet (pip, about 30 s)"
    exit 2
fi

mkdir -p "$berth_cache"
exec 9> "$berth_cache/venv.lock"
flock 9
if [ ! -e "$venv/.complete" ]; then
    say "making the Python environment of the tests: $venv"
    rm -rf "$venv"
    "$python" -m venv "$venv" >&2 ||
        die "python3 cannot make a virtual environment: apt-get install python3-venv" \
            "(or: make deps)"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-input \
        -r "$requirements" >&2 || {
        rm -rf "$venv"
        die "pip could not install tests/requirements.txt (see above): is the network there?" \
            "Behind a proxy set HTTPS_PROXY, with a mirror PIP_INDEX_URL; then run the same again"
    }
    touch "$venv/.complete"
fi
link
echo "$venv"
