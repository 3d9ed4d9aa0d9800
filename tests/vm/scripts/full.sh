# Stores on real file systems that fill up, to their last byte and by somebody else meanwhile: what does not fit is refused,
# before its body where that can be told; nothing is left of it; what is told to be there is right; nobody else notices.
# run: --no-trayd --memory 1024 --timeout 600
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source=../guest/stores.sh
. /lib/stores.sh
set -u

mib=1048576
command -v dmsetup >/dev/null || { skip "full stores: dmsetup is not installed"; exit 0; }
for kind in ext4 vfat exfat xfs; do
    size=8
    [ $kind != xfs ] || size=300 # mkfs.xfs makes none that is smaller
    store_make $kind $kind $size || skip "a full $kind: this guest cannot make one"
done
trayd_start "$(stores_entries)" 's/loopback = false/loopback = true/' || exit 1

dd if=/dev/urandom of=/tmp/small bs=$mib count=1 status=none
dd if=/dev/urandom of=/tmp/big bs=$mib count=10 status=none
truncate -s 16M /tmp/zeros
gzip -1 </tmp/zeros >/tmp/packed.img.gz
big_sum=$(sum_of /tmp/big) small_sum=$(sum_of /tmp/small)
images=/api/v1/images
api PUT $images/big.img -T /tmp/big
same "another store has the image" 201 "$status"

# nothing_left NAME WHAT: of a request that failed.
nothing_left() {
    same "$1: $2: nothing is left" "$room_before" "$(room "$1")"
    same "$1: $2: no file" "" "$(leftovers "$1")"
}
tus() { # METHOD PATH CURL-OPTION...
    tus_method=$1 tus_path=$2
    shift 2
    api "$tus_method" "$tus_path" -H 'Tus-Resumable: 1.0.0' -D /tmp/headers "$@"
}
header() { tr -d '\r' </tmp/headers | sed -n "s/^$1: //p"; }
tus_piece() { # OFFSET [BYTES]: of what "$tus_content" has from there
    tail -c +$(($1 + 1)) "$tus_content" | head -c "${2:-$mib$mib}" >/tmp/piece
    tus PATCH "$upload" -H "Upload-Offset: $1" -H 'Content-Type: application/offset+octet-stream' -T /tmp/piece
}
hog() { dd if=/tmp/zeros of="/srv/$1/hog" bs=64k oflag=append conv=notrunc status=none 2>/dev/null; } # until nothing is free
unhog() { rm -f "/srv/$1/hog"; sync; }

# ---- what does not fit -----------------------------------------------------------------------------------------------

too_large() {
    got=$(curl -sS --max-time 120 -o $answer_file -w '%{http_code} %{size_upload}' -T /tmp/big "$TRAYD_URL$images/x.img?store=$1")
    same "$1: too large: refused before its body" "507 0" "$got"
    tus POST /api/v1/uploads -H "Upload-Length: $(stat -c %s /tmp/big)" -H "Upload-Metadata: filename eC5pbWc=,store $(printf %s "$1" | base64)"
    answered "$1: too large by tus" 507 no_space
    api POST $images --json "{\"from\": \"url\", \"url\": \"$TRAYD_URL$images/big.img/content\", \"name\": \"x.img\", \"store\": \"$1\"}"
    answered "$1: too large from a URL" 507 no_space
    nothing_left "$1" "too large"
    api PUT "$images/x.img?store=$1" -T - </tmp/big
    answered "$1: too large without a length" 507 no_space
    nothing_left "$1" "without a length"
    api PUT "$images/packed.img.gz?store=$1" -T /tmp/packed.img.gz
    answered "$1: too large when it is unpacked" 507 no_space
    nothing_left "$1" "unpacked"
}

# ---- the last byte ---------------------------------------------------------------------------------------------------

# File systems need blocks for themselves too, so not every byte that is free can be a file's: then the answer says so.
last_byte() {
    for how in -T/tmp/last "-T-"; do
        less=0
        while :; do
            head -c $((room_before - less)) /tmp/big >/tmp/last
            api PUT "$images/last.img?store=$1" $how </tmp/last
            if [ "$status" != 507 ] || [ $less -ge $mib ]; then break; fi
            nothing_left "$1" "$less bytes less than what is free"
            less=$((less + 131072))
        done
        same "$1: the store is filled with it" 201 "$status"
        echo "    $1: $less bytes less than $room_before, $how; $(room "$1") are left"
        same "$1: byte for byte" "$(sum_of /tmp/last)" "$(sum_in "$1" last.img)"
        holds "$1: and its digest is told" ".sha256 == \"$(sum_of /tmp/last)\""
        [ "$how" != -T- ] || full "$1"
        api DELETE "$images/last.img?store=$1"
        same "$1: an image of a full store can be deleted" 204 "$status"
        # Its digest could not be kept in a full store, so trayd may just be computing it: until it sees that it need not.
        check "$1: its room is free" wait_for 20 has_room "$1"
        nothing_left "$1" "deleted"
    done
}

# What else there is to do in a store that is full.
full() {
    hog "$1"
    api PUT "$images/x.img?store=$1" -T - </tmp/small
    answered "$1: full: not one more" 507 no_space
    api PATCH "$images/small.img?store=$1" --json '{"name": "renamed.img"}'
    case $status in 200) api PATCH "$images/renamed.img?store=$1" --json '{"name": "small.img"}' ;; esac
    check "$1: full: a new name, or that there is no room for it" expr "$status" : '200\|507'
    api PATCH "$images/small.img?store=$1" --json '{"note": "a note"}'
    check "$1: full: a note, or that it cannot be kept" expr "$status" : '200\|507\|422'
    same "$1: full: what was there is as it was" "$small_sum" "$(sum_in "$1" small.img)"
    api PUT $images/next.img -T /tmp/small
    same "$1: full: other stores take images" 201 "$status"
    api DELETE $images/next.img
    unhog "$1"
}

# ---- somebody else meanwhile -----------------------------------------------------------------------------------------

# An upload that can be continued has its room, where the file system can reserve; otherwise it waits for room.
meanwhile_tus() {
    tus_content=/tmp/begun
    head -c $((room_before - 2 * mib)) /tmp/big >$tus_content
    tus POST /api/v1/uploads -H "Upload-Length: $(stat -c %s $tus_content)" \
        -H "Upload-Metadata: filename dHVzLmltZw==,store $(printf %s "$1" | base64)"
    same "$1: an upload that can be continued" 201 "$status"
    upload=$(header Location)
    tus_piece 0 $mib
    same "$1: its first piece" 204 "$status"
    hog "$1"
    tus_piece $mib
    echo "    $1: the rest, when somebody had taken what was free: $status"
    if [ "$status" = 507 ]; then
        unhog "$1"
        tus HEAD "$upload" -I
        offset=$(header Upload-Offset)
        check "$1: what was acknowledged is kept" test "$offset" -ge $mib
        tus_piece "$offset"
    else
        unhog "$1"
    fi
    same "$1: it goes on to its end" 204 "$status"
    same "$1: and is right" "$(sum_of $tus_content)" "$(sum_in "$1" tus.img)"
    tus DELETE "$upload"
    api DELETE "$images/tus.img?store=$1"
    nothing_left "$1" "continued and deleted"
}

# An upload without a length, while another program takes the room.
meanwhile_put() {
    rm -f /tmp/feed
    mkfifo /tmp/feed
    curl -sS --max-time 120 -o $answer_file -w '%{http_code}' -T - "$TRAYD_URL$images/fed.img?store=$1" </tmp/feed >/tmp/fed 2>/tmp/fed.err &
    fed=$!
    exec 5>/tmp/feed
    head -c $((2 * mib)) /tmp/big >&5
    check "$1: an upload comes" wait_for 20 received "$1" fed.img $mib
    hog "$1"
    tail -c +$((2 * mib + 1)) /tmp/big >&5 2>/dev/null
    exec 5>&-
    wait $fed
    # What a client sees that goes on sending: the answer, or that the connection was closed.
    check "$1: and is refused when somebody takes the room" grep -q '507\|000' /tmp/fed
    unhog "$1"
    check "$1: its room is free again" wait_for 20 has_room "$1"
    nothing_left "$1" "somebody took the room"
}
received() { curl -sS "$TRAYD_URL$images/$2?store=$1" | jq -e ".complete == false and .received >= $3" >/dev/null; }
has_room() { [ "$(room "$1")" = "$room_before" ]; }

for store in $stores_made; do
    # A large file system is made as small as the others.
    spare=$(($(room "$store") - 6 * mib))
    [ $spare -lt $((100 * mib)) ] || fallocate -l $spare "/srv/$store/.spare"
    api PUT "$images/small.img?store=$store" -T /tmp/small # with it comes the hidden directory
    same "$store: an image" 201 "$status"
    sync
    room_before=$(room "$store")
    # What is told before the body does not depend on the file system: two journalling ones would show the same.
    [ "$store" = xfs ] || too_large "$store"
    last_byte "$store"
    meanwhile_tus "$store"
    [ "$store" = xfs ] || meanwhile_put "$store"
    echo "    $store: $(cut -d ' ' -f 1 /proc/uptime) s"
    api PUT "$images/next.img?store=$store" -T /tmp/small
    same "$store: the next one comes" 201 "$status"
    same "$store: what was there is as it was" "$small_sum" "$(sum_in "$store" small.img)"
done
same "the other store's image is as it was" "$big_sum" "$(sum_of /srv/trayd/images/big.img)"
same "no helper is left" "" "$(pidof trayd-helper)"
