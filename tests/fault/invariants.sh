# What must hold when no job runs (I1-I8 of ARCHITECTURE.md), as far as it can be seen from outside: processes, ports, files,
# rows, events, the vCenter, the node, secrets.  Every fault test asserts all of it.  Sourced by tests/func/rig.sh.
# I1 and I5 need a source to compare with: check_restores and check_all of the rig, check_guest of tests/func/vsphere.sh.
# shellcheck shell=bash disable=SC2154

# Processes that name our folder and are not the sources.
our_processes() {
    local pid
    for pid in $(pgrep -f "$work"); do
        case " ${source_pids[*]} $$ $BASHPID $hub_pid $node_pid " in *" $pid "*) continue ;; esac
        tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -E '^[^ ]*(qemu-nbd|sendense-|nbdkit)' | grep -v "nbdkit -f -r -U $work"
    done
}
nothing_lives() { [ -z "$(our_processes)" ]; }

open_entries() { sql "SELECT kind || ' ' || res_key FROM job_resources WHERE state <> 'released'"; }
journal_is_empty() { [ -z "$(open_entries)" ]; }
sql() { sqlite3 -readonly "$work/data/catalog.db" "$1" || { echo "$1" >>"$work/sql.failed"; false; }; }

# What must hold when no job runs.  $1 = the job's backup id, or empty when none was made.
check_invariants() {
    local repo=$work/data/repository left
    rm -f "$work/sql.failed"
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
    left=$(ss -Hltn | awk -v low="${ports%-*}" -v high="${ports#*-}" '{ sub(/.*:/, "", $4) } $4 + 0 >= low + 0 && $4 + 0 <= high + 0 { print $4 }')
    [ -z "$left" ] || problem "I4: ports listened on: $left"
    left=$(curl -sS -m 60 -H "Authorization: Bearer $(cat "$work/node.token")" "$node_url/api/v1/jobs" | jq '[.jobs[] | select(.state == "running")] | length')
    [ "$left" = 0 ] || problem "I4: the node runs $left jobs"
    left=$(sql "SELECT backup_id || ': ' || count(*) FROM events WHERE type IN ('backup.completed', 'backup.failed', 'backup.cancelled') GROUP BY backup_id HAVING count(*) <> 1")
    [ -z "$left" ] || problem "I6: not exactly one outcome event: $left"
    left=$(sql "SELECT backup_id FROM backup_jobs WHERE state = 'failed' AND (error_code IS NULL OR error_message IS NULL)")
    [ -z "$left" ] || problem "I6: failed without a reason: $left"
    grep -rlF "$(cat "$work/data/admin.token")" "$work"/*.log "$work/data/jobs" >/dev/null 2>&1 && problem 'I7: a token is in a log'
    [ ! -s "$work/sql.failed" ] || problem "the catalog did not answer: $(cat "$work/sql.failed")"
}

# --- at the vCenter and the node ---

# No session, no snapshot of ours, no lease: what must hold at the vCenter when no job runs.
check_vcenter() {
    until_true 15 sim_is_left || problem "I4: at the vCenter: $(control GET /state | jq -c '{sessions, snapshots: [.vms[].snapshots[]?.name]}')"
    until_true 15 no_lease || problem "I4: leases at the node: $(node_api GET /leases)"
}
sim_is_left() { [ "$(sim_state '[.sessions, ([.vms[].snapshots[]? | select(.name | startswith("sendense-"))] | length)] | add')" = 0 ]; }
no_lease() { [ "$(node_api GET /leases | jq '.leases | length')" = 0 ]; }
node_api() { curl -sS -m 60 -X "$1" -H "Authorization: Bearer $(cat "$work/node.token")" "$node_url/api/v1$2"; }

# --- I2: what is completed does not change ---

# keep_sums FILE: the files of all that is completed, as they are now.
keep_sums() { (cd "$work/data/repository" && find vms -type f -exec sha256sum {} + | sort -k2) >"$1"; }
check_sums() { # FILE
    (cd "$work/data/repository" && sha256sum --quiet -c "$1" >"$work/changed" 2>&1) || problem "I2: $(head -n 3 "$work/changed")"
}

# --- I7: secrets that the test knows, in every form that a program might give them ---

# canary TEXT: a secret to be looked for.
canary() {
    # shellcheck disable=SC2016
    python3 -c '
import base64, json, sys, urllib.parse, xml.sax.saxutils as x
t = sys.argv[1]
forms = {t, x.escape(t), x.escape(t, {"\"": "&quot;", "\x27": "&apos;"}), json.dumps(t)[1:-1], urllib.parse.quote(t, safe=""),
         base64.b64encode(t.encode()).decode().rstrip("=")}
print("\n".join(sorted(forms)))' "$1" >>"$work/canaries"
}

descendants() { # PID…
    local pid
    for pid in "$@"; do
        echo "$pid"
        # shellcheck disable=SC2046
        descendants $(pgrep -P "$pid")
    done
}

# While a job runs: arguments and environment of each program of ours.
check_no_secret_running() {
    local pid file
    # shellcheck disable=SC2046
    for pid in $(descendants $hub_pid $node_pid); do
        for file in cmdline environ; do
            { tr '\0' '\n' <"/proc/$pid/$file"; } 2>/dev/null | grep -aF -f "$work/canaries" >/dev/null &&
                problem "I7: a secret is in $file of $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-100)"
        done
    done
}

# At rest: logs, job logs, catalog with its journal, the node's state, points.
check_no_secret_stored() {
    local found
    found=$(find "$work" \( -name '*.log' -o -name 'catalog.db*' -o -name '*.json' -o -path '*/jobs/*' -o -path '*/node-state/*' \) -type f \
        ! -name sim.json -exec grep -laF -f "$work/canaries" {} + 2>/dev/null)
    [ -z "$found" ] || problem "I7: a secret is in $found"
    [ -z "${1:-}" ] || ! grep -aF -f "$work/canaries" "$1" >/dev/null || problem "I7: a secret is in the answer $1"
}
