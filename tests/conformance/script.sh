#!/bin/sh
# One script of drive operations, played through the API on whatever stands behind it. What it prints must be
# expected.txt, on the simulation and on every kernel: a model that drifts fails here.
#
#   TRAYD_URL       where trayd listens
#   TRAYD_IMAGES    the directory of its store "main"
#   HOST            the host's program: host-sim or host-vm
#
# A step is a title, then what was answered (status, code or state, flags, the rungs with their outcomes, the evidence
# that was given) and how the drive and the host look afterwards. Sizes of images are odd on purpose: a host sees whole
# sectors. Times do not matter, but in what they decide: trayd.conf beside this.
set -eu
api=$TRAYD_URL/api/v1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset http_proxy https_proxy all_proxy

# ---- what is printed -----------------------------------------------------------------------------------------------

steps=0
step() {
    steps=$((steps + 1))
    printf '%02d %s\n' $steps "$1"
}

# The answer, and what is known of its operation. Left out: dwell, for whether any is left depends on how fast the machine
# is; and what `masked` names, where a flag or a rung is luck in the same way.
masked=
tell() { # STATUS FILE
    # A problem names the operation that failed; any other answer is one.
    tell_id=$(sed -n 's/.*"operation": *"\([0-9a-f]*\)".*/\1/p' "$2")
    tell_operation=$2
    if [ -n "$tell_id" ]; then
        tell_operation=$work/operation
        curl -sS "$api/operations/$tell_id" >"$tell_operation"
    fi
    jq -rn --arg status "$1" --arg masked "$masked" --slurpfile a "$2" --slurpfile o "$tell_operation" '
        $a[0] as $a | $o[0] as $o |
        (["dwell"] + ($masked | split(" "))) as $out |
        (["forced", "lock_overridden", "raced_with_write", "stale_host", "reattached", "unchanged"] - $out) as $flags |
        [$status, ($a.code // $a.state // "done")]
        + [$flags[] | select($o[.] == true)]
        + (if $o.durable == null then [] elif $o.durable then ["durable"] else ["not_durable"] end)
        + [$o.steps // [] | map(select(.rung | IN($out[]) | not) | .rung + "=" + .outcome)
            | if . == [] then empty else "(" + join(" ") + ")" end]
        + (if $a.evidence == null or $a.code == null then [] else
            ["lock=" + $a.evidence.lock] + if $a.evidence.last_write_at then ["wrote"] else [] end end)
        | "   " + join(" ")'
}

look() { # DRIVE
    look_host=$($HOST state "$1")
    curl -sS "$api/drives/$1" | jq -r --arg host "$look_host" '
        "   " + .name + " " + .state
        + (if .medium then " " + .medium.image + (if .medium.readonly then " ro" else " rw" end) else "" end)
        + (if .stale_host then " stale_host" else "" end)
        + (if .quarantine_until then " quarantine" else "" end)
        + ", the host: " + $host'
}

# ---- what is asked -------------------------------------------------------------------------------------------------

# ask METHOD PATH [CURL-OPTION]...
ask() {
    ask_method=$1 ask_path=$2
    shift 2
    ask_status=$(curl -sS --max-time 120 -o "$work/answer" -w '%{http_code}' -X "$ask_method" "$@" "$api$ask_path")
    tell "$ask_status" "$work/answer"
}

# insert DRIVE IMAGE [MEMBERS [CURL-OPTION]...]
insert() {
    insert_drive=$1
    insert_body="{\"image\": \"$2\"${3:+, $3}}"
    shift $(($# > 2 ? 3 : 2))
    ask PUT "/drives/$insert_drive/medium" -H 'Content-Type: application/json' -d "$insert_body" "$@"
    look "$insert_drive"
}

# eject DRIVE [QUERY [CURL-OPTION]...]
eject() {
    eject_drive=$1 eject_query=${2-}
    shift $(($# > 1 ? 2 : 1))
    ask DELETE "/drives/$eject_drive/medium?$eject_query" "$@"
    look "$eject_drive"
}

# Begins an operation and sets $id: begin METHOD PATH [CURL-OPTION]...
begin() {
    begin_method=$1 begin_path=$2
    shift 2
    id=$(curl -sS -X "$begin_method" -H 'Prefer: respond-async' "$@" "$api$begin_path" | jq -r .id)
}

begin_eject() { begin DELETE "/drives/$1/medium?$2"; }
begin_insert() { begin PUT "/drives/$1/medium" -H 'Content-Type: application/json' -d "{\"image\": \"$2\"}"; }

# await PATH FILTER: until the expression is true of what is there
await() {
    for _ in $(seq 300); do
        if curl -sS "$api$1" | jq -e "$2" >/dev/null; then return; fi
        sleep 0.1
    done
    echo "   never: $2 of $1"
}

until_it_waits() { await "/operations/$id" '.state == "waiting"'; }

# outcome ID [DRIVE]: waits for an operation, and tells how it ended
outcome() {
    await "/operations/$1" '.finished_at != null'
    curl -sS "$api/operations/$1" >"$work/answer"
    tell "it is" "$work/answer"
    [ -z "${2-}" ] || look "$2"
}

# The host does something; a refusal is part of the transcript.
host() {
    if $HOST "$@" 2>"$work/host"; then echo "   host $*"; else echo "   host $*: refused"; fi
}

gadget() { # ORDER [MEMBERS]
    gadget_status=$(curl -sS --max-time 120 -o "$work/answer" -w '%{http_code}' -X POST \
        -H 'Content-Type: application/json' -d "{${2-}}" "$api/gadget/$1")
    jq -r --arg status "$gadget_status" '
        "   " + $status + " " + (.code // if .gadget.bound then "bound" else "not bound" end)' "$work/answer"
}

etag() { curl -sS "$api/drives/$1" | jq -r .medium.etag; }

image() { # NAME BYTES
    truncate -s "$2" "$TRAYD_IMAGES/$1"
    chmod 666 "$TRAYD_IMAGES/$1"
}

image a.iso 1049000
image b.iso 2097152
image small.iso 614399
image large.iso 2359293953
image d.img 8388700
image e.img 4194304

# ---- a CD goes in --------------------------------------------------------------------------------------------------

step "an empty drive"
ask GET /drives/cd0/medium
look cd0
step "an image goes in"
insert cd0 a.iso
step "the same again"
insert cd0 a.iso
step "what cannot go in leaves what is in"
insert cd0 none.iso
insert cd0 small.iso
insert cd0 large.iso
insert cd0 b.iso '"type": "disk"'
insert cd0 b.iso '"readonly": false'
step "only into an empty drive"
insert cd0 b.iso '' -H 'If-None-Match: *'
step "only in place of a medium that is not there any more"
insert cd0 b.iso '' -H 'If-Match: "0-0"'
step "a direct swap, in place of the medium that is there"
insert cd0 b.iso '"swap": "direct"' -H "If-Match: $(etag cd0)"
step "another image, by way of the empty drive"
insert cd0 a.iso

# ---- and comes out -------------------------------------------------------------------------------------------------

step "an eject of another medium than the one there"
eject cd0 '' -H 'If-Match: "0-0"'
step "an orderly eject of an idle CD"
eject cd0
step "of an empty drive"
eject cd0
eject cd0 mode=forced
step "into an empty drive"
insert cd0 a.iso '' -H 'If-None-Match: *'
step "the host ejects by itself"
host read cd0 65536
host eject cd0
await /drives/cd0 '.medium == null'
look cd0

# ---- the host holds the medium -------------------------------------------------------------------------------------

step "a locked CD: an orderly eject is refused"
insert cd0 a.iso
host lock cd0
eject cd0 patience=0
step "a direct swap is refused"
insert cd0 b.iso '"swap": "direct", "patience": 0'
step "and so is another image"
insert cd0 b.iso '"patience": 0'
step "an orderly eject waits, and the host unlocks in time"
begin_eject cd0 patience=60
until_it_waits
host unlock cd0
outcome "$id" cd0
step "one that waits is cancelled"
insert cd0 a.iso
host lock cd0
begin_eject cd0 patience=60
until_it_waits
ask DELETE "/operations/$id"
look cd0
ask DELETE "/operations/$id"
step "one that waits is forced"
begin_eject cd0 patience=60
until_it_waits
ask POST "/operations/$id/force"
look cd0
ask POST "/operations/$id/force"
host unlock cd0
step "a forced eject takes over the one that waits"
insert cd0 a.iso
host lock cd0
begin_eject cd0 patience=60
until_it_waits
eject cd0 mode=forced
outcome "$id"
host unlock cd0
step "when patience ends, force"
insert cd0 a.iso
host lock cd0
eject cd0 'patience=1&on_timeout=force'
host unlock cd0
step "the lock of a CD that nobody reads is overridden by policy, after patience"
insert cd0 a.iso
host lock cd0
host read cd0 65536
eject cd0 'patience=0&lock_policy=release_when_quiet'
eject cd0 'patience=6&lock_policy=release_when_quiet'
host unlock cd0
step "a failure fails what was queued behind it"
insert cd0 a.iso
host lock cd0
begin_eject cd0 patience=12
first=$id
until_it_waits
begin_insert cd0 b.iso
outcome "$first"
outcome "$id" cd0
step "later requests start afresh"
insert cd0 b.iso '"mode": "forced"'
host unlock cd0
step "a CD that the host reads"
host reading cd0 on
eject cd0 patience=0
eject cd0 mode=forced
host reading cd0 off
step "the next image is readable"
insert cd0 a.iso
host read cd0 1048576

# ---- a disk --------------------------------------------------------------------------------------------------------

step "a disk goes in, writable"
insert usb0 d.img
step "the same image, but read-only"
insert usb0 d.img '"readonly": true'
step "and into a second drive"
insert cd0 d.img
step "the host wrote just now"
host write usb0 65536
eject usb0 patience=0
step "and is given the time to write more"
eject usb0 patience=60
step "a writable medium is never swapped in place"
insert usb0 d.img
insert usb0 e.img '"swap": "direct"'
eject usb0
step "read-only, and swapped in place"
insert usb0 d.img '"readonly": true'
host write usb0 65536
insert usb0 e.img '"swap": "direct", "readonly": true'
step "by a writable one, by way of the empty drive"
insert usb0 d.img '"swap": "direct"'

# ---- a host that was robbed ----------------------------------------------------------------------------------------

step "a mounted disk, taken by force"
host lock usb0
eject usb0 patience=0
eject usb0 mode=forced
host unlock usb0
step "nothing writable goes in then"
insert usb0 e.img
step "read-only does"
insert usb0 e.img '"readonly": true'
eject usb0
step "and writable by who takes the risk"
insert usb0 e.img '"accept_stale_host": true'
step "taken while the host writes"
host writing usb0 on
masked=raced_with_write
eject usb0 mode=forced
masked=
host writing usb0 off
insert usb0 d.img
step "an insert that reattaches"
insert usb0 d.img '"reattach": true'
look cd0

# ---- the whole gadget ----------------------------------------------------------------------------------------------

step "a reattach would disturb a disk that was written to"
host write usb0 65536
gadget reattach
look usb0
step "unless that is allowed, and the host's locks are gone then"
host lock cd0
eject cd0 patience=0
gadget reattach '"allow_collateral": true'
host unlock cd0
look cd0
look usb0
eject cd0 patience=0
step "detached"
gadget detach
gadget detach '"allow_collateral": true'
look cd0
look usb0
step "nothing goes in, but what is in comes out"
insert cd0 a.iso
masked=quiesce
eject usb0 patience=60
masked=
gadget reattach
step "attached"
gadget attach
look usb0
insert usb0 d.img
insert cd0 a.iso
step "the host has all of it"
host read cd0 1048576
host read usb0 8388608
eject usb0
eject cd0
