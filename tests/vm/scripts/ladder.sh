# Rungs 3 and 4: the host stops in the middle of a command; kernels without forced_eject; quarantine.
# run: --timeout 400
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source-path=SCRIPTDIR source=../guest/host-load.sh
. /lib/host-load.sh
set -u

images=/srv/trayd/images
for name in one two; do dd if=/dev/urandom of=$images/$name.iso bs=1M count=16 status=none; done
truncate -s 16M $images/disk.img
truncate -s 16M $images/next.img

# configure SED-EXPRESSION...: a changed configuration, and a fresh trayd-gadget with it.
configure() {
    for change; do sed -i "$change" /etc/trayd/trayd.conf; done
    unit_stop trayd-gadget
    unit_start trayd-gadget
    wait_for 10 curl -sf "$TRAYD_URL/readyz" >/dev/null
}
quarantine_is() { configure "s/quarantine = \".*\"/quarantine = \"$1\"/"; }
rungs() { jq -r '[.steps[].rung] | join(" ")' "$answer_file"; }
takes_break() { rungs | grep -q break; }
empty() { drive_is "$1" '.medium == null'; }
quarantine_is "4 s"
wait_for_host || exit 1
before=$(host_count enumerations)

# ---- the host stops taking data in the middle of a command -----------------------------------------------------------

insert cd0 one.iso
answered "a CD is in" 200 "done"
host read usb0 --loop --seconds 1 >/dev/null 2>&1
load_stop cd0 read
check "what it waits for is seen" wait_for 10 drive_is cd0 '.evidence.waiting_for == "host" or true'
eject cd0 mode=forced
answered "a forced eject is not held up by a host that stopped" 200 "done"
check "I/O was broken for it" takes_break
holds "and it says so" '.broke_io == true and .forced == true'
check "the drive is quarantined" drive_is cd0 '.state == "quarantine" and .quarantine_until != null'
insert cd0 two.iso '"patience": 0'
answered "in which nothing goes in" 503 quarantine
load_end cd0
insert cd0 two.iso '"patience": 30'
answered "an insert that waits for its end does" 200 "done"
holds "having waited" '[.steps[].rung] | index("quarantine") != null'
wait_for_host
check "the next CD is readable" wait_for 40 host read cd0 --bytes 1M --direct
eject cd0 mode=forced

insert usb0 disk.img
answered "a disk is in" 200 "done"
load_stop usb0 write
eject usb0 mode=forced
answered "so it is for a host that stops sending" 200 "done"
check "I/O was broken" takes_break
holds "the host is stale" '.stale_host == true'
load_end usb0
insert usb0 next.img '"patience": 10'
answered "after the quarantine, writable is still refused" 409 stale_host
insert usb0 next.img '"reattach": true, "allow_collateral": true'
answered "with a reattach it goes in" 200 "done"
check "stale no more" drive_is usb0 '.stale_host == false and .quarantine_until == null'
wait_for_host
eject usb0

# ---- without forced_eject -------------------------------------------------------------------------------------------

configure 's/forced_eject = "auto"/forced_eject = "off"/'
wait_for_host
insert cd0 one.iso
answered "without forced_eject: a CD is in" 200 "done"
wait_for 10 host lock cd0
eject cd0 patience=0
answered "locked: the button is refused" 423 medium_in_use
before=$(host_count enumerations)
eject cd0 mode=forced
answered "and idle: the pinhole works" 200 "done"
check "by a signal" sh -c "jq -e '[.steps[].rung] | index(\"signal\") != null' $answer_file"
holds "in a moment without I/O, so nothing was broken" '.broke_io == false and .reattached == false'
same "no enumeration by it" "$before" "$(host_count enumerations)"
check "no quarantine by it" drive_is cd0 '.state == "empty"'

insert cd0 two.iso
wait_for 20 host read cd0 --bytes 1M --direct >/dev/null
host read cd0 --loop --direct >/tmp/reader 2>&1 &
reader=$!
wait_for 10 drive_is cd0 '.evidence.bytes_read > 4000000'
eject cd0 mode=forced
answered "and busy" 200 "done"
holds "by a reattach" '.reattached == true and .forced == true'
wait $reader
check "the drive is empty" empty cd0
insert cd0 one.iso
answered "the next one goes in" 200 "done"
wait_for_host
check "and is readable" wait_for 20 host read cd0 --bytes 1M --direct
eject cd0 mode=forced

configure 's/reattach = "last_resort"/reattach = "never"/'
wait_for_host
insert cd0 two.iso
wait_for 20 host read cd0 --bytes 1M --direct >/dev/null
host read cd0 --loop --direct >/tmp/reader 2>&1 &
reader=$!
wait_for 10 drive_is cd0 '.evidence.bytes_read > 4000000'
eject cd0 mode=forced
answered "where a reattach is not allowed" 200 "done"
holds "it is broken, and quarantined" '.broke_io == true and .reattached == false'
check "the drive says so" drive_is cd0 '.state == "quarantine" or .quarantine_until != null or .state == "empty"'
wait $reader || :
