# What scripts do without trayd: SIGUSR1 to the function's thread, then an empty line to `file`, once or again and again, and
# the next image at once, while the host reads at full speed. In a gadget built by hand.
#   naive.sh REPETITIONS once|repeated
# shellcheck shell=sh disable=SC2086 # words without blanks
# shellcheck source-path=SCRIPTDIR source=../../vm/guest/gadget-by-hand.sh
. /lib/gadget-by-hand.sh
# shellcheck source-path=SCRIPTDIR source=../../vm/guest/host-load.sh
. /lib/host-load.sh
# shellcheck source-path=SCRIPTDIR source=bench.sh
. /lib/bench.sh
set -u
repetitions=$1 way=$2
recover=120 # s; the host's 31 s, and what it does after them
goes_on=3   # s in a row in which the reader gets on: it does not hang
[ "$way" = once ] && tries=1 || tries=100 # 50 ms; measured by others: 1.5 ms are enough

for name in a b; do dd if=/dev/urandom of=$images/$name.iso bs=1M count=2 status=none; done
build_gadget 1
bind_gadget || exit 1
cd_thread=$(thread 1)

# The reader has ended, or has got on for a while; it may hang half a minute before either.
has_settled() {
    load_runs cd0 || return 0
    sleep 1
    settled_now=$(sed -n 's/^rchar: //p' "/proc/$(cat /tmp/load-pid.cd0)/io" 2>/dev/null)
    if [ "$settled_now" = "$settled_before" ]; then settled_for=0; else settled_for=$((settled_for + 1)); fi
    settled_before=$settled_now
    [ $settled_for -gt $goes_on ]
}

i=0
while [ $i -lt "$repetitions" ]; do
    i=$((i + 1))
    echo 1 >"$cd0/forced_eject"
    echo $images/a.iso >"$cd0/file"
    see cd0 $images/a.iso $recover || exit 1
    load_read cd0
    resets=$(host_count resets)
    eject_tool signal "$cd0" "$cd_thread" $tries $images/b.iso >$took
    settled_before='' settled_for=0
    wait_for $recover has_settled
    load_end cd0
    record case=naive-read way="$way" resets=$(($(host_count resets) - resets)) \
        stall_ms="$(said longest_stall_ms cd0)" reader="$(said error cd0)"
done
