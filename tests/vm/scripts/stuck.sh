# Storage that hangs under an image: that drive becomes stuck and says why, everything else keeps answering, also after
# kill -9; and it recovers by itself when the storage is back.
# run: --no-trayd
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source-path=SCRIPTDIR source=../guest/nbd.sh
. /lib/nbd.sh
set -u

if ! nbd_is_there; then
    skip "storage that hangs: nbdkit and nbd-client are not installed"
    exit 0
fi
images=/srv/trayd/images
bound=10 # s; a liveness bound for every answer

# A store of its own, on a network block device whose server can be paused.
nbd_up 24
mkfs.ext4 -q /dev/nbd0
mkdir /srv/slow
mount -t ext4 /dev/nbd0 /srv/slow
dd if=/dev/urandom of=/srv/slow/slow.img bs=1M count=8 status=none
dd if=/dev/urandom of=$images/cd.iso bs=1M count=2 status=none
dd if=/dev/urandom of=$images/disk.img bs=1M count=2 status=none
chown -R trayd:trayd /srv/slow
sync
trayd_start 's/stuck_after = "10 s"/stuck_after = "2 s"/' 's/{ name = "usb0"; type = "disk"; }/{ name = "usb0"; type = "disk"; stuck_after = "2 s"; }/' \
    's,{ name = "main".*},&\, { name = "slow"; path = "/srv/slow"; },' || exit 1

within() { # NAME METHOD PATH [CURL-OPTION]...: answers in time
    within_name=$1
    shift
    within_start=$(cut -d . -f 1 /proc/uptime)
    api "$@"
    within_took=$(($(cut -d . -f 1 /proc/uptime) - within_start))
    check "$within_name: an answer within $bound s" test "$status" != 000 -a $within_took -le $bound
}

insert usb0 slow.img '"store": "slow"'
answered "an image of that store goes into a drive" 200 "done"
same "the host sees it" 8388608 "$(host size usb0)"
host write usb0 --pattern ONE --bytes 1M --direct --sync >/dev/null
storage_halt nbd_pause
host read usb0 --from 4M --bytes 1M --direct >/tmp/reader &
reader=$!
check "the evidence: it waits for the storage" wait_for 20 drive_is usb0 '.evidence.waiting_for == "storage"'

within "a forced eject of what hangs" DELETE '/api/v1/drives/usb0/medium?mode=forced'
answered "says so" 503 drive_stuck
holds "with the reason" '.detail | test("storage")'
check "the drive is stuck" drive_is usb0 '.state == "stuck" and (.stuck | test("storage"))'
within "another request" DELETE /api/v1/drives/usb0/medium
answered "is refused at once" 503 drive_stuck
within "an insert" PUT /api/v1/drives/usb0/medium --json '{"image": "disk.img"}'
answered "too" 503 drive_stuck
within "a reattach, which would hang as well" POST /api/v1/gadget/reattach --json '{}'
answered "too" 503 drive_stuck

others_answer() {
    for path in /drives /drives/usb0 /system /operations /images /stores /images/cd.iso; do
        within "$1 $path" GET "/api/v1$path"
        same "$1 $path: well" 200 "$status"
    done
    within "$1 an image is inserted in the other drive" PUT /api/v1/drives/cd0/medium --json '{"image": "cd.iso"}'
    answered "$1 which works" 200 "done"
    within "$1 and ejected" DELETE '/api/v1/drives/cd0/medium?mode=forced'
    answered "$1 by force" 200 "done"
    within "$1 the store that hangs" GET /api/v1/stores/slow
    within "$1 its images" GET '/api/v1/images?store=slow'
    within "$1 the image" GET '/api/v1/images/slow.img?store=slow'
    within "$1 another insert of it" PUT /api/v1/drives/cd0/medium --json '{"image": "slow.img", "store": "slow"}'
    status=$(curl -sS --max-time $bound -o "$answer_file" -w '%{http_code}' -T $images/cd.iso "$TRAYD_URL/api/v1/images/upload-${1%:}.iso")
    same "$1 an upload works" 201 "$status"
    within "$1 and its deletion" DELETE "/api/v1/images/upload-${1%:}.iso"
    same "$1 too" 204 "$status"
}
others_answer "hung:"

old=$(unit_pid trayd-gadget)
kill -9 "$old"
restarted() { new=$(unit_pid trayd-gadget) && [ "$new" != "$old" ]; }
wait_for 20 restarted
check "trayd-gadget killed: the drive is stuck still" wait_for 20 drive_is usb0 '.state == "stuck"'
others_answer "killed:"
old=$(unit_pid trayd-gadget)
kill -9 "$old"
wait_for 20 restarted
check "killed again: still" wait_for 20 drive_is usb0 '.state == "stuck"'

# What the host makes of it is another matter: after 30 s without an answer it resets the whole device, which cannot end
# either; 5 s later it drops the device, and with it all that it wanted of any drive. Quarantines count on that (profile.h).
# Another 5 s later it has tried to configure it once more.
gave_up() { dmesg | grep -q "can't set config"; }
dropped() { ! { host dev usb0 || host dev cd0; } >/dev/null 2>&1; }
check "the host has dropped the device" wait_for 90 dropped
wait_for 30 grep -q error= /tmp/reader
check "with what it had not got" grep -E 'error=(ENODEV|EIO)' /tmp/reader
check "and has tried once more" wait_for 30 gave_up
check "which is told" wait_for 30 drive_is usb0 '.host.dropped'
nbd_resume
check "the storage is back: the drive recovers by itself" wait_for 30 drive_is usb0 '.stuck == null and .state == "empty"'
check "the host does not" drive_is usb0 '.host.dropped and .host.link == "configured"'
check "a writable medium went by force: the host is stale, also two daemons later" drive_is usb0 '.stale_host == true'
wait $reader
insert usb0 disk.img '"reattach": true'
answered "it takes an image again" 200 "done"
host dev usb0 --wait 20 >/dev/null
check "the host is there again" drive_is usb0 '.host.dropped == false'
same "that the host reads" "$(sha256sum <$images/disk.img)" "$(sha256sum <"$(host dev usb0)")"
check "both services answer" curl -sf -o /dev/null "$TRAYD_URL/readyz"

# A host that polls its drives has not dropped them, here told of what an earlier trayd-gadget was in doubt about.
unit_stop trayd-gadget
jq '.host_dropped = true' /run/trayd/gadget.state >/tmp/gadget.state
cp /tmp/gadget.state /run/trayd/gadget.state
retracted() { grep -c "no longer taken to have dropped" /var/log/trayd-gadget.log; }
before=$(retracted)
unit_start trayd-gadget
is_retracted() { [ "$(retracted)" -gt "$before" ]; }
check "a host that polls has not dropped the device" wait_for 30 is_retracted
check "which is told" drive_is usb0 '.host.dropped == false'
