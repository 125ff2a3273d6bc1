# shellcheck shell=bash disable=SC2034
# The rig of the fault tests: one hub, one node, a VM with two disks, a good backup that must never change.  Sourced.

: "${BUILD_DIR:?a build folder with -Dfailpoints=true}"
work=''
hub_pid=''
hub_url=''
node_pid=''
node_url=''
n=0
failures=0 # the exit status of the script that sources this
problems=()
wait_s=${SENDENSE_TEST_WAIT:-40}

plan() { echo "1..$1"; }
bail() {
    echo "Bail out! $*"
    exit 1
}
problem() { problems+=("$*"); }

# Reports what the case before found.
verdict() {
    n=$((n + 1))
    if [ "${#problems[@]}" -eq 0 ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        printf '#   %s\n' "${problems[@]}"
        { echo 'last lines of the hub:'; tail -n 15 "$work/hub.log"; echo 'node:'; tail -n 8 "$work/node.log"; } | sed 's/^/# /'
        failures=1
    fi
    problems=()
}

# until SECONDS COMMAND…: polls a condition; false at the end of the time.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        read -rt 0.05 <> <(:) || :
    done
}

# start_daemon NAME COMMAND…: starts it, waits for its ready line; sets NAME_pid and NAME_url.
start_daemon() {
    local name=$1 line fifo=$work/$1.fifo
    shift
    rm -f "$fifo"
    mkfifo "$fifo"
    "$@" >"$fifo" 2>>"$work/$name.log" &
    printf -v "${name}_pid" %s $!
    line=
    read -r -t "$wait_s" line <"$fifo" || :
    case $line in
    *'"ready"'*) printf -v "${name}_url" 'http://%s' "$(jq -r .address <<<"$line")" ;;
    *) bail "$name did not get ready: $(tail -n 3 "$work/$name.log")" ;;
    esac
}

start_node() {
    local listen=127.0.0.1:0
    [ -n "$node_url" ] && listen=${node_url#http://}
    start_daemon node env "$@" "$BUILD_DIR/sendense-node" --listen "$listen" --token-file "$work/data/node.token" --stop-timeout 2
}

start_hub() {
    start_daemon hub env "$@" "$BUILD_DIR/sendense-hub" run --data "$work/data" --listen 127.0.0.1:0 --nbd-ports "$ports"
}

# stop_daemon NAME [SIGNAL]: ends it and waits for it.
stop_daemon() {
    local var=$1_pid
    [ -n "${!var}" ] || return 0
    kill "-${2:-TERM}" "${!var}" 2>/dev/null
    wait "${!var}" 2>/dev/null
    printf -v "$var" %s ''
}

hub_is_gone() { ! kill -0 "$hub_pid" 2>/dev/null; }
node_is_gone() { ! kill -0 "$node_pid" 2>/dev/null; }

# api METHOD PATH [BODY]: prints the answer's body; its status is in $work/status.
api() {
    local args=(-sS -m 60 -o - -w '%{stderr}%{http_code}' -X "$1" -H "Authorization: Bearer $(cat "$work/data/admin.token")")
    [ -n "${3:-}" ] && args+=(-H 'Content-Type: application/json' -d "$3")
    curl "${args[@]}" "$hub_url/api/v1$2" 2>"$work/status"
}

serve() { # SOCKET FILE [nbdkit options…]
    local socket=$1 file=$2
    shift 2
    nbdkit -f -r -U "$socket" "$@" file "$file" >>"$work/nbdkit.log" 2>&1 &
    source_pids+=($!)
    until_true "$wait_s" test -S "$socket" || bail "nbdkit does not serve $socket"
}

rig_start() {
    local first=$((20000 + $$ % 20000))
    ports=$first-$((first + 40))
    work=$(mktemp -d /tmp/sdnf.XXXXXX) || bail 'no temporary folder'
    source_pids=()
    trap rig_kill EXIT
    head -c 9000000 /dev/urandom >"$work/disk0.raw"
    truncate -s 30000123 "$work/disk0.raw"
    truncate -s 12582912 "$work/disk1.raw"
    dd if=/dev/urandom of="$work/disk1.raw" bs=64k seek=20 count=50 conv=notrunc status=none
    serve "$work/0.sock" "$work/disk0.raw"
    serve "$work/1.sock" "$work/disk1.raw"
    "$BUILD_DIR/sendense-hub" init --data "$work/data" --node-url http://127.0.0.1:1 >"$work/init.log" 2>&1 ||
        bail "init: $(cat "$work/init.log")"
    start_node
    # The node's address is known only now: told to the catalog before the hub runs.
    sqlite3 "$work/data/catalog.db" "UPDATE nodes SET url = '$node_url'"
    start_hub
    vm=$(api POST /vms '{"name":"pgtest1","disks":[{"key":2000,"source":"nbd+unix:///?socket='"$work"'/0.sock"},{"key":2001,"source":"nbd+unix:///?socket='"$work"'/1.sock"}]}' | jq -r .id)
    [ -n "$vm" ] && [ "$vm" != null ] || bail 'the VM was not taken'
    first_backup=$(run_backup) || bail 'the first backup failed'
    check_restores "$first_backup"
    [ "${#problems[@]}" -eq 0 ] || bail "the first backup does not restore: ${problems[*]}"
}

rig_stop() {
    stop_daemon hub
    stop_daemon node
    nothing_lives || echo "# left running at the end: $(our_processes)"
}

rig_kill() {
    for pid in $hub_pid $node_pid "${source_pids[@]}"; do
        kill -KILL "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    [ -n "${SENDENSE_KEEP:-}" ] || rm -rf "$work"
}

# Processes that name our folder and are not the sources.
our_processes() {
    local pid
    for pid in $(pgrep -f "$work"); do
        case " ${source_pids[*]} $$ $BASHPID $hub_pid $node_pid " in *" $pid "*) continue ;; esac
        tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -E '^[^ ]*(qemu-nbd|sendense-|nbdkit)' | grep -v "$work/[01].sock"
    done
}
nothing_lives() { [ -z "$(our_processes)" ]; }

job_state() { api GET "/backups/$1" | jq -r .status; }
job_is_over() {
    case $(job_state "$1") in completed | failed | cancelled) return 0 ;; *) return 1 ;; esac
}

# Starts a backup and waits for its end; prints its id; false when it did not complete.
run_backup() {
    local id
    id=$(api POST /backups '{"vm_id":"'"$vm"'","repository_id":"1","backup_type":"full"}' | jq -r '.backup_id // empty')
    [ -n "$id" ] || return 1
    echo "$id"
    until_true "$wait_s" job_is_over "$id" && [ "$(job_state "$id")" = completed ]
}

restore() { # BACKUP KEY FILE
    local id
    id=$(api POST /restores '{"backup_id":"'"$1"'","device_key":'"$2"',"target_path":"'"$3"'","format":"raw"}' | jq -r '.restore_id // empty')
    [ -n "$id" ] || return 1
    restore_is_over() {
        case $(api GET "/restores/$id" | jq -r .status) in completed | failed | cancelled) return 0 ;; *) return 1 ;; esac
    }
    until_true "$wait_s" restore_is_over && [ "$(api GET "/restores/$id" | jq -r .status)" = completed ]
}

# I1: every byte of both disks, against the source.
check_restores() {
    local i
    for i in 0 1; do
        rm -f "$work/out.raw" "$work/out.raw.part"
        restore "$1" "200$i" "$work/out.raw" || { problem "restore of disk 200$i of $1 failed"; continue; }
        cmp "$work/disk$i.raw" "$work/out.raw" >/dev/null || problem "I1: disk 200$i of $1 differs from its source"
        rm -f "$work/out.raw"
    done
}

open_entries() { sql "SELECT kind || ' ' || res_key FROM job_resources WHERE state <> 'released'"; }
journal_is_empty() { [ -z "$(open_entries)" ]; }
sql() { sqlite3 -readonly "$work/data/catalog.db" "$1"; }

# What must hold when no job runs.  $1 = the job's backup id, or empty when none was made.
check_invariants() {
    local repo=$work/data/repository left port
    until_true 15 nothing_lives || problem "I4: still running: $(our_processes)"
    until_true 15 journal_is_empty || problem "I4: journal entries open: $(open_entries)"
    left=$(sql "SELECT backup_id FROM backup_jobs WHERE state IN ('pending', 'running')")
    [ -z "$left" ] || problem "I3: jobs without an end: $left"
    left=$(find "$repo" -name '*.part' -o -name '*.tmp')
    [ -z "$left" ] || problem "I4: partial files: $left"
    left=$(find "$work/data/run" -type s 2>/dev/null)
    [ -z "$left" ] || problem "I4: sockets: $left"
    # Each layer and manifest has its point, each point its row.
    find "$repo/vms" -name '*.qcow2' -o -name '*.manifest' | while read -r file; do
        left=$(basename "$file")
        [ -f "$(dirname "$file")/../../points/${left%%.*}.json" ] || echo "$file"
    done >"$work/orphans"
    [ -s "$work/orphans" ] && problem "I4: files without a point: $(cat "$work/orphans")"
    [ "$(find "$repo/vms" -name '*.json' | wc -l)" -eq "$(sql "SELECT count(*) FROM backup_jobs WHERE state = 'completed'")" ] ||
        problem 'I8: points and completed rows differ in number'
    for port in $(seq "${ports%-*}" "${ports#*-}"); do
        if ss -Hltn "sport = :$port" | grep -q .; then
            problem "I4: port $port is listened on"
        fi
    done
    left=$(curl -sS -H "Authorization: Bearer $(cat "$work/data/node.token")" "$node_url/api/v1/jobs" | jq '[.jobs[] | select(.state == "running")] | length')
    [ "$left" = 0 ] || problem "I4: the node runs $left jobs"
    left=$(sql "SELECT backup_id || ': ' || count(*) FROM events WHERE type IN ('backup.completed', 'backup.failed', 'backup.cancelled') GROUP BY backup_id HAVING count(*) <> 1")
    [ -z "$left" ] || problem "I6: not exactly one outcome event: $left"
    left=$(sql "SELECT backup_id FROM backup_jobs WHERE state = 'failed' AND (error_code IS NULL OR error_message IS NULL)")
    [ -z "$left" ] || problem "I6: failed without a reason: $left"
    grep -rlF "$(cat "$work/data/admin.token")" "$work"/*.log "$work/data/jobs" >/dev/null 2>&1 && problem 'I7: a token is in a log'
}

# After the restart of whatever died: invariants, the job's end, the old backup (I2), the next one (I5).
check_all() {
    local id=$1 next state=
    if [ -n "$id" ]; then
        until_true "$wait_s" job_is_over "$id" || problem "I3: $id is $(job_state "$id")"
        state=$(job_state "$id")
        [ "$state" = completed ] && check_restores "$id"
    fi
    check_invariants
    check_restores "$first_backup"
    next=$(run_backup) || problem "I5: the next backup failed: $(api GET "/backups/$next" | jq -c .error)"
    if [ -n "$next" ]; then
        check_restores "$next"
        check_invariants
        api DELETE "/backups/$next" >/dev/null
    fi
    [ "$state" = completed ] && api DELETE "/backups/$id" >/dev/null
    check_invariants
}

newest_backup() { sql 'SELECT backup_id FROM backup_jobs ORDER BY created_us DESC LIMIT 1'; }

# The hub runs with the fail point armed; the client and the worker inherit it.
at_backup() {
    local before id
    stop_daemon hub
    stop_daemon node
    start_node "SENDENSE_FAILPOINT=$1"
    start_hub "SENDENSE_FAILPOINT=$1"
    before=$(newest_backup)
    api POST /backups '{"vm_id":"'"$vm"'","repository_id":"1","backup_type":"full"}' >/dev/null 2>&1
    if [[ $1 == hub.* ]]; then
        until_true "$wait_s" hub_is_gone || problem "the hub never came to $1"
    fi
    id=$(newest_backup)
    [ "$id" != "$before" ] || id=
    if [[ $1 != hub.* ]]; then
        until_true "$wait_s" job_is_over "$id" || problem "the job did not end"
        [ "$(job_state "$id")" = failed ] || problem "the job is $(job_state "$id") although its process was killed"
    fi
    stop_daemon hub
    stop_daemon node
    start_node
    start_hub
    check_all "$id"
}

at_node() {
    local id
    stop_daemon node
    start_node "SENDENSE_FAILPOINT=$1"
    api POST /backups '{"vm_id":"'"$vm"'","repository_id":"1","backup_type":"full"}' >/dev/null 2>&1
    until_true "$wait_s" node_is_gone || problem "the node never came to $1"
    wait "$node_pid" 2>/dev/null
    start_node
    id=$(newest_backup)
    [ "$id" = "$first_backup" ] && id=
    check_all "$id"
}

at_restore() {
    stop_daemon hub
    start_hub "SENDENSE_FAILPOINT=$1"
    api POST /restores '{"backup_id":"'"$first_backup"'","device_key":2000,"target_path":"'"$work"'/cut.raw","format":"raw"}' >/dev/null 2>&1
    until_true "$wait_s" hub_is_gone || problem "the hub never came to $1"
    stop_daemon hub
    start_hub
    [ -e "$work/cut.raw.part" ] && problem 'I4: a half-restored file is left'
    if [ -e "$work/cut.raw" ]; then
        cmp "$work/cut.raw" "$work/disk0.raw" >/dev/null || problem 'I1: a restored file has its final name but not its bytes'
        rm -f "$work/cut.raw"
    fi
    [ "$(sql "SELECT count(*) FROM restore_jobs WHERE state IN ('pending', 'running')")" = 0 ] || problem 'I3: a restore without an end'
    check_all ''
}

at_delete() {
    local id
    id=$(run_backup) || problem 'the backup to be deleted failed'
    stop_daemon hub
    start_hub "SENDENSE_FAILPOINT=$1"
    api DELETE "/backups/$id" >/dev/null 2>&1
    until_true "$wait_s" hub_is_gone || problem "the hub never came to $1"
    stop_daemon hub
    start_hub
    [ "$(api GET "/backups/$id" | jq -r .code)" = backup_not_found ] || problem 'a deletion that had begun is not finished'
    check_all ''
}

# The undo of a job that failed by itself: the client is killed at its first read.
at_undo() {
    local id
    stop_daemon hub
    stop_daemon node
    start_node SENDENSE_FAILPOINT=client.copying
    start_hub "SENDENSE_FAILPOINT=$1"
    api POST /backups '{"vm_id":"'"$vm"'","repository_id":"1","backup_type":"full"}' >/dev/null 2>&1
    until_true "$wait_s" hub_is_gone || problem "the hub never came to $1"
    id=$(newest_backup)
    stop_daemon hub
    stop_daemon node
    start_node
    start_hub
    check_all "$id"
}
