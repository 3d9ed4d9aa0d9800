# trayd started by hand as root: it starts trayd-gadget itself, keeps it running, and drops its privileges.
# run: --no-trayd
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

dd if=/dev/urandom of=/srv/trayd/images/cd.iso bs=1M count=2 status=none
trayd --config /etc/trayd/trayd.conf >/tmp/trayd.log 2>&1 &
trayd=$!
wait_for 60 curl -sf -o /dev/null "$TRAYD_URL/readyz" || { cat /tmp/trayd.log; exit 1; }

uids() { awk '/^Uid:/ { print $2, $3, $4, $5 }' "/proc/$1/status"; }
caps() { awk '/^CapEff:/ { print $2 }' "/proc/$1/status"; }
gadget() { # its pid; the workers have another name
    for comm in /proc/[0-9]*/comm; do
        [ "$(cat "$comm" 2>/dev/null)" = trayd-gadget ] && basename "${comm%/comm}" && return
    done
    return 1
}
gone() { ! gadget >/dev/null; }
other_than() { new=$(gadget) && [ -n "$new" ] && [ "$new" != "$1" ]; }
same "trayd is nobody in particular" "$(id -u trayd) $(id -u trayd) $(id -u trayd) $(id -u trayd)" "$(uids $trayd)"
same "without a capability" 0000000000000000 "$(caps $trayd)"
same "trayd-gadget is root" "0 0 0 0" "$(uids "$(gadget)")"
check "trayd cannot write to the gadget" sh -c "! su trayd -s /bin/sh -c 'echo >/sys/kernel/config/usb_gadget/trayd/UDC' 2>/dev/null"

wait_for_host
insert cd0 cd.iso
answered "an image goes in" 200 "done"
before=$(host_count enumerations)
first=$(gadget)
kill -9 "$first"
check "a killed trayd-gadget is started again" wait_for 20 other_than "$first"
check "the medium is still in" wait_for 20 drive_is cd0 '.medium.image == "cd.iso"'
same "and the host saw nothing" "$before" "$(host_count enumerations)"

kill $trayd
check "trayd ends when it is told to" wait $trayd
check "and its trayd-gadget with it" wait_for 20 gone
check "the gadget and the medium stay in the kernel" grep -q cd.iso /sys/kernel/config/usb_gadget/trayd/functions/mass_storage.cd0/lun.0/file
same "readable as before" 1048576 "$(host read cd0 --bytes 1M --direct | tr ' ' '\n' | sed -n 's/^bytes=//p')"
