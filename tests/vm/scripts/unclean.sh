# A host is robbed of a FAT that it has mounted and is writing to: the image is marked, its dirty bit shown; a check in
# the host makes it consistent, and a person takes the mark away. The same in a store that has no place for marks.
# run: --no-trayd
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source-path=SCRIPTDIR source=../guest/host-load.sh
. /lib/host-load.sh
set -u

images=/srv/trayd/images
mkdir -p /srv/fat
truncate -s 40M /tmp/store.img
mkfs.fat -F 32 /tmp/store.img >/dev/null 2>&1
mount -o "loop,uid=$(id -u trayd),gid=$(id -g trayd),umask=027" /tmp/store.img /srv/fat || exit 1
trayd_start 's/flush = true/flush = false/' 's|^//  , { name = "share".*|    , { name = "fat"; path = "/srv/fat"; }|' || exit 1
truncate -s 24M $images/stick.img
mkfs.fat $images/stick.img >/dev/null 2>&1
cp $images/stick.img /srv/fat/stick.img

image() { api GET "/api/v1/images/stick.img?store=$1"; }
is_marked() { curl -sS "$TRAYD_URL/api/v1/images/stick.img?store=$1" | jq -e ".unclean.operation == \"$2\"" >/dev/null; }

image main
holds "a fresh one is clean" '.unclean == null and .filesystem_dirty == false'

for store in main fat; do
    insert usb0 stick.img "\"store\": \"$store\", \"readonly\": false, \"reattach\": true"
    answered "$store: in" 200 "done"
    check "$store: the host sees it" wait_for 20 host size usb0
    check "$store: mounted, dirty, a file open" load_mount usb0 vfat
    eject usb0 mode=forced
    answered "$store: forced eject" 200 "done"
    holds "$store: what it took, and how" ".taken.store == \"$store\" and .taken.bytes_written > 0 and .taken.unclean == \"forced\""
    operation=$(answer .id)
    load_end usb0
    image $store
    holds "$store: the image is marked" ".unclean.operation == \"$operation\" and .unclean.reason == \"forced\""
    holds "$store: and shows that its FAT was not closed" '.filesystem_dirty == true and .unclean.filesystem_dirty == true'
    unit_stop trayd
    unit_start trayd
    check "$store: after a restart, too" wait_for 20 is_marked $store "$operation"
    check "$store: the drives are known" wait_for 20 drive_is usb0 '.state == "empty"'

    insert usb0 stick.img "\"store\": \"$store\", \"readonly\": false, \"reattach\": true"
    answered "$store: in again" 200 "done"
    check "$store: the host sees it again" wait_for 20 host size usb0
    fsck.fat -a "$(host dev usb0)" >/tmp/fsck 2>&1
    same "$store: the host checks and repairs it" 1 $?
    eject usb0
    answered "$store: out" 200 "done"
    holds "$store: in peace" '.taken.unclean == null and .durable == true'
    image $store
    holds "$store: consistent, and marked still" ".filesystem_dirty == false and .unclean.operation == \"$operation\""
    api PATCH "/api/v1/images/stick.img?store=$store" --json '{"unclean": false}'
    holds "$store: acknowledged" '.unclean == null'
done
