# Images that come packed, from nothing, and from elsewhere: the helper with all its walls on a real kernel, and blank
# file systems that a host mounts and writes to; and discs made of files, read by the host.
# run: --file tests/fuzz/seeds/make/stored-0:/test/files
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

images=/srv/trayd/images
wait_for_host || exit 1

make_image() { api POST /api/v1/images --json "$1"; }

# ---- packed --------------------------------------------------------------------------------------------------------

dd if=/dev/urandom of=/tmp/plain.img bs=64k count=64 2>/dev/null
sum=$(sha256sum </tmp/plain.img)
gzip -c /tmp/plain.img >/tmp/plain.img.gz
api PUT /api/v1/images/plain.img.gz -T /tmp/plain.img.gz
same "what comes packed" 201 "$status"
same "is stored as it was before" "$sum" "$(sha256sum <$images/plain.img)"
holds "and the answer says what came" '.unpacked.format == "gzip"'
head -c 2000000 /tmp/plain.img.gz >/tmp/short.img.gz
api PUT /api/v1/images/short.img.gz -T /tmp/short.img.gz
answered "what is cut short is no image" 422 archive_unusable

# ---- from elsewhere ------------------------------------------------------------------------------------------------

make_image "{\"from\": \"url\", \"url\": \"$TRAYD_URL/x.img\"}"
answered "this machine itself is not asked" 403 source_forbidden
make_image '{"from": "url", "url": "http://169.254.169.254/x.img"}'
answered "nor is a cloud's metadata service" 403 source_forbidden
same "no helper is left" "" "$(pidof trayd-helper)"

# ---- blank ---------------------------------------------------------------------------------------------------------

for filesystem in fat32 exfat; do
    make_image "{\"from\": \"blank\", \"name\": \"$filesystem.img\", \"size\": 41943040, \"filesystem\": \"$filesystem\", \"label\": \"DATA\"}"
    same "a blank $filesystem" 201 "$status"
    insert usb0 $filesystem.img '"readonly": false'
    answered "goes into a drive" 200 "done"
    usb=$(host dev usb0)
    host size usb0 >/dev/null
    same "the host sees its label" DATA "$(blkid -p -o value -s LABEL "$usb")"
    check "mounts it" mount -t "$([ $filesystem = fat32 ] && echo vfat || echo exfat)" "$usb" /mnt
    check "and writes to it" cp /tmp/plain.img /mnt/file
    umount /mnt
    eject usb0 patience=60
    answered "the medium comes out" 200 "done"
    check "and is in order" "fsck.${filesystem%32}" -n $images/$filesystem.img
done

# ---- of files ------------------------------------------------------------------------------------------------------

tail -c +2 /test/files >/tmp/files.zip # before it stands the byte that a fuzzer wants
umlauts="Grüße, Ж漢.txt"
longest="$(printf 'y%.0s' $(seq 1 200)).bin"

tree() { # what a disc must have on it, as it is mounted
    same "$1: small letters and blanks" "$(seq 1 40)" "$(cat "/mnt/docs/a name, longer than eight.text")"
    same "$1: all of Unicode" letters "$(cat "/mnt/docs/$umlauts")"
    same "$1: a long name" y "$(cat "/mnt/docs/deep/$2")"
    same "$1: nothing else" 7 "$(find /mnt | wc -l)"
}

for make in iso9660 fat32; do
    api PUT "/api/v1/images/$make.disc?make=$make&label=DISC" -T /tmp/files.zip
    same "files become a disc: $make" 201 "$status"
done
insert cd0 iso9660.disc
answered "it goes into a CD drive" 200 "done"
cd=$(host dev cd0)
host size cd0 >/dev/null
check "the host mounts it" mount -t iso9660 -o ro,utf8 "$cd" /mnt
tree "Rock Ridge" "$longest"
same "Rock Ridge: modes" "-r--r--r--" "$(stat -c %A /mnt/X.TXT)"
umount /mnt
check "and as Windows reads it" mount -t iso9660 -o ro,norock,utf8 "$cd" /mnt
tree "Joliet" "$(basename /mnt/docs/deep/yyy*)"
umount /mnt
check "and as MS-DOS did" mount -t iso9660 -o ro,norock,nojoliet "$cd" /mnt
same "short names" letters "$(cat /mnt/docs/gr__e__1.txt)"
umount /mnt
eject cd0 patience=60
answered "it comes out" 200 "done"
insert usb0 fat32.disc
usb=$(host dev usb0)
host size usb0 >/dev/null
check "the host mounts the stick" mount -t vfat -o utf8 "$usb" /mnt
tree "FAT32" "$longest"
umount /mnt
eject usb0 patience=60
check "and it is in order" fsck.fat -n $images/fat32.disc
