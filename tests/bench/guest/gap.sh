# Without forced_eject, and with reattach = "never": the host reads in bursts, and a moment between two is found; or it
# reads without a pause, and is interrupted.
#   gap.sh REPETITIONS bursts|full
# shellcheck shell=sh disable=SC2086 # words without blanks
# shellcheck source-path=SCRIPTDIR source=../../vm/guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source-path=SCRIPTDIR source=../../vm/guest/host-load.sh
. /lib/host-load.sh
# shellcheck source-path=SCRIPTDIR source=bench.sh
. /lib/bench.sh
set -u
repetitions=$1 load=$2
rest=300     # ms between two bursts of 2 MiB; the product looks for 150 ms without I/O
recover=120  # s; a host that resets takes 31 s, and may do so more than once
quarantine=5 # s; the default of minutes would be waited out after each break

for name in a b; do dd if=/dev/urandom of=$images/$name.iso bs=1M count=2 status=none; done
trayd_start 's/dwell = "3 s"/dwell = "0 s"/' 's/forced_eject = "auto"/forced_eject = "off"/' \
    's/reattach = "last_resort"/reattach = "never"/' "s/quarantine = \"0 s\"/quarantine = \"$quarantine s\"/" || exit 1
insert cd0 a.iso
now=a
see cd0 $images/a.iso $recover || exit 1
i=0
while [ $i -lt "$repetitions" ]; do
    i=$((i + 1))
    [ $now = a ] && next=b || next=a
    if [ "$load" = bursts ]; then load_read cd0 --direct --rest $rest; else load_read cd0 --direct; fi
    resets=$(host_count resets)
    eject_by_trayd cd0
    insert_by_trayd cd0 $next.iso "\"patience\": $recover"
    see cd0 $images/$next.iso $recover && right=yes || right=no
    load_end cd0
    record case="gap-$load" way=trayd right=$right read_at_us="$read_at" others="$others" \
        resets=$(($(host_count resets) - resets)) stall_ms="$(said longest_stall_ms cd0)" reader="$(said error cd0)"
    now=$next
done
