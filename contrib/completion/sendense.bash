# bash completion of sendense; made by `sendense completion bash`.
# shellcheck shell=bash
_sendense() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local noun='' verb='' words='' i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --output | -o | --url | --token-file | --disk | --node | --vm-id | --host | --user | --password-file | --fingerprint | --ca-file | --quiesce | --type | --repo | --rate | --retries | --retry-delay | --timeout | --vm | --status | --to | --format | --scope | --expires-in | --after | --ttl | --listen | --psk-file) ((i++)) ;;
        -*) ;;
        *) if [[ -z $noun ]]; then noun=${COMP_WORDS[i]}; elif [[ -z $verb ]]; then verb=${COMP_WORDS[i]}; fi ;;
        esac
    done
    case $prev in
    --output | -o)
        mapfile -t COMPREPLY < <(compgen -W 'table json jsonl' -- "$cur")
        return
        ;;
    --url)
        return
        ;;
    --token-file)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --disk)
        return
        ;;
    --node)
        return
        ;;
    --vm-id)
        return
        ;;
    --host)
        return
        ;;
    --user)
        return
        ;;
    --password-file)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --fingerprint)
        return
        ;;
    --ca-file)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --quiesce)
        mapfile -t COMPREPLY < <(compgen -W 'try require off' -- "$cur")
        return
        ;;
    --type)
        mapfile -t COMPREPLY < <(compgen -W 'auto full incremental' -- "$cur")
        return
        ;;
    --repo)
        return
        ;;
    --rate)
        return
        ;;
    --retries)
        return
        ;;
    --retry-delay)
        return
        ;;
    --timeout)
        return
        ;;
    --vm)
        return
        ;;
    --status)
        mapfile -t COMPREPLY < <(compgen -W 'pending running completed failed cancelled' -- "$cur")
        return
        ;;
    --to)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --format)
        mapfile -t COMPREPLY < <(compgen -W 'raw qcow2 qcow2-chain vmdk vmdk-stream vhdx' -- "$cur")
        return
        ;;
    --scope)
        mapfile -t COMPREPLY < <(compgen -W 'read operate restore admin' -- "$cur")
        return
        ;;
    --expires-in)
        return
        ;;
    --after)
        return
        ;;
    --ttl)
        return
        ;;
    --listen)
        return
        ;;
    --psk-file)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    esac
    case $noun,$verb in
    ,) words='login repo node credential vm backup restore token doctor events version completion help --help --version' ;;
    login,) words=''" -h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http" ;;
    repo,) words='add ls show import' ;;
    repo,add) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    repo,ls) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    repo,show) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    repo,import) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    node,) words='ls' ;;
    node,ls) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    credential,) words='add set ls show test rm probe' ;;
    credential,add) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --node --host --user --password-file --fingerprint --ca-file' ;;
    credential,set) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --host --user --password-file --fingerprint --ca-file' ;;
    credential,ls) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    credential,show) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    credential,test) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    credential,rm) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    credential,probe) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --node' ;;
    vm,) words='discover add ls show rm' ;;
    vm,discover) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --all' ;;
    vm,add) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --disk --node' ;;
    vm,ls) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    vm,show) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --vm-id' ;;
    vm,rm) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --vm-id' ;;
    backup,) words='run ls show explain log verify rm cancel' ;;
    backup,run) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --vm-id --quiesce --type --repo --rate --retries --retry-delay --wait --timeout' ;;
    backup,ls) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --vm-id --repo --vm --status' ;;
    backup,show) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --wait --timeout' ;;
    backup,explain) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    backup,log) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http -f --follow' ;;
    backup,verify) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --chain --wait --no-wait --timeout' ;;
    backup,rm) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --wait --timeout -y --yes --merge' ;;
    backup,cancel) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    restore,) words='disk files ls show cancel open exports close' ;;
    restore,disk) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --disk --wait --no-wait --timeout --to --format --force --resume --salvage' ;;
    restore,files) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --to' ;;
    restore,ls) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    restore,show) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --wait --timeout' ;;
    restore,cancel) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    restore,open) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --disk --wait --writable-scratch --ttl --listen --tls --psk-file' ;;
    restore,exports) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    restore,close) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    token,) words='create ls revoke' ;;
    token,create) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --scope --expires-in' ;;
    token,ls) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    token,revoke) words='-h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http' ;;
    doctor,) words=''" -h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http --fix" ;;
    events,) words=''" -h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http -f --follow --after --progress" ;;
    version,) words=''" -h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http" ;;
    completion,) words='bash zsh fish'" -h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http" ;;
    help,) words='login repo node credential vm backup restore token doctor events version completion help'" -h --help -V --version -o --output -q --quiet --no-color --url --token-file --insecure-http" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _sendense sendense
