# A host that was robbed of a mounted, writable medium still holds writes for it. None of them may reach the next medium:
# FAT and ext4 with dirty pages and an open file, taken by force; then writable images are refused until a reattach.
# run: --no-trayd
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source-path=SCRIPTDIR source=../guest/host-load.sh
. /lib/host-load.sh
set -u

images=/srv/trayd/images
look_after=40 # s; Linux writes dirty pages out when they are 30 s old, and looks every 5 s
# The gadget's limit of unwritten data would count for the host as well, since both live in one kernel.
trayd_start 's/flush = true/flush = false/' 's/{ name = "usb0"; type = "disk"; }/{ name = "usb0"; type = "disk"; }, { name = "usb1"; type = "disk"; }/' || exit 1
host dev usb1 --wait 20 >/dev/null

for name in fat.img ext4.img new0.img new1.img; do truncate -s 24M $images/$name; done
mkfs.fat $images/fat.img >/dev/null 2>&1
mkfs.ext4 -q $images/ext4.img
clean=$(sha256sum <$images/new0.img)

# soil DRIVE IMAGE TYPE: puts it in and mounts it at the host.
soil() {
    insert "$1" "$2"
    answered "$3: in" 200 "done"
    check "$3: mounted writable, dirty, a file open" load_mount "$1" "$3"
}

soil usb0 fat.img vfat
soil usb1 ext4.img ext4
for pair in usb0:fat usb1:ext4; do
    name=${pair%:*} fs=${pair#*:}
    eject "$name" mode=forced
    answered "$fs: forced eject" 200 "done"
    holds "$fs: the host is stale" '.forced == true and .stale_host == true'
    same "$fs: the search finds what reached the old image" 2048 "$(blocks "$images/$fs.img" run=flushed)"
    check "$fs: most was still dirty" test "$(blocks "$images/$fs.img" run=dirty)" -lt 4096
done

insert usb0 new0.img
answered "fat: a writable image is refused" 409 stale_host
holds "with the remedies" '.remedy | test("reattach") and test("accept_stale_host")'
insert usb1 new1.img
answered "ext4: refused, too" 409 stale_host
check "the drives stay empty" drive_is usb0 '.state == "empty" and .stale_host == true'
insert usb0 new0.img '"readonly": true'
answered "a read-only image is not refused" 200 "done"
check "which does not make the host trustworthy" drive_is usb0 '.stale_host == true'
unit_stop trayd-gadget
unit_start trayd-gadget
check "nor does a restart" wait_for 20 drive_is usb0 '.stale_host == true and .medium.readonly == true'
eject usb0
insert usb0 new0.img
answered "it is refused still" 409 stale_host

before=$(host_count enumerations)
insert usb0 new0.img '"reattach": true'
answered "fat: with a reattach it goes in" 200 "done"
holds "which is said" '.reattached == true and .readonly == false'
reattached=$(cut -d . -f 1 /proc/uptime)
check "the host has enumerated the device anew" wait_for 20 host dev usb0
same "once" $((before + 1)) "$(host_count enumerations)"
insert usb1 new1.img
answered "ext4: that has helped the other drive as well" 200 "done"
check "the host sees the new media" wait_for 20 host size usb0
check "both" wait_for 20 host size usb1
load_end usb0
load_end usb1
sync

# Meanwhile, what would pull a medium out from under the host. (Its own look at new1.img wrote nothing.)
host write usb1 --from 16M --pattern HOST --bytes 64K --direct >/dev/null
check "a write counts" wait_for 20 drive_is usb1 '.evidence.bytes_written > 0'
api POST /api/v1/gadget/reattach --json '{}'
answered "a reattach that would disturb another drive" 409 collateral_in_use

wait_for $((look_after + 20)) sh -c "[ \$(cut -d . -f 1 /proc/uptime) -ge $((reattached + look_after)) ]"
same "fat: $look_after s later not one block of the old medium is in the new one" 0 "$(blocks $images/new0.img OLD-)"
same "fat: nor any other change" "$clean" "$(sha256sum <$images/new0.img)"
same "ext4: not one block of the old medium is in the new one" 0 "$(blocks $images/new1.img OLD-)"
same "ext4: only what the host wrote there" 128 "$(blocks $images/new1.img HOST)"

# ---- the same without protection: what accept_stale_host means -----------------------------------------------------

eject usb0
mkfs.fat $images/fat.img >/dev/null 2>&1
soil usb0 fat.img vfat
eject usb0 mode=forced
answered "once more" 200 "done"
insert usb0 new0.img '"accept_stale_host": true'
answered "who takes the risk may" 200 "done"
check "and is trusted from then on" drive_is usb0 '.stale_host == false'
sync
echo "    old blocks found in the new image with accept_stale_host: $(blocks $images/new0.img OLD-)"
load_end usb0
