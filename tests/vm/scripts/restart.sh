# Either process is killed while the host reads: the host notices nothing, and what comes back knows where it is and tells
# the truth about what was under way.
# run: --no-trayd
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

images=/srv/trayd/images
rounds=10
dd if=/dev/urandom of=$images/cd.iso bs=1M count=4 status=none
dd if=/dev/urandom of=$images/disk.img bs=1M count=4 status=none
trayd_start 's/dwell = "3 s"/dwell = "1 s"/' || exit 1
insert cd0 cd.iso
insert usb0 disk.img
answered "both drives are loaded" 200 "done"
host size cd0 >/dev/null
host size usb0 >/dev/null

# kill9 UNIT: and wait until another process has taken its place.
kill9() {
    killed=$(unit_pid "$1")
    kill -9 "$killed"
    wait_for 20 is_another "$1" || fail "$1 was started again"
}
is_another() { another=$(unit_pid "$1") && [ "$another" != "$killed" ]; }
# What must not change: what is in, in which generation, since when and by whom.
as_it_is() { get /api/v1/drives | jq -c '.drives[] | [.name, .state, .generation, .medium, .stale_host, .quarantine_until, .stuck]'; }
is_as_before() { [ "$(as_it_is 2>/dev/null)" = "$before" ]; }
finished() { operation_is "$1" '.state == "done" or .state == "failed" or .state == "cancelled"'; }

# ---- while the host reads ------------------------------------------------------------------------------------------

for name in cd0 usb0; do
    host read $name --loop --ready >/tmp/reader.$name &
    eval "reader_$name=$!"
    wait_for 10 grep -q ready /tmp/reader.$name
done
before=$(as_it_is)
enumerations=$(host enumerations)
for unit in trayd trayd-gadget; do
    round=0 right=0
    while [ $round -lt $rounds ]; do
        round=$((round + 1))
        kill9 $unit
        if wait_for 20 is_as_before; then right=$((right + 1)); else as_it_is; fi
    done
    same "$unit killed $rounds times: the state is right afterwards" $rounds $right
done
# shellcheck disable=SC2154 # set by eval
check "the host still reads from both" kill -0 "$reader_cd0" "$reader_usb0"
kill "$reader_cd0" "$reader_usb0"
wait "$reader_cd0"
same "the CD was read without an error" 0 $?
wait "$reader_usb0"
same "the disk was read without an error" 0 $?
sed 's/^/    the host: /' /tmp/reader.cd0 /tmp/reader.usb0
same "no enumeration, no reset" "$enumerations" "$(host enumerations)"
api GET /api/v1/system
holds "the gadget was adopted" '.gadget.found == "adopted" and .gadget.differences == null'

# ---- in the middle of an eject that waits --------------------------------------------------------------------------

waits() { wait_for 20 drive_is cd0 '.operation.state == "waiting"'; }
host lock cd0
api DELETE '/api/v1/drives/cd0/medium?patience=600' -H 'Prefer: respond-async'
id=$(answer .id)
waits
kill9 trayd
check "trayd killed: the eject waits on" wait_for 20 operation_is "$id" '.state == "waiting"'
kill9 trayd-gadget
check "trayd-gadget killed: it ends" wait_for 20 finished "$id"
api GET "/api/v1/operations/$id"
holds "as what it is: interrupted" '.state == "failed" and .code == "interrupted" and .finished_at != null'
check "and the medium is where it was" drive_is cd0 '.state == "loaded" and .medium.image == "cd.iso" and .operation == null'
api GET "/api/v1/operations?drive=cd0&limit=1"
holds "the history says the same" ".operations[0].id == \"$id\" and .operations[0].state == \"failed\""

curl -sS -o /tmp/answer.a -X DELETE "$TRAYD_URL/api/v1/drives/cd0/medium?patience=600" 2>/dev/null &
client=$!
waits
id=$(drive cd0 .operation.id)
kill9 trayd
wait $client
check "trayd killed, its client cut off: the eject goes on" waits
host unlock cd0
check "and is done when the host lets go" wait_for 20 operation_is "$id" '.state == "done" and .forced == false and .emptied_at != null'
check "the drive is empty" drive_is cd0 '.state == "empty"'

# Between two media.
api PUT /api/v1/drives/cd0/medium --json '{"image": "cd.iso"}'
api PUT /api/v1/drives/cd0/medium --json '{"image": "disk.img", "readonly": true}'
answered "an image that is writable in the other drive" 409 image_in_use
check "leaves the old one in" drive_is cd0 '.medium.image == "cd.iso"'

# ---- in the middle of a forced eject -------------------------------------------------------------------------------

# At whatever moment it strikes: an operation that says "done" was done, and a writable medium that is gone by force
# leaves a stale host.
begun() { grep -q '"operations":\[{' /run/trayd/gadget.state; }
moments=0 truths=0
for delay in 0 0.005 0.01 0.02 0.04 0.1; do
    moments=$((moments + 1))
    insert usb0 disk.img '"reattach": true'
    answered "before moment $delay: loaded" 200 "done"
    host dev usb0 --wait 20 >/dev/null && host size usb0 >/dev/null
    host write usb0 --pattern X --loop --direct --ready >/tmp/writer &
    writer=$!
    wait_for 10 grep -q ready /tmp/writer
    api DELETE '/api/v1/drives/usb0/medium?mode=forced' -H 'Prefer: respond-async' &
    client=$!
    while ! begun && kill -0 $client 2>/dev/null; do :; done
    sleep $delay
    kill9 trayd-gadget
    wait $client
    wait_for 20 drive_is usb0 '.state == "empty" or .state == "loaded"'
    kill $writer 2>/dev/null
    wait $writer 2>/dev/null
    id=$(get "/api/v1/operations?drive=usb0&limit=1" | jq -r '.operations[0] | select(.action == "eject") | .id')
    [ -z "$id" ] || wait_for 20 finished "$id"
    told="$(drive usb0 '[.state, .stale_host] | join(" ")') $([ -z "$id" ] || get "/api/v1/operations/$id" | jq -r '[.state, .code] | join(" ")')"
    echo "    killed after $delay s: $told"
    case $told in
    "empty true done "* | "empty true failed interrupted" | "loaded false failed interrupted" | "loaded false ") truths=$((truths + 1)) ;;
    esac
done
same "killed in a forced eject: the truth each time" $moments $truths
check "cd0 was left alone" drive_is cd0 '.medium.image == "cd.iso"'
