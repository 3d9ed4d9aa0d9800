# The eject button: it is refused with evidence while the host uses the medium, goes through when the host lets go within
# patience, and is turned into the pinhole only by those who may.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

images=/srv/trayd/images
sed -i 's/release_quiet = "30 s"/release_quiet = "3 s"/' /etc/trayd/trayd.conf
unit_stop trayd-gadget
unit_start trayd-gadget

dd if=/dev/urandom of=$images/cd.iso bs=1M count=4 status=none
dd if=/dev/urandom of=$images/next.iso bs=1M count=4 status=none
truncate -s 16M $images/disk.img
mkfs.fat $images/disk.img >/dev/null 2>&1
wait_for_host || exit 1
disk=$(host dev usb0)

# later NAME METHOD PATH [CURL-OPTION]...: a request in the background; `finish NAME` waits for it and takes its answer.
# shellcheck disable=SC2030,SC2031 # the subshell's own answer_file is meant
later() {
    later_name=$1
    shift
    (
        answer_file=/tmp/answer.$later_name
        api "$@"
        echo "$status" >"/tmp/status.$later_name"
    ) &
    eval "later_$later_name=$!"
}
# shellcheck disable=SC2031
finish() {
    eval "wait \$later_$1"
    status=$(cat "/tmp/status.$1")
    mv "/tmp/answer.$1" "$answer_file"
}
head_of() { drive "$1" .operation.id; }

# ---- mounted writable ----------------------------------------------------------------------------------------------

insert usb0 disk.img
answered "a disk is in" 200 "done"
mount -t vfat "$disk" /mnt
echo one >/mnt/one
sync
eject usb0 patience=4
answered "mounted: refused" 423 medium_in_use
holds "with the host's lock as evidence" '.evidence.lock == "locked" and .evidence.lock_seen_at != null'
holds "and what it wrote, and when" '.evidence.bytes_written > 0 and .evidence.last_write_at != null'
holds "with a remedy" '.remedy | test("[Uu]nmount")'
same "the operation is on record" failed "$(curl -sS "$TRAYD_URL/api/v1/operations/$(answer .operation)" | jq -r .state)"
check "the medium stays" drive_is usb0 '.medium.image == "disk.img" and .state == "loaded"'
check "and is usable" sh -c 'echo two >/mnt/two && sync'

later a DELETE '/api/v1/drives/usb0/medium?patience=60'
check "a second try waits for the host" wait_for 20 drive_is usb0 '.state == "ejecting" and .operation.waits_for == "the host to release the medium"'
umount /mnt
finish a
answered "and goes through when the host unmounts" 200 "done"
holds "durable, without force" '.durable == true and .forced == false and .stale_host == false'
check "the image is sound" fsck.fat -n $images/disk.img
mount -t vfat -o loop,ro $images/disk.img /mnt
same "and has all of it" "one two " "$(cat /mnt/one /mnt/two | tr '\n' ' ')"
umount /mnt

# ---- written to without a lock -------------------------------------------------------------------------------------

# A host that does not lock (as Windows does not lock sticks): only its silence says that it has finished.
insert usb0 disk.img
host size usb0 >/dev/null
host write usb0 --pattern QUIET --loop --direct --ready >/tmp/writer &
writer=$!
wait_for 10 grep -q ready /tmp/writer
check "the host writes unlocked" host unlock usb0
eject usb0 patience=3
answered "while it writes: refused" 423 medium_in_use
holds "with the evidence" '.evidence.last_write_at != null and .evidence.bytes_written > 0'
check "and never asked for" sh -c "curl -sS '$TRAYD_URL/api/v1/operations/$(answer .operation)' | jq -e '[.steps[].rung] | index(\"ask\") == null'"
check "the host unlocks again" host unlock usb0
later a DELETE '/api/v1/drives/usb0/medium?patience=60'
check "the next try waits for quiet" wait_for 20 drive_is usb0 '.operation.waits_for == "the host to stop writing"'
kill -STOP $writer
finish a
answered "and goes through when it is quiet" 200 "done"
holds "without a race" '.raced_with_write == false and .stale_host == false and .forced == false'
kill -CONT $writer
kill $writer
wait $writer 2>/dev/null

# ---- a CD that the host keeps locked -------------------------------------------------------------------------------

cd_locked() {
    insert cd0 cd.iso
    answered "a CD is in" 200 "done"
    host size cd0 >/dev/null
    check "the host locks it, as systemd does with each" host lock cd0
    host read cd0 --bytes 64K >/dev/null
}
cd_locked
eject cd0 patience=5
answered "refused under respect" 423 medium_in_use
holds "with the lock as evidence" '.evidence.lock == "locked"'
check "the medium stays" drive_is cd0 '.medium.image == "cd.iso"'
eject cd0 'patience=4&lock_policy=release_when_quiet'
answered "released when the host was quiet" 200 "done"
holds "which is said" '.lock_overridden == true and .forced == true and .evidence.lock == "locked"'
holds "a CD leaves no stale host" '.stale_host == false'
check "the host has no medium" sh -c "! host size cd0"
host unlock cd0

cd_locked
host read cd0 --loop --direct --ready >/tmp/reader &
reader=$!
wait_for 10 grep -q ready /tmp/reader
eject cd0 'patience=5&lock_policy=release_when_quiet'
answered "not while the host reads" 423 medium_in_use
kill $reader
wait $reader 2>/dev/null

# ---- an operation that waits ---------------------------------------------------------------------------------------

waits() { wait_for 20 drive_is cd0 '.operation.state == "waiting"'; }
api DELETE '/api/v1/drives/cd0/medium?patience=600' -H 'Prefer: respond-async'
same "Prefer: respond-async is answered at once" 202 "$status"
waiting=$(answer .id)
waits
api DELETE '/api/v1/drives/cd0/medium?patience=600' -H 'Prefer: wait=1'
same "wait=1 soon" 202 "$status"
same "the same again joins the one that waits" "$waiting" "$(answer .id)"
api DELETE "/api/v1/operations/$waiting"
answered "it can be cancelled" 200 cancelled
check "the medium stays" drive_is cd0 '.medium.image == "cd.iso" and .operation == null'
api DELETE "/api/v1/operations/$waiting"
answered "twice, too" 200 cancelled
api POST "/api/v1/operations/$waiting/force"
answered "but not be forced any more" 409 too_late

later a DELETE '/api/v1/drives/cd0/medium?patience=600'
waits
later b PUT /api/v1/drives/cd0/medium --json '{"image": "next.iso"}'
check "an eject waits, an insert behind it" wait_for 20 drive_is cd0 '.operation.action == "eject" and (.queue | length) == 1'
api DELETE "/api/v1/operations/$(head_of cd0)"
answered "the eject is cancelled" 200 cancelled
finish a
answered "its client is told" 409 cancelled
check "the insert goes on by itself" waits
api POST "/api/v1/operations/$(head_of cd0)/force"
answered "and is forced" 200 "done"
holds "which is said" '.forced == true and .lock_overridden == true and .image == "next.iso"'
finish b
answered "its client is told, too" 200 "done"

host size cd0 >/dev/null
host lock cd0
eject cd0 'patience=2&on_timeout=force'
answered "on_timeout=force" 200 "done"
holds "forces when patience has ended" '.forced == true and .lock_overridden == true and [.steps[].rung] == ["ask", "force"]'
host unlock cd0

cd_locked
later a DELETE '/api/v1/drives/cd0/medium?patience=15'
waits
later b PUT /api/v1/drives/cd0/medium --json '{"image": "next.iso"}'
finish a
answered "an eject whose patience ends" 423 medium_in_use
finish b
answered "fails what was queued behind it" 409 earlier_operation_failed
check "the medium stays" drive_is cd0 '.medium.image == "cd.iso" and .operation == null and .queue == []'

# ---- without forced_eject ------------------------------------------------------------------------------------------

sed -i 's/forced_eject = "auto"/forced_eject = "off"/' /etc/trayd/trayd.conf
unit_stop trayd-gadget
unit_start trayd-gadget
check "a gadget without forced_eject says so" wait_for 20 drive_is cd0 '.capabilities.forced_eject == false and .host.link == "configured"'
eject cd0 'patience=1&on_timeout=force'
answered "and has another way when patience ends (ladder.sh has them all)" 200 "done"
holds "which overrides the lock" '.forced == true and .lock_overridden == true'
insert cd0 next.iso
eject cd0
answered "an orderly eject works as ever" 200 "done"
