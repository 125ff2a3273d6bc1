# shellcheck shell=bash disable=SC2034,SC2154
# What all benchmarks share: a folder that goes away, daemons, medians, figures that must be met.  Sourced; needs root (of
# the project) and bin (the build folder).
work='' pids=() missed=0 results='{}'

cleanup() {
    local i
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill "${pids[i]}" 2>/dev/null || :
        wait "${pids[i]}" 2>/dev/null || :
    done
    pids=()
    [ -z "$work" ] || rm -rf "$work"
}
trap cleanup EXIT

show() { echo "    \$ $*"; }
now() { date +%s.%N; }
calc() { awk "BEGIN {print $*}"; }
median() { sort -n "$1" | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
largest() { sort -n "$1" | tail -n 1; }
put() { results=$(jq --arg k "$1" --argjson v "$2" '.[$k] = $v' <<<"$results"); }

# until_there SECONDS COMMAND…
until_there() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || { echo "waited in vain for: $*" >&2; exit 1; }
        sleep 0.05
    done
}

# must NAME EXPRESSION FIGURE: a figure that has to be met.
must() {
    local word=met
    [ "$(calc "($2) ? 1 : 0")" = 1 ] || { word=MISSED missed=1; }
    printf '  %-52s %s: %s\n' "$1" "$3" "$word"
    results=$(jq --arg k "$1" --arg v "$3" '.[$k] = $v' <<<"$results")
}

# CPU seconds of a process so far.
cpu_of() {
    local f
    read -ra f <"/proc/$1/stat"
    calc "(${f[13]} + ${f[14]}) / $(getconf CLK_TCK)"
}

# ready NAME COMMAND…: starts it and reads its first line into $line; its process is $pid.
ready() {
    local name=$1
    shift
    rm -f "$work/fifo"
    mkfifo "$work/fifo"
    "$@" >"$work/fifo" 2>>"$work/$name.log" &
    pid=$!
    pids+=("$pid")
    line=''
    read -r -t 60 line <"$work/fifo" || :
    [ -n "$line" ] || { echo "$name did not start: $(tail -n 3 "$work/$name.log")" >&2; exit 1; }
}

# start_node [OPTION…], start_hub [OPTION…]: set node_pid, node_url, hub_pid, hub_url.
start_node() {
    [ -e "$work/node.token" ] || (umask 077 && head -c 24 /dev/urandom | base64 >"$work/node.token")
    ready node "$bin/sendense-node" --listen 127.0.0.1:0 --token-file "$work/node.token" --state "$work/node-state" "$@"
    node_pid=$pid node_url=http://$(jq -r .address <<<"$line")
}
start_hub() {
    [ -d "$work/data" ] || "$bin/sendense-hub" init --data "$work/data" --node-token-file "$work/node.token" --node-url "$node_url" >/dev/null
    ready hub "$bin/sendense-hub" run --data "$work/data" --listen "${hub_listen:-127.0.0.1:0}" --nbd-ports 31200-31400 "$@"
    hub_pid=$pid hub_url=http://$(jq -r .address <<<"$line")
    export XDG_CONFIG_HOME=$work/config
    "$bin/sendense" login --url "$hub_url" --token-file "$work/data/admin.token" >/dev/null 2>&1
}
api() { curl -sS -f -X "$1" -H "Authorization: Bearer $(cat "$work/data/admin.token")" ${3:+-H 'Content-Type: application/json' -d "$3"} "$hub_url/api/v1$2"; }
sendense() { "$bin/sendense" "$@"; }

machine() {
    "$bin/sendense-hub" --version
    echo "$(nproc) CPUs, $(awk -F: '/model name/ {print $2; exit}' /proc/cpuinfo), $(qemu-nbd --version | head -n 1), $(nbdkit --version)"
}
