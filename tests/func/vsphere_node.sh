# shellcheck shell=bash disable=SC2034
# The rig of tests/func/vsphere_node: a node and its client against the simulated vCenter, targets in qemu-nbd, no hub.
# Sourced.  Needs BUILD_DIR.  Starts and ends only its own processes.

: "${BUILD_DIR:?a build folder}"
work=$(mktemp -d "${TMPDIR:-/tmp}/sendense-vsphere.XXXXXX")
mkdir "$work/tmp"
sim_pid='' node_pid='' url='' sha256='' node_url=''
node_client=''
target_pids=()
n=0
failures=0
problems=()
user=backup
password='pa<ss>w&rd'
answer='' status=''
job='' events='' client_pid=''

finish() {
    stop_targets
    [ -z "$node_pid" ] || kill "$node_pid" 2>/dev/null
    [ -z "$sim_pid" ] || kill "$sim_pid" 2>/dev/null
    wait
    rm -rf "$work"
}
trap finish EXIT

problem() { problems+=("$*"); }
expect() { [ "$2" = "$3" ] || problem "$1: wanted '$2', got '$3'"; }
verdict() {
    n=$((n + 1))
    if [ "${#problems[@]}" -eq 0 ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        printf '%s\n' "${problems[@]}" | sed 's/^/#   /'
        { echo "events:"; jq -c . <<<"${events:-[]}" | cut -c1-3000; echo 'node:'; tail -n 12 "$work/node.log"; } | sed 's/^/#   /'
        failures=1
    fi
    problems=()
}

# until_true SECONDS COMMAND…: polls a condition; false at the end of the time.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

ready_line() { # COMMAND…: in the background; sets line and pid
    local fifo=$work/fifo.$RANDOM log=$1
    shift
    mkfifo "$fifo"
    "$@" >"$fifo" 2>>"$log" &
    pid=$!
    line=''
    read -r -t 30 line <"$fifo" || :
    rm -f "$fifo"
    [ -n "$line" ] || { echo "Bail out! $1 did not start: $(tail -n 3 "$log")"; exit 1; }
}

start_sim() { # SPEC
    ready_line "$work/sim.log" env TMPDIR="$work/tmp" "$BUILD_DIR/sendense-sim" --spec "$1"
    sim_pid=$pid
    url=$(jq -r .url <<<"$line")
    sha256=$(jq -r .sha256 <<<"$line")
}
state() { curl -sk "$url/control/state" | jq -r "$1"; }
control() { curl -sk -f -d "$2" "$url/control/$1" >/dev/null || problem "control $1 $2"; }
vm_state() { state ".vms[] | select(.name == \"$1\") | $2"; }
snapshots_of() { vm_state "$1" '[.snapshots[].name] | join(" ")'; }

start_node() { # [NAME=VALUE…]
    ready_line "$work/node.log" env "$@" TMPDIR="$work/tmp" "$BUILD_DIR/sendense-node" --listen 127.0.0.1:0 \
        --token-file "$work/token" --state "$work/state" --stop-timeout 2 --client "${node_client:-$BUILD_DIR/sendense-backup-client}"
    node_pid=$pid
    node_url=http://$(jq -r .address <<<"$line")
}
stop_node() { # [SIGNAL]
    kill "${1--TERM}" "$node_pid" 2>/dev/null
    wait "$node_pid" 2>/dev/null
    node_status=$?
    node_pid=''
}

# api METHOD PATH [BODY]: answer and status.
api() {
    answer=$(curl -s -X "$1" -H "Authorization: Bearer $(cat "$work/token")" -w '\n%{http_code}' ${3:+-H 'Content-Type: application/json' -d "$3"} \
        "$node_url/api/v1$2")
    status=${answer##*$'\n'}
    answer=${answer%$'\n'*}
}
leases() {
    api GET /leases
    jq -r ".leases[]?.state" <<<"$answer" | paste -sd ' '
}
no_lease() { [ -z "$(leases)" ]; }

# question KIND [VM_REF [UUID]]
question() {
    api POST /vsphere "$(jq -nc --arg q "$1" --arg url "$url" --arg u "$user" --arg p "$password" --arg s "$sha256" --arg ref "${2-}" --arg uuid "${3-}" '
        ($q == "fingerprint") as $f |
        {v: 1, question: $q, login: {url: $url, user: (if $f then null else $u end), password: (if $f then null else $p end),
            tls: {ca_pem: null, sha256: (if $f then null else $s end)}},
         vm: (if $ref == "" and $uuid == "" then null else {ref: $ref, instance_uuid: $uuid} end), snapshot_name: null,
         deadlines: {connect_s: 5, io_s: 20}}')"
}

stop_targets() {
    [ "${#target_pids[@]}" -eq 0 ] || kill "${target_pids[@]}" 2>/dev/null
    for p in "${target_pids[@]}"; do wait "$p" 2>/dev/null; done
    target_pids=()
}
has_sockets() { for k in $keys; do [ -S "$work/$k.sock" ] || return 1; done; }

# spec VM SIZE…: a job of the disks 2000, 2001, … into fresh targets; sets job and spec.
spec() {
    local vm=$1 size disks='[]' ref
    shift
    stop_targets
    job=$(printf '01890000-0000-7000-8000-%012x' $((RANDOM * 32768 + RANDOM)))
    keys=''
    key=2000
    for size in "$@"; do
        rm -f "$work/$key.raw" "$work/$key.sock"
        truncate -s "$size" "$work/$key.raw"
        qemu-nbd -f raw -t --shared=10 -k "$work/$key.sock" -x "x$key" -D "sendense $job $key" "$work/$key.raw" &
        target_pids+=($!)
        disks=$(jq -c --argjson k "$key" --argjson s "$size" --arg w "$work" --arg j "$job" '. + [{key: $k, size_bytes: $s, source_url: null, source_uuid: null,
            disk_uuid: "01890000-0000-7000-8000-00000000\($k)", layer_id: "01890000-0000-7000-8000-00000001\($k)", parent_layer_id: null,
            target: "nbd+unix:///x\($k)?socket=\($w)/\($k).sock", target_description: "sendense \($j) \($k)", read: "all", reason: "no_parent",
            change_id: null, resume_checkpoint: null}]' <<<"$disks")
        keys+=" $key"
        key=$((key + 1))
    done
    until_true 20 has_sockets || problem 'no targets'
    ref=$(vm_state "$vm" .moref)
    spec=$(jq -nc --arg j "$job" --arg url "$url" --arg u "$user" --arg p "$password" --arg s "$sha256" --arg ref "$ref" --arg vm "$vm" --argjson disks "$disks" '
        {v: 1, job_id: $j, attempt: 1, vm: {ref: $ref, instance_uuid: "", name: $vm},
         source: {type: "vsphere", login: {url: $url, user: $u, password: $p, tls: {ca_pem: null, sha256: $s}}, transport: "https", quiesce: "try", connections: 4},
         snapshot: {name: "sendense-\($j)", description: "of a test", lease_s: 30}, disks: $disks,
         limits: {disks_parallel: 4, connections: 2, requests: 4, request_bytes: 65536, rate_bytes_per_s: 0},
         audit: {samples: 1024, seed: 7}, hub: null, deadlines: {connect_s: 10, io_s: 60}}')
}
change() { spec=$(jq -c "$1" <<<"$spec"); }

post() {
    api POST /jobs "$spec"
    expect 'posted' 202 "$status"
    client_pid=$(jq -r .pid <<<"$answer")
    events='[]'
}
# pull [WAIT]: more events; true when the result is there.
pull() {
    local after
    after=$(jq '[.[].seq] | max // 0' <<<"$events")
    api GET "/jobs/$job/events?after=$after&wait=${1-2}"
    events=$(jq -c --argjson page "$answer" '. + $page.events' <<<"$events")
    jq -e .ended <<<"$answer" >/dev/null
}
has_event() { pull 1; jq -e "any(.[]; $1)" <<<"$events" >/dev/null; }
await_result() {
    until_true 90 pull || problem 'no result'
}
result() { jq -r '.[] | select(.type == "result") | "\(.status) \(.code)"' <<<"$events"; }
warnings() { jq -r '[.[] | select(.type == "warning") | .code] | join(" ")' <<<"$events"; }
event() { jq -r "first(.[] | select(.type == \"$1\") | $2)" <<<"$events"; }
run_job() {
    post
    await_result
}
kill_client() {
    kill -KILL "$client_pid"
    await_result
}
delete_job() { api DELETE "/jobs/$job"; }

# Each target is what the witness saw at the moment of the job's snapshot.
same_bytes() { # VM
    local name
    name=$(event snapshot .name)
    stop_targets
    for k in $keys; do
        cmp -s <(curl -sk "$url/control/contents?vm=$1&key=$k&snapshot=$name") <(head -c "$(stat -c %s "$work/$k.raw")" "$work/$k.raw") ||
            problem "disk $k is not what the snapshot $name holds"
    done
}

# Nothing is left: no snapshot of ours, no session, no lease, no process, no socket.
# Numbers of the source servers of this test: their environment has its folder.
source_servers() {
    local p
    for p in $(pgrep -x nbdkit); do
        ! grep -qzxF "TMPDIR=$work/tmp" "/proc/$p/environ" 2>/dev/null || echo "$p"
    done | paste -sd ' '
}

nothing_left() { # VM [SNAPSHOTS OF OTHERS]
    expect "snapshots of $1" "${2-}" "$(snapshots_of "$1")"
    until_true 5 no_lease || problem "lease left: $(leases)"
    expect 'sessions' 0 "$(state .sessions)"
    expect 'source servers' '' "$(source_servers)"
    expect 'folders of sources' '' "$(find "$work/tmp" -name 'sendense-source-*' | paste -sd ' ')"
}

nothing_left_within() { # SECONDS VM [SNAPSHOTS OF OTHERS]
    until_true "$1" no_lease || problem "lease left: $(leases)"
    shift
    nothing_left "$@"
}
