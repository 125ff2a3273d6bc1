# What the fault cases (tests/fault/cases_*) share: slow machines, how a job ended, the next run.  Sourced after rig.sh.
# shellcheck shell=bash disable=SC2154,SC2034

# Small requests: a slow source gives one of them before a deadline passes.
start_backup() {
    revive
    api POST /backups '{"vm_id":"'"$1"'","repository_id":"1","backup_type":"full","retries":0,"limits":{"request_bytes":65536,"requests":2,"connections":1}}' |
        jq -r '.backup_id // empty'
}
error_of() { api GET "/backups/$1" | jq -r '"\(.error.code // "none"): \(.error.message // "")"'; }
is_state() { [ "$(job_state "$1")" = "$2" ]; }

# slow_source NAME BYTES RATE: random bytes behind nbdkit's rate filter; `echo 10G >$work/NAME.rate` lets it go.
slow_source() {
    head -c "$2" /dev/urandom >"$work/$1"
    echo "$3" >"$work/$1.rate"
    filter_args=("rate-file=$work/$1.rate")
    serve "$1" --filter=rate
    filter_args=()
}
bytes_move() { [ "$(api GET "/backups/$1" | jq '.bytes.sent // 0')" -gt 0 ]; }

# ends BACKUP STATE CODES [SECONDS]: how it ended and why; CODES is a pattern of grep -E.
ends() {
    await_job "$1" "${4:-$wait_s}" || { problem "$1 does not end: $(job_state "$1")"; return; }
    expect "status of $1" "$2" "$(job_state "$1")"
    [ -z "$3" ] || error_of "$1" | grep -E "^($3):" >/dev/null || problem "the reason is: $(error_of "$1")"
}
# ends_either BACKUP CODES [SECONDS]: completed after all, and right, or failed with one of these codes.
ends_either() {
    await_job "$1" "${3:-$wait_s}" || { problem "$1 does not end: $(job_state "$1")"; return; }
    case $(job_state "$1") in
    completed) ;;
    failed) error_of "$1" | grep -E "^($2):" >/dev/null || problem "the reason is: $(error_of "$1")" ;;
    *) problem "status of $1: $(job_state "$1")" ;;
    esac
}
# one_good VM FILE: the next backup of it succeeds unaided, and holds the bytes of the file.
one_good() {
    local vm=$1 id
    revive
    id=$(run_backup) || { problem "I5: the next backup failed: $(error_of "${id:-none}")"; return; }
    rm -f "$work/good.raw"
    restore "$id" 2000 "$work/good.raw" || problem 'I5: the restore of the next backup failed'
    cmp "$2" "$work/good.raw" >/dev/null || problem 'I1: the next backup is not what its source was'
    rm -f "$work/good.raw"
    api DELETE "/backups/$id" >/dev/null
}
# all_well: the invariants, and the first backup is what it was.
all_well() {
    check_invariants
    check_sums "$work/first"
}
