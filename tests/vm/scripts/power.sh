# The power goes while images come, on real file systems: from a moment on the device forgets each write. What was
# acknowledged before is there afterwards and right, whichever way it came; what was not is there whole or not at all.
# run: --no-trayd --memory 1024 --timeout 600
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source=../guest/stores.sh
. /lib/stores.sh
set -u

images=/api/v1/images mib=1048576
command -v dmsetup >/dev/null || { skip "power: dmsetup is not installed"; exit 0; }
# What nobody syncs stays in memory, as it would on a computer with much of it: the last check needs that.
echo 0 >/proc/sys/vm/dirty_writeback_centisecs
for kind in ext4 vfat exfat xfs; do
    size=24
    [ $kind != xfs ] || size=300 # mkfs.xfs makes none that is smaller
    store_make $kind $kind $size || skip "power, $kind: this guest cannot make one"
done
mount -o remount,commit=600 /srv/ext4
trayd_start "$(stores_entries)" 's/loopback = false/loopback = true/' || exit 1

dd if=/dev/urandom of=/tmp/a bs=$mib count=2 status=none
gzip -1 </tmp/a >/tmp/packed.img.gz
head -c $mib /tmp/a >/tmp/first
tail -c $mib /tmp/a >/tmp/second
sum=$(sum_of /tmp/a)
api PUT $images/source.img -T /tmp/a
same "an image on another store" 201 "$status"

tus() { # METHOD PATH CURL-OPTION...
    tus_method=$1 tus_path=$2
    shift 2
    api "$tus_method" "$tus_path" -H 'Tus-Resumable: 1.0.0' -D /tmp/headers "$@"
}
tus_piece() { tus PATCH "$upload" -H "Upload-Offset: $1" -H 'Content-Type: application/offset+octet-stream' -T "$2"; }
header() { tr -d '\r' </tmp/headers | sed -n "s/^$1: //p"; }

comes() {
    # First, so that all that it needs is its own.
    tus POST /api/v1/uploads -H "Upload-Length: $((2 * mib))" \
        -H "Upload-Metadata: filename dHVzLmltZw==,store $(printf %s "$1" | base64)"
    upload=$(header Location)
    echo "$upload" >"/tmp/upload.$1"
    tus_piece 0 /tmp/first
    same "$1: the first half of one in pieces" 204 "$status"
    api PUT "$images/put.img?store=$1" -T /tmp/a
    same "$1: one comes by PUT" 201 "$status"
    api PUT "$images/chunked.img?store=$1" -T - </tmp/a
    same "$1: one without a length" 201 "$status"
    api PUT "$images/packed.img.gz?store=$1" -T /tmp/packed.img.gz
    same "$1: one that is unpacked" 201 "$status"
    api POST $images --json "{\"from\": \"url\", \"url\": \"$TRAYD_URL$images/source.img/content\", \"name\": \"url.img\", \"store\": \"$1\"}"
    [ "$status" != 202 ] || wait_for 60 sh -c "curl -sS $TRAYD_URL/api/v1/transfers | jq -e '.transfers[0].state == \"done\"' >/dev/null"
    check "$1: one from a URL" expr "$status" : '20[12]'
    api PUT "$images/old-name.img?store=$1" -T /tmp/a
    api PATCH "$images/old-name.img?store=$1" --json '{"name": "new-name.img"}'
    same "$1: one gets a new name" 200 "$status"
}

# is_whole STORE IMAGE: it is there, and right
is_whole() {
    api GET "$images/$2?store=$1"
    holds "$1: $2 is there" '.complete == true and .size == 2097152'
    same "$1: $2 is right" "$sum" "$(sum_in "$1" "$2")"
}
# is_whole_or_absent STORE IMAGE
is_whole_or_absent() {
    [ ! -e "/srv/$1/$2" ] || same "$1: $2 is right" "$sum" "$(sum_in "$1" "$2")"
}

returns() {
    for image in put.img chunked.img packed.img url.img; do is_whole "$1" $image; done
    if [ -e "/srv/$1/new-name.img" ]; then is_whole "$1" new-name.img; else is_whole "$1" old-name.img; fi
    is_whole_or_absent "$1" after.img
    check "$1: what nobody synced is lost" test "$(sum_in "$1" careless.img 2>/dev/null)" != "$sum"
    upload=$(cat "/tmp/upload.$1")
    tus HEAD "$upload" -I
    same "$1: the one in pieces stands where it was acknowledged" $mib "$(header Upload-Offset)"
    tus_piece $mib /tmp/second
    same "$1: it is continued" 204 "$status"
    is_whole "$1" tus.img
    tus DELETE "$upload"
    api PUT "$images/next.img?store=$1" -T /tmp/a
    same "$1: the next one comes" 201 "$status"
    same "$1: nothing else is left" "" "$(leftovers "$1")"
}

for store in $stores_made; do comes "$store"; done
# As somebody would do it who knows no fsync.
for store in $stores_made; do
    cp /tmp/a "/srv/$store/.careless"
    mv "/srv/$store/.careless" "/srv/$store/careless.img"
    device "$store" lies
done
for store in $stores_made; do
    api PUT "$images/after.img?store=$store" -T /tmp/a
    echo "    $store: one that comes when the power has gone: $status"
done
rm -f /run/units/trayd.wanted
kill -9 "$(unit_pid trayd)"
wait_for 20 unit_is_gone trayd
for store in $stores_made; do
    check "$store: the power is back" store_unmount "$store"
    device "$store" works
done
echo 3 >/proc/sys/vm/drop_caches
for store in $stores_made; do check "$store: and is mounted" store_mount "$store"; done
unit_start trayd
wait_for 60 curl -sf -o /dev/null "$TRAYD_URL/readyz"
for store in $stores_made; do returns "$store"; done
same "no file system found itself in disorder" 0 "$(dmesg | grep -cE '(FAT|EXT4|XFS).*error')"
dmesg | grep -E '(FAT|EXT4|XFS).*error' | head -n 5
echo "    $(cut -d ' ' -f 1 /proc/uptime) s"
