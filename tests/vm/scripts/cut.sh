# Storage that hangs and is ours to cut: the host gets an error before it loses patience, nothing is reset, the drive comes
# back by itself and everybody else keeps answering; also across kill -9 of trayd-gadget, and by an eject with force.
# run: --no-trayd --timeout 500 --file build/release/tests/fuse_tool:/test/fuse_tool
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source-path=SCRIPTDIR source=../guest/nbd.sh
. /lib/nbd.sh
set -u

if ! { nbd_is_there && command -v dmsetup >/dev/null; }; then
    skip "storage that is cut: nbdkit, nbd-client or dmsetup is not installed"
    exit 0
fi
images=/srv/trayd/images
slowest_ms=5000     # a liveness bound for each answer to the poller; under TCG a busy guest takes a while
patience=20         # s, of the host that trayd is told of: less than the 30 s that this host really has

# ---- a store on a network block device, and one on a mapping ---------------------------------------------------------

net_up() {
    nbd_up 24
    mkfs.ext4 -q /dev/nbd0
    mkdir -p /srv/net
    mount -t ext4 /dev/nbd0 /srv/net
    dd if=/dev/urandom of=/srv/net/net.img bs=1M count=8 status=none
    chown -R trayd:trayd /srv/net
}
net_down() {
    wait_for 20 umount /srv/net 2>/dev/null # trayd may be looking into it
    nbd_down
}
mapping_up() {
    truncate -s 24M /tmp/mapped
    loop=$(losetup -f)
    losetup "$loop" /tmp/mapped
    echo "0 49152 linear $loop 0" | dmsetup create --noudevsync mapped
    dmsetup mknodes mapped
    mkfs.ext4 -q /dev/mapper/mapped
    mkdir -p /srv/mapped
    mount -t ext4 /dev/mapper/mapped /srv/mapped
    dd if=/dev/urandom of=/srv/mapped/mapped.img bs=1M count=8 status=none
    chown -R trayd:trayd /srv/mapped
}
net_up
mapping_up
mount -t fusectl fusectl /sys/fs/fuse/connections
mkdir -p /srv/fused
/test/fuse_tool /srv/fused 8 /tmp/fuse-hangs &
wait_for 10 test -e /srv/fused/fuse.img
for name in cd other; do dd if=/dev/urandom of=$images/$name.iso bs=1M count=2 status=none; done
truncate -s 2M $images/disk.img
sync
trayd_start 's/stuck_after = "10 s"/stuck_after = "8 s"/' \
    "s/{ name = \"usb0\"; type = \"disk\"; }/{ name = \"usb0\"; type = \"disk\"; stuck_after = \"8 s\"; host = \"linux\"; host_command = \"$patience s\"; }/" \
    's,{ name = "main".*},&\, { name = "net"; path = "/srv/net"; cut = "nbd"; }\, { name = "mapped"; path = "/srv/mapped"; cut = "device-mapper"; }\, { name = "fused"; path = "/srv/fused"; cut = "fuse"; },' || exit 1

# ---- everybody else, all the while -----------------------------------------------------------------------------------

# Requests that have nothing to do with the storage; the slowest answer counts. trayd-gadget is killed meanwhile: what it
# has to answer may be "unavailable" then, but not late.
poll() {
    while [ -e /tmp/polling ]; do
        for path in /drives /drives/usb0 /system /images?store=main /stores/main; do
            curl -sS -o /dev/null --max-time 60 -w "%{time_total} %{http_code} $path\n" "$TRAYD_URL/api/v1$path" >>/tmp/polled
        done
        # The other drive is read from, by the host.
        host read cd0 --bytes 512K --direct >>/tmp/polled-cd 2>&1 || echo FAILED >>/tmp/polled-cd
    done
}
poll_start() {
    : >/tmp/polled
    : >/tmp/polled-cd
    touch /tmp/polling
    poll &
    poller=$!
}
poll_end() { # NAME
    rm -f /tmp/polling
    wait $poller
    slowest=$(sort -n /tmp/polled | tail -1)
    echo "    $1: $(grep -c . /tmp/polled) answers, the slowest $slowest; $(grep -c error=none /tmp/polled-cd) reads of the other drive"
    check "$1: each request was answered" test "$(grep -c ' 200 ' /tmp/polled)" = "$(grep -c . /tmp/polled)"
    # shellcheck disable=SC2016 # awk's own $1
    check "$1: in time" awk -v bound=$slowest_ms '$1 * 1000 > bound { print; bad = 1 } END { exit bad }' /tmp/polled
    check "$1: the other drive was read all the while" sh -c 'grep -q error=none /tmp/polled-cd && ! grep -q FAILED /tmp/polled-cd'
}
# hang PAUSE: the host reads, and waits for it.
hang() {
    storage_halt "$@"
    host read usb0 --from 4M --bytes 1M --direct >/tmp/reader &
    reader=$!
    check "the drive says that it stalls, and what will happen" wait_for 20 drive_is usb0 \
        '.stall.waiting_for == "storage" and (.stall.what_happens | test("cut")) and .stall.host_patience_until > .stall.since'
}
insert cd0 cd.iso
before=$(host_count resets) enumerations=$(host enumerations)

# ---- nobody does anything: the watchdog -------------------------------------------------------------------------------

insert usb0 net.img '"store": "net"'
answered "an image on a network block device is in" 200 "done"
check "it can be cut" drive_is usb0 '.capabilities.cut == "nbd"'
same "the host sees it" 8388608 "$(host size usb0)"
curl -sSN --max-time 200 "$TRAYD_URL/api/v1/events" >/tmp/events 2>/dev/null &
listener=$!
poll_start
hang nbd_pause
check "the storage is cut before the host loses patience" wait_for $((patience + 5)) drive_is usb0 '.storage_cut.how == "nbd" and .storage_cut.error == null'
wait $reader
sed 's/^/    the reader: /' /tmp/reader
check "the host got an error" grep -q 'error=E' /tmp/reader
stall=$(sed -n 's/.*longest_stall_ms=\([0-9]*\).*/\1/p' /tmp/reader)
check "before its own 30 s were over" test "$stall" -lt 30000
check "it was told as an event" wait_for 10 grep -q '^event: storage_cut' /tmp/events
kill $listener
same "no reset" "$before" "$(host_count resets)"
same "no enumeration" "$enumerations" "$(host enumerations)"
check "the drive works again" drive_is usb0 '.state == "loaded" and .stall == null and .stuck == null'
eject usb0 mode=forced
answered "and gives its medium back" 200 "done"
holds "saying that its storage was cut" '.storage_cut == true and .durable == false'
check "the store says that it has gone" sh -c "curl -sS '$TRAYD_URL/api/v1/stores/net' | jq -e '.attached == false'"
poll_end "watchdog"
net_down

# ---- an eject by force ----------------------------------------------------------------------------------------------

net_up
insert usb0 net.img '"store": "net", "readonly": true, "accept_stale_host": true'
answered "the storage is set up again, and the image goes in" 200 "done"
wait_for 10 host size usb0 >/dev/null
poll_start
hang nbd_pause
began=$(cut -d . -f 1 /proc/uptime)
eject usb0 mode=forced
answered "a forced eject comes back" 200 "done"
check "in time" test $(($(cut -d . -f 1 /proc/uptime) - began)) -le $patience
holds "by a cut" '.storage_cut == true and .forced == true and ([.steps[].rung] | index("cut") != null)'
wait $reader
check "the host was told" grep -q 'error=E' /tmp/reader
check "the drive is empty, and well" drive_is usb0 '.state == "empty" and .stuck == null and .storage_cut == null'
same "no reset" "$before" "$(host_count resets)"
insert usb0 disk.img '"readonly": true'
answered "it takes the next image" 200 "done"
wait_for 10 host size usb0 >/dev/null
check "which the host reads" host read usb0 --bytes 1M --direct
eject usb0 mode=forced
poll_end "forced"
net_down

# ---- trayd-gadget is killed while it hangs ----------------------------------------------------------------------------

net_up
insert usb0 net.img '"store": "net", "readonly": true'
answered "again" 200 "done"
wait_for 10 host size usb0 >/dev/null
hang nbd_pause
old=$(unit_pid trayd-gadget)
api DELETE '/api/v1/drives/usb0/medium?mode=forced' -H 'Prefer: respond-async'
kill -9 "$old"
restarted() { new=$(unit_pid trayd-gadget) && [ "$new" != "$old" ]; }
wait_for 20 restarted
check "the next process knows what to cut, and does" wait_for $((patience + 10)) drive_is usb0 '.medium == null and .stuck == null'
wait $reader
check "the host was told" grep -q 'error=E' /tmp/reader
same "no reset" "$before" "$(host_count resets)"
eject usb0 mode=forced
net_down

# ---- a mapping --------------------------------------------------------------------------------------------------------

insert usb0 mapped.img '"store": "mapped", "readonly": true'
answered "an image on a mapping is in" 200 "done"
check "which can be cut" drive_is usb0 '.capabilities.cut == "device-mapper"'
wait_for 10 host size usb0 >/dev/null
hang dmsetup suspend --nolockfs --noflush mapped
eject usb0 mode=forced
answered "a forced eject comes back" 200 "done"
holds "by a cut" '.storage_cut == true'
wait $reader
check "the host was told" grep -q 'error=E' /tmp/reader
same "no reset" "$before" "$(host_count resets)"

# ---- a file system in user space ----------------------------------------------------------------------------------------

insert usb0 fuse.img '"store": "fused", "readonly": true'
answered "an image on a FUSE file system is in" 200 "done"
check "which can be cut" drive_is usb0 '.capabilities.cut == "fuse"'
wait_for 10 host size usb0 >/dev/null
hang touch /tmp/fuse-hangs
eject usb0 mode=forced
answered "a forced eject comes back" 200 "done"
holds "by a cut" '.storage_cut == true'
wait $reader
check "the host was told" grep -q 'error=E' /tmp/reader
same "no reset" "$before" "$(host_count resets)"
rm /tmp/fuse-hangs

# ---- the operator's own -------------------------------------------------------------------------------------------------

net_up
insert usb0 net.img '"store": "net", "readonly": true'
answered "the network block device a last time" 200 "done"
wait_for 10 host size usb0 >/dev/null
hang nbd_pause
api POST /api/v1/drives/usb0/break-io --json '{"then": "eject"}'
same "break-io" 200 "$status"
holds "cuts it" '.found == "storage" and .did == "cut"'
check "and the drive is empty" wait_for 20 drive_is usb0 '.state == "empty"'
wait $reader
same "no reset" "$before" "$(host_count resets)"
net_down

# ---- the same where it is not ours: this is what all of the above prevents -----------------------------------------------

net_up
unit_stop trayd-gadget
sed -i 's/cut = "nbd"/cut = "never"/' /etc/trayd/trayd.conf
unit_start trayd-gadget
wait_for 20 get /readyz >/dev/null
insert usb0 net.img '"store": "net", "readonly": true'
answered "not ours: the image is in" 200 "done"
wait_for 10 host size usb0 >/dev/null
storage_halt nbd_pause
host read usb0 --from 4M --bytes 1M --direct >/tmp/reader &
check "it is told whom the host will reset" wait_for 20 drive_is usb0 \
    '.stall.waiting_for == "storage" and (.stall.what_happens | test("The host resets the whole device: cd0, usb0"))'
has_reset() { [ "$(host_count resets)" -gt "$before" ]; }
check "nothing is cut, and the host resets everything" wait_for 60 has_reset
check "which was to be expected" drive_is usb0 '.storage_cut == null and (.stall.what_happens | test("most likely"))'
nbd_resume
check "when the storage is back the drive is well by itself" wait_for 60 drive_is usb0 '.stall == null and .stuck == null'
eject usb0 mode=forced
answered "and gives its medium" 200 "done"
holds "uncut" '.storage_cut == false'
