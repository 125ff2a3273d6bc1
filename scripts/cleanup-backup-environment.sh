#!/usr/bin/env bash
# Brings the machine of the hub back to order after something went wrong: ends what no job owns, hung clients too, removes
# files that belong to no restore point, looks at locks and ports.  Shows what it would do; acts only with --apply.
# A completed backup is never touched, unless --wipe-repository is given twice.  Read scripts/README.md first.
set -uo pipefail
export LC_ALL=C
# shellcheck source=scripts/cleanup-lib.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/cleanup-lib.sh" || exit 2

usage() {
    cat <<'EOF'
Usage: cleanup-backup-environment.sh [OPTION...]
  --apply                 act; without it nothing is changed
  --config FILE           options as lines NAME=VALUE (default: /etc/sendense/cleanup.conf, when it is there)
  --data DIR              data folder of the hub (default: /var/lib/sendense)
  --repository DIR        a repository; may be repeated (default: those of the catalog, else DATA/repository)
  --url URL               address of the hub (default: as for `sendense`: SENDENSE_URL, the login, http://127.0.0.1:8082)
  --token-file FILE       its token (default: as for `sendense`, else DATA/admin.token)
  --node-url URL          address of the node (default: those of the hub, or of its catalog)
  --node-token-file FILE  the node's token (default: DATA/node.token)
  --ssh USER@HOST         where the node's machine is, for the commands that are printed
  --hung-after SECONDS    a client that says nothing for so long is hung (default: 120)
  --end-jobs              also ends the backups that run well
  --restart-hub           stops the hub before, starts it after (systemd unit), or prints the commands
  --unit NAME             its unit (default: sendense-hub.service)
  --wipe-repository ID    given twice: deletes ALL backups of this repository, by the hub; asks on the terminal
  -h, --help              this text
Exit status: 0 nothing is left, 1 something is (see "LEFT"), 2 wrong usage, 3 there is something to do (without --apply).
EOF
}

die() {
    printf 'cleanup-backup-environment: %s\n' "$*" >&2
    exit 2
}

# --- options ---

apply=0 data='' url='' token_file='' node_url='' node_token_file='' ssh_to='' hung_after='' end_jobs=0 restart=0 unit='' config=''
repos=() foreign_repos=() wipe=() # foreign: another hub that runs has them

set_option() { # NAME VALUE: one that may stand in the file, too; the command line comes first and wins
    case $1 in
    data) data=${data:-$2} ;;
    repository) repos+=("$2") ;;
    url) url=${url:-$2} ;;
    token-file) token_file=${token_file:-$2} ;;
    node-url) node_url=${node_url:-$2} ;;
    node-token-file) node_token_file=${node_token_file:-$2} ;;
    ssh) ssh_to=${ssh_to:-$2} ;;
    hung-after) hung_after=${hung_after:-$2} ;;
    unit) unit=${unit:-$2} ;;
    *) return 1 ;;
    esac
}

read_options() {
    local name
    while [ $# -gt 0 ]; do
        case $1 in
        --apply) apply=1 ;;
        --end-jobs) end_jobs=1 ;;
        --restart-hub) restart=1 ;;
        -h | --help) usage && exit 0 ;;
        --wipe-repository | --config | --data | --repository | --url | --token-file | --node-url | --node-token-file | --ssh | --hung-after | --unit)
            [ $# -ge 2 ] && [ -n "$2" ] || die "$1 needs a value"
            name=${1#--}
            case $name in
            wipe-repository) wipe+=("$2") ;;
            config) config=$2 ;;
            *) set_option "$name" "$2" ;;
            esac
            shift
            ;;
        *) die "unknown option '$1' (see --help)" ;;
        esac
        shift
    done
}

read_config() {
    local line given=${#repos[@]}
    [ -n "$config" ] || { [ -r /etc/sendense/cleanup.conf ] && config=/etc/sendense/cleanup.conf; } || return 0
    [ -r "$config" ] || die "'$config' cannot be read"
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        '' | '#'*) ;;
        repository=*) [ "$given" -gt 0 ] || set_option repository "${line#*=}" ;;
        *=*) set_option "${line%%=*}" "${line#*=}" || die "'$config': unknown option '${line%%=*}'" ;;
        *) die "'$config': '$line' is no NAME=VALUE" ;;
        esac
    done <"$config"
}

# --- what is said ---

to_do=0 left=0 shown=0
step() { printf '[%d/8] %s\n' "$((shown += 1))" "$*"; }
note() { printf '      %s\n' "$*"; }
leave() {
    left=$((left + 1))
    printf '      LEFT: %s\n' "$*"
}
# act WHAT COMMAND…: does it, or says that it would.
act() {
    local what=$1
    shift
    to_do=$((to_do + 1))
    if [ "$apply" -eq 0 ]; then
        note "would $what"
    elif "$@"; then
        note "$what: done"
    else
        leave "$what did not work"
        return 1
    fi
}

# --- the hub and its catalog ---

hub_state=dead hub_pid=''
hub_cli() { sendense "${cli_args[@]}" "$@" </dev/null; }
find_login() {
    local login=${XDG_CONFIG_HOME:-${HOME:-/root}/.config}/sendense/cli.json
    cli_args=()
    : "${token_file:=${SENDENSE_TOKEN_FILE:-}}"
    [ -n "$token_file" ] || [ -r "$login" ] || { [ -r "$data/admin.token" ] && token_file=$data/admin.token; }
    : "${url:=${SENDENSE_URL:-}}"
    [ -n "$url" ] || { [ -r "$login" ] && url=$(jq -r '.url // empty' "$login"); }
    : "${url:=http://127.0.0.1:8082}"
    cli_args=(--url "$url")
    [ -z "$token_file" ] || cli_args+=(--token-file "$token_file")
}
find_hub() {
    local pid
    hub_pid='' hub_state=dead
    [ -e "$data/lock" ] || return 0
    for pid in $(holders "$data/lock"); do
        [ "$(exe_of "$pid")" = sendense-hub ] && hub_pid=$pid
    done
    [ -n "$hub_pid" ] || return 0
    hub_state=hung
    curl -sf -m 10 -o /dev/null "$url/healthz" || return 0
    # An answer may come from another hub: it counts when it tells of a repository that is here.
    hub_repos=$(hub_cli -o json repo ls 2>"$tmp/cli") || { note "the hub refuses this login: $(tail -n 1 "$tmp/cli")"; return 0; }
    [ "${#repos[@]}" -gt 0 ] || mapfile -t repos < <(jq -r '.repositories[].path' <<<"$hub_repos")
    for repo in "${repos[@]}"; do
        if jq -e --arg id "$(repo_uuid "$repo")" '.repositories[] | select(.repository_uuid == $id)' <<<"$hub_repos" >/dev/null; then
            hub_state=healthy
        fi
    done
    [ "$hub_state" = healthy ] || note "the hub at $url is not the one of $data"
}
repo_uuid() { jq -r '.repository_uuid // empty' "$1/sendense-repo.json" 2>/dev/null; }
# A copy, so that not even a reader's files are made beside the catalog; only when no hub writes into it.
catalog=''
open_catalog() {
    catalog=''
    [ -z "$hub_pid" ] && [ -f "$data/catalog.db" ] && command -v sqlite3 >/dev/null || return 1
    cp "$data/catalog.db" "$tmp/catalog.db" && { [ ! -f "$data/catalog.db-wal" ] || cp "$data/catalog.db-wal" "$tmp/catalog.db-wal"; } || return 1
    [ "$(sqlite3 "$tmp/catalog.db" 'PRAGMA quick_check' 2>/dev/null)" = ok ] && catalog=$tmp/catalog.db
}
sql() { sqlite3 -separator ' ' "$catalog" "$1"; }

# --- the steps ---

stop_hub() { systemctl stop "$unit" && wait_for 90 test ! -d "/proc/$hub_pid"; }
hub_answers() { curl -sf -m 5 -o /dev/null "$url/healthz"; }
start_hub() { systemctl start "$unit" && wait_for 60 hub_answers; }
has_unit() { command -v systemctl >/dev/null && systemctl cat "$unit" >/dev/null 2>&1; }

# The repositories, and before anything is touched: who has them.
look_at_repositories() {
    local repo owner ours=()
    for repo in "${repos[@]}"; do
        [ -n "$(repo_uuid "$repo")" ] || die "'$repo' is no repository (or jq is missing)"
        note "repository $repo"
        if owner=$(foreign_owner "$repo"); then
            leave "$repo: held by $(exe_of "$owner"), pid $owner, which is not the hub of $data: nothing of it is touched (--data, --repository)"
            foreign_repos+=("$repo")
        else
            ours+=("$repo")
        fi
    done
    repos=("${ours[@]}")
}
step_hub() {
    local name
    step "hub: data folder $data"
    [ -d "$data" ] || die "'$data' is no folder: name the hub's data folder with --data"
    for name in lock catalog.db; do
        [ ! -e "$data/$name" ] || [ -r "$data/$name" ] || die "'$data/$name' cannot be read: run this as root or as the user of the hub"
    done
    find_hub
    case $hub_state in
    healthy) note "the hub runs (pid $hub_pid) and answers at $url" ;;
    hung) note "the hub runs (pid $hub_pid) but gives no usable answer at $url: what belongs to it is left alone; see --restart-hub, --url, --token-file" ;;
    dead) note 'no hub runs on this data folder' ;;
    esac
    if [ "$restart" -eq 1 ] && [ -n "$hub_pid" ] && has_unit; then
        act "stop $unit; its running jobs end as interrupted" stop_hub
        [ "$apply" -eq 1 ] && find_hub
    fi
    if [ "${#repos[@]}" -eq 0 ] && open_catalog; then mapfile -t repos < <(sql 'SELECT path FROM backup_repositories'); fi
    [ "${#repos[@]}" -gt 0 ] || repos=("$data/repository")
    look_at_repositories
}

step_processes() {
    local pid start name n=0
    step 'processes of this hub that no job owns'
    while read -r pid start name; do
        n=$((n + 1))
        freed+=("$(port_of "$pid")")
        [ "$apply" -eq 1 ] || ending+=" $pid "
        act "end $name, pid $pid${freed[-1]:+, port ${freed[-1]}}" end_process "$pid" "$start"
    done < <(orphans)
    [ "$n" -gt 0 ] || note 'none'
}

# node METHOD PATH: the node's token goes by a pipe, never on a command line.
node() { curl -sS -f -m 90 -X "$1" -H @<(printf 'Authorization: Bearer %s\n' "$(cat "$node_token_file")") "$node_base/api/v1$2" 2>&1; }
node_urls() {
    if [ -n "$node_url" ]; then echo "node $node_url"
    elif [ "$hub_state" = healthy ]; then hub_cli -o json node ls | jq -r '.nodes[] | "\(.name) \(.url)"'
    elif [ -n "$catalog" ] || open_catalog; then sql 'SELECT name, url FROM nodes'
    fi
}
running_jobs() { # "JOB BACKUP PID-OF-ITS-CLIENT" of what has no end
    if [ "$hub_state" = healthy ]; then
        for state in pending running; do hub_cli -o json backup ls --status "$state"; done |
            jq -r '.backups[] | "\(.job_id) \(.backup_id) \((.client | if type == "string" then . else "" end) | capture("pid (?<p>[0-9]+)$").p // "-")"'
    elif [ -n "$catalog" ]; then
        sql "SELECT job_id, backup_id, client_identity FROM backup_jobs WHERE state IN ('pending', 'running')" | sed -E 's/^([^ ]+ [^ ]+) .*pid ([0-9]+)$/\1 \2/; s/^([^ ]+ [^ ]+) ?$/\1 -/'
    fi
}
is_silent() { # JOB LAST_SEQ: no event for --hung-after seconds
    local end=$((SECONDS + hung_after))
    while [ "$SECONDS" -le "$end" ]; do
        [ "$(node GET "/jobs/$1" | jq -r '"\(.state) \(.last_seq)"')" = "running $2" ] || return 1
        sleep 1
    done
}
job_has_ended() { case $(hub_cli -o json backup show "$1" | jq -r .status) in completed | failed | cancelled) ;; *) return 1 ;; esac }
cancel_job() { hub_cli -q backup cancel "$1" && wait_for 180 job_has_ended "$1"; }
# Only when what was found still holds: a hub that was started meanwhile sees to its clients.
node_delete() { { [ -n "$hub_pid" ] || [ -z "$(holders "$data/lock")" ]; } && node DELETE "/jobs/$1" >/dev/null; }
# JOB: "STATE BACKUP" of it as the hub says now; false when it gave no whole answer, or does not know the job.
state_of_job() {
    local list
    list=$(hub_cli -o json backup ls 2>"$tmp/cli") || return 1
    jq -er --arg job "$1" 'first(.backups[] | select(.job_id == $job) | "\(.status) \(.backup_id)")' <<<"$list" 2>/dev/null
}
print_ssh() { # NAME URL: what a person can do about the clients of a node that does not answer
    local job backup pid host=${ssh_to:-} cmd
    [ -n "$host" ] || { host=${2#*://} && host=${host%%[:/]*}; }
    case $host in 127.* | localhost) host=$1 ;; esac
    while read -r job backup pid; do
        [ -n "$job" ] || continue
        # shellcheck disable=SC2016
        printf -v cmd 'case $(readlink /proc/%s/exe) in */sendense-backup-client*) kill -KILL %s ;; esac' "$pid" "$pid"
        [ "$pid" != - ] || cmd='pgrep -a sendense-backup'
        note "$backup: when its client is hung: ssh $host '$cmd'"
    done < <(running_jobs)
}
step_clients() {
    local name job seq backup jobs n=0
    step 'backup clients'
    [ "$hub_state" = healthy ] || [ -n "$catalog" ] || open_catalog
    running=$(running_jobs)
    [ -n "$running" ] && [ "$hub_state" = healthy ] && note "running backups: $(cut -d' ' -f2 <<<"$running" | xargs)"
    while read -r name node_base; do
        n=$((n + 1))
        if [ ! -r "$node_token_file" ]; then
            note "node $name: no token to ask it with (--node-token-file)"
            end_by_hub
            continue
        fi
        if ! jobs=$(node GET /jobs); then
            leave "node $name at $node_base does not answer: ${jobs##*: }; start it: systemctl start sendense-node"
            print_ssh "$name" "$node_base"
            continue
        fi
        while read -r job seq; do
            [ -n "$job" ] && has_log "$job" && end_client "$name" "$job" "$seq"
        done < <(jq -r '.jobs[] | select(.state == "running") | "\(.job_id) \(.last_seq)"' <<<"$jobs")
    done < <(node_urls)
    [ "$n" -gt 0 ] || note 'no node is known: see --node-url'
}
end_by_hub() { # --end-jobs without the node's token: the hub has it
    local job backup pid
    [ "$end_jobs" -eq 1 ] && [ "$hub_state" = healthy ] || return 0
    while read -r job backup pid; do
        [ -z "$job" ] || act "end backup $backup (--end-jobs)" cancel_job "$backup"
    done <<<"$running"
}
end_client() { # NODE JOB LAST_SEQ
    local backup state hub
    backup=$(awk -v job="$2" '$1 == job { print $2 }' <<<"$running")
    # It may have begun since the list was made, or the list is not whole: only what the hub says of this job now counts.
    if [ "$hub_state" = healthy ] && [ -z "$backup" ]; then
        if ! state=$(state_of_job "$2"); then
            leave "job $2 runs on node $1, and the hub does not say what became of it: left alone"
            return
        fi
        case ${state% *} in completed | failed | cancelled) ;; *) backup=${state#* } ;; esac
    fi
    if [ "$hub_state" = hung ]; then
        note "job $2 runs on node $1; its hub does not answer: left alone"
    elif [ "$hub_state" = dead ] && hub=$(hub_of_job "$2"); then
        leave "job $2 runs on node $1 for a hub, pid $hub, that is not the one of $data: left alone"
    elif [ "$hub_state" = dead ] || [ -z "$backup" ]; then
        act "end the client of job $2 on node $1: no hub waits for it" node_delete "$2"
    elif [ "$end_jobs" -eq 1 ]; then
        act "end backup $backup (--end-jobs)" cancel_job "$backup"
    elif is_silent "$2" "$3"; then
        act "end backup $backup: its client on node $1 said nothing for $hung_after s" cancel_job "$backup"
    else
        note "backup $backup runs well: left alone"
    fi
}

# Is the lock of a repository free?  Says who has it.
lock_is_free() {
    local pid inode host seen=0
    for pid in $(holders "$1/lock"); do
        seen=1
        if [[ $ending == *" $pid "* ]]; then
            note "$1/lock: held by $(exe_of "$pid"), pid $pid, see above"
            continue
        fi
        if [ "$pid" = "$hub_pid" ] || { [ -n "$hub_pid" ] && is_below "$pid" "$hub_pid"; }; then
            note "$1/lock: held by $(exe_of "$pid"), pid $pid, of the running hub"
        else
            leave "$1/lock: held by $(exe_of "$pid"), pid $pid, which is not of this hub"
        fi
    done
    [ "$seen" -eq 0 ] || return 1
    inode=$(stat -c %i "$1/lock" 2>/dev/null)
    if grep -qE "(OFDLCK|POSIX|FLOCK) .*:$inode " /proc/locks; then
        leave "$1/lock: held by a process that cannot be seen: run this as root"
        return 1
    fi
    host=$(jq -r '.host // empty' "$1/lock" 2>/dev/null)
    if [ -n "$host" ] && [ "$host" != "$(uname -n)" ]; then
        note "$1/lock: free here, but last held on '$host': run this there"
        return 1
    fi
    note "$1/lock: free"
}
step_locks() {
    local repo pid path
    step 'locks and open files'
    for repo in "${repos[@]}"; do
        lock_is_free "$repo" && free_repos+=("$repo")
        while read -r pid path; do
            case $path in "$repo/lock") continue ;; esac
            if [ -n "$hub_pid" ] && is_below "$pid" "$hub_pid"; then
                note "open: $path by $(exe_of "$pid"), pid $pid, of the running hub"
            elif [ "$apply" -eq 1 ]; then
                leave "open: $path by $(exe_of "$pid"), pid $pid: end it by hand"
            else
                note "open: $path by $(exe_of "$pid"), pid $pid"
            fi
        done < <(opened_below "$repo")
    done
}

step_files() {
    local repo dir file files=() of_jobs
    step 'files that belong to no restore point'
    [ "$hub_state" != healthy ] || of_jobs=$(hub_cli -o json backup ls --status running | jq -r '.backups[].disk_results[].qcow2_path')
    for repo in "${repos[@]}"; do
        while read -r dir; do
            if [ -n "$hub_pid" ]; then
                note "$dir: layers are merged, the hub goes on with it"
            else
                leave "$dir: a merge is under way, nothing in it is touched: the hub goes on with it at its next start"
            fi
        done < <(merging_folders "$repo")
        mapfile -t files < <(without_point "$repo")
        if [ "${#files[@]}" -eq 0 ]; then
            note "$repo: none"
        elif [ -n "$hub_pid" ]; then
            for file in "${files[@]}"; do
                file=${file#"$repo"/}
                if [ -n "${of_jobs:-}" ] && grep -qxF "${file%%.*}.qcow2" <<<"$of_jobs"; then
                    note "$file: of a running backup"
                elif [ "$hub_state" = hung ]; then
                    note "$file: of a backup that runs, or the hub removes it at its next start"
                else
                    note "$file: the hub removes it, at its next start at the latest (--restart-hub)"
                fi
            done
        elif ! printf '%s\n' "${free_repos[@]}" | grep -qxF "$repo" && [ "$apply" -eq 1 ]; then
            leave "$repo: ${#files[@]} files; its lock is not free, so they stay"
        elif [ -z "$catalog" ] && ! open_catalog; then
            leave "$repo: ${#files[@]} files; the catalog cannot be asked whether a backup is among them (sqlite3, $data/catalog.db), so they stay"
        elif [ "$(sql "SELECT count(*) FROM backup_repositories WHERE repository_uuid = '$(repo_uuid "$repo")'")" = 0 ]; then
            leave "$repo: ${#files[@]} files; it is not a repository of this hub, so they stay"
        else
            for file in "${files[@]}"; do remove_or_keep "$repo" "$file"; done
        fi
    done
}

listens() { awk -v p="$(printf ':%04X' "$1")" '$4 == "0A" && substr($2, length($2) - 4) == p { found = 1 } END { exit !found }' /proc/net/tcp; }
step_ports() {
    local port inode pid range n=0
    step 'ports of exports'
    range=$([ -z "$hub_pid" ] || tr '\0' '\n' <"/proc/$hub_pid/cmdline" | sed -n '/^--nbd-ports$/{n;p}; s/^--nbd-ports=//p')
    : "${range:=10100-10200}"
    while read -r port inode; do
        n=$((n + 1))
        pid=$(find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\[$inode\]" 2>/dev/null | cut -d/ -f3 | sort -un | head -n 1)
        if [ -n "$pid" ] && [ -n "$hub_pid" ] && is_below "$pid" "$hub_pid"; then
            note "$port: $(exe_of "$pid"), pid $pid, of a running job"
        else
            note "$port: ${pid:+$(exe_of "$pid"), pid $pid, }not of a running job; the hub passes over it"
        fi
    done < <(awk '$4 == "0A" { print substr($2, length($2) - 3), $10 }' /proc/net/tcp | while read -r port inode; do
        port=$((16#$port))
        [ "$port" -lt "${range%-*}" ] || [ "$port" -gt "${range#*-}" ] || echo "$port $inode"
    done | sort -u)
    [ "$n" -gt 0 ] || note "none of $range is in use"
    for port in "${freed[@]}"; do
        [ -z "$port" ] || [ "$apply" -eq 0 ] || ! listens "$port" || leave "port $port is still in use"
    done
}

wipe_backups() {
    local id bad=0
    # Newest first: an incremental stands on older ones.
    for id in $(jq -r '.backups | sort_by(.created) | reverse | .[].backup_id' <<<"$wiped"); do
        if hub_cli -q backup rm --yes "$id"; then note "deleted $id"; else bad=1; fi
    done
    [ "$bad" -eq 0 ]
}
step_wipe() {
    local answer repo count
    step 'completed backups'
    if [ "${#wipe[@]}" -eq 0 ]; then
        note 'not touched'
        return 0
    fi
    [ "$hub_state" = healthy ] || { leave 'only a hub that runs and answers can wipe a repository'; return 0; }
    repo=$(hub_cli -o json repo ls | jq -c --arg id "${wipe[0]}" '.repositories[] | select(.id == $id)')
    [ -n "$repo" ] || die "no repository has the id '${wipe[0]}' (sendense repo ls)"
    wiped=$(hub_cli -o json backup ls --repo "${wipe[0]}" --status completed)
    count=$(jq '.backups | length' <<<"$wiped")
    note "repository ${wipe[0]}, $(jq -r '"\(.name), \(.path)"' <<<"$repo"): $count backups"
    if [ "$apply" -eq 1 ]; then
        printf 'ALL of them are deleted for ever. Type the id of the repository to go on: '
        read -r answer
        [ "$answer" = "${wipe[0]}" ] || { leave 'not confirmed: nothing was deleted'; return 0; }
    fi
    act "delete ALL $count backups of repository ${wipe[0]}" wipe_backups
}

step_restart() {
    step 'hub: start'
    if [ "$restart" -eq 0 ]; then
        note 'not asked for (--restart-hub)'
    elif has_unit; then
        act "start $unit and wait until it answers at $url" start_hub
    else
        note "there is no unit $unit; do this:"
        [ -z "$hub_pid" ] || note "  kill $hub_pid    # its running jobs end as interrupted"
        note "  sendense-hub run --data $data    # with the options it had"
    fi
}

main() {
    local program
    read_options "$@"
    read_config
    : "${data:=/var/lib/sendense}" "${hung_after:=120}" "${unit:=sendense-hub.service}"
    [[ $hung_after =~ ^[0-9]{1,5}$ ]] || die '--hung-after is a number of seconds'
    data=$(realpath -m -- "$data")
    for i in "${!repos[@]}"; do repos[i]=$(realpath -m -- "${repos[i]}"); done
    : "${node_token_file:=$data/node.token}"
    if [ "${#wipe[@]}" -gt 0 ]; then
        [ "${#wipe[@]}" -eq 2 ] && [ "${wipe[0]}" = "${wipe[1]}" ] || die '--wipe-repository deletes every backup of a repository: give it twice, with the same id'
        [ "$restart" -eq 0 ] || die '--wipe-repository and --restart-hub do not go together'
        [ "$apply" -eq 0 ] || [ -t 0 ] || die '--wipe-repository asks once more, and standard input is no terminal: refused'
    fi
    for program in sendense curl jq find timeout; do
        command -v "$program" >/dev/null || die "'$program' is not installed"
    done
    tmp=$(mktemp -d) || die 'no temporary folder'
    trap 'rm -rf "$tmp"' EXIT
    freed=() free_repos=() ending='' # ending: what a dry run says it would end
    printf '%s cleanup of the backup environment: %s\n' "$(date -u +%FT%TZ)" "$([ "$apply" -eq 1 ] && echo 'acting' || echo 'a dry run, nothing is changed')"
    find_login
    step_hub
    step_processes
    step_clients
    step_locks
    step_files
    step_ports
    step_wipe
    step_restart
    printf '%s end: %d to do, %d left\n' "$(date -u +%FT%TZ)" "$([ "$apply" -eq 1 ] && echo 0 || echo "$to_do")" "$left"
    [ "$left" -eq 0 ] || exit 1
    [ "$apply" -eq 1 ] || [ "$to_do" -eq 0 ] || exit 3
}
main "$@"
