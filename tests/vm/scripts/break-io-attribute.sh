# Rung 3 on a kernel with break_io, as appliances have it: it is found, preferred over the signal, and does what is said.
# run: --module break-io
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

images=/srv/trayd/images
dd if=/dev/urandom of=$images/one.iso bs=1M count=16 status=none
truncate -s 16M $images/disk.img

# Every signal to the gadget's threads, with who sent it: code 0 is kill(2) and its like, 128 the kernel itself
# (SI_KERNEL, uapi/asm-generic/siginfo.h), which is how f_mass_storage wakes its own thread.
tracing=/sys/kernel/tracing
mount -t tracefs tracefs $tracing
echo 'comm == "file-storage"' >$tracing/events/signal/signal_generate/filter
echo 1 >$tracing/events/signal/signal_generate/enable
forget_signals() { : >$tracing/trace; }
signals_from_outside() { grep 'signal_generate: sig=10 ' $tracing/trace | grep -c 'code=0 '; }
signals_from_worker() { grep 'signal_generate: sig=10 ' $tracing/trace | grep 'code=128 ' | grep -c 'trayd-worker'; }

stop_in_the_middle() { # DRIVE read|write
    host bot "$1" "$2" --blocks 1024 --stop-after 8192 >/tmp/bot &
    bot=$!
    wait_for 10 grep -q ready /tmp/bot
}
go_on() {
    kill $bot 2>/dev/null
    wait $bot 2>/dev/null
    wait_for_host
}

wait_for_host || exit 1
check "the attribute is seen" drive_is cd0 '.capabilities.break_io == true and .capabilities.forced_eject == true'

# ---- a forced eject --------------------------------------------------------------------------------------------------

insert cd0 one.iso
answered "a CD is in" 200 "done"
host dev usb0 --wait 30 >/dev/null
stop_in_the_middle cd0 read
forget_signals
eject cd0 mode=forced
answered "a forced eject is not held up by a host that stopped reading" 200 "done"
holds "I/O was broken by the attribute" '[.steps[] | select(.rung == "break") | .outcome] == ["break_io"] and .broke_io == true'
same "no signal was sent" 0 "$(signals_from_outside)"
same "the kernel did it, for the worker" 1 "$(signals_from_worker)"
check "the drive is quarantined" drive_is cd0 '.state == "quarantine" and .quarantine_until != null'
go_on

insert usb0 disk.img
answered "a disk is in" 200 "done"
stop_in_the_middle usb0 write
forget_signals
eject usb0 mode=forced
answered "nor by one that stopped writing" 200 "done"
holds "I/O was broken by the attribute" '[.steps[] | select(.rung == "break") | .outcome] == ["break_io"] and .stale_host == true'
same "no signal was sent" 0 "$(signals_from_outside)"
same "the kernel did it, for the worker" 1 "$(signals_from_worker)"
go_on

# ---- the operator's order --------------------------------------------------------------------------------------------

api POST /api/v1/gadget/reattach --json '{"allow_collateral": true}'
wait_for_host
insert cd0 one.iso
answered "after a reattach the CD is in again" 200 "done"
wait_for 20 host read cd0 --bytes 1M --direct >/dev/null
stop_in_the_middle cd0 read
wait_for 10 drive_is cd0 '.evidence.waiting_for == "host"'
forget_signals
api POST /api/v1/drives/cd0/break-io --json '{"then": "nothing"}'
holds "break-io says what it found, and how it was done" '.found == "host" and .did == "break_io" and .operation == null'
check "the function lets go" wait_for 10 drive_is cd0 '.evidence.waiting_for == "nothing" or .evidence.waiting_for == "unknown"'
check "the medium stays" drive_is cd0 '.medium.image == "one.iso"'
same "no signal was sent" 0 "$(signals_from_outside)"
same "the kernel did it, for the worker" 1 "$(signals_from_worker)"
go_on

# ---- with no command under way -----------------------------------------------------------------------------------------

wait_for 40 host read cd0 --bytes 1M --direct >/dev/null
wait_for 10 drive_is cd0 '.evidence.waiting_for == "nothing"'
forget_signals
api POST /api/v1/drives/cd0/break-io --json '{"then": "nothing"}'
holds "where nothing is under way nothing is broken" '.found == "nothing" and .did == "nothing"'
same "the attribute was not written" 0 "$(signals_from_worker)"

# ---- without forced_eject --------------------------------------------------------------------------------------------

before=$(host enumerations | tr ' ' '\n' | grep '^enumerations=')
sed -i 's/forced_eject = "auto"/forced_eject = "off"/' /etc/trayd/trayd.conf
unit_stop trayd-gadget
unit_start trayd-gadget
wait_for 10 curl -sf "$TRAYD_URL/readyz" >/dev/null
wait_for_host
wait_for 20 host lock cd0
wait_for 10 drive_is cd0 '.evidence.waiting_for == "nothing"'
forget_signals
eject cd0 mode=forced
answered "an idle host that holds the lock" 200 "done"
holds "loses the medium, and nothing else" '.broke_io == false and .reattached == false'
same "no reset, no enumeration" "$before" "$(host enumerations | tr ' ' '\n' | grep '^enumerations=')"
same "by a signal, which takes the lock away" 1 "$(signals_from_outside)"
same "break_io, made for commands under way, was not written" 0 "$(signals_from_worker)"
