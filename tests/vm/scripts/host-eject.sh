# The host ejects by itself: the API and the event stream say so at once.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

images=/srv/trayd/images
dd if=/dev/urandom of=$images/cd.iso bs=1M count=2 status=none
dd if=/dev/urandom of=$images/disk.img bs=1M count=2 status=none
wait_for_host || exit 1

curl -sSN "$TRAYD_URL/api/v1/events" >/tmp/events &
stream=$!
# said EVENT FILTER [FILE]: the stream has had such an event since the last call of hush.
hush() { heard=$(wc -l </tmp/events); }
said() { tail -n +$((heard + 1)) "${3:-/tmp/events}" | sed -n "/^event: $1\$/,/^\$/s/^data: //p" | jq -es "any($2)" >/dev/null; }
heard=0
check "the stream begins with how things are" wait_for 10 said drive '.name == "cd0" and .state == "empty"'

for name in cd0:cd.iso usb0:disk.img; do
    image=${name#*:} name=${name%:*}
    hush
    insert "$name" "$image"
    answered "$name: loaded" 200 "done"
    check "$name: the stream says so" wait_for 10 said drive ".name == \"$name\" and .state == \"loaded\" and .medium.image == \"$image\""
    check "$name: and tells the operation" wait_for 10 said operation ".drive == \"$name\" and .action == \"insert\" and .state == \"done\""
    host size "$name" >/dev/null
    operations=$(curl -sS "$TRAYD_URL/api/v1/operations" | jq '.operations | length')
    generation=$(drive "$name" .generation)
    hush
    check "$name: the host ejects" host eject "$name"
    check "$name: the API shows it" wait_for 10 drive_is "$name" '.state == "empty" and .medium == null'
    check "$name: the stream says that the host did it" wait_for 10 said host_ejected ".drive == \"$name\" and .image == \"$image\" and .store == \"main\""
    check "$name: and shows the empty drive" wait_for 10 said drive ".name == \"$name\" and .state == \"empty\""
    check "$name: it is a new generation" test "$(drive "$name" .generation)" -gt "$generation"
    same "$name: and no operation of ours" "$operations" "$(curl -sS "$TRAYD_URL/api/v1/operations" | jq '.operations | length')"
    check "$name: nothing is wrong with it" drive_is "$name" '.stale_host == false and .quarantine_until == null and .stuck == null'
    check "$name: the image is free" sh -c "curl -sS '$TRAYD_URL/api/v1/images/$image' | jq -e '.drives == []'"
done

# Who was away asks for what was missed.
kill $stream
first=$(sed -n '/^id: /{s/^id: //p;q}' /tmp/events)
check "events have ids" test -n "$first"
curl -sSN -H "Last-Event-ID: $first" "$TRAYD_URL/api/v1/events" >/tmp/events.again &
stream=$!
heard=0
check "Last-Event-ID brings what was missed" wait_for 10 said host_ejected '.drive == "usb0"' /tmp/events.again
kill $stream

insert usb0 disk.img
answered "the drive takes an image again" 200 "done"
same "which the host sees" 2097152 "$(wait_for 10 host size usb0)"

# An eject that waits for the host ends when the host ejects instead of unlocking.
host lock usb0
(api DELETE '/api/v1/drives/usb0/medium?patience=60' && echo "$status" >/tmp/status) &
waiting=$!
check "an eject waits for the lock" wait_for 20 drive_is usb0 '.operation.state == "waiting"'
host eject usb0
wait $waiting
status=$(cat /tmp/status)
answered "the host's own eject fulfils it" 200 "done"
holds "without force" '.forced == false and .stale_host == false'
