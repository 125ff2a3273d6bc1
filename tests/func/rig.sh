# shellcheck shell=bash disable=SC2034,SC2120
# The rig of the functional and fault tests: a hub, a node, sources; what must hold when no job runs.  Sourced.  Needs
# BUILD_DIR.  Starts and ends only its own processes.

: "${BUILD_DIR:?a build folder with -Dfailpoints=true}"
work=''
hub_pid=''
hub_url=''
node_pid=''
node_url=''
sim_url='' sim_sha256=''
n=0
case_began=$SECONDS # of the script's clock
failures=0 # the exit status of the script that sources this
problems=()
hub_options=()
node_options=()
declare -A served=() # command of each source
filter_args=() # arguments of nbdkit filters, after those of the plugin
ports=''
port_block=''
wait_s=${SENDENSE_TEST_WAIT:-40}

# shellcheck source=tests/fault/invariants.sh
source "$(dirname "${BASH_SOURCE[0]}")/../fault/invariants.sh"

plan() { echo "1..$1"; }
bail() {
    echo "Bail out! $*"
    exit 1
}
problem() { problems+=("$*"); }

# Reports what the case before found.
verdict() {
    revive
    n=$((n + 1))
    echo "# $((SECONDS - case_began)) s"
    case_began=$SECONDS
    if [ "${#problems[@]}" -eq 0 ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        printf '#   %s\n' "${problems[@]}"
        last_lines
        failures=1
    fi
    problems=()
}

last_lines() {
    { echo 'last lines of the hub:'; tail -n 15 "$work/hub.log"; echo 'node:'; tail -n 8 "$work/node.log"; } | sed 's/^/# /'
}

# until SECONDS COMMAND…: polls a condition; false at the end of the time.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# await SECONDS PATH STATUS…: until the answer of the hub has one of these; false at the end of the time.
await() {
    "$BUILD_DIR/tests/tools/await" "$1" "$hub_url/api/v1$2" "$work/data/admin.token" "${@:3}" >/dev/null
}
await_job() { # BACKUP [SECONDS]
    await "${2:-$wait_s}" "/backups/$1" completed failed cancelled
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
    start_daemon node env "$@" "$BUILD_DIR/sendense-node" --listen "$listen" --token-file "$work/node.token" \
        --state "$work/node-state" "${node_options[@]}" --stop-timeout 2
}

start_hub() {
    start_daemon hub env "$@" "$BUILD_DIR/sendense-hub" run --data "$work/data" --listen 127.0.0.1:0 --nbd-ports "$ports" "${hub_options[@]}"
}

# stop_daemon NAME [SIGNAL]: ends it and waits for it.  One that does not end is a defect: where it hangs is reported.
stop_daemon() {
    local var=$1_pid
    local pid=${!var}
    [ -n "$pid" ] || return 0
    kill "-${2:-TERM}" "$pid" 2>/dev/null
    if ! until_true "$wait_s" is_gone "$pid"; then
        problem "$1 did not end after SIG${2:-TERM}"
        threads_of "$pid" | sed 's/^/# /'
        kill -KILL "$pid" 2>/dev/null
    fi
    wait "$pid" 2>/dev/null
    printf -v "$var" %s ''
}

is_gone() { ! kill -0 "$1" 2>/dev/null; }
hub_is_gone() { is_gone "$hub_pid"; }
node_is_gone() { is_gone "$node_pid"; }

# What each thread of a process waits for, its stack where gdb is at hand.
threads_of() {
    local task
    for task in "/proc/$1/task"/*; do
        echo "thread ${task##*/}: $(cat "$task/wchan" 2>/dev/null) $(cat "$task/syscall" 2>/dev/null)"
    done
    ! command -v gdb >/dev/null || timeout 20 gdb -p "$1" -batch -ex 'thread apply all bt' 2>/dev/null | grep '^[T#]'
}

# api METHOD PATH [BODY]: prints the answer's body; its status is in $work/status.
api() {
    local args=(-sS -m 60 -o - -w '%{stderr}%{http_code}' -X "$1" -H "Authorization: Bearer $(cat "$work/data/admin.token")")
    [ -n "${3:-}" ] && args+=(-H 'Content-Type: application/json' -d "$3")
    curl "${args[@]}" "$hub_url/api/v1$2" 2>"$work/status"
}

# serve NAME [nbdkit options…] [-- PLUGIN ARGS…]: exports $work/NAME on $work/NAME.sock; default plugin: file.
serve() {
    local name=$1 options=() plugin
    shift
    plugin=(file "$work/$name")
    while [ $# -gt 0 ]; do
        if [ "$1" = -- ]; then
            shift
            plugin=("$@")
            break
        fi
        options+=("$1")
        shift
    done
    served[$name]=$(printf '%q ' nbdkit -f -r -U "$work/$name.sock" "${options[@]}" "${plugin[@]}" "${filter_args[@]}")
    launch "$name"
}

launch() {
    rm -f "$work/$1.sock"
    eval "${served[$1]}" >>"$work/nbdkit.log" 2>&1 &
    source_pids+=($!)
    until_true "$wait_s" test -S "$work/$1.sock" || bail "nbdkit does not serve $1"
}

# nbdkit 1.32 may fail an assertion of its own when a client goes away in mid-request: a source that died is served again.
revive() {
    local name
    for name in "${!served[@]}"; do
        pgrep -f "nbdkit -f -r -U $work/$name.sock " >/dev/null || launch "$name"
    done
}

# start_sim SPEC [OPTION…]: a simulated vCenter; sets sim_url and sim_sha256, its certificate is in SPEC.pem.  Each start is another one.
start_sim() {
    local line='' fifo=$work/sim.fifo
    rm -f "$fifo"
    mkfifo "$fifo"
    "$BUILD_DIR/sendense-sim" --spec "$1" --ca-out "$1.pem" "${@:2}" >"$fifo" 2>>"$work/sim.log" &
    source_pids+=($!)
    read -r -t 30 line <"$fifo" || :
    sim_url=$(jq -r .url <<<"$line")
    sim_sha256=$(jq -r .sha256 <<<"$line")
    case $sim_url in https://*) ;; *) bail "the simulator did not start: $(tail -n 3 "$work/sim.log")" ;; esac
}

# rig_start [hub options…]: folder, node, hub.  before_init, where a script has it, may prepare $work/data.
rig_start() {
    local block=$(($$ % 400))
    # A block of ports of our own, below those that the system gives to clients: another rig may run at the same time.
    until mkdir "/tmp/sdn-ports.$block" 2>/dev/null; do block=$(((block + 1) % 400)); done
    port_block=/tmp/sdn-ports.$block
    : "${ports:=$((12000 + block * 50))-$((12040 + block * 50))}"
    work=$(mktemp -d /tmp/sdn.XXXXXX) || bail 'no temporary folder'
    source_pids=()
    trap rig_kill EXIT
    trap 'echo "# ended by a signal after case $n"; last_lines; exit 143' TERM
    head -c 24 /dev/urandom | base64 >"$work/node.token"
    chmod 600 "$work/node.token"
    ! declare -F before_init >/dev/null || before_init
    start_node
    "$BUILD_DIR/sendense-hub" init --data "$work/data" --node-url "$node_url" --node-token-file "$work/node.token" \
        >"$work/init.log" 2>&1 || bail "init: $(cat "$work/init.log")"
    hub_options=("$@")
    start_hub
}

# add_vm NAME KEY=FILE…: serves each file on a socket and adds the VM; prints its id.
add_vm() {
    local name=$1 disks='' pair key
    shift
    for pair in "$@"; do
        key=${pair%%=*}
        disks+=$(jq -n --argjson k "$key" --arg s "nbd+unix:///?socket=$work/${pair#*=}.sock" '{key: $k, source: $s}'),
    done
    api POST /vms "$(jq -n --arg n "$name" --argjson d "[${disks%,}]" '{name: $n, disks: $d}')" | jq -r '.id // empty'
}

# The VM of the fault tests, with a good backup that must never change.
add_pgtest1() {
    head -c 9000000 /dev/urandom >"$work/disk0"
    truncate -s 30000123 "$work/disk0"
    truncate -s 12582912 "$work/disk1"
    dd if=/dev/urandom of="$work/disk1" bs=64k seek=20 count=50 conv=notrunc status=none
    serve disk0
    serve disk1
    vm=$(add_vm pgtest1 2000=disk0 2001=disk1)
    [ -n "$vm" ] || bail 'the VM was not taken'
    first_backup=$(run_backup) || bail "the first backup failed: $(api GET "/backups/$first_backup" | jq -c .error)"
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
    [ -z "$port_block" ] || rmdir "$port_block"
    [ -n "${SENDENSE_KEEP:-}" ] || rm -rf "$work"
}

job_state() { api GET "/backups/$1" | jq -r .status; }
job_is_over() {
    case $(job_state "$1") in completed | failed | cancelled) return 0 ;; *) return 1 ;; esac
}
over_with_its_sources() { # nbdkit may have died with the client that was killed
    revive
    job_is_over "$1"
}

# Starts a backup and waits for its end; prints its id; false when it did not complete.
run_backup() {
    local id
    id=$(api POST /backups '{"vm_id":"'"$vm"'","repository_id":"1","backup_type":"full"}' | jq -r '.backup_id // empty')
    [ -n "$id" ] || return 1
    echo "$id"
    await_job "$id" && [ "$(job_state "$id")" = completed ]
}

restore() { # BACKUP KEY FILE
    local id
    id=$(api POST /restores '{"backup_id":"'"$1"'","device_key":'"$2"',"target_path":"'"$3"'","format":"raw"}' | jq -r '.restore_id // empty')
    [ -n "$id" ] || return 1
    await "$wait_s" "/restores/$id" completed failed cancelled && [ "$(api GET "/restores/$id" | jq -r .status)" = completed ]
}

# I1: every byte of both disks, against the source.
check_restores() {
    local i
    for i in 0 1; do # keys 2000 and 2001, files disk0 and disk1
        rm -f "$work/out.raw" "$work/out.raw.part"
        restore "$1" "200$i" "$work/out.raw" || { problem "restore of disk 200$i of $1 failed"; continue; }
        cmp "$work/disk$i" "$work/out.raw" >/dev/null || problem "I1: disk 200$i of $1 differs from its source"
        rm -f "$work/out.raw"
    done
}

# After the restart of whatever died: invariants, the job's end, the old backup (I2), the next one (I5).
check_all() {
    local id=$1 next state=
    if [ -n "$id" ]; then
        await_job "$id" || problem "I3: $id is $(job_state "$id")"
        state=$(job_state "$id")
        [ "$state" = completed ] && check_restores "$id"
    fi
    check_invariants
    check_restores "$first_backup"
    revive
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

# --- cases: a script of functions case_*, each of which begins with `title "…"` ---

title() { case_title=$*; }
expect() { # WHAT WANTED GOT
    [ "$2" = "$3" ] || problem "$1: expected '$2', got '$3'"
}
# run_cases [NAME…]: all case_* functions in the order of the file, or those named.
run_cases() {
    local cases=("$@") name
    [ $# -gt 0 ] || mapfile -t cases < <(sed -nE 's/^(case_[a-z0-9_]+)\(\).*/\1/p' "$0")
    plan "${#cases[@]}"
    for name in "${cases[@]}"; do
        case_title=$name
        "$name"
        verdict "$case_title"
    done
    rig_stop
    exit "$failures"
}
