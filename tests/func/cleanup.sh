# shellcheck shell=bash disable=SC2154,SC2034
# What the cases of tests/func/cleanup about merges and other hubs stand on.  Sourced after rig.sh and merge.sh.

# A VM with a full and N incrementals, and in $work/old the catalog of before, which knows none of them; the hub is stopped.
chain_of() {
    local i
    stop_daemon hub
    rm -rf "$work/old" && mkdir "$work/old"
    cp "$work/data"/catalog.db* "$work/old"
    start_hub
    points=()
    for i in 0 1; do
        head -c 3000000 /dev/urandom >"$work/$1$i"
        serve "$1$i"
    done
    vm=$(add_vm "$1" "2000=${1}0" "2001=${1}1")
    take full "2000=${1}0" "2001=${1}1"
    for ((i = 0; i < $2; i++)); do
        guest_changes "$work/${1}0" 3000000
        guest_changes "$work/${1}1" 3000000
        take incremental "2000=${1}0" "2001=${1}1"
    done
    stop_daemon hub
}
old_catalog() {
    mkdir "$work/new"
    mv "$work/data"/catalog.db* "$work/new"
    cp "$work/old"/* "$work/data"
}
new_catalog() {
    rm "$work/data"/catalog.db*
    mv "$work/new"/* "$work/data"
    rmdir "$work/new"
}
# All of a chain restore to what they were; then it is removed, newest first.
end_of_chain() {
    local i
    check_points
    for ((i = ${#points[@]} - 1; i >= 0; i--)); do api DELETE "/backups/${points[i]}" >/dev/null; done
    check_invariants
    nothing_of_merges
    good_is_whole
}

sums_of() { (cd "$work/data/repository/vms/$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum) | sha256sum; }

# The hub of the rig, its exports and its job are as they were.
job_goes_on() {
    local pid
    expect 'the exports of the hub' "$exports" "$(pgrep -P "$hub_pid" qemu-nbd | xargs)"
    for pid in $exports $client; do lives "$pid" || problem "$pid was ended"; done
    expect 'the job' running "$(job_state "$id")"
}
