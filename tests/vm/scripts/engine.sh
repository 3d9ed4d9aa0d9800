# The kernel engine against a real kernel: orders, evidence, hints, and calls that hang. Needs engine_tool:
# run: --no-trayd --file build/release/tests/engine_tool:/test/engine_tool
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/nbd.sh
. /lib/nbd.sh
set -u

images=/srv/trayd/images
events=/tmp/events
echo 0 >/tmp/tag

# One engine_tool at a time, with a fifo as its stdin. What it says is appended to $events.
tool_start() {
    rm -f /tmp/orders
    mkfifo /tmp/orders
    /test/engine_tool /tmp/engine.conf </tmp/orders >>$events 2>>/tmp/engine.log &
    tool=$!
    exec 9>/tmp/orders
}

tool_stop() {
    exec 9>&-
    wait $tool
}

# The number is in a file, since many orders are given in subshells.
send() {
    tag=$(($(cat /tmp/tag) + 1))
    echo $tag >/tmp/tag
    echo "$tag $*" >&9
}

answered() { grep -q "^$tag " $events; }

# do_order WORDS...: sends the order and prints the answer without its tag.
do_order() {
    send "$@"
    wait_for 20 answered || return 1
    sed -n "s/^$tag //p" $events
}

# expect NAME PATTERN ORDER...: a test of the answer.
expect() {
    expect_name=$1 expect_pattern=$2
    shift 2
    expect_answer=$(do_order "$@")
    # shellcheck disable=SC2254 # it is a pattern
    case $expect_answer in
    $expect_pattern) pass "$expect_name" ;;
    *)
        fail "$expect_name"
        echo "    expected: $expect_pattern"
        echo "    got:      $expect_answer"
        ;;
    esac
}

# said WORDS: a line that came unasked since the last call of hush.
hush() { heard=$(wc -l <$events); }
said() { tail -n +$((heard + 1)) $events | grep -q "^$1"; }

field() { do_order sample "$1" | sed "s/.* $2=\([^ ]*\).*/\1/"; }
waits_for() { [ "$(field "$1" waiting)" = "$2" ]; }

insert() { # DRIVE NAME [rw]
    do_order open "$1" $images "$2" "${3:-}" >/dev/null
    do_order insert "$1" "${3:-}"
}

workers() { grep -l "^PPid:[[:space:]]*$tool$" /proc/[0-9]*/status 2>/dev/null | cut -d / -f 3; }
hanging_workers() { for w in $(workers); do grep -q '^State:.D' "/proc/$w/status" && echo "$w"; done; }
any_alive() { for p in "$@"; do [ ! -d "/proc/$p" ] || return 0; done; return 1; }
none_alive() { ! any_alive "$@"; }
two_hang() { [ "$(hanging_workers | wc -l)" -ge 2 ]; }

cat >/tmp/engine.conf <<'CONF'
gadget = { runtime_dir = "/run/trayd"; sample_interval = "1 s"; };
stores = ( { name = "main"; path = "/srv/trayd/images"; }, { name = "fixed"; path = "/srv/fixed"; readonly = true; } );
drives = ( { name = "cd0"; type = "cdrom"; stuck_after = "3 s"; }, { name = "usb0"; type = "disk"; stuck_after = "3 s"; } );
CONF
: >$events
mkdir -p $images/sub /srv/fixed
dd if=/dev/urandom of=$images/cd.iso bs=1M count=8 status=none
dd if=/dev/urandom of=$images/second.iso bs=1M count=4 status=none
dd if=/dev/zero of=$images/usb.img bs=1M count=16 status=none
cp $images/usb.img /srv/fixed/fixed.img
truncate -s 2359293952 $images/largest.iso
truncate -s 2359293953 $images/too-large.iso
truncate -s 614399 $images/too-small.iso
truncate -s 511 $images/no-sector.img
mkfifo $images/fifo
ln -s cd.iso $images/link.iso
ln -s /etc $images/etc

# ---- building ----------------------------------------------------------------------------------------------------

heard=0
tool_start
expect "a gadget is built and bound" "start ok found=nothing bound=1*" start
grep -q ' start ok ' $events || {
    cat /tmp/engine.log
    exit 1
}
check "the host sees the drives" host dev cd0 --wait 20
check "the link is told" wait_for 10 said "link udc=dummy_udc.0 bound=1 configured=1 state=configured"
host dev usb0 --wait 20 >/dev/null
expect "capabilities are found" "cd0 capabilities forced_eject=1 break_io=0 signal=1 max_cdrom_bytes=2359293952" capabilities cd0
expect "an empty drive is seen empty" "cd0 observe ok empty" observe cd0

# ---- images that cannot be -----------------------------------------------------------------------------------------

expect "a missing image" "cd0 open error image_missing *" open cd0 $images nothing.iso
expect "an image too large for a CD" "cd0 open error image_too_large_for_cdrom *" open cd0 $images too-large.iso
expect "the largest CD" "cd0 open ok*" open cd0 $images largest.iso
expect "the same as a disk" "usb0 open ok*" open usb0 $images too-large.iso
expect "an image too small for a CD" "cd0 open error image_too_small_for_cdrom *" open cd0 $images too-small.iso
expect "less than a sector" "usb0 open error image_unusable *" open usb0 $images no-sector.img
expect "a directory" "usb0 open error image_unusable *" open usb0 $images sub
expect "a FIFO" "usb0 open error image_unusable *" open usb0 $images fifo rw
expect "a symbolic link" "cd0 open error image_unusable *" open cd0 $images link.iso
expect "behind a symbolic link" "cd0 open error image_unusable *" open cd0 $images etc/passwd
expect "out of the store" "cd0 open error invalid_name *" open cd0 $images ../../etc/passwd
expect "an absolute path" "cd0 open error invalid_name *" open cd0 $images /etc/passwd
expect "a directory that is no store" "cd0 open error store_detached *" open cd0 /etc passwd
expect "writing in a store for reading" "usb0 open error store_read_only *" open usb0 /srv/fixed fixed.img rw
expect "a character device" "usb0 open error *" open usb0 /dev null

# ---- in and out ----------------------------------------------------------------------------------------------------

do_order open cd0 $images cd.iso >/dev/null
mv $images/cd.iso $images/renamed.iso
ln -s /etc/passwd $images/cd.iso
expect "a CD is inserted, whatever its name is now" "cd0 insert ok present ro size=8388608 * path=$images/renamed.iso" insert cd0
host size cd0 >/dev/null
same "the host reads it back" "$(sha256sum <$images/renamed.iso)" "$(sha256sum <"$(host dev cd0)")"
expect "no insert over a medium" "cd0 insert error * present ro *" insert cd0
expect "nothing to force in a drive without a medium" "usb0 force ok empty" force usb0

host open cd0 >/tmp/open &
holder=$!
wait_for 10 grep -q ready /tmp/open
expect "ask while the host holds it: busy" "cd0 ask busy medium_in_use errno=16 * present ro *" ask cd0
do_order open cd0 $images second.iso >/dev/null
expect "swap while the host holds it: busy" "cd0 swap busy medium_in_use * path=$images/renamed.iso" swap cd0
kill $holder; wait $holder 2>/dev/null
expect "swap when the host let go" "cd0 swap ok present ro size=4194304 * path=$images/second.iso" swap cd0
expect "ask" "cd0 ask ok empty" ask cd0
expect "ask an empty drive" "cd0 ask ok empty" ask cd0
expect "insert what was not opened" "cd0 insert error internal * empty" insert cd0

expect "a disk is opened" "usb0 open ok rw *" open usb0 $images usb.img rw
expect "and inserted writable" "usb0 insert ok present rw size=16777216 *" insert usb0 rw
host size usb0 >/dev/null
wrote=$(field usb0 written) read=$(field usb0 read) cd_read=$(field cd0 read)
check "the host writes" host write usb0 --pattern ENGINE --bytes 1M --direct --sync
check "bytes written are counted" test $(($(field usb0 written) - wrote)) -ge 1048576
check "the host reads" host read usb0 --from 8M --bytes 2M --direct
check "bytes read are counted" test $(($(field usb0 read) - read)) -ge 2097152
same "not those of the other function" "$cd_read" "$(field cd0 read)"
commands=$(field usb0 commands)
sleep 5
check "that the host polls is seen" test "$(field usb0 commands)" -gt "$commands"

expect "an observation" "usb0 observe ok present rw *" observe usb0
hush
expect "changes nothing" "usb0 observe ok present rw *" observe usb0
sleep 1
check "and makes no hints of its own" sh -c "! tail -n +$((heard + 1)) $events | grep -q '^closed'"

# ---- hints ---------------------------------------------------------------------------------------------------------

hush
do_order arm usb0 >/dev/null
sleep 1
check "no activity, no hint" sh -c "! tail -n +$((heard + 1)) $events | grep -q '^active'"
host read usb0 --from 4M --bytes 64K --direct >/dev/null
check "activity is told" wait_for 10 said "active usb0"
hush
host read usb0 --from 6M --bytes 64K --direct >/dev/null
sleep 1
check "once" sh -c "! tail -n +$((heard + 1)) $events | grep -q '^active'"
hush
do_order arm usb0 >/dev/null
sleep 0.5
host write usb0 --pattern AGAIN --bytes 64K --direct --sync >/dev/null
check "and again when asked for again" wait_for 10 said "active usb0"

hush
check "the host ejects" host eject usb0
check "that is told" wait_for 10 said "closed usb0"
expect "and seen" "usb0 observe ok empty" observe usb0
same "what it wrote is there" blocks=128 "$(host count $images/usb.img AGAIN | sed 's/ .*//')"

# ---- force ---------------------------------------------------------------------------------------------------------

rounds=0
while [ $rounds -lt 5 ]; do
    rounds=$((rounds + 1))
    insert cd0 renamed.iso >/dev/null
    host size cd0 >/dev/null
    host read cd0 --loop --ready >/tmp/read &
    reader=$!
    wait_for 10 grep -q ready /tmp/read
    expect "force while the host reads at full speed ($rounds)" "cd0 force ok empty" force cd0
    kill $reader 2>/dev/null; wait $reader 2>/dev/null
done
insert usb0 usb.img rw >/dev/null
expect "force a writable medium" "usb0 force ok empty" force usb0
expect "and sync it" "usb0 sync ok" sync usb0
rm $images/cd.iso $images/renamed.iso
insert cd0 second.iso >/dev/null
rm $images/second.iso
expect "an image that was deleted in the drive" "cd0 observe ok present ro deleted * path=$images/second.iso" observe cd0
expect "is ejected like any other" "cd0 ask ok empty" ask cd0

# ---- what the thread waits for -------------------------------------------------------------------------------------

dd if=/dev/urandom of=$images/cd.iso bs=1M count=8 status=none
insert cd0 cd.iso >/dev/null
insert usb0 usb.img rw >/dev/null
host size usb0 >/dev/null
check "idle: nothing" wait_for 10 waits_for usb0 nothing
host read usb0 --bytes 64K --direct >/dev/null
expect "no signal in a moment without I/O, when something has come since the last look" "usb0 signal error forced_eject_unavailable * present *" signal usb0
host lock usb0
signalled() { # a look, and at once the signal: the host's polls come between only now and then
    do_order sample usb0 >/dev/null
    case $(do_order signal usb0) in "usb0 signal ok empty"*) ;; *) return 1 ;; esac
}
check "a signal, and out it goes, locked or not, when nothing has" wait_for 10 signalled
insert usb0 usb.img rw >/dev/null
host size usb0 >/dev/null
host bot usb0 read --blocks 2048 --stop-after 4096 >/tmp/bot &
bot=$!
wait_for 10 grep -q ready /tmp/bot
check "stopped in mid-command: the host" wait_for 10 waits_for usb0 host
expect "the other drive answers" "cd0 observe ok present *" observe cd0
expect "no signal that was decided on in a moment without I/O" "usb0 signal error forced_eject_unavailable * present *" signal usb0
hush
send force usb0
sleep 1
check "force waits for the command" sh -c "! grep -q '^$tag ' $events"
forced=$tag
kill $bot; wait $bot 2>/dev/null
check "and comes back when that ends" wait_for 20 said "$forced usb0 force ok empty"
host dev usb0 --wait 20 >/dev/null

# ---- storage that hangs ----------------------------------------------------------------------------------------------

nbd_up 16
mknod $images/nbd.img b 43 0
expect "a block device as an image" "usb0 open ok rw size=16777216 *" open usb0 $images nbd.img rw
expect "is inserted" "usb0 insert ok present rw size=16777216 *" insert usb0 rw
host size usb0 >/dev/null
dd if=/dev/zero of=/dev/nbd0 bs=64K count=1 seek=16 conv=notrunc status=none # no further than the page cache
nbd_pause
host read usb0 --from 8M --bytes 1M --direct >/tmp/read &
check "in the storage's hands: storage" wait_for 10 waits_for usb0 storage
send force usb0
stuck=$tag
sleep 1
expect "the other drive answers while this one hangs" "cd0 observe ok present *" observe cd0
expect "and takes orders" "cd0 force ok empty" force cd0

# Another image of the same store can be opened although one hangs: a hanging process is replaced.
send sync usb0
check "two workers are in uninterruptible sleep" wait_for 10 two_hang
expect "a healthy image beside the hanging one" "cd0 open ok ro *" open cd0 $images cd.iso
expect "is inserted" "cd0 insert ok present *" insert cd0
old_workers=$(hanging_workers)
kill -9 $tool; wait $tool 2>/dev/null
exec 9>&-
hush
tool_start
expect "a new daemon adopts the gadget" "start ok found=as_planned bound=1*" start
check "and is told that an old call is under way" wait_for 10 said "held usb0"
check "only where it is" sh -c "! tail -n +$((heard + 1)) $events | grep -q '^held cd0'"
expect "the other drive is as it was" "cd0 observe ok present ro size=8388608 * path=$images/cd.iso" observe cd0
# shellcheck disable=SC2086 # they are words
check "the old workers are still there" any_alive $old_workers
check "nothing was done meanwhile" sh -c "! grep -q '^$stuck ' $events"
nbd_resume
check "the storage comes back: the drive is observed" wait_for 30 said "0 usb0 observe ok empty"
# shellcheck disable=SC2086
check "the old workers are gone" wait_for 10 none_alive $old_workers
host dev usb0 --wait 30 >/dev/null
expect "the drive works again" "usb0 open ok *" open usb0 $images usb.img rw
expect "with an insert" "usb0 insert ok present rw *" insert usb0 rw
expect "and an eject" "usb0 ask ok empty" ask usb0
host eject cd0
check "an adopted medium is watched too" wait_for 10 said "closed cd0"

# ---- an unbind that hangs ----------------------------------------------------------------------------------------------

insert usb0 nbd.img rw >/dev/null
host size usb0 >/dev/null
nbd_pause
host read usb0 --from 12M --bytes 1M --direct >/tmp/read &
check "the storage hangs again" wait_for 10 waits_for usb0 storage
send unbind
unbinding=$tag
sleep 1
check "unbind hangs with it" sh -c "! grep -q '^$unbinding ' $events"
expect "the other drive answers" "cd0 observe ok *" observe cd0
kill -9 $tool
wait $tool 2>/dev/null
exec 9>&-
tool_start
send start
starting=$tag
sleep 2
check "a new daemon does not work beside the old call" sh -c "! grep -q '^$starting ' $events"
expect "and the other drive answers" "cd0 observe ok *" observe cd0
hush
nbd_resume
check "it starts when the old call is over" wait_for 30 said "$starting start ok"
check "and the gadget is bound" wait_for 20 said "link udc=dummy_udc.0 bound=1 configured=1"
host dev usb0 --wait 30 >/dev/null
expect "with its medium" "usb0 observe ok present rw size=16777216 * path=$images/nbd.img" observe usb0
expect "which can be taken out" "usb0 force ok empty" force usb0

# ---- workers that die ------------------------------------------------------------------------------------------------

send observe cd0
wait_for 10 answered
for w in $(workers); do kill -9 "$w"; done
expect "all workers killed: the next order is served" "cd0 observe ok empty" observe cd0
kill -9 $tool; wait $tool 2>/dev/null
exec 9>&-
hush
tool_start
expect "a daemon killed when idle leaves nothing behind" "start ok found=as_planned bound=1*" start
expect "and the next one is served at once" "usb0 observe ok empty" observe usb0
check "without a word of old calls" sh -c "! tail -n +$((heard + 1)) $events | grep -q '^held'"

# ---- unbind, bind, remove ----------------------------------------------------------------------------------------------

hush
expect "unbind" "unbind ok * bound=0*" unbind
check "the link is told" wait_for 10 said "link udc=dummy_udc.0 bound=0 configured=0"
expect "bind" "bind ok * bound=1*" bind
check "the link is told again" wait_for 20 said "link udc=dummy_udc.0 bound=1 configured=1"
rmmod dummy_hcd
check "a controller that goes" wait_for 10 said "link udc= bound=0"
hush
insmod "$(find /lib/modules/ -name 'dummy_hcd.ko*' | head -1)" num=1
check "and comes back is bound again" wait_for 20 said "link udc=dummy_udc.0 bound=1"
expect "remove" "remove ok *" remove
check "the gadget is gone" test ! -d /sys/kernel/config/usb_gadget/trayd
expect "no thread, no evidence" "* known=0 *" sample cd0
tool_stop
same "the tool ended well" 0 $?
check "no worker is left" wait_for 10 sh -c '! grep -lx trayd-worker /proc/[0-9]*/comm 2>/dev/null'
! grep -q fail /run/test-results || cat /tmp/engine.log
