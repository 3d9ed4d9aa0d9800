# The device under a store goes without asking while a host reads an image from it: the drive and the images say so, the
# drive gives its medium back, nothing is reset, and when the device is back the store is, with the drive empty.
# run: --no-trayd --timeout 300
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source-path=SCRIPTDIR source=../guest/host-load.sh
. /lib/host-load.sh
set -u

images=/srv/trayd/images

# A SCSI disk in memory, which can be deleted as one that is pulled, and found again with what was written to it.
load_modules scsi_debug
host=$(ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*)
disk() { ls "$host"/target*/*/block 2>/dev/null; }
plug() { echo "- - -" >"$host/scsi_host/${host##*/}/scan"; wait_for 10 disk >/dev/null; }
pull() { echo 1 >"/sys/block/$(disk)/device/delete"; }
wait_for 10 disk >/dev/null
device=/dev/$(disk)
mkfs.ext4 -q "$device"
mkdir /srv/stick
mount -t ext4 "$device" /srv/stick
dd if=/dev/urandom of=/srv/stick/stick.img bs=1M count=8 status=none
dd if=/dev/urandom of=$images/cd.iso bs=1M count=2 status=none
dd if=/dev/urandom of=$images/disk.img bs=1M count=2 status=none
chown -R trayd:trayd /srv/stick
sync
trayd_start 's,{ name = "main".*},&\, { name = "stick"; path = "/srv/stick"; },' || exit 1
store_is() { curl -sS --max-time 30 "$TRAYD_URL/api/v1/stores/stick" | jq -e "$1" >/dev/null; }
resets=$(host_count resets) enumerations=$(host_count enumerations)

for mode in forced orderly; do
    insert cd0 cd.iso
    insert usb0 stick.img '"store": "stick", "readonly": true'
    answered "$mode: an image of the stick is in a drive" 200 "done"
    check "$mode: whose storage is there" drive_is usb0 '.medium.storage_gone == false'
    wait_for 20 host size usb0 >/dev/null
    curl -sSN --max-time 200 "$TRAYD_URL/api/v1/events" >/tmp/events 2>/dev/null &
    listener=$!
    wait_for 20 grep -q '^event: system' /tmp/events
    echo 3 >/proc/sys/vm/drop_caches
    load_read usb0 --direct
    pull
    echo 3 >/proc/sys/vm/drop_caches
    check "$mode: the drive says that its storage has gone" wait_for 30 drive_is usb0 '.medium.storage_gone'
    check "$mode: it is told as an event" wait_for 10 grep -q '^event: storage_gone' /tmp/events
    check "$mode: the store too" wait_for 20 store_is '.attached == false and .detached == null'
    check "$mode: as an event" wait_for 10 sh -c 'grep -A1 "^event: store$" /tmp/events | grep -q "\"name\":\"stick\".*\"attached\":false"'
    kill $listener
    api GET '/api/v1/images/stick.img?store=stick'
    answered "$mode: so do its images" 409 store_detached
    api GET '/api/v1/images?store=stick'
    answered "$mode: and their list" 409 store_detached
    insert cd0 stick.img '"store": "stick"'
    answered "$mode: nothing is put in from it" 409 store_detached
    check "$mode: the other drive works" host read cd0 --bytes 1M --direct
    load_end usb0
    eject usb0 mode=$mode
    answered "$mode: the medium comes out" 200 "done"
    check "$mode: the drive is empty, and well" drive_is usb0 '.state == "empty" and .stuck == null'
    api POST /api/v1/stores/stick/detach --json '{"unmount": true}'
    same "$mode: what is left of the mount can be taken away" 200 "$status"
    plug
    api POST /api/v1/stores/stick/attach
    same "$mode: the device is back, and mounted again" 200 "$status"
    check "$mode: so the store is back" wait_for 30 store_is '.attached and .detached == null'
    api GET '/api/v1/images/stick.img?store=stick'
    same "$mode: with its images" 200 "$status"
    check "$mode: the drive stays empty" drive_is usb0 '.state == "empty"'
    eject cd0 mode=forced
done
same "no reset" "$resets" "$(host_count resets)"
same "no enumeration" "$enumerations" "$(host_count enumerations)"
check "both services answer" curl -sf -o /dev/null "$TRAYD_URL/readyz"
