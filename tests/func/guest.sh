# shellcheck shell=bash disable=SC2154
# Four disks with ext4, LVM over two of them, XFS, NTFS, btrfs and FAT, made in one appliance, and a hostile ext4.  Sourced after rig.sh.

: "${LIBGUESTFS_BACKEND:=direct}"
export LIBGUESTFS_BACKEND LIBGUESTFS_BACKEND_SETTINGS=force_tcg

# $work/guest0-3, their trees in $work/tree and $work/tree-ntfs.
make_guest() {
    "$tools/guest_tree.py" make "$work/tree" "${1:-2000}" 500
    tar --xattrs -S -cf "$work/tree.tar" -C "$work/tree" .
    mkdir -p "$work/tree-ntfs/sub dir"
    printf '%01000d' 7 >"$work/tree-ntfs/ünïcode 名.txt"
    : >"$work/tree-ntfs/empty"
    local i
    for i in $(seq 300); do printf "%0${i}d" 0 >"$work/tree-ntfs/sub dir/file $i"; done
    tar -cf "$work/tree-ntfs.tar" -C "$work/tree-ntfs" .
    mkdir "$work/crowd"
    (cd "$work/crowd" && seq -f 'one of %06g' 20000 | xargs -d '\n' touch)
    tar -cf "$work/crowd.tar" -C "$work/crowd" .
    rm -rf "$work/crowd"
    "$tools/hostile_ext4.py" "$work/guest3" "$work/hostile" >"$work/hostile.log" 2>&1 || return 1
    rm -rf "$work/hostile"
    truncate -s 6G "$work/guest0"
    truncate -s 300M "$work/guest1"
    truncate -s 900M "$work/guest2"
    guestfish >"$work/guestfish.log" 2>&1 <<EOF
add $work/guest0 format:raw
add $work/guest1 format:raw
add $work/guest2 format:raw
run
part-init /dev/sda gpt
part-add /dev/sda p 2048 11999999
part-add /dev/sda p 12000256 -2048
part-init /dev/sdc gpt
part-add /dev/sdc p 2048 1000000
part-add /dev/sdc p 1000448 1300000
part-add /dev/sdc p 1300480 1699999
part-add /dev/sdc p 1700352 -2048
mkfs ext4 /dev/sda1 label:rootfs
pvcreate /dev/sda2
pvcreate /dev/sdb
vgcreate vg0 "/dev/sda2 /dev/sdb"
lvcreate lv0 vg0 450
mkfs ext4 /dev/vg0/lv0
mkfs xfs /dev/sdc1
mkfs ntfs /dev/sdc2
mkfs btrfs /dev/sdc3
mkfs vfat /dev/sdc4
mount /dev/sda1 /
mkdir /tree
tar-in $work/tree.tar /tree xattrs:true
write /sparse head
truncate-size /sparse 4400000000
write-append /sparse tail
mkdir /crowd
tar-in $work/crowd.tar /crowd
mknod-c 0644 5 1 /chardev
mkfifo 0644 /pipe
ln-s /tree/links/one /absolute
ln-s ../../../../../../etc/passwd /climbs
ln-s loop2 /loop1
ln-s loop1 /loop2
umount-all
mount /dev/vg0/lv0 /
tar-in $work/tree.tar / xattrs:true
umount-all
mount /dev/sdc1 /
tar-in $work/tree.tar / xattrs:true
umount-all
mount /dev/sdc2 /
tar-in $work/tree-ntfs.tar /
umount-all
mount-options utf8 /dev/sdc4 /
tar-in $work/tree-ntfs.tar /
umount-all
mount /dev/sdc3 /
tar-in $work/tree.tar / xattrs:true
btrfs-subvolume-create /sub
write /sub/inside subvolume
umount-all
EOF
}

# mount_status ID
mount_status() { api GET "/restore/mounts/$1" | jq -r .status; }
mount_is() { [ "$(mount_status "$1")" = "$2" ]; }
mount_is_up() { case $(mount_status "$1") in ready | ending | ended) return 0 ;; *) return 1 ;; esac }

# open_mount BACKUP [more members]: prints the id once it is ready.
open_mount() {
    local id
    id=$(api POST /restore/mounts '{"backup_id":"'"$1"'"'"${2:-}"'}' | jq -r '.mount_id // empty')
    [ -n "$id" ] || return 1
    echo "$id"
    until_true 240 mount_is_up "$id" && mount_is "$id" ready
}

# fetch ROUTE-AND-QUERY FILE: a stream of the session $m; the status of curl.
fetch() {
    curl -sS -m 1200 -H "Authorization: Bearer $(cat "$work/data/admin.token")" -o "$2" -w '%{http_code}' "$hub_url/api/v1/restore/mounts/$m/$1" >"$work/status" 2>"$work/curl.err"
}
post_archive() { # BODY FILE
    curl -sS -m 1200 -H "Authorization: Bearer $(cat "$work/data/admin.token")" -H 'Content-Type: application/json' -d "$1" -o "$2" -w '%{http_code}' "$hub_url/api/v1/restore/mounts/$m/archive" >"$work/status" 2>"$work/curl.err"
}

# Everything of a file session: the program, the appliance, its folder.
session_processes() { pgrep -af "$work|sendense-files" | grep -E 'qemu-system|sendense-files' | grep -v -E '^[0-9]+ (bash|/bin/bash|/usr/bin/env)'; }
session_is_gone() {
    local pid
    for pid in $(pgrep -x qemu-system-x86; pgrep -x sendense-files); do
        tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep >/dev/null "$work" && return 1
        [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$(realpath "$BUILD_DIR/sendense-files")" ] && grep -q "PPid:.$hub_pid" "/proc/$pid/status" 2>/dev/null && return 1
    done
    [ -z "$(find "$work/data/run" -mindepth 1 2>/dev/null)" ]
}
check_sessions() {
    until_true 20 session_is_gone || problem "I4: left of file sessions: $(find "$work/data/run" -mindepth 1) $(pgrep -a qemu-system-x86 | grep "$work" | cut -c1-100)"
    check_invariants
}
