# The faults of tests/fault/soak: a function fault_* each; $a and $b are their numbers.  Sourced by it.
# shellcheck shell=bash disable=SC2154,SC2034
program=sendense-backup # as much of the client's name as the kernel keeps

miss() { missed=$((missed + 1)); was_missed=' (nothing to hit)'; }
one_soon() { "$here/../tools/find_child.py" "$1" "$b" 6 "${@:2}"; } # NAME ROOT…
kill_one() {
    local pid
    if pid=$(one_soon "$@"); then kill -KILL "$pid" 2>/dev/null || miss; else miss; fi
}
# A process that does not answer for a while; sometimes for longer than anybody waits.
stop_one() {
    local pid
    pid=$(one_soon "$@") || { miss; return; }
    kill -STOP "$pid" 2>/dev/null || { miss; return; }
    stopped+=("$pid")
    case $((a % 5)) in
    0) sleep 11 ;;
    *) sleep "$((a % 3)).$((b % 10))" ;;
    esac
    kill -CONT "$pid" 2>/dev/null
    stopped=()
}
again() { # NAME [SIGNAL]: a daemon ends and is started again
    stop_daemon "$1" "${2:-KILL}"
    "start_$1"
}
sim_fails() { control POST /faults "$1" >/dev/null; }
fill() { # FOLDER BYTES: leaves so many
    local free
    free=$(df --output=avail -B1 "$1" | tail -n 1)
    [ "$free" -le "$2" ] || fallocate -l $((free - $2)) "$1/ballast"
}

fault_none() { :; }
fault_lie() { :; }
fault_kill_hub() { again hub; }
fault_kill_node() { again node; }
fault_term_hub() { again hub TERM; }
fault_term_node() { again node TERM; }
fault_kill_both() {
    kill -KILL "$hub_pid" "$node_pid"
    stop_daemon hub KILL
    stop_daemon node KILL
    start_node
    start_hub
}
# And the one that goes on with what the first one began, up to four times.
fault_kill_hubs() {
    local i
    for ((i = 0; i <= a % 4; i++)); do
        again hub
        sleep "0.$(printf %03d $((b / (i + 1) % 700)))"
    done
}
fault_stop_hub() { b=0 stop_one sendense-hub "$hub_pid"; }
fault_stop_node() { b=0 stop_one sendense-node "$node_pid"; }
fault_kill_client() { kill_one $program "$node_pid"; }
fault_stop_client() { stop_one $program "$node_pid"; }
fault_kill_worker() { kill_one sendense-worker "$hub_pid"; }
fault_stop_worker() { stop_one sendense-worker "$hub_pid"; }
fault_kill_qemu_nbd() { kill_one qemu-nbd "$hub_pid"; }
fault_stop_qemu_nbd() { stop_one qemu-nbd "$hub_pid"; }
fault_kill_qemu_img() { kill_one qemu-img "$hub_pid"; }
fault_stop_qemu_img() { stop_one qemu-img "$hub_pid"; }
fault_kill_nbdkit() { kill_one nbdkit "$node_pid"; }
fault_stop_nbdkit() { stop_one nbdkit "$node_pid"; }
fault_repo_full() { fill "$work/data/repository" $((a % 1500000)); }
fault_target_full() { fill "$work/small" $((a % 2500000)); }
fault_cut() { :; }
fault_cut_all() { :; }
fault_fail_point() { :; }
fault_lock_catalog() {
    python3 -c '
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
c.execute("BEGIN EXCLUSIVE")
time.sleep(float(sys.argv[2]))' "$work/data/catalog.db" "$((1 + a % 7)).$((b % 10))" 2>>"$work/lock.log" &
    lock_pid=$!
    source_pids+=("$lock_pid")
    wait "$lock_pid"
}
fault_cancel() {
    local id
    if [ "$job" = restore ]; then
        id=$(api GET /restores | jq -r '.restores[0].restore_id')
        api POST "/restores/$id/cancel" >/dev/null
    else
        id=$(newest_backup)
        [ "$id" != "$before" ] || { miss; return; }
        api POST "/backups/$id/cancel" >/dev/null
    fi
}
# It is cut, and cancelled while it waits for its next attempt, or a little later.
fault_cut_cancel() {
    until_true 15 is_resuming_or_over || miss
    sleep "$((b % 2)).$((b % 10))"
    fault_cancel
}
is_resuming_or_over() { in_phase resuming; }
fault_sim_fault() {
    local orders=(
        '"method":"CreateSnapshot_Task","fault":"NoDiskSpace","where":"task"' '"method":"CreateSnapshotEx_Task","fault":"NoDiskSpace","where":"task"'
        '"method":"CreateSnapshotEx_Task","lose_answer":true' '"method":"CreateSnapshot_Task","lose_answer":true'
        '"method":"QueryChangedDiskAreas","fault":"SystemError"' '"method":"RemoveSnapshot_Task","fault":"TaskInProgress","where":"task"'
        '"method":"RemoveSnapshot_Task","lose_answer":true' '"method":"RetrievePropertiesEx","status":503' '"method":"Login","status":503'
        '"method":"Login","fault":"InvalidLogin"' '"method":"Logout","status":500' '"method":"RemoveSnapshot_Task","status":500')
    fault_detail=${orders[a % ${#orders[@]}]}
    sim_fails "{$fault_detail,\"count\":$((1 + b % 3)),\"skip\":$((b % 5 / 2))}"
}
fault_sim_folder() { sim_fails '{"method":"folder","status":'$((a % 2 ? 503 : 500))',"count":'$((1 + b % 40))'}'; }
fault_sim_cut() { sim_fails '{"method":"folder","file":"-flat.vmdk","cut_after":'$((b % 65536))',"count":'$((1 + a % 5))'}'; }
fault_drop_sessions() { control POST /drop-sessions '{}' >/dev/null; }
fault_reset_cbt() { control POST /reset-cbt '{"vm":"pgtest1"}' >/dev/null; }
fault_foreign_snapshot() { control POST /snapshot '{"vm":"pgtest1","name":"somebody"}' >/dev/null; }

# Change tracking that leaves out most of what changed.  The guest changed every block of the disk, so whichever the audit
# samples is a witness: a lie of this size cannot be missed.  It lasts until the job is over: each attempt hears it.
lie() {
    [ "$lies" != - ] || return 0
    control POST /under-report '{"vm":"pgtest1","key":'"${lies%:*}"',"fraction":'"${lies#*:}"'}' >/dev/null
}
tell_the_truth() {
    [ "$lies" != - ] || return 0
    control POST /under-report '{"vm":"pgtest1","key":'"${lies%:*}"',"fraction":0}' >/dev/null
}
# Of a completed backup: what was believed is wrong for certain, however right its hashes are.
lie_was_caught() { # BACKUP
    local how
    [ "$lies" != - ] || return 0
    how=$(api GET "/backups/$1" | jq -r '.disk_results[] | select(.device_key == '"${lies%:*}"') | "\(.read_mode) \(.reason)"')
    case $how in
    *' audit_mismatch') caught=$((caught + 1)) ;;
    changed*) problem "I1: change tracking of disk ${lies%:*} left out ${lies#*:} of all blocks, and was believed" ;;
    *)
        unheard=$((unheard + 1)) # not asked, or every byte is read
        [ "$fault $job" != 'lie incremental' ] || problem "change tracking was not asked, although nothing was wrong with it: $how"
        ;;
    esac
}

# What has to be there before the job starts.
before_job() {
    local most=2500000
    [ "$job" = full ] || most=250000
    case $fault in
    cut | cut_cancel) echo "cut $((1 + a % most))" >"$work/meddle" ;;
    cut_all) echo "cut-all $((1 + a % most))" >"$work/meddle" ;;
    fail_point)
        again hub TERM
        stop_daemon hub
        stop_daemon node
        start_node "SENDENSE_FAILPOINT=$a"
        start_hub "SENDENSE_FAILPOINT=$a"
        ;;
    esac
    case $fault in
    sim_fault | reset_cbt | target_full) "fault_$fault" ;;
    esac
    lie
}

# Nothing is in the way any more; what died is started again, as a service manager does.
mend() {
    rm -f "$work/data/repository/ballast" "$work/small/ballast"
    echo none >"$work/meddle"
    control POST /clear-faults '{}' >/dev/null
    [ "$fault" != foreign_snapshot ] || control POST /snapshot '{"vm":"pgtest1","op":"remove","name":"somebody"}' >/dev/null
    if [ "$fault" = fail_point ]; then
        again hub TERM
        again node TERM
    fi
    ! hub_is_gone || again hub
    ! node_is_gone || again node
}

# I6: what is told is what happened.  Where several reasons are true none is asked for.
reason_is_true() {
    local true_ones
    case $fault in
    kill_hub | kill_hubs | term_hub | kill_both) true_ones='interrupted' ;;
    cancel) true_ones='cancelled' ;;
    repo_full) true_ones='repo_full' ;;
    kill_client) true_ones='client_died' ;;
    kill_worker) true_ones='worker_died' ;;
    kill_node | term_node) true_ones='node_[a-z]+|job_not_found|client_died' ;;
    kill_qemu_nbd) true_ones='export_[a-z]+|nbd_[a-z]+|target_[a-z]+|qemu_[a-z_]+' ;;
    cut | cut_all) true_ones='nbd_[a-z]+|target_[a-z]+' ;;
    cut_cancel) true_ones='cancelled|nbd_[a-z]+|target_[a-z]+' ;;
    lock_catalog) true_ones='catalog_busy' ;;
    *) return ;;
    esac
    case $last_outcome in
    completed | gone | refused:*) ;;
    *) [[ $last_outcome =~ ^(failed|cancelled|kept):($true_ones)$ ]] || problem "I6: the fault is $fault, and the job is $last_outcome" ;;
    esac
}
