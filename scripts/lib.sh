# Shared by the scripts in this folder; sourced, not run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() {
    printf '\n== %s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Installs the Debian packages listed in the given files of scripts/, when any is missing.
install_packages() {
    local missing=() package list
    for list in "$@"; do
        while read -r package; do
            [ -n "$package" ] || continue
            dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
                missing+=("$package")
        done <"$root/scripts/$list"
    done
    [ "${#missing[@]}" -eq 0 ] && return 0
    say "installing ${#missing[@]} Debian packages: ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || die "not root: run 'apt-get install ${missing[*]}' as root, then run this again"
    command -v apt-get >/dev/null || die "no apt-get here: install the equivalents of: ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        die "apt-get failed; its last lines are above"
    fi
    rm -f "$log"
}

# configure DIR [meson options…]: sets the build folder up once, and again when the options changed.
configure() {
    local dir=$1
    shift
    if [ -f "$dir/build.ninja" ] && [ "$(cat "$dir/.options" 2>/dev/null)" = "$*" ]; then
        return 0
    fi
    rm -rf "$dir"
    meson setup "$dir" "$root" "$@" >/dev/null || {
        meson setup "$dir" "$root" "$@" | tail -n 20
        die "meson setup failed"
    }
    echo "$*" >"$dir/.options"
}
