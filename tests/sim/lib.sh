# shellcheck shell=bash disable=SC2034
# Helpers of the simulator's own test: SOAP by curl, answers read by pattern.  Sourced; needs BUILD_DIR.

: "${BUILD_DIR:?the build folder}"
work=$(mktemp -d)
sim_pid='' url='' jar=''
n=0 failures=0
problems=()
status='' reply=''

stop_sim() {
    [ -n "$sim_pid" ] || return 0
    kill "$sim_pid" 2>/dev/null
    wait "$sim_pid"
    sim_status=$?
    sim_pid=''
}
cleanup() {
    stop_sim
    rm -rf "$work"
}
trap cleanup EXIT

problem() { problems+=("$*"); }
expect() { # WHAT WANTED GOT
    [ "$2" = "$3" ] || problem "$1: wanted '$2', got '$3'"
}
has() { # WHAT PATTERN [TEXT]
    grep -qE -- "$2" <<<"${3-$reply}" || problem "$1: no '$2' in: $(head -c 600 <<<"${3-$reply}")"
}
hasnt() {
    ! grep -qE -- "$2" <<<"${3-$reply}" || problem "$1: '$2' in: $(head -c 600 <<<"${3-$reply}")"
}

verdict() {
    n=$((n + 1))
    if [ "${#problems[@]}" -eq 0 ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        printf '%s\n' "${problems[@]}" | sed 's/^/#   /'
        failures=1
    fi
    problems=()
}

# start_sim [OPTION…]: with $work/spec.json; sets url and jar.
start_sim() {
    local line='' fifo=$work/ready.fifo
    rm -f "$fifo"
    mkfifo "$fifo"
    TMPDIR=$work/tmp "$BUILD_DIR/sendense-sim" --spec "$work/spec.json" --ca-out "$work/ca.pem" "$@" >"$fifo" 2>>"$work/sim.log" &
    sim_pid=$!
    read -r -t 20 line <"$fifo" || :
    url=$(jq -r .url <<<"$line")
    fingerprint=$(jq -r .sha256 <<<"$line")
    jar=$work/jar
    rm -f "$jar"
    case $url in
    https://*) ;;
    *)
        echo "Bail out! the simulator did not start: $(tail -n 3 "$work/sim.log")"
        exit 1
        ;;
    esac
}

# Reads to the end or is cut off by the reader; either way without noise.
http() { curl -s --cacert "$work/ca.pem" "$@"; }

# soap BODY: the answer in reply, the HTTP status in status.
soap() {
    reply=$(http -b "$jar" -c "$jar" -w '\n%{http_code}' -H 'Content-Type: text/xml; charset=utf-8' \
        -H "SOAPAction: \"urn:vim25/${action-6.7}\"" --data-binary @- "$url/sdk" <<END
<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<soapenv:Body>$1</soapenv:Body></soapenv:Envelope>
END
    )
    status=${reply##*$'\n'}
    reply=${reply%$'\n'*}
}

# call METHOD TYPE MOREF [BODY]
call() { soap "<$1 xmlns=\"urn:vim25\"><_this type=\"$2\">$3</_this>${4-}</$1>"; }

login() { # [USER [PASSWORD]]
    call Login SessionManager SessionManager "<userName>${1-backup}</userName><password>${2-secret}</password>"
}

# props TYPE MOREF PATH…
props() {
    local type=$1 ref=$2 paths
    shift 2
    paths=$(printf '<pathSet>%s</pathSet>' "$@")
    call RetrievePropertiesEx PropertyCollector propertyCollector "<specSet><propSet><type>$type</type>$paths</propSet><objectSet><obj type=\"$type\">$ref</obj></objectSet></specSet><options/>"
}

# value PATH: of the last props, without its tags.
value() { grep -oP "<name>\Q$1\E</name><val[^>]*>\K.*?(?=</val>)" <<<"$reply" | head -n 1; }

# task METHOD TYPE MOREF [BODY]: runs to the end; sets task_state, task_result and task_fault.
task() {
    call "$@"
    task_state=refused task_result='' task_fault=''
    if [ "$status" != 200 ]; then
        task_fault=$(grep -oP '<faultstring>.*?xsi:type="\K[A-Za-z]+' <<<"$reply" | head -n 1)
        return
    fi
    last_task=$(grep -oP '<returnval type="Task">\K[^<]*' <<<"$reply")
    local end=$((SECONDS + 10))
    while [ "$SECONDS" -lt "$end" ]; do
        props Task "$last_task" info.state info.result info.error
        task_state=$(value info.state)
        case $task_state in
        success | error) break ;;
        esac
        sleep 0.05
    done
    task_result=$(value info.result)
    task_fault=$(grep -oP '<fault [^>]*type="\K[A-Za-z]+' <<<"$reply")
}

# snap VM NAME [QUIESCE]: sets task_result to the snapshot.
snap() {
    task CreateSnapshot_Task VirtualMachine "$1" "<name>$2</name><description>d</description><memory>false</memory><quiesce>${3-false}</quiesce>"
}
unsnap() { task RemoveSnapshot_Task VirtualMachineSnapshot "$1" '<removeChildren>false</removeChildren><consolidate>true</consolidate>'; }

# disk_of KEY: the disk's element in reply.
disk_of() {
    sed 's/<VirtualDevice /\n&/g' <<<"$reply" | grep ':type="VirtualDisk"' | grep "<key>$1</key>" | head -n 1
}
field() { grep -oP "<$1>\K[^<]*" | head -n 1; }

# change_id TYPE MOREF KEY
change_id() {
    props "$1" "$2" config.hardware.device
    disk_of "$3" | field changeId
}
file_name() {
    props "$1" "$2" config.hardware.device
    disk_of "$3" | field fileName
}

# changed VM SNAPSHOT KEY OFFSET CHANGEID: areas as START+LENGTH words; reached = startOffset+length.
changed() {
    call QueryChangedDiskAreas VirtualMachine "$1" "<snapshot type=\"VirtualMachineSnapshot\">$2</snapshot><deviceKey>$3</deviceKey><startOffset>$4</startOffset><changeId>$5</changeId>"
    areas=$(grep -oP '<changedArea><start>\K\d+</start><length>\d+' <<<"$reply" | sed 's|</start><length>|+|' | paste -sd' ')
    reached=$(field startOffset <<<"$reply")
    reached=$((${reached:-0} + $(field length <<<"$reply" | grep . || echo 0)))
    fault=$(grep -oP 'type="\K[A-Za-z]+(?=")' <<<"$reply" | head -n 1)
}

control() { # PATH JSON: answer in reply
    reply=$(http -w '\n%{http_code}' -d "$2" "$url/control/$1")
    status=${reply##*$'\n'}
    reply=${reply%$'\n'*}
    [ "${3-200}" = "$status" ] || problem "control $1 $2: status $status: $reply"
}
state() { http "$url/control/state" | jq -r "$1"; }
write() { # VM KEY OFFSET LENGTH BYTE
    control write "{\"vm\":\"$1\",\"key\":$2,\"offset\":$3,\"length\":$4,\"byte\":$5}"
}

# contents VM KEY [SNAPSHOT]: the witness's bytes on standard output.
contents() { http "$url/control/contents?vm=$1&key=$2${3:+&snapshot=$3}"; }
# folder DATASTORE PATH [CURL-OPTION…]
folder() {
    local ds=$1 path=$2
    shift 2
    http -b "$jar" "$@" "$url/folder/$path?dcPath=DC0&dsName=$ds"
}
folder_status() { folder "$@" -o /dev/null -w '%{http_code}'; }
sum() { sha256sum | cut -d' ' -f1; }
