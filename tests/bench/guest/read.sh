# The host reads at full speed. REPETITIONS in blocks of BLOCK, in turns by trayd and by a bare write to forced_eject into the
# same gadget with trayd stopped; without forced_eject by trayd alone.
#   read.sh REPETITIONS BLOCK auto|off
# shellcheck shell=sh disable=SC2086 # words without blanks
# shellcheck source-path=SCRIPTDIR source=../../vm/guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source-path=SCRIPTDIR source=../../vm/guest/host-load.sh
. /lib/host-load.sh
# shellcheck source-path=SCRIPTDIR source=bench.sh
. /lib/bench.sh
set -u
repetitions=$1 block=$2 switch=$3
recover=90 # s; a host that resets takes 31 s, and may do so twice

for name in a b; do dd if=/dev/urandom of=$images/$name.iso bs=1M count=1 status=none; done
trayd_start 's/dwell = "3 s"/dwell = "0 s"/' "s/forced_eject = \"auto\"/forced_eject = \"$switch\"/" || exit 1
insert cd0 a.iso
now=a
cd_lun=$(lun cd0)
see cd0 $images/a.iso $recover || exit 1

# one WAY: an eject in the middle of the host's reading, and the other image at once.
one() {
    [ $now = a ] && next=b || next=a
    load_read cd0
    resets=$(host_count resets)
    if [ "$1" = trayd ]; then
        eject_by_trayd cd0
        insert_by_trayd cd0 $next.iso
    else
        eject_tool bare "$cd_lun" $images/$next.iso >$took
    fi
    see cd0 $images/$next.iso $recover && right=yes || right=no
    load_end cd0
    record case=read way="$1" right=$right read_at_us="$read_at" others="$others" \
        resets=$(($(host_count resets) - resets)) reader="$(said error cd0)"
    now=$next
}

done_so_far=0
while [ $done_so_far -lt "$repetitions" ]; do
    todo=$((repetitions - done_so_far))
    [ $todo -le "$block" ] || todo=$block
    for way in trayd bare; do
        if [ $way = bare ]; then
            [ "$switch" = auto ] || continue
            unit_stop trayd-gadget
            unit_stop trayd
        fi
        i=0
        while [ $i -lt $todo ]; do
            one $way
            i=$((i + 1))
        done
        if [ $way = bare ]; then trayd_start; fi
    done
    done_so_far=$((done_so_far + todo))
done
