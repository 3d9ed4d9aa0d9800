# Schedules on a real kernel: each sort of "when", a real port reset, clocks that are set, a kill between arming and firing,
# a full disk; and a medium that comes back after a reboot of the appliance.
# run: --no-trayd --timeout 600
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

images=/srv/trayd/images
for name in one two three; do dd if=/dev/urandom of=$images/$name.iso bs=1M count=2 status=none; done
dd if=/dev/zero of=$images/disk.img bs=1M count=2 status=none
trayd_start 's/dwell = "3 s"/dwell = "1 s"/' 's/restore = false/restore = true/' 's/{ name = "usb0"; type = "disk"; }/{ name = "usb0"; type = "disk"; dwell = "1 s"; restore = true; }/' || exit 1

# plan DRIVE ACTION WHEN [MEMBERS]: sets $id
plan() {
    api POST /api/v1/schedules --json "{\"drive\": \"$1\", \"action\": \"$2\", \"when\": $3${4:+, $4}}"
    id=$(answer .id)
}
schedule_is() { resource_is "/api/v1/schedules/$1" "$2"; }
show() { get "/api/v1/schedules/$1" | jq -c '[.state, .resets_seen, .waits_for, .code, .detail]'; }
has() { drive_is "$1" ".medium.image == \"$2\""; }
empty() { drive_is "$1" '.medium == null and .operation == null'; }
fired() { schedule_is "$1" '.state == "fired" and .operation != null'; }
armed() { schedule_is "$1" '.state == "armed"'; }
uptime_s() { cut -d . -f 1 /proc/uptime; }
in_time() { date -u -D %s -d $(($(date +%s) + $1)) +%Y-%m-%dT%H:%M:%SZ; }
clock_by() { date -u -s "@$(($(date +%s) + $1))" >/dev/null; }
killed_and_back() {
    killed=$(unit_pid trayd-gadget)
    kill -9 "$killed"
    wait_for 20 is_another && wait_for 30 get /api/v1/schedules >/dev/null
}
is_another() { another=$(unit_pid trayd-gadget) && [ "$another" != "$killed" ]; }
load() {
    insert "$1" "$2"
    answered "$1: $2 is in" 200 "done"
    wait_for 20 host size "$1" >/dev/null
}

# ---- after, at, and the clock --------------------------------------------------------------------------------------

load cd0 one.iso
begun=$(uptime_s)
plan cd0 eject '{"after": 3}'
answered "after: armed" 201 armed
check "after: the drive is emptied" wait_for 30 empty cd0
check "after: not too early" test $(($(uptime_s) - begun)) -ge 3
check "after: it has fired" wait_for 10 fired "$id"
operation=$(get "/api/v1/schedules/$id" | jq -r .operation)
check "after: as an operation of its own name" operation_is "$operation" ".by == \"schedule:$id\" and .state == \"done\""

plan cd0 insert "{\"at\": \"$(in_time 3)\"}" '"image": "one.iso"'
answered "at: armed" 201 armed
check "at: the image is put in" wait_for 30 has cd0 one.iso

plan cd0 eject "{\"at\": \"$(in_time 3600)\"}" '"missed": "run"'
clock_by -86400
plan usb0 insert '{"after": 4}' '"image": "disk.img"'
after=$id
clock_by 7200
check "the clock is set back and forth: after does not care" wait_for 30 has usb0 disk.img
check "... and has fired" wait_for 10 fired "$after"
check "... and at waits for that time again" has cd0 one.iso
clock_by 86400
check "the clock is set over its time: run runs" wait_for 30 empty cd0
plan cd0 insert "{\"at\": \"$(in_time 3600)\"}" '"image": "one.iso"'
clock_by 7200
check "the clock is set over its time: skip is missed" wait_for 30 schedule_is "$id" '.state == "missed" and .operation == null'
check "... and nothing is put in" empty cd0
clock_by -10800

# ---- quiet ---------------------------------------------------------------------------------------------------------

load cd0 one.iso
host read cd0 --loop --ready >/tmp/reader &
reader=$!
wait_for 20 grep -q ready /tmp/reader
plan cd0 eject '{"quiet_for": 3}' '"patience": 30'
sleep 6 # twice as long as it asks for
check "a host that reads is not quiet" armed "$id"
kill $reader
wait $reader
check "the host stopped: quiet is seen" wait_for 60 empty cd0
check "... by the schedule" fired "$id"
show "$id"

# ---- the next disc of a set ----------------------------------------------------------------------------------------

load cd0 one.iso
plan cd0 insert '{"host_ejected": true}' '"image": "two.iso"'
second=$id
plan cd0 insert '{"host_ejected": true}' '"image": "three.iso"'
check "the host ejects the first disc" host eject cd0
check "the second one goes in" wait_for 30 has cd0 two.iso
check "... and the third one waits" armed "$id"
wait_for 20 fired "$second"
wait_for 30 host size cd0 >/dev/null
check "the host ejects the second disc" host eject cd0
check "the third one goes in" wait_for 30 has cd0 three.iso

# ---- boot once -----------------------------------------------------------------------------------------------------

wait_for 30 host size cd0 >/dev/null
resets=$(host enumerations)
plan cd0 eject '{"host_resets": 2}'
api POST /api/v1/gadget/reattach --json '{"allow_collateral": true}'
same "a reattach of ours" 200 "$status"
wait_for_host
check "... is no reset by the host" schedule_is "$id" '.resets_seen == 0'
wait_for 30 host size cd0 >/dev/null
host udc "$(ls /sys/class/udc)" >/tmp/udc &
watcher=$!
wait_for 10 grep -q configured /tmp/udc
check "the host resets the port" host reset cd0
check "... for which the controller's state leaves configured" wait_for 10 grep -q default /tmp/udc
kill $watcher
check "... which is seen" wait_for 20 schedule_is "$id" '.resets_seen == 1'
check "... once, and the medium stays" has cd0 three.iso
killed_and_back
check "trayd-gadget was killed: it knows still" schedule_is "$id" '.state == "armed" and .resets_seen == 1'
host size cd0 >/dev/null
check "the host resets the port again" host reset cd0
check "... and the drive is emptied" wait_for 30 empty cd0
check "... by the schedule" wait_for 10 schedule_is "$id" '.state == "fired" and .resets_seen == 2'
echo "    before: $resets"
echo "    after:  $(host enumerations)"

# ---- killed --------------------------------------------------------------------------------------------------------

load cd0 one.iso
begun=$(uptime_s)
plan cd0 eject '{"after": 6}'
killed_and_back
armed_or_due() { armed "$id" || [ $(($(uptime_s) - begun)) -ge 6 ]; } # coming back takes a while on a busy machine
check "killed while it was armed: it is armed still" armed_or_due
check "... and fires in time" wait_for 30 empty cd0
check "... once" wait_for 10 fired "$id"

# At whatever moment it strikes around the firing: at most one operation, and the schedule does not claim what was not.
moments=0 truths=0
for delay in 1.90 1.96 2.00 2.03 2.06 2.10 2.20; do
    moments=$((moments + 1))
    has cd0 one.iso || load cd0 one.iso
    plan cd0 eject '{"after": 2}' '"missed": "run"'
    sleep $delay
    killed_and_back
    wait_for 30 schedule_is "$id" '.state != "armed" and .state != "firing"'
    wait_for 30 drive_is cd0 '.operation == null'
    count=$(get "/api/v1/operations?limit=20" | jq "[.operations[] | select(.by == \"schedule:$id\")] | length")
    told="$(get "/api/v1/schedules/$id" | jq -r '[.state, .code // "-"] | join(" ")') $(drive cd0 .state) $count"
    echo "    killed after $delay s: $told"
    case $told in
    "fired - empty 1" | "failed interrupted loaded 0" | "failed interrupted loaded 1" | "failed interrupted empty 1") truths=$((truths + 1)) ;;
    esac
done
same "killed around its firing: at most once, and the truth each time" $moments $truths

# ---- a disk that is full -------------------------------------------------------------------------------------------

plan usb0 eject '{"after": 3600}'
kept=$id
unit_stop trayd-gadget
cp /var/lib/trayd-gadget/kept.json /tmp/kept.json
mount -t tmpfs -o size=64k tmpfs /var/lib/trayd-gadget
cp /tmp/kept.json /var/lib/trayd-gadget/
dd if=/dev/zero of=/var/lib/trayd-gadget/fill bs=4k count=100 2>/dev/null
unit_start trayd-gadget
wait_for 30 get /api/v1/schedules >/dev/null
plan usb0 eject '{"after": 7200}'
answered "a full disk: refused" 507 no_space
check "... and what was there stays" armed "$kept"
check "... on the disk as well" cmp /tmp/kept.json /var/lib/trayd-gadget/kept.json
check "... and the system says so" sh -c "curl -sS '$TRAYD_URL/api/v1/system' | jq -e '.gadget.state_trouble | contains(\"No space\")'"
rm /var/lib/trayd-gadget/fill
plan usb0 eject '{"after": 7200}'
answered "room again: accepted" 201 armed
api DELETE "/api/v1/schedules/$id"
api DELETE "/api/v1/schedules/$kept"
answered "cancelled" 200 cancelled

# ---- a reboot of the appliance -------------------------------------------------------------------------------------

# What is another boot for trayd-gadget: another boot id, no gadget, nothing in /run.
reboot_appliance() {
    unit_stop trayd-gadget
    trayd-gadget --take-down
    rm -f /run/trayd/gadget.state
    sed 's/^........-/deadbeef-/' /proc/sys/kernel/random/boot_id >/tmp/boot_id
    mount --bind /tmp/boot_id /proc/sys/kernel/random/boot_id
    unit_start trayd-gadget
    wait_for 30 get /readyz >/dev/null
    wait_for_host
}
load cd0 one.iso
eject usb0
insert usb0 disk.img '"readonly": true'
answered "usb0: read-only" 200 "done"
plan cd0 eject "{\"after\": 3600}"
later=$id
noted() { jq -e "$1" /var/lib/trayd-gadget/kept.json >/dev/null; }
check "what is in is noted" wait_for 10 noted '.media.cd0.image == "one.iso" and .media.usb0.image == "disk.img"'
unit_stop trayd-gadget
unit_start trayd-gadget
wait_for 30 get /readyz >/dev/null
check "a restart puts nothing in" sh -c "curl -sS '$TRAYD_URL/api/v1/operations?limit=10' | jq -e 'all(.operations[]; .by != \"restore\")'"
mv $images /srv/trayd/away
reboot_appliance
check "after a reboot the drives are empty, as their store is not there" empty cd0
mv /srv/trayd/away $images
check "the store came: the CD is back" wait_for 60 has cd0 one.iso
check "... and the disk" wait_for 60 has usb0 disk.img
check "... read-only as it was" drive_is usb0 '.medium.readonly == true and .medium.inserted_by == "restore"'
check "... by an ordinary operation" sh -c "curl -sS '$TRAYD_URL/api/v1/operations?drive=cd0&limit=1' | jq -e '.operations[0] | .by == \"restore\" and .state == \"done\"'"
same "the host sees it" 2097152 "$(wait_for 30 host size cd0)"
check "the schedule is armed still" schedule_is "$later" '.state == "armed" and .next_at != null'
umount /proc/sys/kernel/random/boot_id
