# The pinhole, 20 times, while the host reads at full speed: always done, the next image is readable and the right one,
# and the host's other drive, which is read all the time, notices nothing.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

images=/srv/trayd/images
rounds=20
stall_bound_ms=10000 # a liveness bound: a reset by the host would take 30 s

sed -i 's/dwell = "3 s"/dwell = "100 ms"/' /etc/trayd/trayd.conf
unit_stop trayd-gadget
unit_start trayd-gadget

for name in a b; do dd if=/dev/urandom of=$images/$name.iso bs=1M count=2 status=none; done
dd if=/dev/urandom of=$images/disk.img bs=1M count=8 status=none
sum_a=$(sha256sum <$images/a.iso) sum_b=$(sha256sum <$images/b.iso)
wait_for_host || exit 1
cd=$(host dev cd0)
insert usb0 disk.img
insert cd0 a.iso
answered "both drives are loaded" 200 "done"

# How many processes of that name have which policy (field 41 of stat): 2 is SCHED_RR (sched.h).
policies() {
    grep -lx "$1" /proc/[0-9]*/comm | sed 's/comm$/stat/' | xargs sed 's/.*) //' | cut -d ' ' -f 39 | sort | uniq -c | xargs
}
same "trayd-gadget goes before the reader" "1 2" "$(policies trayd-gadget)"
same "so do the workers of its two functions; those of the gadget, the store and the state do not" "3 0 2 2" "$(policies trayd-worker)"
host size cd0 >/dev/null
host size usb0 >/dev/null
before=$(host enumerations)

host read usb0 --loop --direct --ready >/tmp/other &
other=$!
wait_for 10 grep -q ready /tmp/other

round=0 failed=0 wrong=0 interrupted=0
now=a
while [ $round -lt $rounds ]; do
    round=$((round + 1))
    host read cd0 --loop --ready >/tmp/reader &
    reader=$!
    wait_for 10 grep -q ready /tmp/reader
    # In turns: an eject and an insert, and both in one operation.
    [ "$now" = a ] && next=b || next=a
    if [ $((round % 2)) = 1 ]; then
        eject cd0 mode=forced
        [ "$status $(answer '.state, .forced' | tr '\n' ' ')" = "200 done true " ] || { failed=$((failed + 1)); show_answer; }
        insert cd0 "$next.iso"
    else
        insert cd0 "$next.iso" '"mode": "forced"'
        [ "$(answer .forced)" = true ] || { failed=$((failed + 1)); show_answer; }
    fi
    [ "$status $(answer .state)" = "200 done" ] || { failed=$((failed + 1)); show_answer; }
    wait $reader && fail "round $round: the reader was told" || interrupted=$((interrupted + 1))
    [ "$next" = a ] && expected=$sum_a || expected=$sum_b
    got=$(sha256sum <"$cd")
    [ "$got" = "$expected" ] || { wrong=$((wrong + 1)); echo "    round $round: expected $expected, got $got"; }
    now=$next
done
same "$rounds forced ejects while the host reads, all done" 0 "$failed"
same "each reader was told" $rounds "$interrupted"
same "the next image is the right one, bit for bit" 0 "$wrong"

kill -0 $other && kill $other
wait $other
other_status=$?
sed 's/^/    the other drive: /' /tmp/other
same "the other drive was read to the end" 0 $other_status
check "without an error" grep -q 'error=none' /tmp/other
stall=$(sed -n 's/.*longest_stall_ms=\([0-9]*\).*/\1/p' /tmp/other)
check "without a stall of a reset's length" test "$stall" -lt $stall_bound_ms
same "no enumeration, no reset" "$before" "$(host enumerations)"
check "the drives are not marked" drive_is cd0 '.stale_host == false and .quarantine_until == null and .stuck == null'

# ---- a writable one ------------------------------------------------------------------------------------------------

host write usb0 --pattern OLD --loop --direct --ready >/tmp/writer &
writer=$!
wait_for 10 grep -q ready /tmp/writer
eject usb0 mode=forced
answered "a disk that the host writes to" 200 "done"
holds "forced; the host is stale, the image durable" '.forced == true and .stale_host == true and .durable == true'
check "the drive says so" drive_is usb0 '.stale_host == true and .state == "empty"'
wait $writer && fail "the writer was told"
check "in time" grep -q 'error=E' /tmp/writer
