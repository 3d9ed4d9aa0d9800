# A reattach in the middle of a reset of the host's own is a new device for it, and not the end of that reset: it must not go
# on with what it had for the medium before. With the shortest hold that can be configured.
# run: --no-trayd
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

rounds=12 # more than the release number's last digit can count
gadget=/sys/kernel/config/usb_gadget/trayd
dd if=/dev/urandom of=/srv/trayd/images/disk.img bs=1M count=1 status=none
trayd_start 's/reattach_hold = ".*"/reattach_hold = "300 ms"/' || exit 1
escaped() { dmesg | grep -c 'device firmware changed'; }
host_resets_all_the_while() {
    while [ -e /tmp/resetting ]; do host reset usb0 || sleep 0.05; done >/dev/null 2>&1
}

insert usb0 disk.img '"readonly": false'
answered "a writable image is in" 200 "done"
check "the host sees it" wait_for 20 host size usb0
round=0
while [ $round -lt $rounds ]; do
    round=$((round + 1))
    seen=$(host_count enumerations)
    release=$(cat $gadget/bcdDevice)
    touch /tmp/resetting
    host_resets_all_the_while &
    resetting=$!
    sleep 0.2
    api POST /api/v1/gadget/reattach --json '{"allow_collateral": true}'
    rm /tmp/resetting
    wait $resetting
    same "reattach $round" 200 "$status"
    check "the host is there again" host dev usb0 --wait 30
    same "by one enumeration" $((seen + 1)) "$(host_count enumerations)"
    check "of a device with another release number" test "$release" != "$(cat $gadget/bcdDevice)"
done
check "in at least one of them the disconnect had escaped the host" test "$(escaped)" -gt 0
echo "    it had in $(escaped) of $rounds"
get /api/v1/system >/tmp/system
check "the gadget is as planned still" jq -e '.gadget.differences == null' /tmp/system
