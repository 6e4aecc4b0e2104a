# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts here (sourced, not run): messages on stderr, the cache directory, sudo.

berth_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)} # a service may run without
export HOME
berth_cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth

say() { printf '%s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" > /dev/null 2>&1; }

# Runs a command as root: directly, through sudo, or not at all (returns 126).
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        return 126
    fi
}
