# shellcheck shell=bash disable=SC2154,SC2034
# A simulated vCenter for the rig: start it, look into it, compare what was restored with what its guests had.  Sourced
# after rig.sh.
sim_pid=''
sim_url=''
sim_print=''
sim_user='administrator@vsphere.local'
sim_password='<p&ss"w'\''rd>'

# sim_start SPEC: the JSON of the machines; user and password are added.
sim_start() {
    local line fifo=$work/sim.fifo
    jq -n --arg u "$sim_user" --arg p "$sim_password" --argjson s "$1" '{user: $u, password: $p} + $s' >"$work/sim.json"
    rm -f "$fifo"
    mkfifo "$fifo"
    "$BUILD_DIR/sendense-sim" --listen 127.0.0.1:0 --spec "$work/sim.json" --ca-out "$work/sim.pem" >"$fifo" 2>>"$work/sim.log" &
    sim_pid=$!
    source_pids+=("$sim_pid")
    line=
    read -r -t "$wait_s" line <"$fifo" || :
    case $line in
    *'"ready"'*) sim_url=$(jq -r .url <<<"$line") sim_print=$(jq -r .sha256 <<<"$line") ;;
    *) bail "the simulator did not get ready: $(tail -n 3 "$work/sim.log")" ;;
    esac
}

# control METHOD PATH [BODY]: the simulator's own door for tests.
control() { curl -sS -k -m 60 -X "$1" ${3:+-H 'Content-Type: application/json' -d "$3"} "$sim_url/control$2"; }
sim_state() { control GET /state | jq -r "$1"; }

# credential NAME [PASSWORD] [FINGERPRINT]: prints its id.
credential() {
    api POST /credentials "$(jq -n --arg n "$1" --arg h "$sim_url" --arg u "$sim_user" --arg p "${2-$sim_password}" --arg f "${3-$sim_print}" \
        '{name: $n, url: $h, username: $u, password: $p, sha256: $f}')" | jq -r '.id // empty'
}

# discover CREDENTIAL VM: takes the VM into the inventory; sets $vm.
discover() {
    vm=$(api POST /vms/discover "$(jq -n --arg c "$1" --arg v "$2" '{credential_id: $c, vm_names: [$v]}')" |
        jq -r --arg v "$2" '[.vms[] | select(.name == $v)][0].id // empty')
    [ -n "$vm" ]
}

job_of() { sql "SELECT job_id FROM backup_jobs WHERE backup_id = '$1'"; }
snapshot_of() { echo "sendense-$(job_of "$1")"; }

# guest_disk VM KEY SNAPSHOT FILE: the disk as the guest had it at the moment of that snapshot.
guest_disk() {
    curl -sS -k -m 300 -f -G -o "$4" --data-urlencode "vm=$1" --data-urlencode "key=$2" --data-urlencode "snapshot=$3" "$sim_url/control/contents"
}

# guest_writes VM MS: every MS milliseconds the guest writes one rising counter to all its disks; 0 ends it and prints the
# last one.
guest_writes() { control POST /guest "$(jq -n --arg v "$1" --argjson i "$2" '{vm: $v, interval_ms: $i, offset: 131072}')" | jq -r .counter; }
counter_of() { od -A n -t u8 -j 131072 -N 8 "$1" | tr -d ' '; }

# I1 for a VM of the simulator: every byte of every disk, against the frozen one.  Sets counters: those that were restored.
check_guest() { # BACKUP VM KEY…
    local id=$1 name=$2 key
    shift 2
    counters=()
    for key in "$@"; do
        rm -f "$work/out.raw" "$work/frozen.raw"
        guest_disk "$name" "$key" "$(snapshot_of "$id")" "$work/frozen.raw" || { problem "the simulator has no contents of disk $key"; continue; }
        restore "$id" "$key" "$work/out.raw" || { problem "restore of disk $key of $id failed"; continue; }
        cmp "$work/frozen.raw" "$work/out.raw" >/dev/null || problem "I1: disk $key of $id differs from what the guest had"
        counters+=("$(counter_of "$work/out.raw")")
        expect "counter of disk $key, restored and in the snapshot" "$(counter_of "$work/frozen.raw")" "${counters[-1]}"
    done
    rm -f "$work/out.raw" "$work/frozen.raw"
}
