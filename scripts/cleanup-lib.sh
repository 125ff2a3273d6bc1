# What cleanup-backup-environment.sh finds: processes, and files of a repository.  Sourced by it, not run.
# Uses its data, repos, foreign_repos, hub_pid, catalog, note, leave and act.
# shellcheck shell=bash disable=SC2154

# --- processes, by what /proc says of them ---

exe_of() { # the name of the program's file, also when that was replaced by an update
    local path
    path=$(readlink "/proc/$1/exe" 2>/dev/null) || return 1
    path=${path% (deleted)}
    printf '%s\n' "${path##*/}"
}
start_of() { # with the pid the identity of a process
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    read -ra stat <<<"${stat##*) }"
    printf '%s\n' "${stat[19]}"
}
is_below() { # PID ANCESTOR
    local pid=$1
    while [ "${pid:-0}" -gt 1 ]; do
        [ "$pid" != "$2" ] || return 0
        pid=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status" 2>/dev/null)
    done
    return 1
}
# The hub or node that a process is, or stands below.  The name of another user's program can be seen when its file cannot.
owner_of() {
    local pid=$1 name
    while [ "${pid:-0}" -gt 1 ]; do
        name=$(exe_of "$pid" || cat "/proc/$pid/comm" 2>/dev/null)
        case $name in sendense-hub | sendense-node) printf '%s\n' "$pid" && return 0 ;; esac
        pid=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status" 2>/dev/null)
    done
    return 1
}
# Who has REPO/lock that is a hub, or of one, and not ours.
foreign_owner() {
    local pid owner
    for pid in $(holders "$1/lock"); do
        owner=$(owner_of "$pid") || continue
        if [ -n "$hub_pid" ] && { is_below "$owner" "$hub_pid" || is_below "$hub_pid" "$owner"; }; then continue; fi
        printf '%s\n' "$owner"
        return 0
    done
    return 1
}
holders() { timeout 60 find -L /proc/[0-9]*/fd -maxdepth 1 -samefile "$1" 2>/dev/null | cut -d/ -f3 | sort -un; }
opened_below() { # FOLDER: "PID PATH" of each open file
    timeout 60 find /proc/[0-9]*/fd -maxdepth 1 -lname "$1/*" -printf '%h %l\n' 2>/dev/null | sed 's|^/proc/\([0-9]*\)/fd |\1 |' | sort -u
}
has_ended() { [ "$(start_of "$1")" != "$2" ] || [ "$(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null)" = Z ]; }
wait_for() { # SECONDS COMMAND…
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}
end_process() { # PID START: TERM, 5 s, KILL; never another one that got the number
    has_ended "$1" "$2" && return 0
    kill -TERM "$1" 2>/dev/null
    wait_for 5 has_ended "$1" "$2" && return 0
    has_ended "$1" "$2" || kill -KILL "$1" 2>/dev/null
    wait_for 10 has_ended "$1" "$2"
}

is_in() { # PATH: inside of one of our repositories or the data folder, and of no repository that another hub has
    local folder
    for folder in "${foreign_repos[@]}"; do
        case $1 in "$folder"/*) return 1 ;; esac
    done
    for folder in "$data" "${repos[@]}"; do
        case $1 in "$folder"/*) return 0 ;; esac
    done
    return 1
}
has_log() { [[ $1 =~ ^[0-9a-f-]{36}$ ]] && [ -f "$data/jobs/$1.log" ]; } # a job of this hub

is_our_nbd() { # ARGUMENTS: an export name as the hub makes them, and an image, socket or job of this hub
    local arg named=1 ours=1
    for arg in "$@"; do
        case $arg in
        --export-name=sendense-*) [[ ${arg#*=} =~ ^sendense-[0-9a-f]{32}$ ]] && named=0 ;;
        --socket=*) is_in "${arg#*=}" && ours=0 ;;
        --description=sendense\ *)
            arg=${arg#*=sendense }
            has_log "${arg%% *}" && ours=0
            ;;
        esac
    done
    is_in "${*: -1}" && ours=0
    [ "$named" -eq 0 ] && [ "$ours" -eq 0 ]
}
has_ours_open() {
    local link
    for link in /proc/"$1"/fd/*; do
        link=$(readlink "$link" 2>/dev/null) && is_in "$link" && return 0
    done
    return 1
}
# "PID START NAME" of each process that is ours and that no running hub or node owns, be it this one or another.
orphans() {
    local dir pid args name
    for dir in /proc/[0-9]*; do
        pid=${dir#/proc/}
        name=$(exe_of "$pid") || continue
        case $name in qemu-nbd | qemu-img | sendense-worker | sendense-files) ;; *) continue ;; esac
        ! owner_of "$pid" >/dev/null || continue
        { mapfile -d '' -t args <"$dir/cmdline"; } 2>/dev/null || continue
        [ "${#args[@]}" -gt 0 ] || continue
        case $name in
        qemu-nbd) is_our_nbd "${args[@]}" || continue ;;
        qemu-img) is_in "${args[-1]}" || continue ;;
        *) has_ours_open "$pid" || continue ;;
        esac
        printf '%s %s %s\n' "$pid" "$(start_of "$pid")" "$name"
    done
}
# JOB: the hub or node that runs and writes the log of this job, wherever its data folder is.
hub_of_job() {
    local dir
    for dir in $(timeout 60 find /proc/[0-9]*/fd -maxdepth 1 -lname "*/jobs/$1.log" -printf '%h\n' 2>/dev/null | sort -u); do
        dir=${dir#/proc/}
        owner_of "${dir%/fd}" && return 0
    done
    return 1
}
port_of() { { tr '\0' '\n' <"/proc/$1/cmdline"; } 2>/dev/null | sed -n 's/^--port=//p'; }

# --- files of a repository that belong to no restore point, as docs/design/repository.md defines them ---

disk_folders() { # REPO: of the VMs whose points can be read
    local vm dir
    for vm in "$1"/vms/*/; do
        vm=${vm%/}
        [[ ${vm##*/} =~ ^[0-9a-f-]{36}$ ]] || continue
        if [ ! -r "$vm/points" ] && [ -e "$vm/points" ]; then continue; fi
        for dir in "$vm"/disks/*/; do
            [ ! -d "$dir" ] || printf '%s\n' "${dir%/}"
        done
    done
}
# A merge is at work in this folder, or one was: its note says which files count, and only the hub can go on with it.
is_merging() { [ -e "$1/merge.json" ] || [ -L "$1/merge.json" ]; }
merging_folders() { # REPO
    local dir
    while read -r dir; do
        ! is_merging "$dir" || printf '%s\n' "$dir"
    done < <(disk_folders "$1")
}
is_of_merge() { [[ ${1##*/} =~ ^([0-9]{6,}\.[a-z]+\.new(\.part|\.tmp)?|merge\.json\.tmp)$ ]]; }
# REPO: newest numbers first, of each its layer first, so that what stands on a layer is decided before the layer is.
without_point() {
    local dir file seq found
    while read -r dir; do
        found=$(for file in "$dir"/*; do
            [ -f "$file" ] && [ ! -L "$file" ] || continue
            if is_of_merge "$file"; then
                printf '0 0 %s\n' "$file"
            elif [[ ${file##*/} =~ ^([0-9]{6,})\.(qcow2|manifest|manifest\.part|roots|merged)$ ]]; then
                seq=${BASH_REMATCH[1]}
                [ -e "${dir%/disks/*}/points/$seq.json" ] || printf '%s %s %s\n' "$((10#$seq))" "$([ "${BASH_REMATCH[2]}" = qcow2 ] && echo 1 || echo 0)" "$file"
            fi
        done)
        # After the look: what a merge made that began later is not in it.
        [ -z "$found" ] || is_merging "$dir" || sort -k1,1nr -k2,2nr -k3 <<<"$found" | cut -d' ' -f3-
    done < <(disk_folders "$1")
    for file in "$1"/vms/*/points/*.tmp; do
        [[ $file =~ /vms/[0-9a-f-]{36}/points/[^/]+$ ]] && [ -f "$file" ] && [ ! -L "$file" ] && printf '%s\n' "$file"
    done
}
# The backing name in the header of a qcow2 file: nothing when it has none; false when the header cannot be read.
backing_of() {
    local header at size name
    [ -s "$1" ] || { [ -r "$1" ]; return; }
    header=$(od -An -v -tx1 -N20 -- "$1" 2>/dev/null | tr -d ' \n')
    [[ $header =~ ^514649fb[0-9a-f]{32}$ ]] || return 1
    at=$((16#${header:16:16})) size=$((16#${header:32:8}))
    [ "$at" -ne 0 ] || return 0
    [ "$at" -gt 0 ] && [ "$size" -le 1023 ] || return 1
    name=$(dd if="$1" bs=1 skip="$at" count="$size" status=none 2>/dev/null | tr -d '\0')
    [ "${#name}" -eq "$size" ] && printf '%s\n' "$name"
}
# LAYER: the layer that stays and stands on it.  One of a higher number whose header cannot be read may.
stands_on() {
    local other backing number=${1##*/}
    for other in "${1%/*}"/*.qcow2; do
        [ "$other" != "$1" ] && [ -z "${gone[$other]:-}" ] && [[ ${other##*/} =~ ^[0-9]{6,}\.qcow2$ ]] || continue
        if backing=$(backing_of "$other"); then
            [ "${backing##*/}" != "${1##*/}" ] || { printf '%s\n' "${other##*/}" && return 0; }
        else
            backing=${other##*/}
            [ "$((10#${backing%%.*}))" -lt "$((10#${number%%.*}))" ] || { printf '%s, which cannot be read\n' "$backing" && return 0; }
        fi
    done
    return 1
}
# REPO FILE: what the catalog says of the backup: "completed" (its point is lost), "committing" (its point may be), or anything else.
state_in_catalog() {
    local vm=${2#"$1"/vms/} seq=${2##*/}
    sql "SELECT CASE WHEN j.state IN ('pending', 'running') THEN j.current_phase ELSE j.state END FROM backup_jobs j
        JOIN backup_repositories r ON r.id = j.repository_id
        WHERE r.repository_uuid = '$(repo_uuid "$1")' AND j.vm_id = '${vm%%/*}' AND j.seq = $((10#${seq%%.*}))" || echo unknown
}
# REPO FILE: a hub that was started meanwhile settles its files itself.
remove_file() {
    [ -z "$(holders "$1/lock")" ] && [ -z "$(holders "$2")" ] && ! is_merging "${2%/*}" && rm -f -- "$2"
}
declare -A gone=() kept=() # layers that are removed, or would be; "FOLDER/NUMBER" of those that stay
remove_or_keep() { # REPO FILE
    local state='' above layer=${2##*/}
    layer=${2%/*}/${layer%%.*}
    if [[ $2 != *.tmp ]] && ! is_of_merge "$2"; then
        [ -z "${kept[$layer]:-}" ] || { note "$2: stays with its layer" && return; }
        state=$(state_in_catalog "$1" "$2")
    fi
    case $state in
    completed) leave "$2: of a completed backup that lost its point: bring the point back, or delete the backup" ;;
    committing | unknown) leave "$2: of a backup that may be complete: the hub decides at its next start" ;;
    *)
        if [[ $2 != *.qcow2 ]]; then
            act "remove $2" remove_file "$1" "$2"
        elif above=$(stands_on "$2"); then
            kept[$layer]=1
            leave "$2: no point has its number, but it is the backing file of $above"
        elif act "remove $2" remove_file "$1" "$2"; then
            gone[$2]=1
        else
            kept[$layer]=1
        fi
        ;;
    esac
}
