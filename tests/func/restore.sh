# shellcheck shell=bash disable=SC2154,SC2034
# What the tests of restores and exports share.  Sourced after rig.sh.

# restore_ends STATE BACKUP KEY TARGET [MEMBERS]: a restore, and how it ends.
restore_ends() {
    local answer
    answer=$(api POST /restores '{"backup_id":"'"$2"'","device_key":'"$3"',"target_path":"'"$4"'"'"${5:+,$5}"'}')
    restore_id=$(jq -r '.restore_id // empty' <<<"$answer")
    [ -n "$restore_id" ] || { problem "restore to $4 was refused: $answer"; return 1; }
    ended() { case $(last_restore .status) in completed | failed | cancelled) return 0 ;; *) return 1 ;; esac; }
    until_true "$wait_s" ended || problem "restore to $4 does not end"
    [ "$(last_restore .status)" = "$1" ] || { problem "restore to $4 (${5:-}): expected $1, got $(api GET "/restores/$restore_id" | jq -c '{status, error}')"; return 1; }
}
last_restore() { api GET "/restores/$restore_id" | jq -r "$1"; }

# restore_refused STATUS CODE BACKUP KEY TARGET [MEMBERS]
restore_refused() {
    local code
    code=$(api POST /restores '{"backup_id":"'"$3"'","device_key":'"$4"',"target_path":"'"$5"'"'"${6:+,$6}"'}' | jq -r .code)
    expect "restore to $5 (${6:-})" "$1 $2" "$(cat "$work/status") $code"
}

# The files of a disk of a backup: layer or manifest.
locator_of() { api GET "/backups/$1" | jq -r --argjson k "$2" '.disk_results[] | select(.device_key == $k) | .qcow2_path | sub("[.]qcow2$"; "")'; }
layer_file() { echo "$work/data/repository/$(locator_of "$1" "$2").qcow2"; }
manifest_file() { echo "$work/data/repository/$(locator_of "$1" "$2").manifest"; }

# Where guest offset OFFSET is in the file that holds it.
host_offset() { # FILE OFFSET
    qemu-img map -f qcow2 --output=json "$1" | jq --argjson o "$2" '.[] | select(.data and .start <= $o and .start + .length > $o) | .offset + $o - .start'
}
flip() { # FILE OFFSET
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    # shellcheck disable=SC2059
    printf "\\x$(printf %02x $((byte ^ 16)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
# with_damage BACKUP KEY COMMAND…: one bit of the disk's first mebibyte is flipped meanwhile.
with_damage() {
    local file at
    file=$(layer_file "$1" "$2")
    at=$(host_offset "$file" 70000)
    shift 2
    flip "$file" "$at"
    "$@"
    flip "$file" "$at"
}

# Two layers on top of a backup of disk1, as incrementals leave them; sets chain_backup, and $work/chain.raw is what the
# disk then holds.
add_chain() {
    local seq
    cp "$work/disk1" "$work/chain.raw"
    "$here/../tools/add_layers" "$work/data/repository" "$(locator_of "$first_backup" 2001)" "$work/chain.raw" 2 >"$work/chain.id" ||
        bail 'no chain could be made'
    chain_backup=$(cat "$work/chain.id")
    api POST /repositories/1/import >"$work/imported"
    [ "$(jq .imported "$work/imported")" = 2 ] || bail "the chain was not taken: $(cat "$work/imported")"
}
chain_disk() { locator_of "$chain_backup" 2001 | cut -d/ -f4; }
