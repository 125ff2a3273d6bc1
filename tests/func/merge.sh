# shellcheck shell=bash disable=SC2154,SC2034
# Chains of points whose every moment is kept beside them, and what must hold of them after merges.  Sourced after rig.sh.
points=() # backup ids, oldest first; the disks of each are $work/kept/ID.KEY

# state_is ID WORD: what the API says, "gone" for a backup that is not there.
state_of() { api GET "/backups/$1" | jq -r 'if .code == "backup_not_found" then "gone" else .status end'; }
is_gone_from_hub() { [ "$(state_of "$1")" = gone ]; }
is_settled() { case $(state_of "$1") in gone | completed) return 0 ;; *) return 1 ;; esac; }

# keep ID KEY=FILE…: the sources as they are now are what this point must always restore to.
keep() {
    local id=$1 pair
    shift
    mkdir -p "$work/kept"
    for pair in "$@"; do cp --sparse=always "$work/${pair#*=}" "$work/kept/$id.${pair%%=*}"; done
    api GET "/backups/$id" | jq -S '[.disk_results[] | {device_key, content_root}]' >"$work/kept/$id.roots"
    points+=("$id")
}

# take TYPE KEY=FILE…: a backup of $vm, kept; sets $backup.
take() {
    local type=$1
    shift
    backup=$(api POST /backups '{"vm_id":"'"$vm"'","repository_id":"1","backup_type":"'"$type"'"}' | jq -r '.backup_id // empty')
    [ -n "$backup" ] || { problem "no $type backup was started: $(cat "$work/status")"; return 1; }
    await_job "$backup"
    [ "$(job_state "$backup")" = completed ] || { problem "the $type backup failed: $(api GET "/backups/$backup" | jq -c .error)"; return 1; }
    keep "$backup" "$@"
}

# Some blocks of FILE get new data, others become zero; near its end as well.
guest_changes() { # FILE SIZE
    local i blocks=$(($2 / 65536))
    for ((i = 0; i < 6; i++)); do
        head -c $((RANDOM * 4 + 1)) /dev/urandom | dd of="$1" bs=65536 seek=$((RANDOM % blocks)) conv=notrunc status=none
        head -c $((RANDOM % 4 * 65536 + 65536)) /dev/zero | dd of="$1" bs=65536 seek=$((RANDOM % (blocks > 5 ? blocks - 5 : 1))) conv=notrunc status=none
    done
    head -c 100 /dev/urandom | dd of="$1" bs=1 seek=$(($2 - 100)) conv=notrunc status=none
}

forget() { # ID
    local p left=()
    for p in "${points[@]}"; do [ "$p" = "$1" ] || left+=("$p"); done
    points=("${left[@]}")
    rm -f "$work/kept/$1".*
}

# merge_away ID: asks for it and waits until the backup is gone.
merge_away() {
    api DELETE "/backups/$1?merge=true" >"$work/merge.answer"
    case $(cat "$work/status") in
    202) expect "status of $1" deleting "$(jq -r .status "$work/merge.answer")" ;;
    204) ;;
    *) problem "DELETE of $1: $(cat "$work/status") $(cat "$work/merge.answer")"; return 1 ;;
    esac
    until_true "$wait_s" is_settled "$1"
    is_gone_from_hub "$1" || { problem "$1 is $(state_of "$1") after its merge: $(api GET "/backups/$1/log" | tail -n 5)"; return 1; }
    forget "$1"
}

# Every point: its bytes as restored, its chain as plain qemu reads it, its content roots.
check_points() {
    local p file key image
    for p in "${points[@]}"; do
        for file in "$work/kept/$p".[0-9]*; do
            key=${file##*.}
            rm -f "$work/out.raw" "$work/out.raw.part"
            restore "$p" "$key" "$work/out.raw" || { problem "restore of disk $key of $p failed"; continue; }
            cmp "$file" "$work/out.raw" >/dev/null || problem "I2: disk $key of $p is not what it was"
            image=$work/data/repository/$(api GET "/backups/$p" | jq -r ".disk_results[] | select(.device_key == $key) | .qcow2_path")
            qemu-img compare -q -f qcow2 -F raw "$image" "$file" || problem "I2: the image of disk $key of $p is not what it was"
        done
        api GET "/backups/$p" | jq -S '[.disk_results[] | {device_key, content_root}]' | cmp -s - "$work/kept/$p.roots" || problem "content roots of $p changed"
    done
    rm -f "$work/out.raw"
}

# verify_chain ID: every layer of it, by the hub.
verify_chain() {
    local v
    v=$(api POST "/backups/$1/verify" '{"chain":true}' | jq -r '.verification_id // empty')
    verify_over() { case $(api GET "/verifications/$v" | jq -r .status) in completed | failed | cancelled) ;; *) return 1 ;; esac; }
    until_true "$wait_s" verify_over
    expect "verification of the chain of $1" completed "$(api GET "/verifications/$v" | jq -r 'if .status == "completed" then .status else (.error | tostring) end')"
}

# No file of a merge, and of each layer exactly one number that a point has.
nothing_of_merges() {
    local left
    left=$(find "$work/data/repository/vms" \( -name 'merge.json*' -o -name '*.new*' -o -name '*.tmp' \))
    [ -z "$left" ] || problem "I4: left of a merge: $left"
    expect 'rows that wait' '' "$(open_entries)"
    find "$work/data/repository/vms" -name '*.merged' | while read -r f; do
        [ -f "$(dirname "$f")/../../points/$(basename "$f" .merged).json" ] || echo "$f"
    done >"$work/orphans"
    [ ! -s "$work/orphans" ] || problem "I4: $(cat "$work/orphans")"
}

# What the catalog says of all points; a catalog made anew must say the same.
catalog_says() {
    sql "SELECT b.backup_id, b.backup_type, b.seq, d.disk_index, d.backup_type, d.layer_id, d.parent_layer_id, d.layer_root, d.content_root, d.records
        FROM backup_jobs b JOIN backup_disks d ON d.job_id = b.job_id WHERE b.state = 'completed' ORDER BY b.seq, d.disk_index"
}
rebuild() {
    "$BUILD_DIR/sendense-hub" catalog rebuild --data "$work/data" --node-url "$node_url" --node-token-file "$work/node.token" --force \
        >"$work/rebuild.log" 2>&1
}
