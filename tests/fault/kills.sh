# One function for each kind of kill.  Sourced by tests/fault/failpoints.
# shellcheck shell=bash disable=SC2154
backup_type=full # of the backup that is killed

# begin RETRIES: starts the backup that is killed; a second lies between its attempts.
begin() {
    api POST /backups '{"vm_id":"'"$vm"'","repository_id":"1","backup_type":"'"$backup_type"'","retries":'"$1"',"retry_delay_s":1}' >/dev/null 2>&1
}
# The newest backup but those that were there before: none was made when the hub died too early.
made_after() { # BEFORE
    local id
    id=$(newest_backup)
    [ "$id" = "$1" ] || echo "$id"
}
attempt_of() { sql "SELECT attempt FROM backup_jobs WHERE backup_id = '$1'"; }
resumings() { sql "SELECT count(*) FROM events WHERE type = 'backup.resuming' AND backup_id = '$1'"; }
is_resuming() { [ "$(resumings "$1")" -gt 0 ]; }
goes_on() { # BACKUP STEP: to its end, in another attempt, and says so
    until_true "$wait_s" over_with_its_sources "$1"
    [ "$(job_state "$1")" = completed ] || problem "cut off at $2 it is $(job_state "$1"): $(api GET "/backups/$1" | jq -c .error)"
    [ "$(attempt_of "$1")" -gt 1 ] || problem "cut off at $2 it has one attempt"
    is_resuming "$1" || problem "cut off at $2 it has no event that tells it"
}

# The hub runs with the fail point armed; the client and the worker inherit it.
at_backup() {
    local before id
    stop_daemon hub
    stop_daemon node
    start_node "SENDENSE_FAILPOINT=$1"
    start_hub "SENDENSE_FAILPOINT=$1"
    before=$(newest_backup)
    begin "$([[ $1 == hub.* ]] && echo 3 || echo 0)"
    if [[ $1 == hub.* ]]; then
        until_true "$wait_s" hub_is_gone || problem "the hub never came to $1"
    fi
    id=$(made_after "$before")
    if [[ $1 != hub.* ]]; then
        await_job "$id" || problem "the job did not end"
        [ "$(job_state "$id")" = failed ] || problem "the job is $(job_state "$id") although its process was killed"
    fi
    stop_daemon hub
    stop_daemon node
    start_node
    start_hub
    case $1 in
    # From the rename of the point on the backup exists: it may not be undone.
    hub.point_renamed | hub.point_durable | hub.catalog_committed)
        await_job "$id"
        [ "$(job_state "$id")" = completed ] || problem "I1: the committed job is $(job_state "$id")"
        ;;
    # What was cut off in its transfer goes on.
    hub.manifest_append | hub.snapshot_* | hub.node_job_* | hub.transferring | hub.checkpoint_stored | hub.client_result) goes_on "$id" "$1" ;;
    esac
    check_all "$id"
}

# The client is killed once; the next one is another node's, without the fail point.
at_client() {
    local before id
    at_backup "$1" # without another attempt
    stop_daemon node
    start_node "SENDENSE_FAILPOINT=$1"
    before=$(newest_backup)
    begin 3
    id=$(made_after "$before")
    until_true "$wait_s" is_resuming "$id" || problem "the client never came to $1"
    stop_daemon node
    start_node
    goes_on "$id" "$1"
    check_all "$id"
}

# The client is killed when all disks are there: its last word is not missed, and nothing is done again.
at_last_word() {
    local before id
    stop_daemon node
    start_node "SENDENSE_FAILPOINT=$1"
    before=$(newest_backup)
    begin 0
    id=$(made_after "$before")
    await_job "$id"
    [ "$(job_state "$id")" = completed ] || problem "all disks were there and it is $(job_state "$id"): $(api GET "/backups/$id" | jq -c .error)"
    [ "$(attempt_of "$id")" = 1 ] || problem 'there was another attempt'
    stop_daemon node
    start_node
    check_all "$id"
}

# The hub dies between two attempts: the client is killed at $2, the hub at $1.
at_resume() {
    local before id
    stop_daemon hub
    stop_daemon node
    start_node "SENDENSE_FAILPOINT=$2"
    start_hub "SENDENSE_FAILPOINT=$1"
    before=$(newest_backup)
    begin 5
    id=$(made_after "$before")
    until_true "$wait_s" hub_is_gone || problem "the hub never came to $1"
    stop_daemon hub
    stop_daemon node
    start_node
    start_hub
    goes_on "$id" "$1"
    check_all "$id"
}

# The hub dies in the transfer, and once more when it has taken the job up again.
at_recovered() {
    local before id
    stop_daemon hub
    start_hub SENDENSE_FAILPOINT=hub.transferring
    before=$(newest_backup)
    begin 5
    id=$(made_after "$before")
    until_true "$wait_s" hub_is_gone || problem 'the hub never came to the transfer'
    stop_daemon hub
    start_hub_to_die "$1"
    start_hub
    goes_on "$id" "$1"
    check_all "$id"
}

at_node() {
    local before id asked
    stop_daemon node
    start_node "SENDENSE_FAILPOINT=$1"
    before=$(newest_backup)
    begin 5 & # the answer may wait for the node
    asked=$!
    until_true "$wait_s" node_is_gone || problem "the node never came to $1"
    stop_daemon node KILL
    start_node
    wait "$asked"
    id=$(made_after "$before")
    [ -z "$id" ] || goes_on "$id" "$1"
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
        cmp "$work/cut.raw" "$work/disk0" >/dev/null || problem 'I1: a restored file has its final name but not its bytes'
        [ "$(sql 'SELECT state FROM restore_jobs ORDER BY created_us DESC LIMIT 1')" = completed ] || problem 'the whole file is there, but the restore is not completed'
    else
        restore "$first_backup" 2000 "$work/cut.raw" || problem 'I5: the same restore cannot be done again'
    fi
    rm -f "$work/cut.raw"
    [ "$(sql "SELECT count(*) FROM restore_jobs WHERE state IN ('pending', 'running')")" = 0 ] || problem 'I3: a restore without an end'
    check_all ''
}

# Disks that are open, with everything that a session can make.
at_access() {
    local left
    stop_daemon hub
    start_hub "SENDENSE_FAILPOINT=$1"
    api POST /restore/exports '{"backup_id":"'"$first_backup"'","writable_scratch":true,"tls":true}' >"$work/opened" 2>/dev/null
    [ "$1" != hub.access_closed ] || api DELETE "/restore/exports/$(jq -r .export_id "$work/opened")" >/dev/null 2>&1
    until_true "$wait_s" hub_is_gone || problem "the hub never came to $1"
    stop_daemon hub
    start_hub
    left=$(find "$work/data/scratch" "$work/data/run" -mindepth 1 2>/dev/null)
    [ -z "$left" ] || problem "I4: left of an open disk: $left"
    [ "$(sql "SELECT count(*) FROM restore_exports WHERE state IN ('opening', 'open')")" = 0 ] || problem 'I3: a session without an end'
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

# The node is asked later, so that one that hangs does not hold up the start.
has_cleanup() { api GET "/backups/$1" | jq -e '.cleanup | (.released | type == "array") and (.left | map(select(.kind != "node_job")) == [])' >/dev/null; }

# start_hub_to_die STEP: a hub that never gets ready, as it dies in its recovery.
start_hub_to_die() {
    env "SENDENSE_FAILPOINT=$1" "$BUILD_DIR/sendense-hub" run --data "$work/data" --listen 127.0.0.1:0 --nbd-ports "$ports" "${hub_options[@]}" >/dev/null 2>>"$work/hub.log" &
    # shellcheck disable=SC2034 # of the rig
    hub_pid=$!
    until_true "$wait_s" hub_is_gone || problem "the hub never came to $1"
    stop_daemon hub
}

# The hub dies when it has noted that somebody wants the job to end, and before the job hears of it.
at_cancel() {
    local id
    stop_daemon hub
    start_hub "SENDENSE_FAILPOINT=$1"
    id=$(api POST /backups '{"vm_id":"'"$vm"'","repository_id":"1","backup_type":"full","retries":3,"limits":{"rate_bytes_per_s":100000}}' | jq -r .backup_id)
    expect 'the job' running "$(job_state "$id")"
    api POST "/backups/$id/cancel" >/dev/null 2>&1
    until_true "$wait_s" hub_is_gone || problem "the hub never came to $1"
    stop_daemon hub
    start_hub
    expect 'a job that was to be cancelled' 'cancelled cancelled' "$(api GET "/backups/$id" | jq -r '"\(.status) \(.error.code)"')"
    is_resuming "$id" && problem 'it went on'
    [ "$(api GET "/backups/$id" | jq '.cleanup.released | length')" -gt 0 ] || problem "the record says nothing: $(api GET "/backups/$id" | jq -c .cleanup)"
    has_cleanup "$id" || problem "left over: $(api GET "/backups/$id" | jq -c .cleanup)"
    check_all "$id"
}

# The recovery dies when it has removed what a job made, and has not said that the job is over.
at_unmade() {
    local before id
    stop_daemon hub
    start_hub SENDENSE_FAILPOINT=hub.layer_created
    before=$(newest_backup)
    begin 3
    until_true "$wait_s" hub_is_gone || problem 'the hub never came to a layer'
    stop_daemon hub
    id=$(made_after "$before")
    start_hub_to_die "$1"
    expect 'the job before its end' running "$(sql "SELECT state FROM backup_jobs WHERE backup_id = '$id'")"
    start_hub
    expect 'a job that could not go on' 'failed interrupted' "$(api GET "/backups/$id" | jq -r '"\(.status) \(.error.code)"')"
    has_cleanup "$id" || problem "it has no record of what was removed: $(api GET "/backups/$id" | jq -c .cleanup)"
    check_all "$id"
}

# A deletion whose entry outlived its hub, of a backup that something stands on by now: no hub makes such a pair, an older
# one could.  The next one dies when it has said that it gives the deletion up, and before the entry is gone.
at_given_up() {
    local child
    child=$(api POST /backups '{"vm_id":"'"$vm"'","repository_id":"1","backup_type":"incremental"}' | jq -r .backup_id)
    await_job "$child"
    expect 'the incremental' completed "$(job_state "$child")"
    stop_daemon hub
    sqlite3 -cmd '.timeout 10000' "$work/data/catalog.db" "INSERT INTO job_resources (id, job_id, kind, res_key, state, open_mark, created_us, updated_us)
        SELECT 990001, job_id, 'delete', repository_id || ':vms/' || vm_id || '/points/000001.json', 'intent', 1, created_us, created_us FROM backup_jobs WHERE backup_id = '$first_backup'"
    expect 'open entries' 1 "$(open_entries | wc -l)"
    start_hub_to_die "$1"
    expect 'open entries after the kill' 1 "$(open_entries | wc -l)"
    start_hub
    until_true "$wait_s" journal_is_empty || problem "the entry stays: $(open_entries)"
    expect 'what was to be deleted' completed "$(job_state "$first_backup")"
    [ "$(sql "SELECT count(*) FROM events WHERE type = 'backup.delete_failed' AND code = 'backup_has_children' AND backup_id = '$first_backup'")" -ge 1 ] || problem 'I6: no event tells that the deletion is given up'
    check_restores "$child"
    api DELETE "/backups/$child" >/dev/null
    check_all ''
}

# The undo of a job that failed by itself: the client is killed at its first read.
at_undo() {
    local id
    stop_daemon hub
    stop_daemon node
    start_node SENDENSE_FAILPOINT=client.copying
    start_hub "SENDENSE_FAILPOINT=$1"
    begin 0
    until_true "$wait_s" hub_is_gone || problem "the hub never came to $1"
    id=$(newest_backup)
    stop_daemon hub
    stop_daemon node
    start_node
    start_hub
    check_all "$id"
}

# The node dies while it removes the snapshot of a client that was killed.
at_lease() {
    local id
    stop_daemon node
    start_node "SENDENSE_FAILPOINT=$1"
    # Only the data is slow: what is looked at before is in the small files.
    control POST /faults '{"method": "folder", "file": "-flat.vmdk", "delay_ms": 1000, "count": -1}' >/dev/null
    id=$(api POST /backups '{"vm_id":"'"$vm"'","repository_id":"1","backup_type":"'"$backup_type"'","retries":0}' | jq -r '.backup_id // empty')
    copying() { node_api GET "/jobs/$(job_of "$id")/events?after=0&wait=1" | jq -e 'any(.events[]?; .phase == "auditing" or .phase == "transferring")' >/dev/null; }
    until_true "$wait_s" copying || problem 'it does not read'
    kill -KILL "$(node_api GET /jobs | jq -r '[.jobs[] | select(.state == "running")][0].pid')" 2>/dev/null || problem 'no client to kill'
    control POST /clear-faults >/dev/null
    until_true "$wait_s" node_is_gone || problem "the node never came to $1"
    stop_daemon node KILL
    start_node
    check_all "$id"
}

run_folder_is_empty() { [ -z "$(find "$work/data/run" -mindepth 1)" ]; }

# A file session that begins.
at_files() {
    stop_daemon hub
    start_hub "SENDENSE_FAILPOINT=$1"
    api POST /restore/mounts '{"backup_id":"'"$first_backup"'"}' >/dev/null 2>&1
    until_true "$wait_s" hub_is_gone || problem "the hub never came to $1"
    stop_daemon hub
    start_hub
    until_true "$wait_s" run_folder_is_empty || problem "I4: left of the file session: $(find "$work/data/run" -mindepth 1)"
    expect 'file sessions after the restart' 0 "$(api GET /restore/mounts | jq '.mounts | length')"
    check_all ''
}

# A backup of a VM of its own that meets a changed record in the manifest of its base: the hub dies when it has noted who is
# damaged, and before it has undone the job.
at_condemn() {
    local file id newest
    if [ -z "$vm_of_condemn" ]; then
        head -c 3000000 /dev/urandom >"$work/condemned"
        serve condemned
        vm_of_condemn=$(add_vm condemned 2000=condemned)
    fi
    condemn_backup || problem 'the full failed'
    id=$(newest_backup)
    condemn_backup || problem 'the incremental failed'
    newest=$(newest_backup)
    file=$work/data/repository/$(api GET "/backups/$id" | jq -r '.disk_results[0].qcow2_path | rtrimstr(".qcow2")').manifest
    printf '\xa5' | dd of="$file" bs=1 seek=$((4096 + 3 * 40 + 20)) conv=notrunc status=none
    head -c 300000 /dev/urandom | dd of="$work/condemned" bs=65536 seek=2 conv=notrunc status=none
    stop_daemon hub
    start_hub "SENDENSE_FAILPOINT=$1"
    api POST /backups '{"vm_id":"'"$vm_of_condemn"'","repository_id":"1","backup_type":"auto"}' >/dev/null 2>&1
    until_true "$wait_s" hub_is_gone || problem "the hub never came to $1"
    stop_daemon hub
    start_hub
    await_job "$(newest_backup)" || problem 'I3: the job did not end'
    expect 'the base' 'failed null' "$(api GET "/backups/$id" | jq -r '"\(.verification) \(.error.code)"')"
    expect 'what stands on it' 'failed parent_damaged' "$(api GET "/backups/$newest" | jq -r '"\(.verification) \(.error.code)"')"
    condemn_backup || problem 'I5: the next backup failed'
    id=$(newest_backup)
    expect 'the next one' 'full parent_damaged verified' "$(api GET "/backups/$id" | jq -r '"\(.backup_type) \(.disk_results[0].reason) \(.verification)"')"
    restore "$id" 2000 "$work/out.raw" && cmp "$work/condemned" "$work/out.raw" >/dev/null || problem 'I1: the next one is not what its source is'
    rm -f "$work/out.raw"
    check_all ''
}
vm_of_condemn=''
condemn_backup() { # of that VM
    local id
    id=$(api POST /backups '{"vm_id":"'"$vm_of_condemn"'","repository_id":"1","backup_type":"auto"}' | jq -r '.backup_id // empty')
    [ -n "$id" ] && await_job "$id" && [ "$(job_state "$id")" = completed ]
}
