# A writable medium on slow storage: the host fills it and unmounts, and never waits longer than it would; a keyboard on
# the same plug works all the while. Without the flusher the same ends in a reset.
# run: --no-trayd --memory 1536 --timeout 700
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

if ! { command -v nbdkit && command -v nbd-client && command -v dmsetup; } >/dev/null; then
    skip "slow storage: nbdkit, nbd-client or dmsetup is not installed"
    exit 0
fi
# Bits and bytes a second. A delay (dm-delay) alone would not do: it holds up each request, and does not limit how many
# there are, so that much is written at once; what it makes slow is a flush, and whatever is small. There is one as well.
rate=32M write_speed="3 MB"
payload_mib=200
write_delay_ms=100

nbdkit -U /tmp/nbd.sock --filter=rate memory 300M rate=$rate
wait_for 10 test -S /tmp/nbd.sock
nbd-client -unix /tmp/nbd.sock /dev/nbd0 >/dev/null
mkfs.ext4 -q -O '^has_journal' -E lazy_itable_init=1 /dev/nbd0
mkdir /srv/slow
mount -t ext4 -o noatime /dev/nbd0 /srv/slow
truncate -s 256M /srv/slow/slow.img
mkfs.fat -F 32 /srv/slow/slow.img >/dev/null
chown -R trayd:trayd /srv/slow
sync
# A second one, that fails to write when it is told to.
nbdkit -U /tmp/faulty.sock --filter=error memory 24M error-pwrite-rate=100% error-file=/tmp/fail
wait_for 10 test -S /tmp/faulty.sock
nbd-client -unix /tmp/faulty.sock /dev/nbd1 >/dev/null
mkfs.ext4 -q -O '^has_journal' /dev/nbd1
mkdir /srv/faulty
mount -t ext4 -o noatime /dev/nbd1 /srv/faulty
dd if=/dev/zero of=/srv/faulty/faulty.img bs=1M count=8 status=none
chown -R trayd:trayd /srv/faulty
sync
# And one that takes its time for each request.
truncate -s 280M /tmp/late
loop=$(losetup -f)
losetup "$loop" /tmp/late
echo "0 573440 delay $loop 0 0 $loop 0 $write_delay_ms" | dmsetup create --noudevsync late
dmsetup mknodes late
mkfs.ext4 -q -O '^has_journal' -E lazy_itable_init=1 /dev/mapper/late
mkdir /srv/late
mount -t ext4 -o noatime /dev/mapper/late /srv/late
truncate -s 256M /srv/late/late.img
mkfs.fat -F 32 /srv/late/late.img >/dev/null
chown -R trayd:trayd /srv/late
sync
keyboard='functions = ( { name = "hid.keyboard"; attributes = { protocol = 1; subclass = 1; report_length = 8; report_desc = "hex:05 01 09 06 a1 01 05 07 19 e0 29 e7 15 00 25 01 75 01 95 08 81 02 95 01 75 08 81 03 95 05 75 01 05 08 19 01 29 05 91 02 95 01 75 03 91 03 95 06 75 08 15 00 25 65 05 07 19 00 29 65 81 00 c0"; }; } );'
echo "$keyboard" >>/etc/trayd/trayd.conf
trayd_start 's/{ name = "usb0"; type = "disk"; }/{ name = "usb0"; type = "disk"; host = "linux"; }/' \
    "s,{ name = \"main\".*},&\\, { name = \"slow\"; path = \"/srv/slow\"; write_speed = \"$write_speed\"; }\\, { name = \"faulty\"; path = \"/srv/faulty\"; }\, { name = \"late\"; path = \"/srv/late\"; }," || exit 1
check "the keyboard works" host keyboard --wait 20

type_all_the_while() {
    while [ -e /tmp/typing ]; do
        if host keyboard >/dev/null 2>&1; then echo arrived; else echo lost; fi >>/tmp/typed
        sleep 0.5
    done
}
limits() { # what the kernel is told now, of this device or of all
    if [ -e /sys/class/bdi/43:0/strict_limit ]; then
        echo "device $(cat /sys/class/bdi/43:0/strict_limit)"
    else
        echo "system $(cat /proc/sys/vm/dirty_bytes) $(cat /proc/sys/vm/dirty_ratio)"
    fi
}

# fill NAME: the host mounts, writes, unmounts; $took is how long the unmount took, $reset whether there was one.
fill() {
    fill_before=$(host_count resets)
    : >/tmp/typed
    touch /tmp/typing
    type_all_the_while &
    typist=$!
    dev=$(host dev usb0 --wait 20)
    mount -t vfat "$dev" /mnt || fail "$1: mounted"
    fill_start=$(cut -d . -f 1 /proc/uptime)
    dd if=/dev/zero of=/mnt/payload bs=1M count=$payload_mib oflag=direct status=none
    fill_written=$(cut -d . -f 1 /proc/uptime)
    umount /mnt
    fill_end=$(cut -d . -f 1 /proc/uptime)
    took=$((fill_end - fill_written))
    reset=$(($(host_count resets) - fill_before))
    rm -f /tmp/typing
    wait $typist
    echo "    $1: $payload_mib MiB in $((fill_written - fill_start)) s, unmounted in $took s, $reset resets; keys: $(grep -c arrived /tmp/typed) arrived, $(grep -c lost /tmp/typed) lost"
}

mkdir -p /mnt
before=$(limits) enumerations=$(host enumerations)
insert usb0 slow.img '"store": "slow", "readonly": false'
answered "a writable image on slow storage is in" 200 "done"
wait_for 20 host size usb0 >/dev/null
check "what may be unwritten is limited" test "$(limits)" != "$before"
echo "    limits: $before -> $(limits)"
fill "with the flusher"
with=$took
same "with the flusher: no reset" 0 "$reset"
same "no enumeration" "$enumerations" "$(host enumerations)"
check "the host waited less than it would (10 s)" test $took -lt 10
same "no key was lost" 0 "$(grep -c lost /tmp/typed)"
check "keys arrived" grep -q arrived /tmp/typed
eject usb0
answered "the host gave it back, and it goes out politely" 200 "done"
holds "durable" '.durable == true and .durable_at != null and .forced == false'
same "the limit is as before" "$before" "$(limits)"
check "the file system is whole" fsck.fat -n /srv/slow/slow.img
check "every byte arrived" sh -c "mount -o loop,ro /srv/slow/slow.img /mnt && [ \$(stat -c %s /mnt/payload) = $((payload_mib * 1048576)) ] && umount /mnt"

# Each write takes its time: the host's flushes, and what file systems write in small pieces.
insert usb0 late.img '"store": "late", "readonly": false'
answered "a writable image on storage that takes its time is in" 200 "done"
wait_for 20 host size usb0 >/dev/null
fill "each write $write_delay_ms ms late"
same "late: no reset" 0 "$reset"
check "late: the host waited less than it would (10 s)" test $took -lt 10
same "late: no key was lost" 0 "$(grep -c lost /tmp/typed)"
eject usb0
answered "late: it goes out politely" 200 "done"
holds "late: durable" '.durable == true and .forced == false'
check "late: the file system is whole" fsck.fat -n /srv/late/late.img

# A write error that the host's own flush has heard of first, and told nobody: it is not forgotten.
insert usb0 faulty.img '"store": "faulty", "readonly": false'
answered "an image on storage that fails is in" 200 "done"
wait_for 20 host size usb0 >/dev/null
host write usb0 --pattern GOOD --bytes 1M --direct >/dev/null
wait_for 10 drive_is usb0 '.evidence.bytes_written >= 1048576'
touch /tmp/fail
host write usb0 --pattern LOST --bytes 1M --direct >/dev/null
eject usb0
answered "it goes out" 200 "done"
holds "and nobody says that everything arrived" '.durable == false and .durable_at == null and .data_may_be_lost == true'
rm /tmp/fail

# The same without: what follows shows that the test above can fail.
unit_stop trayd-gadget
sed -i "s/write_speed = \"$write_speed\"; }/flush = false; }/" /etc/trayd/trayd.conf
grep -q 'name = "slow".*flush = false' /etc/trayd/trayd.conf || fail "the flusher is switched off"
unit_start trayd-gadget
wait_for 20 get /readyz >/dev/null
sync
echo 3 >/proc/sys/vm/drop_caches
insert usb0 slow.img '"store": "slow", "readonly": false'
answered "without it: the image is in" 200 "done"
wait_for 20 host size usb0 >/dev/null
same "nothing is limited" "$before" "$(limits)"
fill "without the flusher"
# On a busy machine the writing itself is slower, and leaves less for the end: the host may then just be patient enough.
check "without the flusher: the host waits longer" test $took -gt $with
