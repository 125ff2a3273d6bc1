# The jobs of tests/fault/soak: how each is started and watched, and what must be true of it afterwards.  Sourced by it.
# shellcheck shell=bash disable=SC2154,SC2034

start_job() {
    case $job in
    restore) start_restore '' ;;
    verify) api POST "/backups/$chosen/verify" '{"chain":'"$chain"'}' ;;
    merge) api DELETE "/backups/$chosen?merge=true" ;;
    *) api POST /backups '{"vm_id":"'"$vm"'","repository_id":"1","backup_type":"'"$job"'"'"${rate:+,$rate}${retries:+,$retries}"'}' ;;
    esac >"$work/answer" 2>/dev/null
}
start_restore() { # MORE
    api POST /restores '{"backup_id":"'"$chosen"'","device_key":'"$chosen_key"',"target_path":"'"$target"'","format":"raw","resume":'"$resume$1"'}'
}

# newest: of the jobs of this kind its name, state and phase.  "$before …" where this round's is not there yet.
newest() {
    case $job in
    restore) sql "SELECT id || ' ' || state || ' ' || current_phase FROM restore_jobs WHERE created_us > $since ORDER BY created_us DESC LIMIT 1" ;;
    verify) sql "SELECT id || ' ' || state || ' ' || current_phase FROM verify_jobs WHERE created_us > $since ORDER BY created_us DESC LIMIT 1" ;;
    merge) newest_merge ;;
    *) sql "SELECT backup_id || ' ' || state || ' ' || current_phase FROM backup_jobs ORDER BY created_us DESC LIMIT 1" ;;
    esac 2>/dev/null
}
newest_merge() {
    local now
    now=$(api GET "/backups/$chosen" 2>/dev/null | jq -r '"\(.code // .status) \(.current_phase)"')
    case $now in
    backup_not_found*) echo "$chosen completed -" ;;
    deleting*) echo "$chosen running ${now#* }" ;;
    completed*) if kill -0 "$starter" 2>/dev/null; then echo "$before - -"; else echo "$chosen failed -"; fi ;;
    *) echo "$before - -" ;;
    esac
}
in_phase() { # PHASE: or over
    local now
    now=$(newest)
    case $now in
    "$before "*) return 1 ;;
    *" running $1" | *" completed "* | *" failed "* | *" cancelled "*) return 0 ;;
    *) return 1 ;;
    esac
}
job_of_round_is_over() {
    in_phase nothing && return 0
    ! kill -0 "$starter" 2>/dev/null && [[ $(newest) =~ ^($|"$before ") ]]
}
until_phase() {
    local end=$((SECONDS + 10))
    until in_phase "$1"; do [ "$SECONDS" -lt "$end" ] || return 1; done
}

no_job_runs() {
    [ "$(sql "SELECT (SELECT count(*) FROM backup_jobs WHERE state IN ('pending', 'running'))
        + (SELECT count(*) FROM restore_jobs WHERE state IN ('pending', 'running'))
        + (SELECT count(*) FROM verify_jobs WHERE state IN ('pending', 'running'))
        + (SELECT count(*) FROM job_resources WHERE kind = 'merge' AND state <> 'released')" 2>/dev/null)" = 0 ]
}
who_runs() {
    sql "SELECT backup_id, state, current_phase FROM backup_jobs WHERE state IN ('pending', 'running')"
    sql "SELECT 'restore', id, state, current_phase FROM restore_jobs WHERE state IN ('pending', 'running')"
    sql "SELECT 'verification', id, state, current_phase FROM verify_jobs WHERE state IN ('pending', 'running')"
    sql "SELECT kind, res_key, state FROM job_resources WHERE kind = 'merge' AND state <> 'released'"
}
ended_or_dead() { hub_is_gone || node_is_gone || no_job_runs; }

outcome() { # NAME
    last_outcome=$1
    by_outcome["$job $1"]=$((${by_outcome["$job $1"]:-0} + 1))
}
refused() { outcome "refused:$(jq -r '.code // "no answer"' "$work/answer" 2>/dev/null || echo 'no answer')"; }

# --- bytes ---

sum_of() { sha256sum <"$1" | cut -d' ' -f1; }
compared_bytes() { bytes_compared=$((bytes_compared + $(stat -c %s "$1"))); }

# Keeps what the guest had at the snapshot of a completed backup; the backup as any qemu reads it must be that.
keep_backup() { # BACKUP
    local key
    for key in "${keys[@]}"; do
        guest_disk pgtest1 "$key" "$(snapshot_of "$1")" "$work/frozen" || { problem "no contents of disk $key at $1"; continue; }
        sums[$1 $key]=$(sum_of "$work/frozen")
    done
    rm -f "$work/frozen"
    kept+=("$1")
    same_as_guest "$1"
}
same_as_guest() { # BACKUP
    local key file
    for key in "${keys[@]}"; do
        file=$work/data/repository/$(api GET "/backups/$1" | jq -r ".disk_results[] | select(.device_key == $key) | .qcow2_path")
        qemu-img convert -f qcow2 -O raw "$file" "$work/plain" 2>"$work/convert.log" || { problem "I1: $(cat "$work/convert.log")"; continue; }
        [ "$(sum_of "$work/plain")" = "${sums[$1 $key]}" ] || problem "I1, I2: the image of disk $key of $1 is not what the guest had at its snapshot"
        compared_bytes "$work/plain"
    done
    backups_compared=$((backups_compared + 1))
    rm -f "$work/plain"
}
all_are_as_guest() {
    local id
    for id in "${kept[@]}"; do same_as_guest "$id"; done
}
is_right() { # FILE: of the chosen disk
    [ "$(sum_of "$1")" = "${sums[$chosen $chosen_key]}" ] || problem "I1: the restore of disk $chosen_key of $chosen is not what the guest had"
    restores_compared=$((restores_compared + 1))
    compared_bytes "$1"
    rm -f "$1"
}

# --- what became of the job of this round ---

became() {
    case $job in
    full | incremental) backup_became ;;
    *) "${job}_became" ;;
    esac
    case $last_outcome in completed | gone) return ;; esac
    [ "$fault" != none ] && [ "$fault" != lie ] || problem "nothing was wrong, and the $job is $last_outcome"
}

backup_became() {
    local id row
    id=$(newest_backup)
    [ "$id" != "$before" ] || { refused; return; }
    row=$(sql "SELECT state || ' ' || coalesce(error_code, '') FROM backup_jobs WHERE backup_id = '$id'")
    case $row in
    completed*)
        outcome completed
        keep_backup "$id"
        lie_was_caught "$id"
        ;;
    'failed internal'*) problem "I6: the reason is 'internal': $(api GET "/backups/$id" | jq -c .error)" ;;
    *) outcome "${row/ /:}" ;;
    esac
    [ "$(sql "SELECT attempt FROM backup_jobs WHERE backup_id = '$id'")" = 1 ] || resumed=$((resumed + 1))
}

restore_became() {
    local row
    row=$(sql "SELECT state || ' ' || coalesce(error_code, '') FROM restore_jobs WHERE created_us > $since ORDER BY created_us DESC LIMIT 1")
    case $row in
    '') refused ;;
    completed*)
        outcome completed
        is_right "$target"
        ;;
    'failed internal'*) problem "I6: the reason is 'internal': $(api GET /restores | jq -c '.restores[0].error')" ;;
    *)
        outcome "${row/ /:}"
        [ ! -e "$target" ] || problem "I1: a restore that is $row left its target"
        if [ "$resume" = true ]; then restore_goes_on; else [ ! -e "$target.part" ] || problem "I4: a restore that is $row left its half"; fi
        ;;
    esac
    [ ! -e "$target.part.json" ] || problem "I4: the note of a restore is left"
    rm -f "$target" "$target.part"
}
# What was cut is kept as asked for, and the same restore takes it up.
restore_goes_on() {
    start_restore '' >"$work/answer"
    until_true 60 no_job_runs
    [ "$(sql 'SELECT state FROM restore_jobs ORDER BY created_us DESC LIMIT 1')" = completed ] ||
        { problem "I5: the restore cannot be taken up again: $(cat "$work/answer") $(api GET /restores | jq -c '.restores[0].error')"; return; }
    is_right "$target"
    [ ! -e "$target.part" ] || problem "I4: a restore that was taken up again left its half"
}

# A verification says nothing about a backup but what it has read of it.
verify_became() {
    local row
    row=$(sql "SELECT state || ' ' || coalesce(error_code, '') FROM verify_jobs WHERE created_us > $since ORDER BY created_us DESC LIMIT 1")
    case $row in
    '') refused ;;
    completed*) outcome completed ;;
    'failed internal'*) problem "I6: the reason is 'internal': $row" ;;
    'failed verification_failed') problem "I2: a sound backup is called damaged: $(sql "SELECT error_message FROM verify_jobs ORDER BY created_us DESC LIMIT 1")" ;;
    *) outcome "${row/ /:}" ;;
    esac
}

# Gone, and every other backup holds what it held; or nothing is changed at all.
merge_became() {
    local now id left=()
    now=$(api GET "/backups/$chosen" | jq -r '.code // .status')
    case $now in
    backup_not_found)
        outcome gone
        for id in "${kept[@]}"; do [ "$id" = "$chosen" ] || left+=("$id"); done
        kept=("${left[@]}")
        expect "I6: events of the deletion of $chosen" 1 "$(sql "SELECT count(*) FROM events WHERE type = 'backup.deleted' AND backup_id = '$chosen'")"
        keep_sums "$work/sums" # layers became one: their files are others, their contents are not
        all_are_as_guest
        ;;
    completed)
        now=$(sql "SELECT code FROM events WHERE type = 'backup.merge_failed' AND backup_id = '$chosen' AND time_us > $since ORDER BY id DESC LIMIT 1")
        case $now in
        '') refused ;;
        internal) problem "I6: the reason is 'internal': $(sql "SELECT message FROM events WHERE backup_id = '$chosen' ORDER BY id DESC LIMIT 1")" ;;
        *) outcome "kept:$now" ;;
        esac
        ;;
    *) problem "I3: the backup that was to be merged is '$now'" ;;
    esac
    now=$(find "$work/data/repository/vms" \( -name 'merge.json*' -o -name '*.new*' \))
    [ -z "$now" ] || problem "I4: left of a merge: $now"
}
