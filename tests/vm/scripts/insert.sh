# Images go in: a real CD read back bit for bit, a disk written and durable after eject, swaps and conditions, and each
# reason for which an image cannot go in.
# run: --file /usr/lib/grub-rescue/grub-rescue-cdrom.iso:/root/grub-rescue.iso
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

images=/srv/trayd/images
[ -f /root/grub-rescue.iso ] || fail "the ISO of Debian's grub-rescue-pc is here (see the first lines of this script)" || exit 1
cd_size=$(stat -c %s /root/grub-rescue.iso)
cd_sum=$(sha256sum </root/grub-rescue.iso)

wait_for_host || exit 1

# ---- a CD ----------------------------------------------------------------------------------------------------------

status=$(curl -sS -o "$answer_file" -w '%{http_code}' -T /root/grub-rescue.iso "$TRAYD_URL/api/v1/images/")
same "curl -T uploads an image" 201 "$status"
same "as it is" "$cd_sum" "$(sha256sum <$images/grub-rescue.iso)"
insert cd0 grub-rescue.iso
answered "a CD is inserted" 200 "done"
holds "read-only" '.readonly == true and .durable == null'
cd=$(host dev cd0)
same "the host sees a CD drive" 5 "$(cat "/sys/class/block/${cd#/dev/}/device/type")"
same "of the image's exact size" "$cd_size" "$(host size cd0)"
same "that reads back bit for bit" "$cd_sum" "$(sha256sum <"$cd")"
same "with a file system" iso9660 "$(blkid -o value -s TYPE "$cd")"
check "that mounts" mount -t iso9660 -o ro "$cd" /mnt
check "and has files" test -s /mnt/boot/grub/i386-pc/normal.mod
umount /mnt
check "the evidence has what was read" wait_for 10 drive_is cd0 ".evidence.bytes_read >= $cd_size"
api GET /api/v1/drives/cd0/medium -D /tmp/headers
same "the medium has its ETag as a header too" "$(answer .etag)" "$(sed -n 's/^[Ee][Tt][Aa][Gg]: //p' /tmp/headers | tr -d '\r')"

generation=$(drive cd0 .generation)
insert cd0 grub-rescue.iso
answered "the same again succeeds" 200 "done"
holds "by leaving it alone" '.unchanged == true and ([.steps[].rung] - ["observe"]) == []'
same "it is the same medium as before" "$generation" "$(drive cd0 .generation)"
api DELETE /api/v1/images/grub-rescue.iso
answered "an image in a drive is not deleted" 409 image_in_use

eject cd0
answered "an idle CD is ejected politely" 200 "done"
holds "without force" '(.forced or .lock_overridden or .stale_host) == false and .emptied_at != null'
check "the host has no medium" sh -c "! host size cd0"
eject cd0
answered "an empty drive is ejected" 200 "done"
holds "by doing nothing" '.unchanged == true'
api GET /api/v1/drives/cd0/medium
answered "and has no medium" 404 no_medium

# ---- a disk --------------------------------------------------------------------------------------------------------

truncate -s 16M /tmp/disk.img
mkfs.fat /tmp/disk.img >/dev/null 2>&1
curl -sS -o /dev/null -T /tmp/disk.img "$TRAYD_URL/api/v1/images/"
insert usb0 disk.img
answered "a disk is inserted" 200 "done"
holds "writable" '.readonly == false'
disk=$(host dev usb0)
same "the host sees a disk" 0 "$(cat "/sys/class/block/${disk#/dev/}/device/type")"
same "of the image's size" 16777216 "$(host size usb0)"
mount -t vfat "$disk" /mnt
head -c 3000000 /dev/urandom >/mnt/file
written=$(sha256sum </mnt/file)
umount /mnt
eject usb0
answered "it is ejected after the host unmounted it" 200 "done"
holds "durable" '.durable == true and .durable_at != null and .raced_with_write == false'
holds "with the evidence of the writes" '.evidence.bytes_written >= 3000000 and .evidence.last_write_at != null'
check "the image is a sound file system" fsck.fat -n $images/disk.img
mount -t vfat -o loop,ro $images/disk.img /mnt
same "and has what the host wrote" "$written" "$(sha256sum </mnt/file)"
umount /mnt

# ---- one image, two drives -----------------------------------------------------------------------------------------

insert usb0 disk.img
answered "the disk goes in again" 200 "done"
insert cd0 disk.img
answered "what is writable in a drive goes into no other" 409 image_in_use
insert usb0 disk.img '"readonly": true'
answered "the same image, but read-only" 409 medium_differs
eject usb0
insert usb0 grub-rescue.iso '"readonly": true'
answered "a CD's image as a disk" 200 "done"
insert cd0 grub-rescue.iso
answered "and read-only in two drives at once" 200 "done"
eject usb0
insert usb0 grub-rescue.iso '"readonly": false'
answered "but not for writing" 409 image_in_use
check "the drive stays empty then" drive_is usb0 '.state == "empty" and .medium == null'

# ---- swap, conditions ----------------------------------------------------------------------------------------------

host size cd0 >/dev/null
cp /root/grub-rescue.iso $images/second.iso
printf 'another disc' | dd of=$images/second.iso conv=notrunc status=none
second=$(sha256sum <$images/second.iso)
old=$(drive cd0 .medium.etag)
insert cd0 second.iso '"swap": "direct"'
answered "a direct swap" 200 "done"
holds "without an empty drive in between" '[.steps[].rung] | index("swap") != null and index("ask") == null'
same "the host reads the other disc" "$second" "$(sha256sum <"$cd")"

api PUT /api/v1/drives/cd0/medium --json '{"image": "grub-rescue.iso"}' -H "If-Match: $old"
answered "If-Match with an old ETag" 412 precondition_failed
api PUT /api/v1/drives/cd0/medium --json '{"image": "grub-rescue.iso"}' -H "If-None-Match: *"
answered "If-None-Match: * while there is a medium" 412 precondition_failed
api DELETE /api/v1/drives/cd0/medium -H "If-Match: $old"
answered "an eject with an old ETag" 412 precondition_failed
check "all three leave it as it is" drive_is cd0 '.medium.image == "second.iso"'
api PUT /api/v1/drives/cd0/medium --json '{"image": "grub-rescue.iso", "swap": "direct"}' -H "If-Match: $(drive cd0 .medium.etag)"
answered "If-Match with the right ETag" 200 "done"
api DELETE /api/v1/drives/cd0/medium -H "If-Match: $(drive cd0 .medium.etag)"
answered "an eject with the right ETag" 200 "done"

# ---- what cannot go in ---------------------------------------------------------------------------------------------

truncate -s 2400000000 $images/large.iso
truncate -s 614399 $images/small.iso
truncate -s 511 $images/tiny.img
insert cd0 large.iso
answered "2.4 GB as a CD" 422 image_too_large_for_cdrom
holds "the remedy is a disk drive" '.remedy | test("disk drive")'
insert usb0 large.iso '"readonly": true'
answered "the same as a disk" 200 "done"
same "the host sees all of it" 2400000000 "$(host size usb0)"
eject usb0
insert cd0 small.iso
answered "too small for a CD" 422 image_too_small_for_cdrom
insert usb0 tiny.img
answered "less than a sector" 422 image_unusable
insert cd0 nothing.iso
answered "no such image" 404 image_missing
insert cd0 second.iso '"type": "disk"'
answered "the wrong kind of drive" 422 drive_type_differs
insert cd0 second.iso '"readonly": false'
answered "a writable CD" 400 bad_request
check "the drive is still empty" drive_is cd0 '.state == "empty"'

api PUT /api/v1/drives/cd0/medium --json '{"image": "second.iso"}' -H 'If-None-Match: *'
answered "If-None-Match: * into an empty drive" 200 "done"
mkfifo /tmp/slow
curl -sS -o /dev/null -T - "$TRAYD_URL/api/v1/images/slow.iso" </tmp/slow &
upload=$!
exec 8>/tmp/slow
head -c 1000000 /dev/zero >&8
image_is() { curl -sS "$TRAYD_URL/api/v1/images/$1" | jq -e "$2" >/dev/null; }
check "an upload is listed as incomplete" wait_for 10 image_is slow.iso '.complete == false'
insert cd0 slow.iso
answered "and cannot go in" 409 image_incomplete
check "nor take out what is in" drive_is cd0 '.medium.image == "second.iso"'
kill $upload
exec 8>&-
check "an upload that was broken off is gone" wait_for 10 image_is slow.iso '.status == 404'
insert cd0 slow.iso
answered "so it is missing" 404 image_missing
