# For the guest scripts of the benchmark (tests/bench/README.md): one line of JSON for each repetition, beside what
# guest/trayd-api.sh and guest/host-load.sh have.
#
#   setup                           once, before anything: trayd with the configuration that the script edited, or a gadget by hand
#   eject_by_trayd DRIVE [MEMBERS]  a forced eject, timed, into $took (eject_tool.c); MEMBERS: more JSON of the request
#   insert_by_trayd DRIVE IMAGE [MEMBERS]   over HTTP, into $inserted
#   record KEY=VALUE...             the line: $took and $inserted, what is given here, and what they have in common
#   see DRIVE IMAGE SECONDS         until the host reads that image, bit for bit, from the drive; sets $read_at, $others
#   lun DRIVE                       the drive's directory in configfs
#   said MEMBER DRIVE               of the summary of the load on that drive
#
# shellcheck shell=sh disable=SC2034,SC2154 # used by the scripts that source this

took=/tmp/took.json
inserted=/tmp/inserted.json
socket=/run/trayd/gadget.sock
images=/srv/trayd/images

lun() { # usb0-2 is the third LUN of function usb0
    case $1 in
    *-*) lun_number=${1#*-} ;;
    *) lun_number=0 ;;
    esac
    echo /sys/kernel/config/usb_gadget/*/functions/mass_storage."${1%-*}/lun.$lun_number"
}

eject_by_trayd() {
    eject_tool trayd $socket "{\"do\": \"eject\", \"drive\": \"$1\", \"mode\": \"forced\", \"by\": \"bench\"${2:+, $2}}" >$took
}

insert_by_trayd() {
    insert "$@"
    jq -c '{state, code, detail, reattached}' "$answer_file" >$inserted
}

see() {
    seen=$(host match "$1" "$2" --wait "$3")
    seen_status=$?
    others=${seen##*others=}
    read_at=${seen#at_us=}
    read_at=${read_at%% *}
    return $seen_status
}

record() {
    [ -s $inserted ] || echo '{}' >$inserted
    [ -s $took ] || echo '{}' >$took
    record_members=
    for record_member; do
        record_value=${record_member#*=}
        case $record_value in
        '' | *[!0-9]*) record_value="\"$record_value\"" ;;
        esac
        record_members="$record_members${record_members:+, }\"${record_member%%=*}\": $record_value"
    done
    jq -c --slurpfile inserted $inserted "{ \"kernel\": \"$(uname -r)\", $record_members } + {
        us, ms, result, next, began_us, insert: (\$inserted[0].code // \$inserted[0].state),
        insert_detail: \$inserted[0].detail, operation: (.operation // null | if . == null then null else
            {accepted_at, emptied_at, reattached, broke_io, stale_host, detail, steps: [.steps[] | {rung, outcome, duration}]} end) }" $took
    rm -f $took $inserted
}

# A medium by hand, as scripts do that know of no trayd.
put_by_hand() { echo "$2" >"$(lun "$1")/file"; }

# said MEMBER DRIVE: of the summary of that drive's load.
said() { sed -n "s/.*$1=\([^ ]*\).*/\1/p" "/tmp/load.$2"; }
