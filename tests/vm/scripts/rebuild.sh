# The configuration has changed while the gadget is in use: it is adopted as it was, and made anew only when somebody says
# so; or by itself, when no host is attached.
# run: --no-trayd
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

images=/srv/trayd/images
config=/etc/trayd/trayd.conf
for name in cd.iso disk.img; do dd if=/dev/urandom of=$images/$name bs=1M count=2 status=none; done
chown trayd: $images/*

system_is() { curl -s --max-time 30 "$TRAYD_URL/api/v1/system" | jq -e "$1" >/dev/null; }
same_bytes() { # DRIVE IMAGE
    wait_for 20 host size "$1" >/dev/null &&
        [ "$(dd if="$(host dev "$1" --wait 20)" bs=1M iflag=direct status=none | sha256sum)" = "$(sha256sum <"$images/$2")" ]
}
# One drive more, and a trayd-gadget that knows of it.
add_drive() { # NAME
    sed -i "s/{ name = \"usb0\"; type = \"disk\"; }/{ name = \"$1\"; type = \"disk\"; }, &/" $config
    unit_stop trayd-gadget
    unit_start trayd-gadget
    wait_for 30 system_is '.gadget.found != null'
}

trayd_start 's/dwell = "3 s"/dwell = "1 s"/' || exit 1
insert cd0 cd.iso
insert usb0 disk.img '"readonly": true'
answered "both drives are loaded" 200 "done"
check "the host reads the CD" same_bytes cd0 cd.iso
host read cd0 --loop --direct --ready >/tmp/reader &
reader=$!
wait_for 10 grep -q ready /tmp/reader
before=$(host_count enumerations)

add_drive more
check "adopted, with its differences" system_is '.gadget.found == "differs" and (.gadget.differences | test("mass_storage.more is missing"))'
insert more disk.img '"readonly": true'
answered "the new drive is not there yet" 409 gadget_differs
check "the host still reads" kill -0 $reader
same "and has seen nothing" "$before" "$(host_count enumerations)"
kill $reader
wait $reader
same "its reader had no error" 0 $?

api POST /api/v1/gadget/rebuild --json '{}'
same "told to, it is made anew" 200 "$status"
holds "as it is configured" '.gadget.differences == null and .gadget.bound == true'
check "the host sees the new drive" host dev more --wait 30
same "by one enumeration" $((before + 1)) "$(host_count enumerations)"
check "the media are put back" wait_for 30 drive_is cd0 '.medium.image == "cd.iso" and .operation == null'
check "the CD is read" same_bytes cd0 cd.iso
check "so is the disk" same_bytes usb0 disk.img
insert more disk.img '"readonly": true'
answered "the new drive takes an image" 200 "done"
check "which is read" same_bytes more disk.img
api POST /api/v1/gadget/rebuild --json '{}'
same "once more" 200 "$status"
same "is nothing" $((before + 1)) "$(host_count enumerations)"

eject more
insert usb0 disk.img '"readonly": false, "mode": "forced", "reattach": true'
eject usb0 mode=forced
insert usb0 disk.img '"readonly": false, "reattach": true'
answered "a writable medium" 200 "done"
host dev usb0 --wait 30 >/dev/null && wait_for 20 host size usb0 >/dev/null
host write usb0 --pattern HOST --bytes 64K --direct >/dev/null
add_drive third
wait_for 20 drive_is usb0 '.medium != null'
api POST /api/v1/gadget/rebuild --json '{}'
answered "is not pulled out from under the host" 409 collateral_in_use
check "it is still in" drive_is usb0 '.medium.image == "disk.img"'
api POST /api/v1/gadget/rebuild --json '{"allow_collateral": true}'
same "unless that is allowed" 200 "$status"
check "the host sees the third drive" host dev third --wait 30
check "and the medium again" wait_for 30 drive_is usb0 '.medium.image == "disk.img" and .medium.readonly == false'

# ---- no host -------------------------------------------------------------------------------------------------------

port() { echo /sys/bus/usb/devices/usb*/*-0:1.0/usb*-port1/disable; }
gadget_port() { for one in $(port); do case $(readlink -f "$one") in *dummy_hcd*) echo "$one" ;; esac; done; }
unit_stop trayd-gadget
trayd-gadget --config $config --take-down
rmmod dummy_hcd
insmod "$(find /lib/modules -name 'dummy_hcd.ko*')"
if ! wait_for 10 sh -c 'ls /sys/devices/platform/dummy_hcd.0/usb*/*-0:1.0/usb*-port1/disable' >/dev/null 2>&1; then
    skip "no host: this kernel cannot switch a port off"
    exit 0
fi
for one in $(gadget_port); do echo 1 >"$one"; done
before=$(host_count enumerations)
unit_start trayd-gadget
check "without a host it is built and bound" wait_for 30 system_is '.gadget.bound == true and .gadget.state == "not attached"'
add_drive fourth
check "found to differ" system_is '.gadget.found == "differs"'
check "and made anew by itself, since nobody is disturbed" wait_for 60 system_is '.gadget.differences == null and .gadget.bound == true'
same "no host has seen it" "$before" "$(host_count enumerations)"
for one in $(gadget_port); do echo 0 >"$one"; done
check "a host that comes sees the fourth drive" host dev fourth --wait 30
