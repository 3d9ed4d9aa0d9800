# The host stops taking data in the middle of a command, and is broken off; meanwhile it goes on reading another drive, in
# another function. Beside it a bare write to forced_eject into the same gadget, with trayd stopped.
#   stop.sh REPETITIONS BARE auto|off
# shellcheck shell=sh disable=SC2086 # words without blanks
# shellcheck source-path=SCRIPTDIR source=../../vm/guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source-path=SCRIPTDIR source=../../vm/guest/host-load.sh
. /lib/host-load.sh
# shellcheck source-path=SCRIPTDIR source=bench.sh
. /lib/bench.sh
set -u
repetitions=$1 bare=$2 switch=$3
recover=60   # s
away=5       # s that the host stays away where nothing breaks it off
quarantine=1 # s; the default of minutes would be waited out after each break; the media are read-only

dd if=/dev/urandom of=$images/a.iso bs=1M count=4 status=none
dd if=/dev/urandom of=$images/other.img bs=1M count=8 status=none
trayd_start 's/dwell = "3 s"/dwell = "0 s"/' "s/forced_eject = \"auto\"/forced_eject = \"$switch\"/" \
    "s/quarantine = \"0 s\"/quarantine = \"$quarantine s\"/" || exit 1
insert usb0 other.img '"readonly": true'
see usb0 $images/other.img $recover || exit 1
cd_lun=$(lun cd0)

one() { # WAY
    wait_for $recover host dev cd0 >/dev/null
    see cd0 $images/a.iso $recover && right=yes || right=no
    load_read usb0 --direct
    resets=$(host_count resets)
    load_stop cd0 read
    if [ "$1" = trayd ]; then
        eject_tool trayd $socket '{"do": "break", "drive": "cd0", "then": "eject", "by": "bench"}' >$took
    else
        eject_tool bare "$cd_lun" >$took &
        ejector=$!
        sleep $away
    fi
    load_end cd0
    [ "$1" = trayd ] || wait $ejector
    load_end usb0
    record case=stop way="$1" right=$right resets=$(($(host_count resets) - resets)) \
        stall_ms="$(said longest_stall_ms usb0)" reader="$(said error usb0)"
}

i=0
while [ $i -lt "$repetitions" ]; do
    i=$((i + 1))
    insert cd0 a.iso "\"patience\": $recover"
    one trayd
done
[ "$bare" -gt 0 ] || exit 0
unit_stop trayd-gadget
unit_stop trayd
i=0
while [ $i -lt "$bare" ]; do
    i=$((i + 1))
    put_by_hand cd0 $images/a.iso
    one bare
done
