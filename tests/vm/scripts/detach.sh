# A store on a device of its own is taken away while a host uses an image from it: in order, by force, and not at all where
# the host or a foreign process holds on to it; each time all is as before, or the device is free. Also over kill -9.
# run: --no-trayd --timeout 400
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source-path=SCRIPTDIR source=../guest/nbd.sh
. /lib/nbd.sh
# shellcheck source-path=SCRIPTDIR source=../guest/host-load.sh
. /lib/host-load.sh
set -u

if ! nbd_is_there; then
    skip "a store that is taken away: nbdkit and nbd-client are not installed"
    exit 0
fi
images=/srv/trayd/images

nbd_up 24
mkfs.ext4 -q /dev/nbd0
mkdir /srv/stick
mount -t ext4 -o nosuid,nodev /dev/nbd0 /srv/stick
dd if=/dev/urandom of=/srv/stick/stick.img bs=1M count=8 status=none
dd if=/dev/urandom of=/srv/stick/stick.iso bs=1M count=2 status=none
dd if=/dev/urandom of=$images/cd.iso bs=1M count=2 status=none
chown -R trayd:trayd /srv/stick
sync
trayd_start 's,{ name = "main".*},&\, { name = "stick"; path = "/srv/stick"; mount = true; },' || exit 1
mounted_as=$(grep ' /srv/stick ' /proc/mounts)

detach() { api POST /api/v1/stores/stick/detach --json "{$1}"; }
attach() { api POST /api/v1/stores/stick/attach; }
store() { api GET /api/v1/stores/stick; }
is_mounted() { grep -q ' /srv/stick ' /proc/mounts; }
is_free() { dd if=/dev/nbd0 of=/dev/null bs=4096 count=1 status=none && mount -t ext4 /dev/nbd0 /mnt && umount /mnt; }
as_before() { # NAME
    store
    holds "$1: the store is attached" '.attached and .detached == null and .free > 0'
    same "$1: mounted as it was" "$mounted_as" "$(grep ' /srv/stick ' /proc/mounts)"
    api GET /api/v1/images/stick.img?store=stick
    same "$1: its images are there" 200 "$status"
}
put_in() {
    insert usb0 stick.img "\"store\": \"stick\", \"accept_stale_host\": true"
    answered "$1" 200 "done"
    wait_for 20 host size usb0 >/dev/null
}

# ---- a host that lets go -----------------------------------------------------------------------------------------------

put_in "an image of the stick is in a drive"
host write usb0 --pattern BY-THE-HOST --bytes 1M --direct >/dev/null
host read usb0 --bytes 8M --direct >/tmp/reader
check "the host has written and read" grep -q 'error=none' /tmp/reader
detach '"unmount": true'
same "in order" 200 "$status"
holds "it is safe to remove" '.detached.step == "done" and .detached.safe_to_remove and .detached.unmounted and (.attached | not)'
check "it is not mounted" sh -c "! grep -q ' /srv/stick ' /proc/mounts"
check "the device is free" is_free
check "the drive is empty" drive_is usb0 '.state == "empty" and (.stale_host | not)'
check "the other store is well" sh -c "curl -sf '$TRAYD_URL/api/v1/images/cd.iso' >/dev/null"
insert usb0 stick.img '"store": "stick"'
answered "nothing is put in from it" 409 store_detached
api PUT "/api/v1/images/new.img?store=stick" -T $images/cd.iso
answered "nothing is stored there" 409 store_detached
same "not in the bare directory either" 0 "$(find /srv/stick | grep -c /srv/stick/)"

# ---- both processes die meanwhile ----------------------------------------------------------------------------------------

for unit in trayd-gadget trayd; do
    old=$(unit_pid "$unit")
    kill -9 "$old"
    restarted() { new=$(unit_pid "$unit") && [ "$new" != "$old" ] && curl -sf "$TRAYD_URL/readyz" >/dev/null; }
    wait_for 30 restarted
    store
    holds "$unit killed: it is detached still" '.detached.step == "done" and .detached.unmounted'
done
attach
same "it is attached again" 200 "$status"
as_before "attached again"
check "the drive stays empty" drive_is usb0 '.state == "empty"'
same "what the host wrote is there" 2048 "$(blocks /srv/stick/stick.img BY-THE-HOST)"

# ---- a host that does not ----------------------------------------------------------------------------------------------

put_in "the image is in again"
load_start usb0 host open usb0
detach '"unmount": true, "patience": 2'
same "the host holds the lock" 423 "$status"
holds "which says who" '.code == "medium_in_use" and .drive == "usb0" and .step == "eject" and .evidence.lock == "locked"'
as_before "locked"
check "the medium is in" drive_is usb0 '.medium.image == "stick.img"'

# ---- by force, under full reads -----------------------------------------------------------------------------------------

load_end usb0
load_read usb0
detach '"unmount": true, "mode": "forced"'
same "by force" 200 "$status"
holds "it is safe to remove" '.detached.safe_to_remove'
check "the device is free" is_free
load_end usb0
attach
as_before "after force"

# ---- somebody else has a file open there -----------------------------------------------------------------------------------

exec 3</srv/stick/stick.iso
put_in "the image is in a third time"
detach '"unmount": true'
same "a foreign process" 409 "$status"
holds "holds it at the step" '.code == "store_in_use" and .step == "unmount" and (.detail | test("EBUSY|busy"))'
as_before "held"
check "the image was ejected, and stays so" drive_is usb0 '.state == "empty"'
detach ''
same "without unmount it goes" 200 "$status"
holds "and is not safe" '.detached.safe_to_remove == false and .detached.unmounted == false'
exec 3<&-
detach '"unmount": true'
same "unmounted later" 200 "$status"
holds "it is" '.detached.safe_to_remove'
# It is somebody's own again, without us.
mount -t ext4 -o nosuid,nodev /dev/nbd0 /srv/stick
attach
as_before "mounted by hand"

# ---- the device is used elsewhere --------------------------------------------------------------------------------------------

mount -t ext4 /dev/nbd0 /mnt
detach '"unmount": true'
same "mounted at another place too" 409 "$status"
holds "it is not free, and that is undone" '.code == "store_in_use" and .step == "check"'
umount /mnt
as_before "elsewhere"

# ---- unmounted by somebody, who did not ask -----------------------------------------------------------------------------------

stick_is() { store; jq -e "$1" "$answer_file" >/dev/null; }
umount /srv/stick
check "what is not mounted is not there" wait_for 30 stick_is '.attached == false and .detached == null'
api PUT "/api/v1/images/new.img?store=stick" -T $images/cd.iso
same "and takes nothing" store_detached "$(answer .code)"
same "the bare directory is empty" "" "$(ls -A /srv/stick)"
mount -t ext4 -o nosuid,nodev /dev/nbd0 /srv/stick
check "mounted again it is back by itself" wait_for 30 stick_is '.attached'

# ---- a directory that is no mount ----------------------------------------------------------------------------------------------

api POST /api/v1/stores/main/detach --json '{"unmount": true}'
answered "a plain directory cannot be unmounted" 422 unmount_unavailable
check "and is as before" sh -c "curl -sf '$TRAYD_URL/api/v1/images/cd.iso' >/dev/null"
