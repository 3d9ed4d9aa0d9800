# Devices that fail while images come: an error is told, in time; nothing is called complete that is not on the disk, byte
# for byte; when the device works again, what was acknowledged is there and the next image comes.
# run: --no-trayd --memory 1024 --timeout 600
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source=../guest/stores.sh
. /lib/stores.sh
set -u

images=/api/v1/images mib=1048576 half=524288
command -v dmsetup >/dev/null || { skip "failing devices: dmsetup is not installed"; exit 0; }
for kind in ext4 vfat xfs; do
    size=24
    [ $kind != xfs ] || size=300 # mkfs.xfs makes none that is smaller
    store_make $kind $kind $size || skip "a failing $kind: this guest cannot make one"
done
trayd_start "$(stores_entries)" || exit 1

dd if=/dev/urandom of=/tmp/a bs=$mib count=1 status=none
head -c $half /tmp/a >/tmp/first
tail -c $half /tmp/a >/tmp/second
sum=$(sum_of /tmp/a)

tus() { # METHOD PATH CURL-OPTION...
    tus_method=$1 tus_path=$2
    shift 2
    api "$tus_method" "$tus_path" -H 'Tus-Resumable: 1.0.0' -D /tmp/headers "$@"
}
tus_piece() { tus PATCH "$upload" -H "Upload-Offset: $1" -H 'Content-Type: application/offset+octet-stream' -T "$2"; }
header() { tr -d '\r' </tmp/headers | sed -n "s/^$1: //p"; }

# The device works again, and is mounted anew: what is only in memory is gone.
recover() {
    device "$1" works
    check "$1: it is unmounted" store_unmount "$1"
    echo 3 >/proc/sys/vm/drop_caches
    check "$1: and mounted again" store_mount "$1"
}
# Every image that is told to be complete is what was sent, on the disk.
all_are_right() {
    api GET "$images?store=$1"
    same "$1: $2: the list" 200 "$status"
    for image in $(answer '.images[] | select(.complete) | .name'); do
        [ "$(sum_in "$1" "$image")" = "$sum" ] || fail "$1: $2: $image is not what was sent"
    done
}
is_there() {
    check "$1: $2: it is told to be complete" complete "$1" "$2"
    same "$1: $2 is right" "$sum" "$(sum_in "$1" "$2")"
}
complete() { curl -sS "$TRAYD_URL$images/$2?store=$1" | jq -e '.complete == true and .size == 1048576' >/dev/null; }
next_comes() {
    api PUT "$images/$2?store=$1" -T /tmp/a
    same "$1: the next one comes" 201 "$status"
    is_there "$1" "$2"
    same "$1: nothing is left" "" "$(leftovers "$1")"
}
received() { curl -sS "$TRAYD_URL$images/$2?store=$1" | jq -e ".complete == false and .received >= $3" >/dev/null; }

# fed STORE IMAGE BYTES STATE: an upload of which BYTES have come when the device comes into that state.
fed() {
    rm -f /tmp/feed
    mkfifo /tmp/feed
    curl -sS --max-time 60 -o $answer_file -w '%{http_code}' -T - "$TRAYD_URL$images/$2?store=$1" </tmp/feed >/tmp/fed 2>/dev/null &
    fed=$!
    exec 5>/tmp/feed
    head -c "$3" /tmp/a >&5
    check "$1: $2 comes" wait_for 20 received "$1" "$2" $(($3 > 65536 ? $3 - 65536 : 0))
    device "$1" "$4"
    tail -c +$(($3 + 1)) /tmp/a >&5 2>/dev/null
    exec 5>&-
    wait $fed
    # A client that goes on sending after an error may see no more than a closed connection.
    case $(cat /tmp/fed) in
    000 | 4?? | 5??) pass "$1: $2: that is told, with $(cat /tmp/fed) $(answer .code 2>/dev/null)" ;;
    *) fail "$1: $2: it was $4, and is told to be there: $(cat /tmp/fed)" ;;
    esac
    check "$1: $2 is not there" sh -c "! curl -sS --max-time 20 '$TRAYD_URL$images/$2?store=$1' | jq -e .complete"
    api GET /api/v1/images?store=main
    same "$1: others are served meanwhile" 200 "$status"
    recover "$1"
    all_are_right "$1" "after $2"
    next_comes "$1" "after-$2"
}

in_pieces() {
    tus POST /api/v1/uploads -H "Upload-Length: $mib" \
        -H "Upload-Metadata: filename dHVzLmltZw==,store $(printf %s "$1" | base64)"
    upload=$(header Location)
    tus_piece 0 /tmp/first
    same "$1: the first of two pieces" 204 "$status"
    device "$1" refuses
    tus_piece $half /tmp/second
    check "$1: the second fails, and that is told" test "$status" -ge 400
    recover "$1"
    tus HEAD "$upload" -I
    same "$1: the upload stands where it was acknowledged" $half "$(header Upload-Offset)"
    tus_piece $half /tmp/second
    same "$1: and goes on" 204 "$status"
    recover "$1"
    is_there "$1" tus.img
    tus DELETE "$upload"
}

# A device that fails now and then, for a moment each: somewhere in the writing, the syncing, the renaming.
toggle() {
    while [ -e /tmp/toggling ]; do
        device "$1" refuses
        sleep 0.01
        device "$1" works
        sleep "0.$2"
    done
}
now_and_then() {
    acknowledged=
    for round in 1 3 6 9; do # tenths of a second that it works in between: some come through
        touch /tmp/toggling
        toggle "$1" $round &
        toggler=$!
        api PUT "$images/storm-$round.img?store=$1" -T /tmp/a
        rm -f /tmp/toggling
        wait $toggler
        [ "$status" != 201 ] || acknowledged="$acknowledged storm-$round.img"
        recover "$1" >/tmp/recovered
        grep -q '^NOT OK' /tmp/recovered && cat /tmp/recovered
    done
    echo "    $1: of 4 that came while it failed now and then:${acknowledged:- none}"
    all_are_right "$1" "now and then"
    for image in $acknowledged; do is_there "$1" "$image"; done
    next_comes "$1" last.img
}

for store in $stores_made; do
    api PUT "$images/first.img?store=$store" -T /tmp/a
    same "$store: an image" 201 "$status"
    fed "$store" end.img $((mib - 1)) refuses
    if [ "$store" != xfs ]; then # which shuts itself down at the first error, and then fails like a dead device
        fed "$store" middle.img $half refuses
        fed "$store" dead.img $half dead
    fi
    in_pieces "$store"
    now_and_then "$store"
    is_there "$store" first.img
    echo "    $store: $(cut -d ' ' -f 1 /proc/uptime) s"
done
dmesg | grep -o 'Remounting filesystem read-only\|Shutting down filesystem\|.*has been shut down.*' | sort | uniq -c
